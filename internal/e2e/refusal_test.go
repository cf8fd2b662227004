package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// refuse tries to create a job that is not valid, and returns the errors of its fields.
func (i instance) refuse(t *testing.T, body string) []client.FieldError {
	t.Helper()
	got, err := i.CreateJobWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, got.StatusCode(), "refused: %s", body)
	return *got.ApplicationproblemJSON400.Errors
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	// The errors are those of the type that the target has, all at once, each once.
	t.Run("names all errors of a target", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		for target, wrong := range map[string][]string{
			`"log"`:                    {"target: value must be an object"},
			`{}`:                       {"target.type: must be one of http, log, worker"},
			`{"type":"ftp"}`:           {"target.type: must be one of http, log, worker"},
			`{"type":"log","url":"x"}`: {`target.url: property "url" is unsupported`},
			`{"type":"worker"}`:        {`target.queue: property "queue" is missing`},
			`{"type":"http","url":"","expectStatus":[200,99],"headers":{"A":1},"nope":1}`: {
				"target.expectStatus.1: number must be at least 200",
				"target.headers.A: value must be a string",
				`target.nope: property "nope" is unsupported`,
				"target.url: minimum string length is 1",
			},
			`{"type":"http","url":"ftp://example.com","headers":{"Host":"a","Cookie":"b"},"signingSecrets":["c"]}`: {
				"target.url: the URL must begin with http:// or https://",
				"target.headers.Cookie: belongs in secretHeaders",
				"target.headers.Host: belongs to the connection and cannot be set",
				"target.signingSecrets.0: must be whsec_ and 24 to 64 bytes in base64, or whsk_ and an ed25519 private key of 32 or 64 bytes in base64",
			},
			`{"type":"http","url":"https://example.com","headers":{"A":"\u0000"}}`: {
				"target.headers.A: contains a NUL character",
			},
		} {
			var got []string
			for _, e := range service.refuse(t, `{"name":"x","intervalInSeconds":60,"target":`+target+`}`) {
				got = append(got, e.Field+": "+e.Detail)
			}
			require.Equal(t, wrong, got, target)
		}
	})
	t.Run("names instants that do not exist", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		for _, instant := range []string{
			"2030-01-01", "2030-02-30T00:00:00Z", "2030-12-31T23:59:60Z", "2030-01-01T00:00:00",
		} {
			wrong := service.refuse(t, `{"name":"x","runAt":"`+instant+`"}`)
			require.Equal(t, []client.FieldError{{
				In: client.FieldErrorInBody, Field: "runAt", Code: "wrong-format",
				Detail: "must be an instant of RFC 3339 in the years 1 to 9999 of UTC, such as 2030-01-31T09:30:00Z",
			}}, wrong, instant)
		}
	})
	t.Run("says the bound", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		for body, want := range map[string]string{
			`"intervalInSeconds":315360001`:                                  "number must be at most 315360000",
			`"intervalInSeconds":1,"maxRuns":1e10`:                           "number must be at most 1000000000",
			`"intervalInSeconds":1,"payload":` + string(nested(maxNested+1)): "is nested deeper than 200",
		} {
			wrong := service.refuse(t, `{"name":"x",`+body+`}`)
			require.Len(t, wrong, 1, body)
			require.Equal(t, want, wrong[0].Detail, body)
		}
	})
	t.Run("is bounded", func(t *testing.T) {
		t.Parallel()
		service, _ := setup(t)
		var unknown strings.Builder
		for n := range 10_000 {
			fmt.Fprintf(&unknown, `,"unknown%d":1`, n)
		}
		require.Len(t, service.refuse(t, `{"name":"x","intervalInSeconds":60`+unknown.String()+`}`), 100)
	})
}
