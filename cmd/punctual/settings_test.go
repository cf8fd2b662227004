package main

import (
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSettingsAreDocumented looks for each setting of the service in the README's table and in
// .env.example.
func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	var c commandLine
	parser, err := kong.New(&c, kong.Vars{"version": ""})
	require.NoError(t, err)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	example, err := os.ReadFile("../../.env.example")
	require.NoError(t, err)

	var names []string
	for _, command := range parser.Model.Leaves(false) {
		for _, group := range command.AllFlags(false) {
			for _, flag := range group {
				names = append(names, flag.Envs...)
			}
		}
	}
	require.Contains(t, names, "OIDC_GRANTS")
	for _, name := range names {
		assert.Contains(t, string(readme), "\n| `"+name+"` |", "the table of the README")
		assert.Contains(t, string(example), "\n# "+name+"=", ".env.example")
	}
	for line := range strings.Lines(string(example)) {
		name, _, isSetting := strings.Cut(strings.TrimPrefix(line, "# "), "=")
		if isSetting && name == strings.ToUpper(name) && !strings.HasPrefix(name, "OTEL_") { // OpenTelemetry reads these
			assert.Contains(t, names, name, ".env.example has a setting that there is not")
		}
	}
}
