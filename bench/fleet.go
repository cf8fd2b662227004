package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// fleetConfig says what workers do.
type fleetConfig struct {
	workers int
	// batch is how many runs a worker leases at a time. It completes one run in a request of its
	// own, and several in one request.
	batch int
	ahead time.Duration // how far the database's clock is ahead of this machine's
	until int           // how many runs are to be completed; 0 if nobody waits for that
}

// fleet is a number of workers that lease runs of a service over HTTP, each on a connection of its
// own. They complete the runs at once and ask again. Make it with startFleet, and end it.
type fleet struct {
	fleetConfig
	url    string
	client *http.Client
	group  *errgroup.Group
	ctx    context.Context // ends when a worker fails, with its error as the cause
	stop   context.CancelFunc
	empty  atomic.Int64 // how many answers had no run

	completed atomic.Int64
	done      chan struct{} // closed when as many runs are completed as are to be

	mu     sync.Mutex
	leased []leased
}

// leased is a run that a worker has leased.
type leased struct {
	scheduledFor time.Time
	late         time.Duration // from scheduledFor until the worker had read the answer
}

// startFleet starts workers that use the service at url.
func startFleet(ctx context.Context, url string, c fleetConfig) *fleet {
	f := &fleet{
		fleetConfig: c, url: url, done: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c.workers}},
	}
	ctx, f.stop = context.WithCancel(ctx)
	f.group, f.ctx = errgroup.WithContext(ctx)
	for n := range c.workers {
		f.group.Go(func() error {
			err := f.work(f.ctx, n)
			if ctx.Err() != nil {
				return nil // end has stopped it
			}
			return err
		})
	}
	return f
}

// during waits for d. It returns an error as soon as a worker fails.
func (f *fleet) during(d time.Duration) error { return pause(f.ctx, d) }

// now returns the time by the database's clock.
func (f *fleet) now() time.Time { return time.Now().Add(f.ahead) }

// end stops the workers. Runs that they have leased wait until the leases expire.
func (f *fleet) end() {
	f.stop()
	_ = f.group.Wait() // during has returned the error
	f.client.CloseIdleConnections()
}

// drained waits until as many runs are completed as are to be. It returns an error as soon as a
// worker fails.
func (f *fleet) drained() error {
	select {
	case <-f.done:
		return nil
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	}
}

// leasedRuns is what the service answers to a worker that asks for runs.
type leasedRuns struct {
	ID   string `json:"id"`
	Runs []struct {
		ID           string    `json:"id"`
		Token        int64     `json:"token"`
		ScheduledFor time.Time `json:"scheduledFor"`
	} `json:"runs"`
}

// work executes what the nth worker does.
func (f *fleet) work(ctx context.Context, n int) error {
	ask := fmt.Sprintf(`{"waitSeconds":%d,"maxRuns":%d}`, int(maxWait.Seconds()), f.batch)
	for {
		var lease leasedRuns
		if err := f.post(ctx, "/api/v1/queues/"+queueName(n)+"/leases", ask, &lease); err != nil {
			return err
		}
		now := f.now()
		if len(lease.Runs) == 0 {
			f.empty.Add(1)
			continue
		}
		for _, run := range lease.Runs {
			f.note(leased{run.ScheduledFor, now.Sub(run.ScheduledFor)})
		}
		if err := f.complete(ctx, lease); err != nil {
			return err
		}
		if f.completed.Add(int64(len(lease.Runs))) == int64(f.until) {
			close(f.done)
		}
	}
}

// complete reports that all runs of a lease have succeeded.
func (f *fleet) complete(ctx context.Context, lease leasedRuns) error {
	if f.batch > 1 {
		return f.completeAll(ctx, lease)
	}
	for _, run := range lease.Runs {
		if err := f.post(ctx, "/api/v1/runs/"+run.ID+"/complete", fmt.Sprintf(`{"token":%d}`, run.Token), nil); err != nil {
			return err
		}
	}
	return nil
}

// completeAll does it in one request.
func (f *fleet) completeAll(ctx context.Context, lease leasedRuns) error {
	type report struct {
		RunID string `json:"runId"`
		Token int64  `json:"token"`
	}
	reports := make([]report, len(lease.Runs))
	for i, run := range lease.Runs {
		reports[i] = report{run.ID, run.Token}
	}
	body, err := json.Marshal(map[string][]report{"reports": reports})
	if err != nil {
		return err
	}
	var answer struct {
		Results []struct {
			Result string `json:"result"`
			Detail string `json:"detail"`
		} `json:"results"`
	}
	if err := f.post(ctx, "/api/v1/leases/"+lease.ID+"/complete", string(body), &answer); err != nil {
		return err
	}
	for _, result := range answer.Results {
		if result.Result != "RECORDED" {
			return fmt.Errorf("a report was refused: %s", result.Detail)
		}
	}
	return nil
}

func (f *fleet) note(l leased) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leased = append(f.leased, l)
}

// post sends JSON and decodes the answer, unless it is empty.
func (f *fleet) post(ctx context.Context, path, body string, answer any) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	switch response.StatusCode {
	case http.StatusOK:
		return json.Unmarshal(text, answer)
	case http.StatusNoContent:
		return nil
	default:
		return fmt.Errorf("%s answered %s: %s", path, response.Status, text)
	}
}

// lateness fills in how late the workers got the runs that were due between from and to.
func (f *fleet) lateness(l *Lateness, from, to time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var late []time.Duration
	for _, run := range f.leased {
		if !run.scheduledFor.Before(from) && run.scheduledFor.Before(to) {
			late = append(late, run.late)
		}
	}
	if l.Runs = len(late); l.Runs == 0 {
		return
	}
	slices.Sort(late)
	l.P50, l.P99 = ms(late[len(late)/2]), ms(late[len(late)*99/100])
	l.Min, l.Max = ms(late[0]), ms(late[len(late)-1])
}
