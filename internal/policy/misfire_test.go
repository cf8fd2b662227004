package policy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/policy"
	"punctual/internal/schedule"
)

// backlog returns which occurrences of an interval from noon on are executed, as how many seconds
// late, when nothing was claimed for a while and everything that is due is claimed at once. The
// others are counted.
func backlog(t *testing.T, p db.MisfirePolicy, window *int64, interval, outage int) (late []int) {
	t.Helper()
	skipped := 0
	job := &db.Job{MisfirePolicy: p, CatchupWindowSeconds: window}
	s := schedule.Schedule{Grid: schedule.NewInterval(noon.Add(-time.Duration(interval)*time.Second), int64(interval))}
	now := noon.Add(time.Duration(outage) * time.Second)
	for next := noon; !next.After(now); {
		step := policy.Misfire(job, s, next, now)
		if step == nil {
			late = append(late, int(now.Sub(next).Seconds()))
			step = &policy.Step{}
			*step = policy.After(job, s, policy.Run{Occurrence: next, Started: now, Finished: now})
		} else {
			require.Equal(t, next, step.SkippedFrom, "the occurrence itself is the first that is skipped")
			require.Positive(t, step.Skipped)
		}
		require.True(t, step.Next.After(next), "the schedule goes on")
		skipped += step.Skipped
		next = step.Next
	}
	require.Equal(t, outage/interval+1, len(late)+skipped, "each occurrence is executed or counted")
	return late
}

// each returns the numbers from one down to 0.
func each(from int) (all []int) {
	for n := from; n >= 0; n-- {
		all = append(all, n)
	}
	return all
}

func TestMisfire(t *testing.T) {
	t.Parallel()
	const once, skip, all = db.MisfirePolicyFIREONCE, db.MisfirePolicySKIP, db.MisfirePolicyFIREALL
	for _, c := range []struct {
		policy           db.MisfirePolicy
		window           int64 // -1: unbounded
		interval, outage int
		late             []int
	}{
		// One occurrence: the threshold is a minute, for each policy.
		{once, -1, 3600, 60, []int{60}},
		{skip, -1, 3600, 60, []int{60}},
		{all, -1, 3600, 60, []int{60}},
		{once, -1, 3600, 61, []int{61}},
		{skip, -1, 3600, 61, nil},
		{all, -1, 3600, 61, []int{61}},
		// Some seconds late is on time, whatever the policy, the window and what else is due.
		{once, 0, 1, 10, each(10)},
		{skip, 0, 1, 10, each(10)},
		{all, 0, 1, 10, each(10)},
		// A backlog younger than a minute: no burst with SKIP.
		{once, -1, 1, 54, each(54)},
		{skip, -1, 1, 54, []int{0}},
		{all, -1, 1, 54, each(54)},
		{skip, -1, 30, 50, []int{20}},
		// A backlog older than a minute.
		{once, -1, 1, 90, []int{0}},
		{skip, -1, 1, 90, []int{0}},
		{all, -1, 1, 90, each(90)},
		{once, -1, 60, 90, []int{30}},
		{skip, -1, 60, 90, nil},
		{all, -1, 60, 90, []int{90, 30}},
		{skip, -1, 60, 125, []int{5}},
		// A window shorter than a minute.
		{once, 30, 3600, 54, nil},
		{skip, 30, 3600, 54, nil},
		{all, 30, 3600, 54, nil},
		{once, 30, 1, 54, []int{0}},
		{skip, 30, 1, 54, []int{0}},
		{all, 30, 1, 54, each(30)},
		{all, 0, 1, 54, each(10)},
		{once, 0, 20, 54, nil},
		// A longer one.
		{once, 100, 600, 700, []int{100}},
		{once, 99, 600, 700, nil},
		{skip, 1000, 600, 700, nil},
		{all, 699, 600, 700, []int{100}},
		{all, 700, 600, 700, []int{700, 100}},
	} {
		t.Run(fmt.Sprintf("%s, window %d s, every %d s, %d s late", c.policy, c.window, c.interval, c.outage), func(t *testing.T) {
			t.Parallel()
			var window *int64
			if c.window >= 0 {
				window = &c.window
			}
			late := backlog(t, c.policy, window, c.interval, c.outage)
			require.Equal(t, c.late, late)
		})
	}
}

// SKIP never executes more than FIRE_ONCE, nor FIRE_ONCE more than FIRE_ALL.
func TestMisfirePoliciesAreOrdered(t *testing.T) {
	t.Parallel()
	for _, window := range []*int64{nil, new(int64(0)), new(int64(30)), new(int64(600))} {
		for _, interval := range []int{1, 7, 60, 600} {
			for _, outage := range []int{0, 5, 11, 59, 61, 90, 700} {
				skip := backlog(t, db.MisfirePolicySKIP, window, interval, outage)
				once := backlog(t, db.MisfirePolicyFIREONCE, window, interval, outage)
				all := backlog(t, db.MisfirePolicyFIREALL, window, interval, outage)
				require.LessOrEqual(t, len(skip), len(once), "every %d s, %d s late", interval, outage)
				require.LessOrEqual(t, len(once), len(all), "every %d s, %d s late", interval, outage)
			}
		}
	}
}

func TestMisfireAtTheEndOfTheSchedule(t *testing.T) {
	t.Parallel()
	s := minutely()
	s.End = at(2)
	require.Equal(t, &policy.Step{Skipped: 2, SkippedFrom: at(1), FinalStatus: db.JobStatusCOMPLETED},
		policy.Misfire(&db.Job{MisfirePolicy: db.MisfirePolicySKIP}, s, at(1), at(5)))
}
