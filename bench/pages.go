package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"punctual/internal/runid"
)

const (
	// pageCalls is how often each page is asked for, after findWarm calls that warm up.
	pageCalls = 40
	maxOfPage = 100 // milliseconds, p99 of each page

	// clickers is how many people look at pages at a time, each a page a second.
	clickers    = 10
	clicksEvery = time.Second

	sqlSomeJob = `select job_id, scheduled_for from runs where status = 'FAILED' order by scheduled_for desc limit 1`
)

// dashboard returns the pages that are measured.
func (b *bench) dashboard(ctx context.Context, s *scratch) ([]string, error) {
	var r struct {
		job [16]byte
		at  time.Time
	}
	if err := s.pool.QueryRow(ctx, sqlSomeJob).Scan(&r.job, &r.at); err != nil {
		return nil, fmt.Errorf("find a run to look at: %w", err)
	}
	run := runid.New(r.job, r.at)
	job := fmt.Sprintf("%x-%x-%x-%x-%x", r.job[:4], r.job[4:6], r.job[6:8], r.job[8:10], r.job[10:])
	return []string{
		"/", "/jobs", "/jobs?q=settle", "/jobs?q=team%3Dt7", "/jobs?health=FAILING", "/jobs?sort=nextRunAt", "/jobs/new",
		"/jobs/" + job, "/jobs/" + job + "/edit", "/jobs/" + job + "/versions",
		"/runs", "/runs?status=FAILED", "/runs/" + run.String(),
		"/queues", "/connections", "/calendars", "/instances", "/keys", "/audit", "/namespaces",
	}, nil
}

// lookAt measures how long the pages of the dashboard take, and then how late runs are while nobody
// and while people look at pages.
func (b *bench) lookAt(ctx context.Context, s *scratch, url string) error {
	pages, err := b.dashboard(ctx, s)
	if err != nil {
		return err
	}
	// Each job has to fire once: the first change of a page after a checkpoint logs all of it, which
	// makes commits slow.
	if err := pause(ctx, time.Duration(b.findInterval())*time.Second); err != nil {
		return err
	}
	for _, path := range pages {
		found, err := measureCalls("GET "+path, pageCalls, func() (int, error) { return open(ctx, url+path) })
		if err != nil {
			return err
		}
		found.Items = 0 // a page has no number of items
		b.report.Found = append(b.report.Found, found)
		b.report.atMost("the page "+path+", p99 ms", found.P99, maxOfPage)
	}
	if err := b.lateWhile(ctx, s, "while nobody looks at pages", func(ctx context.Context) error { return pause(ctx, b.LatenessFor) }); err != nil {
		return err
	}
	return b.lateWhile(ctx, s, fmt.Sprintf("while %d people look at pages", clickers), func(ctx context.Context) error {
		return click(ctx, url, pages, b.LatenessFor)
	})
}

// lateWhile reports how late runs are while something is done.
func (b *bench) lateWhile(ctx context.Context, s *scratch, name string, do func(context.Context) error) error {
	var from time.Time
	if err := s.pool.QueryRow(ctx, sqlNow).Scan(&from); err != nil {
		return err
	}
	if err := do(ctx); err != nil {
		return err
	}
	return b.latenessSince(ctx, s, from, name)
}

// click lets people open pages for some time.
func click(ctx context.Context, url string, pages []string, during time.Duration) error {
	clicking, stop := context.WithTimeout(ctx, during)
	defer stop()
	var people errgroup.Group
	for range clickers {
		people.Go(func() error {
			for {
				if _, err := open(clicking, url+pages[rand.IntN(len(pages))]); err != nil { //nolint:gosec // no secret
					if clicking.Err() != nil {
						return nil
					}
					return err
				}
				if pause(clicking, clicksEvery) != nil {
					return nil
				}
			}
		})
	}
	return people.Wait()
}

// open loads a page, and returns its size in bytes.
func open(ctx context.Context, url string) (size int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answered %s", url, response.Status)
	}
	return len(body), nil
}
