package ui

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// jobsAtOnce is how many jobs one request of a bulk change handles. The page shows how far it is
// after each.
const jobsAtOnce = 500

// bulkAction is what can be done to many jobs.
type bulkAction struct {
	action client.JobBulkAction
	// verb and past are what it is called before and after.
	verb, past string
	scope      client.Scope
}

var bulkActions = []bulkAction{
	{client.JobBulkActionPAUSE, "Pause", "Paused", client.ScopeJobsWrite},
	{client.JobBulkActionRESUME, "Resume", "Resumed", client.ScopeJobsWrite},
	{client.JobBulkActionRUN, "Run", "Started a run of", client.ScopeRunsWrite},
	{client.JobBulkActionDELETE, "Delete", "Deleted", client.ScopeJobsWrite},
}

// bulkActionsOf returns what the caller may do to many jobs. RUN needs both scopes.
func (p *page) bulkActions() (all []bulkAction) {
	for _, a := range bulkActions {
		if p.can(client.ScopeJobsWrite) && p.can(a.scope) {
			all = append(all, a)
		}
	}
	return all
}

func canBulk(p *page) bool { return len(p.bulkActions()) > 0 }

// jobHeads are the heads of the list of jobs. Who may do nothing needs no boxes and no buttons.
func jobHeads(p *page) []string {
	heads := []string{"State", "Job", "Rule", "Last runs", "Lateness p95", "Next run"}
	if canBulk(p) {
		heads = append([]string{"Select"}, heads...)
	}
	if p.can(client.ScopeRunsWrite) || p.can(client.ScopeJobsWrite) {
		heads = append(heads, "Do")
	}
	return heads
}

// jobBulk is a bulk change: which jobs, what is done to them, and how far it is.
type jobBulk struct {
	bulkAction
	// query is the URL's, which says which jobs: of a filter, or single ones.
	query   url.Values
	form    *form
	matched string
	isNone  bool
	// What was done so far.
	changed, unchanged, failed int64
	failures                   []client.BulkJob
	cursor, pauseID            string
	isDone                     bool
}

// maxFailures is how many jobs that could not be changed a page names.
const maxFailures = 50

// bulkOf reads which bulk change the query is about.
func bulkOf(p *page) (*jobBulk, error) {
	query := p.URL.Query()
	n := slices.IndexFunc(bulkActions, func(a bulkAction) bool { return string(a.action) == query.Get("action") })
	if n < 0 || !slices.Contains(p.bulkActions(), bulkActions[n]) {
		return nil, notFound(p)
	}
	return &jobBulk{bulkAction: bulkActions[n], query: query, form: &form{}}, nil
}

// isSelected reports whether the change is of the jobs whose boxes are checked.
func (b *jobBulk) isSelected() bool { return b.query.Get("of") != ofAll }

// ofAll is the choice of all that match, rather than of those whose boxes are checked.
const ofAll = "all"

// selector says which jobs. Without a filter, all of them have one of the statuses.
func (b *jobBulk) selector() client.JobSelector {
	if b.isSelected() {
		var ids []uuid.UUID
		for _, text := range b.query["id"] {
			if id, err := uuid.Parse(text); err == nil {
				ids = append(ids, id)
			}
		}
		return client.JobSelector{Ids: &ids}
	}
	filter := jobFilter{b.query}
	s := filter.selector()
	if !filter.isSet() {
		s.Status = &[]client.JobStatus{client.JobStatusACTIVE, client.JobStatusPAUSED, client.JobStatusCOMPLETED}
	}
	return s
}

// back is the path of the list that the change began on.
func (b *jobBulk) back() string {
	query := url.Values{}
	for name, values := range b.query {
		if !slices.Contains([]string{"action", "of", "id", "cursor"}, name) {
			query[name] = values
		}
	}
	return jobFilter{query}.clean()
}

