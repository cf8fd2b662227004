package signer

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/database"
	"punctual/internal/secrets"
	"punctual/internal/testdb"
)

func keyring(t *testing.T, id string) secrets.Keyring {
	t.Helper()
	ring, err := secrets.ParseKeyring(id + ":" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(id, 32))))
	require.NoError(t, err)
	return ring
}

func setup(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// signerOf returns the id of the key that has signed a token, which one of the published keys
// verifies.
func signerOf(t *testing.T, s *Signer, token string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	require.NoError(t, err)
	public, err := s.PublicKeys(t.Context())
	require.NoError(t, err)
	for _, key := range public {
		if key.ID.String() == parsed.Headers[0].KeyID {
			var claims jwt.Claims
			require.NoError(t, parsed.Claims(key.Key, &claims))
			require.Equal(t, "run", claims.ID)
			return key.ID.String()
		}
	}
	require.Fail(t, "the key is published")
	return ""
}

func sign(t *testing.T, s *Signer) string {
	t.Helper()
	token, err := s.Sign(t.Context(), jwt.Claims{ID: "run"})
	require.NoError(t, err)
	return signerOf(t, s, token)
}

// A new key is published before it signs, and an old one while its tokens may be valid.
func TestKeysAreReplacedWithOverlap(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	// fresh knows nothing yet, as an instance that has just started.
	fresh := func() *Signer { return New(db.New(pool), keyring(t, "a")) }
	age := func(by time.Duration) {
		_, err := pool.Exec(t.Context(), "update token_keys set created_at = created_at - $1::interval", by)
		require.NoError(t, err)
	}
	none, err := fresh().PublicKeys(t.Context())
	require.NoError(t, err)
	require.Empty(t, none, "there is no key before one is needed")

	s := fresh()
	first := sign(t, s)
	require.Equal(t, first, sign(t, s))
	require.Equal(t, first, sign(t, fresh()), "instances sign with the same key")

	age(replaceAfter)
	require.Equal(t, first, sign(t, fresh()), "its successor is not known to receivers yet")
	public, err := fresh().PublicKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, public, 2)
	second := public[0].ID.String()

	age(publishedFor)
	require.Equal(t, second, sign(t, fresh()))
	public, err = fresh().PublicKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, public, 2, "tokens of the first one may be valid still")

	age(replaceAfter)
	require.Equal(t, second, sign(t, fresh()))
	public, err = fresh().PublicKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, public, 2, "the first one is forgotten")
	require.NotContains(t, []string{public[0].ID.String(), public[1].ID.String()}, first)
}

func TestKeysThatAnInstanceCannotOpenAreForOthers(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	first, second := New(db.New(pool), keyring(t, "a")), New(db.New(pool), keyring(t, "b"))
	require.NotEqual(t, sign(t, first), sign(t, second))
	var keys int
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from token_keys").Scan(&keys))
	require.Equal(t, 2, keys)
	sign(t, New(db.New(pool), keyring(t, "b")))
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from token_keys").Scan(&keys))
	require.Equal(t, 2, keys, "each has one now")
}

func TestNoKeyForSecrets(t *testing.T) {
	t.Parallel()
	_, err := New(db.New(setup(t)), secrets.Keyring{}).Sign(t.Context(), jwt.Claims{})
	require.ErrorIs(t, err, ErrNoKey)
}
