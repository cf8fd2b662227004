package jobs

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/gen/db"
	"punctual/internal/clock"
	"punctual/internal/database"
	"punctual/internal/labels"
	"punctual/internal/testdb"
)

// all reads a list page by page.
func (f fixture) all(t require.TestingT, l List) (views []View) {
	for {
		page, err := f.List(context.Background(), me, l)
		require.NoError(t, err)
		views = append(views, page.Jobs...)
		if page.Next == nil {
			return views
		}
		require.NotEmpty(t, page.Jobs)
		l.After = page.Next
	}
}

// A list has just the jobs that match its filter, each once, in its order, whatever the size of its
// pages; and as many as are counted, and selected.
func TestListByFilter(t *testing.T) {
	t.Parallel()
	f := setup(t)
	fillJobs(t, f.Pool, 1200)
	everything := f.all(t, List{Max: 500})
	require.Len(t, everything, 1197, "those of the namespace that are not deleted")
	rapid.Check(t, func(t *rapid.T) {
		filter := filters(everything).Draw(t, "filter")
		l := List{Filter: filter, Sort: rapid.SampledFrom([]Sort{"", SortByName, SortByNextRunAt}).Draw(t, "sort")}
		l.Max = rapid.SampledFrom([]int32{40, 100, 500}).Draw(t, "limit")
		found := f.all(t, l)
		wanted := slices.Clone(everything)
		wanted = slices.DeleteFunc(wanted, func(v View) bool { return !filter.matches(&v) })
		require.ElementsMatch(t, idsOf(wanted), idsOf(found))
		require.True(t, f.isSorted(t, found, l.Sort), "%s", l.Sort)
		l.CountUpTo = 10_001
		page, err := f.List(context.Background(), me, l)
		require.NoError(t, err)
		require.EqualValues(t, len(wanted), page.Total)
		ids, err := f.Select(context.Background(), me, filter, uuid.Nil, 10_001)
		require.NoError(t, err)
		require.ElementsMatch(t, idsOf(wanted), ids)
	})
}

func idsOf(views []View) []uuid.UUID {
	ids := make([]uuid.UUID, len(views))
	for i := range views {
		ids[i] = views[i].Job.ID
	}
	return ids
}

// isSorted reports whether a list is in its order. The order of names is the database's.
func (f fixture) isSorted(t require.TestingT, views []View, by Sort) (is bool) {
	names := make([]string, len(views))
	for i := range views {
		names[i] = views[i].Job.Name
	}
	switch by {
	case SortByName:
		err := f.Pool.QueryRow(context.Background(), "select $1::text[] = array(select unnest($1::text[]) order by 1)", names).Scan(&is)
		require.NoError(t, err)
		return is
	case SortByNextRunAt:
		return slices.IsSortedFunc(views, func(a, b View) int { return dueAt(a).Compare(dueAt(b)) })
	default:
		return slices.IsSortedFunc(views, func(a, b View) int { return b.Job.CreatedAt.Compare(a.Job.CreatedAt) })
	}
}

// dueAt is when a job is due next, which is late if it is never.
func dueAt(v View) time.Time {
	if v.NextRunAt == nil {
		return clock.EndOfTime
	}
	return *v.NextRunAt
}

