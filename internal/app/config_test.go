package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/access/oidc"
	"punctual/internal/app"
	"punctual/internal/secrets"
)

func TestAuthIsOffOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "127.8.9.10", "::1", "localhost"} {
		for _, auth := range []app.Auth{"", app.AuthOff, app.AuthRequired} {
			require.NoError(t, app.Config{Host: host, Auth: auth}.Validate(), "%s %s", host, auth)
		}
	}
	for _, host := range []string{"", "0.0.0.0", "::", "192.168.1.2", "example.com", "::ffff:10.0.0.1", "2130706433"} {
		require.NoError(t, app.Config{Host: host}.Validate(), "%q: callers need a key", host)
		require.NoError(t, app.Config{Host: host, Auth: app.AuthRequired}.Validate(), "%q: callers need a key", host)
		require.ErrorContains(t, app.Config{Host: host, Auth: app.AuthOff}.Validate(), "set AUTH=required", "%q can be reached by others", host)
	}
	require.ErrorContains(t, app.Config{Host: "localhost", Auth: "on"}.Validate(), "AUTH")
}

func TestAllowedHostsAreNames(t *testing.T) {
	t.Parallel()
	for host, isValid := range map[string]bool{
		"punctual.test": true, "punctual": true, "192.168.1.2": true, "::1": true,
		"": false, "punctual.test:3000": false, "http://punctual.test": false, "*.test": false, "a b": false,
	} {
		err := app.Config{Host: "localhost", AllowedHosts: []string{host}}.Validate()
		require.Equal(t, isValid, err == nil, "%q: %v", host, err)
	}
}

func TestRunsCannotBeKeptForThousandsOfYears(t *testing.T) {
	t.Parallel()
	for days, isValid := range map[int]bool{-1: false, 0: true, 30: true, 36500: true, 36501: false, 1_900_000: false, 1 << 32: false} {
		err := app.Config{Host: "localhost", RunRetentionDays: days}.Validate()
		if isValid {
			require.NoError(t, err, "%d days", days)
		} else {
			require.ErrorContains(t, err, "RUN_RETENTION_DAYS", "%d days", days)
		}
	}
}

func TestKeysThatCannotBeReadAreNotShown(t *testing.T) {
	t.Parallel()
	var keys secrets.Keyring
	require.NoError(t, keys.UnmarshalText([]byte("id:hush")))
	err := app.Config{Host: "localhost", SecretKeys: keys}.Validate()
	require.ErrorContains(t, err, "SECRET_KEYS")
	require.NotContains(t, err.Error(), "hush")
}

// All faults of the settings for tokens are named at once.
func TestSettingsForTokensAreChecked(t *testing.T) {
	t.Parallel()
	var grants oidc.Grants
	require.NoError(t, grants.UnmarshalText([]byte(`[{"claim":"groups","value":"x","namespace":"*","scopes":["all"]}]`)))
	err := app.Config{Host: "localhost", OIDCIssuer: "https://login.example.com", OIDCGrants: grants}.Validate()
	require.ErrorContains(t, err, `OIDC_GRANTS: grant 1: scopes: there is no scope "all"`)
	require.ErrorContains(t, err, "OIDC_AUDIENCE is required")
}

func TestTraceURLTemplateIsChecked(t *testing.T) {
	t.Parallel()
	for template, isValid := range map[string]bool{
		"": true, "https://tempo.example.com/trace/{traceId}": true, "http://localhost:16686/trace/{traceId}?uiEmbed=v0": true,
		"https://tempo.example.com/trace": false, "javascript:alert({traceId})": false, "/trace/{traceId}": false, "https://%/{traceId}": false,
	} {
		err := app.Config{Host: "localhost", Pages: app.PagesConfig{TraceURLTemplate: template}}.Validate()
		require.Equal(t, isValid, err == nil, "%q: %v", template, err)
	}
}
