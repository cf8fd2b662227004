package poller_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
)

// overdue creates a job with an interval of ten minutes that missed six occurrences; the last one
// two minutes ago.
func (b bench) overdue(policy db.MisfirePolicy, window *int64) uuid.UUID {
	return b.job(func(p *newJob) {
		p.MisfirePolicy, p.CatchupWindowSeconds = policy, window
		p.CreatedAt = p.CreatedAt.Add(time.Minute - 62*time.Minute)
		p.AnchorAt, p.IntervalSeconds, p.ScheduledFor = &p.CreatedAt, new(int64(600)), new(p.CreatedAt.Add(10*time.Minute))
	})
}

func TestMisfire(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy            db.MisfirePolicy
		window            *int64
		executed, skipped int
	}{
		"one for all":            {db.MisfirePolicyFIREONCE, nil, 1, 5},
		"one for all, in window": {db.MisfirePolicyFIREONCE, new(int64(300)), 1, 5},
		"one for all, out of it": {db.MisfirePolicyFIREONCE, new(int64(100)), 0, 6},
		"none":                   {db.MisfirePolicySKIP, nil, 0, 6},
		"each":                   {db.MisfirePolicyFIREALL, nil, 6, 0},
		"each, in window":        {db.MisfirePolicyFIREALL, new(int64(1500)), 3, 3},
		"each, all out of it":    {db.MisfirePolicyFIREALL, new(int64(10)), 0, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			job := b.overdue(c.policy, c.window)
			b.drain(succeed)
			require.Equal(t, c.executed, b.Count("select count(*) from runs where status = 'SUCCEEDED'"))
			require.Equal(t, c.skipped, b.Count("select coalesce(sum(occurrences), 0) from runs where reason = 'MISFIRE'"),
				"what is not executed is counted")
			require.Equal(t, 1, b.Count("select count(*) from due where ready_at > now()"), "it goes on")
			require.Equal(t, c.executed, b.Count("select run_count from due"))
			require.NotEmpty(t, b.Runs(job))
		})
	}
}
