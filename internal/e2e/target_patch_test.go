package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// A change of a target names only what differs (RFC 7396).
func TestPatchOfATarget(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{
		Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}, SecretKeys: keyring(t, "first"),
	})
	const before = `{"type":"http","url":"https://example.com/a","method":"PUT","headers":{"A":"1","B":"2"},"body":"x","expectStatus":[200],
		"secretHeaders":{"X-Key":"k","X-Other":"o"},"signingSecrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}`
	allSecrets := []string{"secretHeaders.X-Key", "secretHeaders.X-Other", "signingSecrets"}
	for name, c := range map[string]struct {
		change, want string // want is what differs
		secrets      []string
	}{
		"a field": {`{"url":"https://example.com/b"}`, `{"url":"https://example.com/b"}`, allSecrets},
		"null removes a field, which then has its default": {
			`{"method":null,"body":null,"expectStatus":null}`, `{"method":"POST","body":null,"expectStatus":[]}`, allSecrets,
		},
		"members of an object":        {`{"headers":{"A":null,"C":"3"}}`, `{"headers":{"B":"2","C":"3"}}`, allSecrets},
		"an object that is removed":   {`{"headers":null}`, `{"headers":{}}`, allSecrets},
		"a list is replaced":          {`{"expectStatus":[201.0]}`, `{"expectStatus":[201]}`, allSecrets},
		"the same type":               {`{"type":"http","body":"y"}`, `{"body":"y"}`, allSecrets},
		"a secret header more":        {`{"secretHeaders":{"X-New":"n"}}`, `{}`, []string{"secretHeaders.X-Key", "secretHeaders.X-New", "secretHeaders.X-Other", "signingSecrets"}},
		"a secret header less":        {`{"secretHeaders":{"X-Key":null}}`, `{}`, []string{"secretHeaders.X-Other", "signingSecrets"}},
		"no secret header":            {`{"secretHeaders":{}}`, `{}`, allSecrets},
		"no secret headers any more":  {`{"secretHeaders":null}`, `{}`, []string{"signingSecrets"}},
		"no secrets any more":         {`{"secretHeaders":{"X-Key":null,"X-Other":null},"signingSecrets":[]}`, `{}`, []string{}},
		"another host, with all":      {`{"url":"https://example.org","secretHeaders":null,"signingSecrets":null}`, `{"url":"https://example.org"}`, []string{}},
		"another type replaces all":   {`{"type":"worker","queue":"q"}`, ``, []string{}},
		"another type and what it is": {`{"type":"log","url":null}`, ``, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := service.create(t, `{"name":"x","intervalInSeconds":3600,"target":`+before+`}`)
			changed := service.patch(t, job.Id, `{"target":`+c.change+`}`)
			require.Equal(t, http.StatusOK, changed.StatusCode(), "%s", changed.Body)
			require.Equal(t, c.secrets, changed.JSON200.TargetSecrets)
			if c.want == "" {
				return
			}
			want, got := map[string]any{}, map[string]any{}
			visible, err := job.Target.MarshalJSON()
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(visible, &want))
			differs := map[string]any{}
			require.NoError(t, json.Unmarshal([]byte(c.want), &differs))
			for field, value := range differs {
				if want[field] = value; value == nil {
					delete(want, field)
				}
			}
			visible, err = changed.JSON200.Target.MarshalJSON()
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(visible, &got))
			require.Equal(t, want, got)
		})
	}
	// The merged target is as good as that of a new job.
	for name, c := range map[string]struct {
		change string
		want   map[string]string
	}{
		"a field that there is not":             {`{"ur":"https://example.com"}`, map[string]string{"target.ur": "unknown-field"}},
		"a field that there is not, removed":    {`{"ur":null}`, map[string]string{"target.ur": "unknown-field"}},
		"a field of another type":               {`{"queue":"q"}`, map[string]string{"target.queue": "unknown-field"}},
		"a field that is wrong":                 {`{"method":"POKE"}`, map[string]string{"target.method": "not-allowed"}},
		"fields that are wrong":                 {`{"method":"POKE","expectStatus":["x"]}`, map[string]string{"target.method": "not-allowed", "target.expectStatus.0": "wrong-type"}},
		"what the target needs is removed":      {`{"url":null}`, map[string]string{"target.url": "required"}},
		"no type":                               {`{"type":null}`, map[string]string{"target.type": "not-allowed"}},
		"no type that there is":                 {`{"type":"smtp"}`, map[string]string{"target.type": "not-allowed"}},
		"a type that is none":                   {`{"type":1}`, map[string]string{"target.type": "not-allowed"}},
		"another type without what it needs":    {`{"type":"worker"}`, map[string]string{"target.queue": "required"}},
		"a secret that is wrong":                {`{"secretHeaders":{"X-Key":1}}`, map[string]string{"target.secretHeaders.X-Key": "wrong-type"}},
		"a secret that is no object":            {`{"secretHeaders":"x"}`, map[string]string{"target.secretHeaders": "wrong-type"}},
		"a secret that is forbidden":            {`{"secretHeaders":{"Host":"x"}}`, map[string]string{"target.secretHeaders.Host": "not-allowed"}},
		"a secret that is given twice":          {`{"secretHeaders":{"x-key":"x"}}`, map[string]string{"target.secretHeaders.x-key": "not-unique"}},
		"another host, without some":            {`{"url":"https://example.org","secretHeaders":{"X-Key":"n"},"signingSecrets":null}`, map[string]string{"target.secretHeaders.X-Other": "secret-required"}},
		"another host, without":                 {`{"url":"https://example.org"}`, map[string]string{"target.secretHeaders": "secret-required", "target.signingSecrets": "secret-required"}},
		"what the executor refuses":             {`{"method":"GET"}`, map[string]string{"target.body": "conflicting"}},
		"a header that the executor refuses":    {`{"headers":{"Cookie":"x"}}`, map[string]string{"target.headers.Cookie": "not-allowed"}},
		"a change of nothing, which is a fault": {`{}`, map[string]string{"target": "required"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := service.create(t, `{"name":"x","intervalInSeconds":3600,"target":`+before+`}`)
			got, err := service.UpdateJobWithBodyWithResponse(t.Context(), job.Id, nil, "application/json", strings.NewReader(`{"target":`+c.change+`}`))
			require.NoError(t, err)
			requireCode(t, http.StatusBadRequest, "invalid-request", got.HTTPResponse, got.ApplicationproblemJSON400)
			fields := map[string]string{}
			for _, field := range *got.ApplicationproblemJSON400.Errors {
				fields[field.Field] = field.Code
				require.Equal(t, client.FieldErrorInBody, field.In)
			}
			require.Equal(t, c.want, fields)
			require.EqualValues(t, 1, service.getJob(t, job.Id).Version)
		})
	}
}
