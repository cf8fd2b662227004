//go:build chaos

package chaos

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/internal/cells"
)

// A namespace is moved between two cells, again and again, while its jobs fire and others are
// created. In every second round the command is killed at some moment, and called again. No
// occurrence is lost or doubled, no run is executed twice, and no job is lost.
func TestMoves(t *testing.T) {
	s := setup(t, 3)
	s.command(t, "cells", "add", "second")
	s.load(t)
	created := s.createInBackground(t)
	killed, slowest := 0, time.Duration(0)
	every(t, 4*time.Second, forHowLong(40*time.Second), func(n int) {
		to := []string{"second", "public"}[n%2]
		if n%4 > 1 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.Int64N(int64(400*time.Millisecond))))
			if err := punctual(ctx, t, s.url, "namespaces", "move", "default", "--to="+to).Run(); err != nil {
				killed++
			}
			cancel()
		}
		began := time.Now()
		for {
			out, err := punctual(t.Context(), t, s.url, "namespaces", "move", "default", "--to="+to).CombinedOutput()
			if err == nil || strings.Contains(string(out), cells.ErrThere.Error()) {
				break // it may have been killed when it had done everything
			}
			require.Less(t, time.Since(began), 30*time.Second, "%s", out)
		}
		slowest = max(slowest, time.Since(began))
	})
	s.command(t, "cells", "list")
	if !s.isInFirstCell(t) {
		s.command(t, "namespaces", "move", "default", "--to=public")
	}
	t.Logf("%d moves were killed; the slowest took %v", killed, slowest.Round(time.Millisecond))
	require.Positive(t, killed, "some are killed")
	ids := created()
	s.verify(t)
	var found int
	require.NoError(t, s.db.QueryRow(t.Context(), "select count(*) from jobs where id = any($1)", ids).Scan(&found))
	require.Equal(t, len(ids), found, "no job is lost whose creation was answered with success")
	require.Greater(t, len(ids), 10)
}

// command calls the command, and requires that it succeeds.
func (s *system) command(t *testing.T, args ...string) {
	t.Helper()
	out, err := punctual(t.Context(), t, s.url, args...).CombinedOutput()
	require.NoError(t, err, "%q: %s", args, out)
}

// createInBackground creates jobs until the function is called that it returns, which returns the
// ids of those whose creation was answered with success.
func (s *system) createInBackground(t *testing.T) (stop func() []uuid.UUID) {
	t.Helper()
	var ids []uuid.UUID
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var creating sync.WaitGroup
	creating.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if id, err := s.instances[n%len(s.instances)].create(context.WithoutCancel(ctx), 5, n); err == nil {
				ids = append(ids, id)
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() []uuid.UUID {
		cancel()
		creating.Wait()
		return ids
	}
}

// isInFirstCell reports whether the jobs are in the first cell.
func (s *system) isInFirstCell(t *testing.T) (is bool) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), "select exists (select from public.jobs)").Scan(&is))
	return is
}
