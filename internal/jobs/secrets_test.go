package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/internal/secrets"
)

// keyring returns keys of some ids. The first one seals.
func keyring(t *testing.T, keys ...string) func(*Config) {
	t.Helper()
	ring, err := secrets.ParseKeyring(strings.Join(keys, ","))
	require.NoError(t, err)
	return func(c *Config) { c.Secrets = ring }
}

func newKey(id string) string {
	_, key, _ := strings.Cut(secrets.GenerateKey(time.Now()), ":")
	return id + ":" + key
}

const withSecrets = `{"key":"k","name":"k","intervalInSeconds":60,"target":{"type":"http","url":"https://example.com/a",
	"secretHeaders":{"X":"one"}}}`

func TestASecretThatIsSentAgainIsKnownWithoutBeingOpened(t *testing.T) {
	t.Parallel()
	f := setup(t, withKey(t, "a"))
	list := f.definitions(withSecrets)
	require.Equal(t, []Outcome{Created}, f.apply(list))
	f.exec("update jobs set sealed_secrets = 'cannot be opened'")
	require.Equal(t, []Outcome{Unchanged}, f.apply(list))
	view := f.update(f.view("k").Job.ID, `{"target":{"secretHeaders":{"X":"one"}}}`)
	require.EqualValues(t, 1, view.Job.Version, "a change that repeats the secret")

	list = f.definitions(strings.Replace(withSecrets, "one", "other", 1))
	all, err := f.Apply(t.Context(), me, Apply{Definitions: list})
	require.NoError(t, err)
	require.Equal(t, Changed, all[0].Outcome)
	require.EqualValues(t, 2, *all[0].Job.SecretsVersion)
	require.Equal(t, []Outcome{Unchanged}, f.apply(list))
}

func TestRotatingKeysChangesNoJob(t *testing.T) {
	t.Parallel()
	oldKey, newKey := newKey("old"), newKey("new")
	f := setup(t, keyring(t, oldKey))
	list := f.definitions(withSecrets)
	require.Equal(t, []Outcome{Created}, f.apply(list))
	require.Equal(t, []Outcome{Unchanged}, setupOn(t, f.Pool, keyring(t, newKey, oldKey)).apply(list))
	require.Equal(t, 1, f.count("select count(*) from jobs where secrets_key_id = 'old' and version = 1"))
}

// What a definition leaves out gets its default, except for secrets: they cannot be read, so that
// nobody could repeat them.
func TestSecretsThatAreLeftOutStayWithTheirHost(t *testing.T) {
	t.Parallel()
	f := setup(t, withKey(t, "a"))
	require.Equal(t, []Outcome{Created}, f.apply(f.definitions(withSecrets)))
	left := `{"key":"k","name":"k","intervalInSeconds":60,"target":{"type":"http","url":"https://example.com/a"}}`
	require.Equal(t, []Outcome{Unchanged}, f.apply(f.definitions(left)))

	elsewhere := f.definitions(strings.Replace(left, "example.com", "example.org", 1))
	_, err := f.Apply(t.Context(), me, Apply{Definitions: elsewhere})
	requireInvalid(t, err, map[string]Code{"definitions.0.target.secretHeaders": SecretRequired})

	without := f.definitions(strings.Replace(withSecrets, `{"X":"one"}`, `{}`, 1))
	require.Equal(t, []Outcome{Changed}, f.apply(without))
	require.Empty(t, f.view("k").Job.SecretNames)
}

func TestADefinitionWhoseSecretsCannotBeOpenedIsNamed(t *testing.T) {
	t.Parallel()
	f := setup(t, withKey(t, "a"))
	require.Equal(t, []Outcome{Created}, f.apply(f.definitions(withSecrets)))
	left := f.definitions(`{"key":"k","name":"k","intervalInSeconds":60,"target":{"type":"http","url":"https://example.com/a"}}`)
	_, err := setupOn(t, f.Pool, withKey(t, "b")).Apply(t.Context(), me, Apply{Definitions: left})
	var conflict *Conflict
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, SecretsCannotBeOpened, conflict.Code)
	require.Contains(t, conflict.Detail, "The job k: ")
}
