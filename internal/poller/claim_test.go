package poller_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
)

// A claim that is committed but whose answer is lost does not keep its runs from everybody.
func TestLostClaimIsFreed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dueJob()
	holder := b.lease()
	lost := b.claim(holder)
	require.Len(t, lost, 1)
	freed, err := b.FreeLost(t.Context(), db.FreeLostParams{LeaseID: &holder, KnownTokens: []int64{lost[0].Claimed.Token}})
	require.NoError(t, err)
	require.Zero(t, freed, "it knows of it")
	freed, err = b.FreeLost(t.Context(), db.FreeLostParams{LeaseID: &holder, KnownTokens: []int64{}})
	require.NoError(t, err)
	require.EqualValues(t, 1, freed)
	require.Len(t, b.claim(b.lease()), 1)
}
