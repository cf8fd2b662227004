package runid_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/internal/runid"
)

func TestParseReadsBackWhatNewPutIn(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 23, 12, 0, 0, 999_999_000, time.UTC),
		time.Date(1970, 1, 1, 0, 0, 0, 1000, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		job := uuid.Must(uuid.NewV7())
		id := runid.New(job, at)

		require.Equal(t, uuid.Version(7), id.Version())
		require.Equal(t, uuid.RFC4122, id.Variant())
		scheduledFor, tail, ok := runid.Parse(id)
		require.True(t, ok)
		require.Equal(t, at, scheduledFor)
		require.Equal(t, job[8:], tail)
	}
}

func TestIdsOfOneJobSortByInstant(t *testing.T) {
	t.Parallel()
	job := uuid.Must(uuid.NewV7())
	at := time.Date(2026, 11, 23, 12, 0, 0, 999_000, time.UTC)
	require.Less(t, runid.New(job, at).String(), runid.New(job, at.Add(time.Microsecond)).String())
}

func TestParseRefusesOtherIds(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{
		"nil":                   "00000000-0000-0000-0000-000000000000",
		"random":                "3b241101-e2bb-4255-8caf-4136c566a962",
		"not a whole number µs": "0198c5d4-ab12-7fff-9f3e-1c2d3e4f5a6b",
	} {
		_, _, ok := runid.Parse(uuid.MustParse(id))
		require.False(t, ok, name)
	}
}
