package keys

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
)

// The use of a key is stored once in useCoarseness, however often and wherever it is used.
func TestUseIsStoredSeldom(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, plain := f.create(Request{})
	there, err := NewVerifier(db.New(f.pool))
	require.NoError(t, err)
	_, err = there.Verify(t.Context(), plain.Reveal())
	require.NoError(t, err)
	require.NoError(t, f.verify(plain))
	require.Nil(t, f.lastUsedAt(view.ID), "no request waits for it to be stored")
	require.NoError(t, f.StoreUses(t.Context()))
	first := f.lastUsedAt(view.ID)
	require.NotNil(t, first)
	require.WithinRange(t, *first, view.CreatedAt, view.CreatedAt.Add(time.Minute))

	require.NoError(t, there.StoreUses(t.Context()))
	require.Equal(t, first, f.lastUsedAt(view.ID), "another instance has noted a use of the same minutes")
	f.sent.take()
	f.Forget()
	require.NoError(t, f.verify(plain))
	require.NoError(t, f.StoreUses(t.Context()))
	require.Equal(t, read, f.sent.take(), "there is nothing to be stored")

	// A use is noted by an estimate of the database's time, which may be a little late.
	const long = useCoarseness + time.Minute
	_, err = f.pool.Exec(t.Context(), `update keys set last_used_at = last_used_at - $1::interval where id = $2`, long, view.ID)
	require.NoError(t, err)
	f.Forget()
	require.NoError(t, f.verify(plain))
	require.NoError(t, f.StoreUses(t.Context()))
	require.WithinDuration(t, *first, *f.lastUsedAt(view.ID), time.Minute)
}

func TestRefusedKeyIsNotUsed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, plain := f.create(Request{})
	wrong := plain
	wrong.secret[0] ^= 1
	require.Error(t, f.verify(wrong))
	require.NoError(t, f.service.Revoke(t.Context(), me, view.ID))
	f.Forget()
	require.Error(t, f.verify(plain))
	require.NoError(t, f.StoreUses(t.Context()))
	require.Nil(t, f.lastUsedAt(view.ID))
}

func TestUseIsKeptUntilItIsStored(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, plain := f.create(Request{})
	require.NoError(t, f.verify(plain))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, f.StoreUses(ended))
	require.Nil(t, f.lastUsedAt(view.ID))
	require.NoError(t, f.StoreUses(t.Context()))
	require.NotNil(t, f.lastUsedAt(view.ID))
}
