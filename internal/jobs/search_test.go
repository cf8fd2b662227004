package jobs

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// places reads the places of a list page by page, and how many jobs match.
func (s *search) places(t require.TestingT, l List) (places []Place, matching int64) {
	for {
		some, counted, err := s.find(context.Background(), &l)
		require.NoError(t, err)
		places, matching = append(places, some...), max(matching, counted)
		if len(some) < int(l.Max) {
			return places, matching
		}
		l.After, l.Skip = &some[len(some)-1], 0
	}
}

// A list is the same whether its jobs are sorted or walked to, and however far a walk goes.
func TestSearch(t *testing.T) {
	t.Parallel()
	f := setup(t)
	fillJobs(t, f.Pool, 1200)
	everything := f.all(t, List{Max: 500})
	rapid.Check(t, func(t *rapid.T) {
		l := List{
			Filter: filters(everything).Draw(t, "filter"), Sort: rapid.SampledFrom([]Sort{"", SortByName, SortByNextRunAt, sortByID}).Draw(t, "sort"),
			Skip: rapid.Int32Range(0, 30).Draw(t, "skip"), Max: 500, CountUpTo: rapid.Int32Range(1, 40).Draw(t, "counted"),
		}
		sorted, all := f.search(me).places(t, l)
		l.Max = rapid.Int32Range(1, 60).Draw(t, "limit")
		s := f.search(me)
		s.bounds = bounds{
			maxSorted:  rapid.Int32Range(l.CountUpTo-1, 100).Draw(t, "sorted"),
			walkPerJob: rapid.Int64Range(1, 100).Draw(t, "per job"), maxWalk: rapid.Int64Range(1, 500).Draw(t, "walk"),
			few: rapid.Int32Range(1, 30).Draw(t, "few"), many: rapid.Int32Range(30, 100).Draw(t, "many"),
		}
		places, matching := s.places(t, l)
		require.Equal(t, idsAt(sorted), idsAt(places))
		if l.Sort == sortByID {
			return // such a list is not counted
		}
		require.Equal(t, min(all, int64(l.CountUpTo)), min(matching, int64(l.CountUpTo)))
	})
}
