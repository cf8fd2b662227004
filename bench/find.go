package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"punctual/internal/app"
	"punctual/internal/logging"
)

const (
	// findCalls is how often each list is asked for, after some calls that warm up.
	findCalls = 100
	findWarm  = 5

	maxOfFind = 50 // milliseconds, p99 of each list
)

// Found says how long a list took.
type Found struct {
	List  string  `json:"list"`
	Items int     `json:"items"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

// finds are the lists that find asks for.
var finds = []struct{ path, query string }{
	{"jobs", ""},
	{"jobs", "limit=500"},
	{"jobs", "sort=name"},
	{"jobs", "sort=nextRunAt"},
	{"jobs", "name=report 7777"},
	{"jobs", "name=settle"},
	{"jobs", "keyPrefix=team44/"},
	{"jobs", "labelSelector=team=t7"},
	{"jobs", "labelSelector=env=prod"},
	{"jobs", "labelSelector=team in (t7,t8),env=prod&sort=name"},
	{"jobs", "labelSelector=legacy"},
	{"jobs", "labelSelector=!legacy"},
	{"jobs", "status=PAUSED"},
	{"jobs", "status=PAUSED,COMPLETED"},
	{"jobs", "status=PAUSED&sort=nextRunAt"},
	{"jobs", "targetType=worker"},
	{"jobs", "queue=q7"},
	{"jobs", "queue=q7&sort=nextRunAt"},
	{"jobs", "concurrencyGroup=g3"},
	{"jobs", "lastRunStatus=FAILED"},
	{"jobs", "lastRunStatus=SUCCEEDED"},
	{"jobs", "lastRunStatus=CANCELED"},
	{"jobs", "health=FAILING"},
	{"jobs", "health=LATE"},
	{"jobs", "health=PAUSED"},
	{"jobs", "health=COMPLETED"},
	{"jobs", "health=NEVER_RAN"},
	{"jobs", "health=OK"},
	{"jobs", "health=FAILING,LATE,PAUSED&sort=nextRunAt"},
	{"runs", ""},
	{"runs", "limit=500"},
	{"runs", "status=FAILED"},
	{"runs", "status=FAILED,CANCELED,SKIPPED&limit=100"},
	{"runs", "status=SUCCEEDED"},
	{"runs", "status=PENDING,RUNNING"},
	{"runs", "reason=REQUESTED"},
	{"runs", "trigger=MANUAL"},
	{"runs", "labelSelector=team=t7"},
	{"runs", "labelSelector=team=t7&status=FAILED"},
	{"runs", "labelSelector=env=prod&status=FAILED"},
	{"runs/recent", "jobId=" + someJobs},
	{"attention", ""},
	{"upcoming", ""},
	{"upcoming", "limit=1000&labelSelector=env=prod"},
}

// someJobs stands for the ids of a page of jobs.
const someJobs = "{jobs}"

// find measures how long the lists of jobs and runs take among many, and the pages of the
// dashboard, while jobs fire at the configured rate, and how late these are meanwhile.
func (b *bench) find(ctx context.Context) (err error) {
	s, err := b.scratch(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	b.log.InfoContext(ctx, "storing what is to be found", "jobs", b.FindJobs, "runs", b.FindRuns)
	if err := b.fillToFind(ctx, s); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, null.Close()) }()
	c := app.Config{Host: "127.0.0.1", Database: app.DatabaseConfig{URL: s.url}}
	return servingWith(ctx, c, logging.New(null, slog.LevelInfo), func(ctx context.Context, url string) error {
		if err := pause(ctx, b.Settle); err != nil {
			return err
		}
		if b.wants("find") {
			if err := b.list(ctx, s, url); err != nil {
				return err
			}
		}
		if b.wants("pages") {
			return b.lookAt(ctx, s, url)
		}
		return nil
	})
}

// list measures how long the lists of jobs and runs take.
func (b *bench) list(ctx context.Context, s *scratch, url string) error {
	var from time.Time
	if err := s.pool.QueryRow(ctx, sqlNow).Scan(&from); err != nil {
		return err
	}
	ids, err := aPageOfJobs(ctx, url)
	if err != nil {
		return err
	}
	for _, each := range finds {
		found, err := measureFind(ctx, url, each.path, strings.ReplaceAll(each.query, someJobs, ids))
		if err != nil {
			return err
		}
		found.List = strings.ReplaceAll(found.List, ids, "(100 jobs)")
		b.report.Found = append(b.report.Found, found)
		b.report.atMost(found.List+", p99 ms", found.P99, maxOfFind)
	}
	return b.latenessSince(ctx, s, from, "while somebody lists")
}

// aPageOfJobs returns the ids of 100 jobs, separated by commas.
func aPageOfJobs(ctx context.Context, url string) (string, error) {
	items, err := ask(ctx, url, "jobs", "limit=100")
	if err != nil {
		return "", err
	}
	ids := make([]string, len(items))
	for i, item := range items {
		var job struct{ ID string }
		if err := json.Unmarshal(item, &job); err != nil {
			return "", fmt.Errorf("decode a job: %w", err)
		}
		ids[i] = job.ID
	}
	return strings.Join(ids, ","), nil
}

// latenessSince reports how late the runs were that the service has executed since an instant, and
// what has happened meanwhile.
func (b *bench) latenessSince(ctx context.Context, s *scratch, from time.Time, meanwhile string) error {
	var to time.Time
	if err := s.pool.QueryRow(ctx, sqlNow).Scan(&to); err != nil {
		return err
	}
	if err := pause(ctx, time.Second); err != nil { // so that runs in flight end
		return err
	}
	l := Lateness{Name: "the service, " + strconv.Itoa(b.FiresPerSecond) + "/s, " + meanwhile}
	if err := s.pool.QueryRow(ctx, sqlLateness, from, to).Scan(&l.Runs, &l.P50, &l.P99, &l.Max, &l.Min); err != nil {
		return err
	}
	l.RunsPerSecond = float64(l.Runs) / to.Sub(from).Seconds()
	b.report.Lateness = append(b.report.Lateness, l)
	b.report.atMost("lateness p99 "+meanwhile+", ms", l.P99, 10)
	return nil
}

func measureFind(ctx context.Context, url, path, query string) (f Found, err error) {
	f.List = "GET /" + path
	if query != "" {
		f.List += "?" + query
	}
	return measureCalls(f.List, findCalls, func() (int, error) {
		items, err := ask(ctx, url, path, query)
		return len(items), err
	})
}

// measureCalls measures how long calls take, after some that warm up. A call returns how many items
// it got.
func measureCalls(name string, calls int, call func() (int, error)) (f Found, err error) {
	f.List = name
	took := make([]time.Duration, 0, calls)
	for n := range findWarm + calls {
		asked := time.Now()
		if f.Items, err = call(); err != nil {
			return f, fmt.Errorf("%s: %w", f.List, err)
		}
		if n >= findWarm {
			took = append(took, time.Since(asked))
		}
	}
	slices.Sort(took)
	f.P50, f.P99 = ms(took[len(took)/2]), ms(took[len(took)*99/100])
	return f, nil
}

// ask returns the items of a list.
func ask(ctx context.Context, base, path, query string) (items []json.RawMessage, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/"+path+"?"+values.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s: %s", response.Status, body)
	}
	var page struct{ Items []json.RawMessage }
	err = json.Unmarshal(body, &page)
	return page.Items, err
}

func writeFound(out io.Writer, all []Found) {
	if len(all) > 0 {
		fmt.Fprintln(out, "\nLIST\titems\tp50 ms\tp99 ms")
	}
	for _, f := range all {
		fmt.Fprintf(out, "%s\t%d\t%.1f\t%.1f\n", f.List, f.Items, f.P50, f.P99)
	}
}
