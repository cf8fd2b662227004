package oidc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/access"
)

// Whoever has sent too many tokens that were not valid makes the instance verify no more of them.
func TestVerifyAsksBeforeItVerifies(t *testing.T) {
	t.Parallel()
	key := newKey(t, "one")
	issuer := newIssuer(t, key)
	verifier := newVerifier(t, issuer.url, nil)
	require.NoError(t, verifier.Refresh(t.Context()))
	refused := access.WithAttempts(t.Context(), func() error { return access.ErrTooManyAttempts })
	token := sign(t, es256(key), "at+jwt", issuer.claims(nil))
	forged := sign(t, es256(newKey(t, "forged")), "at+jwt", issuer.claims(nil))

	fetched := issuer.fetched.Load()
	_, err := verifier.Verify(refused, forged)
	require.ErrorIs(t, err, access.ErrTooManyAttempts)
	require.Equal(t, fetched, issuer.fetched.Load(), "the issuer is not asked for its keys")
	_, err = verifier.Verify(refused, token)
	require.ErrorIs(t, err, access.ErrTooManyAttempts, "nobody knows yet whether this one is valid")

	_, err = verifier.Verify(t.Context(), token)
	require.NoError(t, err)
	_, err = verifier.Verify(refused, token)
	require.NoError(t, err, "a token that is known is accepted")
	require.NoError(t, verifier.Refresh(t.Context()))
	_, err = verifier.Verify(refused, token)
	require.NoError(t, err, "also when the issuer's keys were read again")
}