// filters draws filters of some fields, with values that some job has.
func filters(views []View) *rapid.Generator[Filter] {
	return rapid.Custom(func(t *rapid.T) (f Filter) {
		of := &views[rapid.IntRange(0, len(views)-1).Draw(t, "job")]
		for range rapid.IntRange(0, 2).Draw(t, "fields") {
			switch rapid.IntRange(0, 11).Draw(t, "field") {
			case 0:
				f.Name = rapid.SampledFrom([]string{"SETTLE", "ep_o", "nc% 1", "d 10", `\`}).Draw(t, "name")
			case 1:
				f.KeyPrefix = rapid.SampledFrom([]string{"team4", "team42/", "team42/job-42", "x"}).Draw(t, "prefix")
			case 2:
				f.Labels, _ = labels.ParseSelector(rapid.SampledFrom([]string{
					"team=t7", "team!=t7", "legacy", "!legacy", "example.com/env in (prod,stage),team=t8",
					"example.com/env notin (prod)", "!team", "team,!legacy",
				}).Draw(t, "labels"))
			case 3:
				f.Statuses = rapid.SliceOfNDistinct(rapid.SampledFrom(allStatuses), 1, 2, rapid.ID).Draw(t, "statuses")
			case 4:
				f.TargetType = rapid.SampledFrom([]string{"log", "http", "worker"}).Draw(t, "type")
			case 5:
				f.Queue = rapid.SampledFrom([]string{"q7", "nope"}).Draw(t, "queue")
			case 6:
				f.ConcurrencyGroup = rapid.SampledFrom([]string{"group 3", "group 13", "nope"}).Draw(t, "group")
			case 7:
				f.PauseID = new(uuid.MustParse("0199c2f0-5b1e-7c3a-9d7e-3f1b2a4c5d6e"))
			case 8:
				f.LastRunStatuses = rapid.SliceOfNDistinct(rapid.SampledFrom([]db.RunStatus{
					db.RunStatusSUCCEEDED, db.RunStatusFAILED, db.RunStatusCANCELED, db.RunStatusSKIPPED,
				}), 1, 3, rapid.ID).Draw(t, "last")
			case 9:
				f.Health = rapid.SliceOfNDistinct(rapid.SampledFrom([]Health{
					HealthOK, HealthFailing, HealthLate, HealthPaused, HealthCompleted, HealthNeverRan,
				}), 1, 3, rapid.ID).Draw(t, "health")
			case 10:
				f.IDs = []uuid.UUID{of.Job.ID, uuid.New()}
			case 11:
				f.Keys = []string{"team2/job-2", "team4/job-4", "nope"}
				if of.Job.Key != nil {
					f.Keys = append(f.Keys, *of.Job.Key)
				}
			}
		}
		return f
	})
}

// executed keeps the statements that are executed.
type executed struct {
	sync.Mutex
	all []pgx.TraceQueryStartData
}

func (s *executed) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.Lock()
	defer s.Unlock()
	s.all = append(s.all, data)
	return ctx
}

func (*executed) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// No filter and no order reads a whole table.
func TestListPlans(t *testing.T) {
	t.Parallel()
	pool, err := database.Open(t.Context(), testdb.New(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	fillJobs(t, pool, 60_000)
	_, err = pool.Exec(t.Context(), "vacuum analyze jobs, due")
	require.NoError(t, err)
	selector := func(text string) labels.Selector {
		s, err := labels.ParseSelector(text)
		require.NoError(t, err)
		return s
	}
	for name, l := range map[string]List{
		"all":                      {},
		"all, by name":             {Sort: SortByName},
		"all, by the next run":     {Sort: SortByNextRunAt},
		"all, by id":               {Sort: sortByID},
		"a part of the name":       {Filter: Filter{Name: "settle 1234"}},
		"a frequent name":          {Filter: Filter{Name: "settle"}},
		"a prefix of the key":      {Filter: Filter{KeyPrefix: "team42/job-42"}},
		"keys":                     {Filter: Filter{Keys: []string{"team2/job-2", "team4/job-4"}}},
		"ids":                      {Filter: Filter{IDs: []uuid.UUID{uuid.New()}}},
		"a label":                  {Filter: Filter{Labels: selector("team=t7")}},
		"a label, by name":         {Filter: Filter{Labels: selector("team=t7")}, Sort: SortByName},
		"labels":                   {Filter: Filter{Labels: selector("team=t7,example.com/env in (prod,stage),!legacy")}},
		"that there is a label":    {Filter: Filter{Labels: selector("legacy")}},
		"that there is none":       {Filter: Filter{Labels: selector("!legacy")}},
		"a status":                 {Filter: Filter{Statuses: []db.JobStatus{db.JobStatusPAUSED}}},
		"two statuses":             {Filter: Filter{Statuses: []db.JobStatus{db.JobStatusPAUSED, db.JobStatusCOMPLETED}}},
		"a rare type":              {Filter: Filter{TargetType: "worker"}},
		"a frequent type":          {Filter: Filter{TargetType: "http"}},
		"a queue":                  {Filter: Filter{Queue: "q7"}},
		"a group":                  {Filter: Filter{ConcurrencyGroup: "group 3"}},
		"a pause":                  {Filter: Filter{PauseID: new(uuid.New())}},
		"failed":                   {Filter: Filter{LastRunStatuses: []db.RunStatus{db.RunStatusFAILED}}},
		"succeeded":                {Filter: Filter{LastRunStatuses: []db.RunStatus{db.RunStatusSUCCEEDED}}},
		"failing":                  {Filter: Filter{Health: []Health{HealthFailing}}},
		"late":                     {Filter: Filter{Health: []Health{HealthLate}}},
		"never ran":                {Filter: Filter{Health: []Health{HealthNeverRan}}},
		"healthy":                  {Filter: Filter{Health: []Health{HealthOK}}},
		"paused, by name":          {Filter: Filter{Statuses: []db.JobStatus{db.JobStatusPAUSED}}, Sort: SortByName},
		"paused, by the next run":  {Filter: Filter{Statuses: []db.JobStatus{db.JobStatusPAUSED}}, Sort: SortByNextRunAt},
		"failed, by the next run":  {Filter: Filter{LastRunStatuses: []db.RunStatus{db.RunStatusFAILED}}, Sort: SortByNextRunAt},
		"a queue, by the next run": {Filter: Filter{Queue: "q7"}, Sort: SortByNextRunAt},
		"failing jobs of a team":   {Filter: Filter{Health: []Health{HealthFailing}, Labels: selector("team=t7")}},
		"late, by the next run":    {Filter: Filter{Health: []Health{HealthLate}}, Sort: SortByNextRunAt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found executed
			config := pool.Config()
			config.ConnConfig.Tracer, config.MaxConns = &found, 1
			traced, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			defer traced.Close()
			f := setupOn(t, traced)
			l.Max, l.CountUpTo = 10, 10_001
			page, err := f.List(t.Context(), me, l)
			require.NoError(t, err)
			if l.After = page.Next; l.After != nil {
				_, err = f.List(t.Context(), me, l)
				require.NoError(t, err)
			}
			explained := 0
			for _, s := range found.all {
				if !strings.Contains(s.SQL, "-- name:") {
					continue
				}
				if strings.Contains(s.SQL, "MatchJobs") && page.Total > maxCounted {
					continue // it may read the table, because it ends after as many rows
				}
				plan, err := pgx.CollectRows(must(pool.Query(t.Context(), "explain "+s.SQL, s.Args...)), pgx.RowTo[string])
				require.NoError(t, err)
				require.NotContains(t, strings.Join(plan, "\n"), "Seq Scan", "%s\n%s", s.SQL, strings.Join(plan, "\n"))
				explained++
			}
			require.Positive(t, explained)
		})
	}
}

func must(rows pgx.Rows, err error) pgx.Rows {
	if err != nil {
		panic(err)
	}
	return rows
}
