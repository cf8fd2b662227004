package ui

import (
	"strconv"

	"golang.org/x/sync/errgroup"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// upcomingRuns is how many runs the timeline counts at most.
const upcomingRuns = 500

// shownTroubles is how many jobs of each problem the page names. The rest is a click away.
const shownTroubles = 20

// home is what the page shows.
type home struct {
	attention client.Attention
	upcoming  timeline
	numbers   numbers
}

// showHome shows what needs attention, what comes next, and how it has been going.
func showHome(p *page) error {
	if !p.can(client.ScopeJobsRead) {
		return p.show("Home", homeWithoutJobs(p))
	}
	span := spanOf(p.URL.Query().Get("over"))
	var h home
	var upcoming client.UpcomingRunList
	var stats client.Stats
	ask, ctx := errgroup.WithContext(p.Context())
	ask.Go(func() (err error) {
		h.attention, err = answers.Of[client.Attention](p.GetAttention(ctx, &client.GetAttentionParams{Limit: new(int32(shownTroubles))}))
		return err
	})
	ask.Go(func() (err error) {
		upcoming, err = answers.Of[client.UpcomingRunList](p.ListUpcomingRuns(ctx, &client.ListUpcomingRunsParams{Limit: new(int32(upcomingRuns))}))
		return err
	})
	ask.Go(func() (err error) {
		from := p.now.Add(-span.length)
		stats, err = answers.Of[client.Stats](p.GetStats(ctx, &client.GetStatsParams{From: &from, Step: &span.step}))
		return err
	})
	if err := ask.Wait(); err != nil {
		return err
	}
	h.upcoming, h.numbers = p.timelineOf(upcoming), numbers{span, stats}
	return p.show("Home", homePage(p, h))
}

// trouble is a problem that jobs can have, and what it means.
type trouble struct {
	name, anchor string
	kind         kind
	// all is the path of all jobs that have it. Empty: there is no such list.
	all string
}

var troubles = map[client.JobProblem]trouble{
	client.JobProblemFAILING:         {"failing", "failing", bad, jobsWith("health", string(client.JobHealthFAILING))},
	client.JobProblemOVERDUE:         {"overdue", "overdue", bad, ""},
	client.JobProblemLATE:            {"late", "late", warning, jobsWith("health", string(client.JobHealthLATE))},
	client.JobProblemPAUSEDBYSERVICE: {"paused by the service", "paused", warning, jobsWith("health", string(client.JobHealthPAUSED))},
}

func troubleOf(problem client.JobProblem) trouble {
	if t, isKnown := troubles[problem]; isKnown {
		return t
	}
	return trouble{words(string(problem)), string(problem), warning, ""}
}

// atMost writes a count that may be capped.
func atMost(n int, isCapped bool) string {
	if isCapped {
		return strconv.Itoa(n) + "+"
	}
	return strconv.Itoa(n)
}

// isCalm reports whether nothing needs attention.
func (h home) isCalm() bool {
	for _, jobs := range h.attention.Jobs {
		if jobs.Count > 0 {
			return false
		}
	}
	return len(h.attention.Queues) == 0 && len(h.attention.Connections) == 0
}
