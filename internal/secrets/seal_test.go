package secrets_test

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/internal/secrets"
)

var (
	aKey      = rapid.SliceOfN(rapid.Byte(), 32, 32)
	plaintext = rapid.SliceOfN(rapid.Byte(), 0, 1000)
	bound     = rapid.SliceOfN(rapid.Byte(), 0, 32)
)

// entry draws a key of the configuration.
func entry(t *rapid.T, id string) string {
	return id + ":" + base64.StdEncoding.EncodeToString(aKey.Draw(t, id))
}

func TestWhatIsSealedOpens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ring := parse(t, entry(t, "new")+","+entry(t, "old"))
		secret, place := plaintext.Draw(t, "secret"), bound.Draw(t, "bound")
		sealed, err := ring.Seal(secret, place)
		require.NoError(t, err)
		require.Equal(t, "new", sealed.KeyID, "the key that seals")
		require.Len(t, sealed.Ciphertext, 12+len(secret)+16)
		opened, err := ring.Open(sealed, place)
		require.NoError(t, err)
		require.Equal(t, string(secret), string(opened))
	})
}

func TestSealingTwiceShowsNothing(t *testing.T) {
	t.Parallel()
	ring := parse(t, "a:"+encoded(1))
	one, err := ring.Seal([]byte("secret"), nil)
	require.NoError(t, err)
	other, err := ring.Seal([]byte("secret"), nil)
	require.NoError(t, err)
	require.NotEqual(t, one.Ciphertext, other.Ciphertext, "the same secret, sealed twice")
	require.NotEqual(t, one.Ciphertext[:12], other.Ciphertext[:12], "their nonces")
}

func TestWhatWasChangedDoesNotOpen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ring := parse(t, entry(t, "a"))
		place := bound.Draw(t, "bound")
		sealed, err := ring.Seal(plaintext.Draw(t, "secret"), place)
		require.NoError(t, err)
		at := rapid.IntRange(0, len(sealed.Ciphertext)-1).Draw(t, "at")
		if rapid.Bool().Draw(t, "cut") {
			sealed.Ciphertext = sealed.Ciphertext[:at]
		} else {
			sealed.Ciphertext[at] ^= rapid.ByteRange(1, 255).Draw(t, "flipped")
		}
		_, err = ring.Open(sealed, place)
		require.ErrorIs(t, err, secrets.ErrNotAuthentic)
	})
}

func TestASecretStaysInItsPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ring := parse(t, entry(t, "a"))
		place, other := bound.Draw(t, "bound"), bound.Draw(t, "elsewhere")
		if string(place) == string(other) {
			t.Skip("the same place")
		}
		sealed, err := ring.Seal(plaintext.Draw(t, "secret"), place)
		require.NoError(t, err)
		_, err = ring.Open(sealed, other)
		require.ErrorIs(t, err, secrets.ErrNotAuthentic)
		_, err = ring.Reseal(sealed, other)
		require.ErrorIs(t, err, secrets.ErrNotAuthentic, "resealing elsewhere")
	})
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		oldKey, newKey := entry(t, "old"), entry(t, "new")
		before, during, after := parse(t, oldKey), parse(t, newKey+","+oldKey), parse(t, newKey)
		secret, place := plaintext.Draw(t, "secret"), bound.Draw(t, "bound")

		sealed, err := before.Seal(secret, place)
		require.NoError(t, err)
		opened, err := during.Open(sealed, place)
		require.NoError(t, err, "the old key still opens")
		require.Equal(t, string(secret), string(opened))

		resealed, err := during.Reseal(sealed, place)
		require.NoError(t, err)
		require.Equal(t, "new", resealed.KeyID)
		opened, err = after.Open(resealed, place)
		require.NoError(t, err, "the old key is no longer needed")
		require.Equal(t, string(secret), string(opened))

		_, err = after.Open(sealed, place)
		require.Equal(t, secrets.UnknownKeyError{ID: "old"}, err)
		require.ErrorContains(t, err, `"old"`)
	})
}

func TestAnotherKeyUnderTheSameIDDoesNotOpen(t *testing.T) {
	t.Parallel()
	sealed, err := parse(t, "a:"+encoded(1)).Seal([]byte("secret"), nil)
	require.NoError(t, err)
	_, err = parse(t, "a:"+encoded(2)).Open(sealed, nil)
	require.ErrorIs(t, err, secrets.ErrNotAuthentic)
	require.ErrorContains(t, err, `"a"`)
}

func TestWithoutAKeyNothingIsSealed(t *testing.T) {
	t.Parallel()
	var ring secrets.Keyring
	require.NoError(t, ring.Validate())
	_, err := ring.Seal([]byte("secret"), nil)
	require.ErrorIs(t, err, secrets.ErrNoKey)
	_, err = ring.Open(secrets.Sealed{KeyID: "a"}, nil)
	require.Equal(t, secrets.UnknownKeyError{ID: "a"}, err)
}

func TestTheSameSecretIsKnownByItsDigest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		oldKey, newKey := entry(t, "old"), entry(t, "new")
		before, during := parse(t, oldKey), parse(t, newKey+","+oldKey)
		secret, place := plaintext.Draw(t, "secret"), bound.Draw(t, "bound")
		other, elsewhere := plaintext.Draw(t, "other"), bound.Draw(t, "elsewhere")

		sealed, err := before.Seal(secret, place)
		require.NoError(t, err)
		require.Len(t, sealed.Digest, 32)
		sealed.Ciphertext = nil
		for _, ring := range []secrets.Keyring{before, during} {
			require.True(t, ring.IsSame(sealed, secret, place), "it is not opened")
			require.Equal(t, string(secret) == string(other), ring.IsSame(sealed, other, place), "another secret")
			require.Equal(t, string(place) == string(elsewhere), ring.IsSame(sealed, secret, elsewhere), "in another place")
		}
		require.False(t, parse(t, newKey).IsSame(sealed, secret, place), "its key is not there")
		require.False(t, before.IsSame(secrets.Sealed{KeyID: "old"}, secret, place), "it has no digest")
	})
}

func TestADigestIsOfItsKeyAndPlace(t *testing.T) {
	t.Parallel()
	digest := func(key byte, secret, place string) string {
		sealed, err := parse(t, "a:"+encoded(key)).Seal([]byte(secret), []byte(place))
		require.NoError(t, err)
		return string(sealed.Digest)
	}
	require.NotEqual(t, digest(1, "secret", "place"), digest(2, "secret", "place"), "another key")
	require.NotEqual(t, digest(1, "secret", "place"), digest(1, "tsecret", "place"), "another secret")
	require.NotEqual(t, digest(1, "ab", "c"), digest(1, "b", "ca"), "where the place ends counts")
}

func TestResealingMakesADigestUnderTheNewKey(t *testing.T) {
	t.Parallel()
	oldKey, newKey := "old:"+encoded(1), "new:"+encoded(2)
	sealed, err := parse(t, oldKey).Seal([]byte("secret"), nil)
	require.NoError(t, err)
	resealed, err := parse(t, newKey+","+oldKey).Reseal(sealed, nil)
	require.NoError(t, err)
	require.NotEqual(t, sealed.Digest, resealed.Digest)
	require.True(t, parse(t, newKey).IsSame(resealed, []byte("secret"), nil))
}
