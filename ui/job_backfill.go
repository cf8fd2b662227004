package ui

import (
	"time"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// backfill counts what a backfill would start, and starts it once that was seen.
func backfill(p *page, q *question) error {
	window := client.BackfillWindow{}
	for name, to := range map[string]*time.Time{"from": &window.From, "to": &window.To} {
		at, err := p.instant(name, q.form.Get(name))
		if err == nil && at == nil {
			err = wrongField(name, "is missing")
		}
		if err != nil {
			return err
		}
		*to = *at
	}
	isCounted := q.form.Get("counted") == q.form.Get("from")+" "+q.form.Get("to")
	window.DryRun = new(!isCounted)
	result, err := answers.Of[client.Backfill](p.BackfillJob(p.Context(), q.Id, &client.BackfillJobParams{IdempotencyKey: p.onceIf(isCounted)}, window))
	if err != nil {
		return err
	}
	if !isCounted {
		q.count = &result
		q.form.Set("counted", q.form.Get("from")+" "+q.form.Get("to"))
		return nil
	}
	p.say("Started " + counted(int(result.Runs), "run") + ".")
	return p.redirect(jobPath(q.Job))
}

// onceIf is once for what is done, and nothing for what is only asked.
func (p *page) onceIf(isDone bool) *string {
	if !isDone {
		return nil
	}
	return p.once()
}

// backfillLabel says what the button of the form does next.
func backfillLabel(q question) string {
	if q.count == nil {
		return "Count the runs"
	}
	return "Start " + counted(int(q.count.Runs), "run")
}
