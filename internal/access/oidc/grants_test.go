package oidc_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/access/oidc"
)

func TestParseGrants(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:   "must be a JSON array",
		`[{}]`: "grant 1: claim is missing; value is missing; namespace is missing (\"*\" is all namespaces); scopes is missing",
		`[{"claim":"a","value":"b","namespace":"c","scopes":["jobs:read"]},{"claim":"a","value":"b","namespace":"c","scopes":["jobs:eat"]}]`: `grant 2: scopes: there is no scope "jobs:eat"`,
		`[{"claim":"a","value":"b","namespace":"Pay_ments","scopes":["jobs:read"]}]`:                                                         `grant 1: namespace "Pay_ments" must be`,
		`[{"claim":"a","value":"b","namespace":"c","scope":"jobs:read"}]`:                                                                    `grant 1: json: unknown field "scope"`,
		`[{"claim":"a","value":1,"namespace":"c","scopes":["jobs:read"]}]`:                                                                   "grant 1: json: cannot unmarshal number",
	} {
		_, err := oidc.ParseGrants(text)
		require.ErrorContains(t, err, want, text)
		var stored oidc.Grants
		require.NoError(t, stored.UnmarshalText([]byte(text)), "the configuration reports it with all other faults")
		require.Equal(t, err, stored.Validate())
	}
	none, err := oidc.ParseGrants(" ")
	require.NoError(t, err)
	require.Zero(t, none.Len())
}

// TestGrants has what tokens may do in which namespace.
func TestGrants(t *testing.T) {
	t.Parallel()
	key := newKey(t, "one")
	issuer := newIssuer(t, key)
	verifier, err := oidc.New(oidc.Config{Issuer: issuer.url, Audience: audience, Grants: grants(t, `[
		{"claim":"groups","value":"pay","namespace":"payments","scopes":["jobs:read","jobs:write"]},
		{"claim":"groups","value":"pay-lead","namespace":"payments","scopes":["admin"]},
		{"claim":"groups","value":"all","namespace":"default","scopes":["jobs:read"]},
		{"claim":"realm_access.roles","value":"ops","namespace":"*","scopes":["admin"]},
		{"claim":"scope","value":"read","namespace":"*","scopes":["jobs:read"]},
		{"claim":"https://example.com/role","value":"tester","namespace":"tests","scopes":["workers"]}
	]`)})
	require.NoError(t, err)
	require.NoError(t, verifier.Refresh(t.Context()))

	type rights struct {
		namespace string
		scopes    []access.Scope
		isWide    bool
	}
	for name, c := range map[string]struct {
		claims, header string
		want           *rights // nil: there is no such namespace
	}{
		"a claim that is an array":            {`{"groups":["pay"]}`, "payments", &rights{"payments", []access.Scope{"jobs:read", "jobs:write"}, false}},
		"a claim that is a text":              {`{"groups":"pay"}`, "payments", &rights{"payments", []access.Scope{"jobs:read", "jobs:write"}, false}},
		"words of a text":                     {`{"scope":"openid read"}`, "any", &rights{"any", []access.Scope{"jobs:read"}, true}},
		"a part of a word is not the word":    {`{"scope":"readers","groups":"all"}`, "payments", nil},
		"a claim in an object":                {`{"realm_access":{"roles":["ops"]}}`, "any", &rights{"any", []access.Scope{"admin"}, true}},
		"a claim whose name has dots":         {`{"https://example.com/role":"tester"}`, "tests", &rights{"tests", []access.Scope{"workers"}, false}},
		"grants add up":                       {`{"groups":["pay","pay-lead"]}`, "payments", &rights{"payments", []access.Scope{"admin", "jobs:read", "jobs:write"}, false}},
		"in a namespace and in all":           {`{"groups":["pay"],"scope":"read"}`, "payments", &rights{"payments", []access.Scope{"jobs:read", "jobs:write"}, true}},
		"the only namespace":                  {`{"groups":["pay"]}`, "", &rights{"payments", []access.Scope{"jobs:read", "jobs:write"}, false}},
		"the default one before another":      {`{"groups":["pay","all"]}`, "", &rights{"default", []access.Scope{"jobs:read"}, false}},
		"the default one of all":              {`{"realm_access":{"roles":["ops"]}}`, "", &rights{"default", []access.Scope{"admin"}, true}},
		"several, and none by default":        {`{"groups":["pay"],"https://example.com/role":"tester"}`, "", nil},
		"another namespace":                   {`{"groups":["pay"]}`, "default", nil},
		"admin of one, with less over others": {`{"groups":["pay-lead"],"scope":"read"}`, "payments", &rights{"payments", []access.Scope{"admin", "jobs:read"}, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var claims map[string]any
			require.NoError(t, json.Unmarshal([]byte(c.claims), &claims))
			if _, hasGroups := claims["groups"]; !hasGroups {
				claims["groups"] = nil
			}
			caller, err := verifier.Verify(t.Context(), sign(t, es256(key), "at+jwt", issuer.claims(claims)))
			require.NoError(t, err)
			chosen, err := caller.In(c.header)
			if c.want == nil {
				require.ErrorIs(t, err, access.ErrNoNamespace)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "user:anna", chosen.Actor)
			assert.Equal(t, c.want.namespace, chosen.Namespace)
			assert.ElementsMatch(t, c.want.scopes, chosen.Scopes)
			assert.Equal(t, c.want.isWide, chosen.IsServiceWide)
		})
	}
}

// Names that are empty, or the sign for all namespaces, name no namespace.
func TestEverywhereIsNoNamespace(t *testing.T) {
	t.Parallel()
	key := newKey(t, "one")
	issuer := newIssuer(t, key)
	verifier := newVerifier(t, issuer.url, nil)
	require.NoError(t, verifier.Refresh(t.Context()))
	caller, err := verifier.Verify(t.Context(), sign(t, es256(key), "at+jwt", issuer.claims(nil)))
	require.NoError(t, err)
	_, err = caller.In(oidc.Everywhere)
	require.ErrorIs(t, err, access.ErrNoNamespace)
}
