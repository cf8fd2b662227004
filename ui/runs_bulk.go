package ui

import (
	"fmt"
	"strconv"
	"strings"

	"punctual/gen/client"
	"punctual/internal/answers"
)

const (
	// bulkRequests is how many requests of bulkLimit runs are made at most for one form, so that
	// its answer comes in seconds.
	bulkRequests = 5
	bulkLimit    = 1000
	// bulkSample is how many runs are named before it is done.
	bulkSample = 10
)

// bulk is a change of many runs, or what it would be.
type bulk struct {
	action                     client.RunBulkAction
	changed, unchanged, failed int
	// hasMore says that there are more runs than it handles.
	hasMore bool
	sample  []client.BulkRun
	// why is the first reason because of which a run could not be changed.
	why string
	// back is the list that it was asked for on.
	back string
}

func (b bulk) verb() string { return words(string(b.action)) }

func (b bulk) handled() int { return b.changed + b.unchanged + b.failed }

func (b bulk) orMore() string {
	if b.hasMore {
		return " or more"
	}
	return ""
}

// others says what becomes of the runs that are not changed.
func (b bulk) others() string {
	var parts []string
	if b.unchanged > 0 {
		parts = append(parts, counted(b.unchanged, "run")+" of those that match stay as they are.")
	}
	if b.failed > 0 {
		parts = append(parts, counted(b.failed, "run")+" cannot be changed: "+b.why)
	}
	return strings.Join(parts, " ")
}

// counted writes a number of things.
func counted(n int, noun string) string { return strconv.Itoa(n) + " " + nounOf(n, noun) }

// nounOf is a noun for so many.
func nounOf(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// confirmBulk shows how many runs a change of many is for.
func confirmBulk(p *page) error {
	query := p.URL.Query()
	filter, err := p.readRunFilter(query)
	if err != nil {
		return err
	}
	list := filter.query()
	list.Del("ids")
	back := strings.TrimSuffix("/runs?"+list.Encode(), "?")
	switch {
	case query.Get("of") == ofAll:
		filter.ids = nil
	case filter.ids == nil:
		p.complain("Select runs first.")
		return p.redirect(back)
	}
	if query.Get("to") == "" && filter.ids == nil { // what comes due meanwhile was not confirmed
		filter.to = new(p.now.UTC())
		query.Set("to", filter.to.Format("2006-01-02T15:04:05.000000Z07:00"))
	}
	b, err := p.changeRuns(filter, client.RunBulkAction(query.Get("action")), true)
	if err != nil {
		return err
	}
	b.back = back
	return p.show(b.verb()+" runs", bulkPage(p, filter, b))
}

// changeManyRuns does what confirmBulk has shown.
func changeManyRuns(p *page) error {
	if err := p.ParseForm(); err != nil {
		return badForm(err)
	}
	filter, err := p.readRunFilter(p.PostForm)
	if err != nil {
		return err
	}
	b, err := p.changeRuns(filter, client.RunBulkAction(p.PostForm.Get("action")), false)
	if err != nil {
		return err
	}
	done := map[client.RunBulkAction]string{client.RunBulkActionRETRY: "retried", client.RunBulkActionCANCEL: "canceled"}
	text := fmt.Sprintf("%s %s. %s", counted(b.changed, "run"), done[b.action], b.others())
	if b.hasMore {
		text += " There are more: do it again for the others."
	}
	if b.failed > 0 {
		p.complain(text)
	} else {
		p.say(text)
	}
	return p.back()
}

// changeRuns changes the runs of a filter, or counts them.
func (p *page) changeRuns(filter runFilter, action client.RunBulkAction, isDry bool) (b bulk, _ error) {
	b = bulk{action: action}
	body := client.RunBulk{
		Action: action, DryRun: &isDry, Limit: new(int32(bulkLimit)),
		Selector: client.RunSelector{Ids: filter.ids},
	}
	if filter.ids == nil { // what was chosen was chosen among those that match
		body.Selector = client.RunSelector{
			Status: filter.statuses, Reason: filter.reasons, Trigger: filter.triggers, JobId: filter.jobID,
			LabelSelector: filter.labels, From: filter.from, To: filter.to,
		}
	}
	for range bulkRequests {
		result, err := answers.Of[client.RunBulkResult](p.ChangeRuns(p.Context(), nil, body))
		if err != nil {
			return b, err
		}
		b.add(result)
		if body.Cursor = result.NextCursor; body.Cursor == nil {
			return b, nil
		}
	}
	b.hasMore = true
	return b, nil
}

func (b *bulk) add(result client.RunBulkResult) {
	b.changed += int(result.Changed)
	b.unchanged += int(result.Unchanged)
	b.failed += int(result.Failed)
	for _, item := range result.Items {
		switch {
		case item.Result == client.BulkResultCHANGED && len(b.sample) < bulkSample:
			b.sample = append(b.sample, item)
		case item.Result == client.BulkResultFAILED && item.Detail != nil && b.why == "":
			b.why = *item.Detail
		}
	}
}