// askBulk counts the jobs that a bulk change is about, changes nothing, and asks.
func askBulk(p *page) error {
	b, err := bulkOf(p)
	if err != nil {
		return err
	}
	if b.isSelected() && len(b.query["id"]) == 0 {
		p.complain("Select jobs first.")
		return p.redirect(b.back())
	}
	return b.ask(p)
}

func (b *jobBulk) ask(p *page) error {
	result, err := answers.Of[client.JobBulkResult](p.ChangeJobs(p.Context(), nil, client.JobBulk{
		Selector: b.selector(), Action: b.action, DryRun: new(true), Limit: new(int32(1)),
	}))
	if err != nil && !b.form.refused(p, err) {
		return err
	}
	b.matched, b.isNone = countedTo(result.Matched, result.MatchedIsCapped, "job"), result.Matched == 0
	return p.show(b.verb+" jobs", jobBulkPage(p, b))
}

// doBulk does a part of a bulk change. The page that it answers goes on with the next one.
func doBulk(p *page) error {
	b, err := bulkOf(p)
	if err != nil {
		return err
	}
	if b.form, err = p.readForm(); err != nil {
		return err
	}
	b.read()
	request := client.JobBulk{
		Selector: b.selector(), Action: b.action, Limit: new(int32(jobsAtOnce)), Cursor: given(b.cursor), Reason: given(b.form.Get("reason")),
	}
	if id, err := uuid.Parse(b.pauseID); err == nil {
		request.PauseId = &id
	}
	if request.PauseUntil, err = p.instant("pauseUntil", b.form.Get("pauseUntil")); err == nil {
		err = b.step(p, request)
	}
	if err != nil && !b.form.refused(p, err) {
		return err
	}
	if b.form.problem != nil && b.cursor == "" {
		return b.ask(p)
	}
	return p.show(b.verb+" jobs", bulkProgress(p, b))
}

// read takes what was done so far from the form.
func (b *jobBulk) read() {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(b.form.Get(name), 10, 64) // a form that was tampered with counts from zero
		return n
	}
	b.cursor, b.pauseID = b.form.Get("cursor"), b.form.Get("pauseId")
	b.changed, b.unchanged, b.failed = number("changed"), number("unchanged"), number("failed")
}

// step does the next part, and adds up what came of it.
func (b *jobBulk) step(p *page, request client.JobBulk) error {
	result, err := answers.Of[client.JobBulkResult](p.ChangeJobs(p.Context(), nil, request))
	if err != nil {
		return err
	}
	b.changed += int64(result.Changed)
	b.unchanged += int64(result.Unchanged)
	b.failed += int64(result.Failed)
	for _, job := range result.Items {
		if job.Result == client.BulkResultFAILED && len(b.failures) < maxFailures {
			b.failures = append(b.failures, job)
		}
	}
	if result.PauseId != nil {
		b.pauseID = result.PauseId.String()
	}
	b.isDone = result.NextCursor == nil
	if !b.isDone {
		b.cursor = *result.NextCursor
	}
	return nil
}

// outcome says what was done so far.
func (b *jobBulk) outcome() string {
	parts := []string{b.past + " " + counted(int(b.changed), "job")}
	if b.unchanged > 0 {
		parts = append(parts, counted(int(b.unchanged), "job")+" had nothing to do")
	}
	if b.failed > 0 {
		parts = append(parts, counted(int(b.failed), "job")+" could not be changed")
	}
	return strings.Join(parts, "; ") + "."
}

// bulkMeaning says what a bulk change does, where that may surprise.
func bulkMeaning(b *jobBulk) string {
	switch b.action {
	case client.JobBulkActionPAUSE:
		return "Those that are paused already keep their own pause."
	case client.JobBulkActionDELETE:
		return "They cannot be brought back. Their runs stay as long as all others."
	case client.JobBulkActionRUN:
		return "Each gets one run, due now, by its overlap policy."
	case client.JobBulkActionRESUME, client.JobBulkActionPATCH:
		return ""
	default:
		return ""
	}
}
