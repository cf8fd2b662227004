package jobfiles_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"punctual/internal/jobfiles"
)

// jsonOf reads one definition from the standard input.
func jsonOf(t *testing.T, text string) (string, error) {
	t.Helper()
	all, err := jobfiles.Read([]string{"-"}, strings.NewReader(text))
	if err != nil {
		return "", err
	}
	require.Len(t, all, 1)
	out, err := all[0].JSON(func(name string) (string, bool) { return "<" + name + ">", name != "MISSING" })
	return string(out), err
}

// Values of YAML become the JSON that people mean, and numbers keep their digits.
func TestYAMLBecomesJSON(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"1970670598291982290": "1970670598291982290", "1e400": "1e400", "1.0": "1.0", "-0": "-0", `"1e400"`: `"1e400"`,
		"0x1F": "31", "0o17": "15", "1_000": "1000", "+5": "5", ".5": "0.5", "True": "true", "no": `"no"`, "~": "null", "": "null",
		"2040-01-31T09:30:00Z": `"2040-01-31T09:30:00Z"`, "2040-01-31": `"2040-01-31"`, "0 2 * * *": `"0 2 * * *"`,
		"<b>&": `"<b>&"`, "{a: [1, {b: c}], 7: x}": `{"a":[1,{"b":"c"}],"7":"x"}`, "\n  - |\n    two\n    lines": `["two\nlines"]`,
		"${env:HOME}": `"${env:HOME}"`,
	} {
		got, err := jsonOf(t, "key: k\npayload: "+value)
		require.NoError(t, err, value)
		require.Equal(t, `{"key":"k","payload":`+want+`}`, got, value)
	}
	got, err := jsonOf(t, "key: k\na: &x {b: 1}\nc: *x")
	require.NoError(t, err)
	require.JSONEq(t, `{"key":"k","a":{"b":1},"c":{"b":1}}`, got, "aliases are followed")
}

// Only fields of the target that the contract marks as secrets name variables of the environment.
func TestSecretsComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	got, err := jsonOf(t, `{key: k, target: {headers: {A: "${env:A}"}, secretHeaders: {A: "Bearer ${env:A}"}, signingSecrets: ["${env:B}"]}}`)
	require.NoError(t, err)
	require.JSONEq(t, `{"key":"k","target":{"headers":{"A":"${env:A}"},"secretHeaders":{"A":"Bearer <A>"},"signingSecrets":["<B>"]}}`, got)
	_, err = jsonOf(t, "key: k\ntarget:\n  signingSecrets:\n    - ${env:MISSING}")
	require.EqualError(t, err, "-:4: target.signingSecrets.0: the environment has no variable MISSING")
}

// A fault names the file and the line.
func TestFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"name: x":                            "-:1: key: is missing",
		"- key: a\n- key: a":                 `-:2: key: "a" is the key of -:1, too`,
		"- 7":                                "-:1: a definition is a mapping of fields",
		"jobs: []\nmore: 1":                  "-:1: beside jobs there is no other field",
		"jobs: x":                            "jobs is a list",
		"key: a\nname: x\nname: y":           "-:3: name: is given twice",
		"key: [":                             "-: line 1: ",
		"key: a\nx: &x [*x]":                 "nested too deeply",
		"key: a\nx: .inf":                    "-:2: x: .inf is not a number that JSON has",
		"key: a\nx: !!binary aGk=":           "are not supported",
		"key: a\nb: &b {c: 1}\nd:\n  <<: *b": "merge key",
		`{"key": "a",` + "\n" + `"x": 1, "x": 2}`: "-:2: x: is given twice",
	} {
		_, err := jsonOf(t, text)
		require.ErrorContains(t, err, want, text)
	}
}

// A directory is read with all below it, but for what is hidden or has another ending.
func TestDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yml": "{key: b}\n---\n# nothing\n---\n{key: b2}", "a/a.json": `[{"key": "a"}, {"key": "a2"}]`, "c.yaml": "jobs:\n- key: c",
		"a/.hidden.yaml": "{key: x}", ".git/x.yaml": "{key: x}", "notes.md": "key: x",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	all, err := jobfiles.Read([]string{dir}, nil)
	require.NoError(t, err)
	var keys []string
	for _, d := range all {
		keys = append(keys, d.Key)
	}
	require.Equal(t, []string{"a", "a2", "b", "b2", "c"}, keys)
	_, err = jobfiles.Read([]string{t.TempDir()}, nil)
	require.ErrorContains(t, err, "there is no file")
}

// Any JSON value that is written as YAML is read back as it was.
func TestJSONSurvivesYAML(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		scalar := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) any { return rapid.String().Draw(t, "text") }),
			rapid.Custom(func(t *rapid.T) any {
				return json.Number(rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,9})?(e[+-]?[0-9]{1,4})?`).Draw(t, "number"))
			}),
			rapid.Custom(func(t *rapid.T) any {
				return rapid.StringMatching(`[-+~.0-9a-fxo_:#'"{}\[\]!&*,?|<>=%@ \n\t]{0,8}`).Draw(t, "odd")
			}),
			rapid.Custom(func(t *rapid.T) any {
				return rapid.SampledFrom([]any{nil, true, "null", "yes", "<<", "---", "1e400", " x", "x\n"}).Draw(t, "word")
			}),
		)
		value := map[string]any{"key": "k", "payload": rapid.OneOf(
			scalar,
			rapid.Custom(func(t *rapid.T) any { return rapid.SliceOf(scalar).Draw(t, "list") }),
			rapid.Custom(func(t *rapid.T) any { return rapid.MapOf(rapid.String(), scalar).Draw(t, "object") }),
		).Draw(t, "payload")}
		var want strings.Builder
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		require.NoError(t, encoder.Encode(value))
		node, err := jobfiles.FromJSON([]byte(want.String()))
		require.NoError(t, err)
		text, err := yaml.Marshal(node)
		require.NoError(t, err)
		all, err := jobfiles.Read([]string{"-"}, strings.NewReader(string(text)))
		require.NoError(t, err, "%s", text)
		got, err := all[0].JSON(os.LookupEnv)
		require.NoError(t, err, "%s", text)
		require.Equal(t, strings.TrimSpace(want.String()), string(got), "%s", text)
	})
}
