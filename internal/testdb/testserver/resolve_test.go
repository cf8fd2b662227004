package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestForcedProviderThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"unknown": {
			map[string]string{"TEST_DATABASE_PROVIDER": "sqlite"},
			[]string{"TEST_DATABASE_PROVIDER=sqlite is none of url, docker, installed"},
		},
		"url without one": {
			map[string]string{"TEST_DATABASE_PROVIDER": "url"},
			[]string{"TEST_DATABASE_PROVIDER=url cannot be used", "TEST_DATABASE_URL is not set"},
		},
		"url where nobody listens": {
			map[string]string{"TEST_DATABASE_PROVIDER": "url", "TEST_DATABASE_URL": "postgres://u:secret@127.0.0.1:1/d"},
			[]string{"TEST_DATABASE_PROVIDER=url cannot be used", "connection refused"},
		},
		// The same with a daemon and without one: it fails. An image by this name cannot exist.
		"docker": {
			map[string]string{"TEST_DATABASE_PROVIDER": "docker", "TEST_POSTGRES_IMAGE": "NOT AN IMAGE"},
			[]string{"TEST_DATABASE_PROVIDER=docker cannot be used"},
		},
		"installed without binaries": {
			map[string]string{"TEST_DATABASE_PROVIDER": "installed", "PUNCTUAL_POSTGRES_BIN": empty},
			[]string{"TEST_DATABASE_PROVIDER=installed cannot be used", empty},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := resolve(t.Context(), environment(c.env), providers, failOnSay(t))
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			assert.NotContains(t, err.Error(), "\n", "the answer is one line")
			assert.NotContains(t, err.Error(), "secret", "the password is in the answer")
		})
	}
}

func TestServerThatIsNamedIsNotReplacedByAnother(t *testing.T) {
	t.Parallel()
	env := environment(map[string]string{"TEST_DATABASE_URL": "postgres://127.0.0.1:1/d"})
	_, err := resolve(t.Context(), env, providers, failOnSay(t))
	assert.ErrorContains(t, err, "the server that TEST_DATABASE_URL names cannot be used")
}

func TestNextProviderIsUsedAndTheReasonSaid(t *testing.T) {
	t.Parallel()
	broken := provider{"docker", func(context.Context, getenv) (server, error) {
		return server{}, errors.New("no daemon\nanswers")
	}}
	var said []string
	say := func(sentence string) { said = append(said, sentence) }

	s, err := resolve(t.Context(), environment(nil), []provider{providers[0], broken, providers[2]}, say)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.stop(context.Background())) })
	assert.Equal(t, []string{"not using docker: no daemon answers"}, said)
	assert.Regexp(t, `^\d+`, s.version)

	_, err = resolve(t.Context(), environment(nil), []provider{providers[0], broken}, say)
	assert.ErrorContains(t, err, "no PostgreSQL for tests: set TEST_DATABASE_URL, start Docker or install PostgreSQL")
}

func environment(values map[string]string) getenv {
	return func(name string) string { return values[name] }
}

func failOnSay(t *testing.T) func(string) {
	t.Helper()
	return func(sentence string) { t.Errorf("nothing else should be tried, but: %s", sentence) }
}
