package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"punctual/internal/access"
)

// Everywhere is the namespace of a grant that is for all namespaces.
const Everywhere = "*"

// Grant gives scopes in a namespace to the callers whose tokens have a value in a claim.
type Grant struct {
	// Claim is the name of a claim of the token. Dots lead into objects: realm_access.roles.
	Claim string `json:"claim"`
	// Value is what the claim has to be, or to contain: as an element of an array, or as a word of
	// a text that separates words by spaces.
	Value string `json:"value"`
	// Namespace is where the scopes are given. Everywhere: in all namespaces.
	Namespace string         `json:"namespace"`
	Scopes    []access.Scope `json:"scopes"`
}

// Grants says which claims give which rights. The zero Grants give none.
type Grants struct {
	list    []Grant
	text    string
	invalid error
}

// ParseGrants reads a JSON array of grants. The empty text has none. An error names the grant, by
// its position, and the wrong field.
func ParseGrants(text string) (Grants, error) {
	if strings.TrimSpace(text) == "" {
		return Grants{}, nil
	}
	var entries []json.RawMessage
	if err := json.Unmarshal([]byte(text), &entries); err != nil {
		return Grants{}, fmt.Errorf("it must be a JSON array of grants: %w", err)
	}
	grants := Grants{text: text}
	for i, entry := range entries {
		var grant Grant
		decoder := json.NewDecoder(bytes.NewReader(entry))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&grant); err != nil && !errors.Is(err, io.EOF) {
			return Grants{}, fmt.Errorf("grant %d: %w", i+1, err)
		}
		if err := grant.validate(); err != nil {
			return Grants{}, fmt.Errorf("grant %d: %w", i+1, err)
		}
		grants.list = append(grants.list, grant)
	}
	return grants, nil
}

func (g Grant) validate() error {
	var faults []string
	if g.Claim == "" {
		faults = append(faults, "claim is missing")
	}
	if g.Value == "" {
		faults = append(faults, "value is missing")
	}
	switch {
	case g.Namespace == "":
		faults = append(faults, `namespace is missing ("*" is all namespaces)`)
	case g.Namespace != Everywhere && !access.IsNamespace(g.Namespace):
		faults = append(faults, fmt.Sprintf(
			"namespace %q must be 1 to 63 of a-z, 0-9 and '-', and neither begin nor end with '-'", g.Namespace,
		))
	}
	if len(g.Scopes) == 0 {
		faults = append(faults, "scopes is missing")
	}
	for _, scope := range g.Scopes {
		if !slices.Contains(access.Scopes, scope) {
			faults = append(faults, fmt.Sprintf("scopes: there is no scope %q, but %q", scope, access.Scopes))
		}
	}
	if faults == nil {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}

// UnmarshalText reads what ParseGrants reads. If that is not valid, Validate returns the error.
func (g *Grants) UnmarshalText(text []byte) error {
	grants, err := ParseGrants(string(text))
	grants.invalid = err
	*g = grants
	return nil
}

// MarshalText returns the text that the grants were read from.
func (g Grants) MarshalText() ([]byte, error) { return []byte(g.text), nil }

// Validate returns the error of the last UnmarshalText.
func (g Grants) Validate() error { return g.invalid }

// Len returns how many grants there are.
func (g Grants) Len() int { return len(g.list) }

// of returns the grants that claims match.
func (g Grants) of(claims map[string]any) (matched []Grant) {
	for _, grant := range g.list {
		if has(find(claims, grant.Claim), grant.Value) {
			matched = append(matched, grant)
		}
	}
	return matched
}

// find returns a claim by its name or, if there is none of this name, by its path through objects.
func find(claims map[string]any, name string) any {
	if value, ok := claims[name]; ok {
		return value
	}
	first, rest, isPath := strings.Cut(name, ".")
	inner, isObject := claims[first].(map[string]any)
	if !isPath || !isObject {
		return nil
	}
	return find(inner, rest)
}

// has reports whether a claim is a value or contains it.
func has(claim any, value string) bool {
	switch claim := claim.(type) {
	case string:
		return claim == value || slices.Contains(strings.Split(claim, " "), value)
	case []any:
		return slices.Contains(claim, any(value))
	default:
		return false
	}
}
