package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/server"
)

func TestRepairReport(t *testing.T) {
	t.Parallel()
	spec, err := server.GetSpec()
	require.NoError(t, err)
	long := strings.Repeat("a", 2*maxReportText)
	schema := spec.Components.Schemas["RunFailure"].Value
	for body, want := range map[string]string{
		`{"token":5}`:                              `{"error":"","token":5}`,
		`{"token":5,"error":null,"output":null}`:   `{"error":"","token":5}`,
		`{"token":5,"error":{"code":1},"Token":6}`: `{"error":"{\"code\":1}","token":5}`,
		`{"token":5,"error":"a\u0000\ud800"}`:      `{"error":"a\ufffd\ufffd","token":5}`,
		`{"token":"5"}`:                            `{"error":"","token":"5"}`,
		`{"token":5,"retryable":"no"}`:             `{"error":"","token":5}`,
		`{"token":5,"retryable":false}`:            `{"error":"","retryable":false,"token":5}`,
		`{"token":5,"retryAfterSeconds":"1"}`:      `{"error":"","token":5}`,
		`{"token":5,"retryAfterSeconds":1.5}`:      `{"error":"","retryAfterSeconds":2,"token":5}`,
		`{"token":5,"retryAfterSeconds":1e400}`:    `{"error":"","retryAfterSeconds":86400,"token":5}`,
		`{"token":5,"retryAfterSeconds":-1}`:       `{"error":"","retryAfterSeconds":0,"token":5}`,
		`{"token":5,"error":"` + long + `"}`:       `{"error":"` + long[:maxReportText] + `","token":5}`,
		`[]`:                                       `[]`,
	} {
		got, err := repairReport(schema, []byte(body))
		require.NoError(t, err)
		again, err := repairReport(schema, got)
		require.NoError(t, err)
		require.Equal(t, string(got), string(again), "another repair changes nothing")
		if strings.HasPrefix(want, "{") {
			require.JSONEq(t, want, string(got), body)
		} else {
			require.Equal(t, want, string(got), body)
		}
	}
}
