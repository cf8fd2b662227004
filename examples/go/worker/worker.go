// Package worker executes runs of a queue: it leases some at a time, executes them side by side,
// extends the lease by heartbeats, and reports how the runs ended in batches. After SIGTERM it
// finishes what it has begun, and gives the rest back. Copy it into your service, with the client
// that it uses, or generate a client from openapi.yaml.
//
// An attempt may happen twice: if a worker dies after its work and before its report, another
// worker gets the same run. The run's id stays the same, so what must not happen twice has to
// remember the ids of the runs it has done.
package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"punctual/gen/client"
)

// Final is an error of an attempt that another one cannot help.
type Final struct{ Err error }

func (f Final) Error() string { return f.Err.Error() }
func (f Final) Unwrap() error { return f.Err }

var (
	errDeadline = errors.New("the attempt took too long")
	errCanceled = errors.New("the run was canceled")
	errLost     = errors.New("the lease is lost: another worker may have the run")
	errStopped  = errors.New("the worker stops")
)

// Worker is what a worker needs. Zero means default.
type Worker struct {
	Client *client.ClientWithResponses
	Queue  string
	// Execute executes a run, and returns its output as text. An error means that the attempt has
	// failed. Its context ends when nobody waits for the result any more. It is called by many at
	// once.
	Execute func(ctx context.Context, run client.LeasedRun) (output string, err error)
	// AtOnce is how many runs are leased, and executed, at a time: 1000 at most. Default 10.
	AtOnce int
	// LeaseFor is how long the runs wait for another worker if this one dies. Default 15 s.
	LeaseFor time.Duration
	// Grace is how long runs may go on when the worker is to stop. Then they are given back, and
	// the attempt does not count. Default 10 s.
	Grace time.Duration
	// Logger gets what goes wrong. Default: slog.Default.
	Logger *slog.Logger
}

const (
	// wait is how long a request waits for a run.
	wait = 20 * time.Second
	// retryAfter is the pause after a request that has failed.
	retryAfter = time.Second
	// answerWithin is how long the service may take to answer.
	answerWithin = 15 * time.Second
)

// Run executes runs until ctx ends, and returns when those that it had begun are reported or given
// back. For SIGTERM, take ctx from signal.NotifyContext.
func (w Worker) Run(ctx context.Context) {
	w.AtOnce, w.Logger = cmp.Or(w.AtOnce, 10), cmp.Or(w.Logger, slog.Default())
	w.LeaseFor, w.Grace = cmp.Or(w.LeaseFor, 15*time.Second), cmp.Or(w.Grace, 10*time.Second)
	free := make(chan struct{}, w.AtOnce) // has a token for each run that is executed
	var leases sync.WaitGroup
	defer leases.Wait()
	for ctx.Err() == nil {
		n := reserve(ctx, free, w.AtOnce)
		lease, err := w.lease(ctx, n)
		if err != nil && ctx.Err() == nil {
			w.Logger.ErrorContext(ctx, "could not lease runs", "queue", w.Queue, "error", err)
			sleep(ctx, retryAfter)
		}
		taken := 0
		if lease != nil {
			taken = len(lease.Runs)
			leases.Go(func() { w.hold(ctx, lease, func() { <-free }) })
		}
		for range n - taken {
			<-free
		}
	}
}

// reserve waits until another run may be executed, and returns how many may.
func reserve(ctx context.Context, free chan<- struct{}, most int) (n int) {
	select {
	case free <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	for n = 1; n < most; n++ {
		select {
		case free <- struct{}{}:
		default:
			return n
		}
	}
	return n
}

// lease leases up to n runs. It returns nil if there are none.
func (w Worker) lease(ctx context.Context, n int) (*client.Lease, error) {
	if n == 0 {
		return nil, nil //nolint:nilnil // the worker stops
	}
	host, _ := os.Hostname() // only a name for people
	ctx, cancel := context.WithTimeout(ctx, wait+answerWithin)
	defer cancel()
	answer, err := w.Client.LeaseRunsWithResponse(ctx, w.Queue, client.LeaseRequest{
		MaxRuns: new(int32(n)), WaitSeconds: new(int32(wait.Seconds())), LeaseSeconds: new(int32(w.LeaseFor.Seconds())),
		Worker: new(fmt.Sprintf("%s %d", host, os.Getpid())),
	})
	if err != nil {
		return nil, err
	}
	if answer.JSON200 == nil && answer.StatusCode() != 204 {
		return nil, fmt.Errorf("answered %s: %s", answer.Status(), answer.Body)
	}
	return answer.JSON200, nil
}

// hold executes the runs of a lease, and calls done for each that has ended.
func (w Worker) hold(ctx context.Context, lease *client.Lease, done func()) {
	held := &held{Worker: w, lease: lease.Id, ends: map[uuid.UUID]context.CancelCauseFunc{}, ended: make(chan client.RunReport, len(lease.Runs))}
	// Runs go on when ctx ends, for the grace.
	working, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	defer context.AfterFunc(ctx, func() {
		sleep(working, w.Grace)
		stop(errStopped)
	})()
	var executing, helpers sync.WaitGroup
	for _, run := range lease.Runs {
		attempt, end := context.WithCancelCause(working)
		held.ends[run.Id] = end
		executing.Go(func() {
			defer done()
			held.execute(attempt, run)
		})
	}
	beating, quiet := context.WithCancel(working)
	helpers.Go(func() { held.beat(beating, stop) })
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		held.report()
	}()
	executing.Wait()
	close(held.ended)
	<-reported // until then the lease is extended
	quiet()
	helpers.Wait()
}

// held is a lease that is held.
type held struct {
	Worker
	lease uuid.UUID
	ends  map[uuid.UUID]context.CancelCauseFunc // by run; not changed any more
	ended chan client.RunReport
}

// execute executes a run, and notes how it ended.
func (h *held) execute(ctx context.Context, run client.LeasedRun) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(run.AttemptDeadlineSeconds)*time.Second, errDeadline)
	defer cancel()
	output, err := h.Execute(ctx, run)
	report := client.RunReport{RunId: run.Id.String(), Token: run.Token}
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errLost):
		return // it is another worker's
	case err == nil && !errors.Is(cause, errDeadline):
		report.Output = &output // also if it has ended just when it was to stop
	case errors.Is(cause, errStopped):
		h.release(run)
		return
	case cause != nil:
		report.Error = new(cause.Error())
	default:
		report.Error = new(err.Error())
		if _, isFinal := errors.AsType[Final](err); isFinal {
			report.Retryable = new(false)
		}
	}
	h.ended <- report
}

// beat extends the lease until ctx ends, and ends the runs that were canceled, or all of them if
// the lease is lost.
func (h *held) beat(ctx context.Context, stop context.CancelCauseFunc) {
	extended := time.Now()
	for sleep(ctx, h.LeaseFor/3); ctx.Err() == nil; sleep(ctx, h.LeaseFor/3) {
		asked := time.Now()
		within, cancel := context.WithTimeout(ctx, h.LeaseFor/3)
		answer, err := h.Client.HeartbeatWithResponse(within, h.lease)
		cancel()
		switch {
		case err == nil && answer.JSON200 != nil:
			extended = asked
			for _, id := range answer.JSON200.Canceled {
				if end := h.ends[id]; end != nil {
					end(errCanceled)
				}
			}
		case ctx.Err() != nil:
		case err == nil && answer.StatusCode() == 409, time.Since(extended) >= h.LeaseFor:
			stop(errLost)
		default:
			h.Logger.ErrorContext(ctx, "could not extend the lease", "lease", h.lease, "error", err)
		}
	}
}

// report reports how runs ended: all those together that end while a request is on its way.
func (h *held) report() {
	for first := range h.ended {
		reports := []client.RunReport{first}
		for more := true; more && len(reports) < 1000; {
			select {
			case next, isOpen := <-h.ended:
				if more = isOpen; isOpen {
					reports = append(reports, next)
				}
			default:
				more = false
			}
		}
		h.send(reports)
	}
}

// send reports until the service has stored it. Otherwise the runs would be executed again.
func (h *held) send(reports []client.RunReport) {
	ctx := context.Background() // to report is worth it, although the worker stops
	for try := range 5 {
		within, cancel := context.WithTimeout(ctx, answerWithin)
		answer, err := h.Client.CompleteRunsWithResponse(within, h.lease, client.RunReports{Reports: reports})
		cancel()
		if err == nil && answer.JSON200 != nil {
			for i, result := range answer.JSON200.Results {
				if result.Result == client.ReportOutcomeREFUSED {
					h.Logger.ErrorContext(ctx, "a report was refused", "runId", reports[i].RunId, "detail", *result.Detail)
				}
			}
			return
		}
		if err == nil {
			err = fmt.Errorf("answered %s: %s", answer.Status(), answer.Body)
		}
		h.Logger.ErrorContext(ctx, "could not report", "runs", len(reports), "error", err)
		sleep(ctx, retryAfter<<try)
	}
}

// release gives a run back, for another worker.
func (h *held) release(run client.LeasedRun) {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	answer, err := h.Client.ReleaseRunWithResponse(ctx, run.Id, client.RunRelease{Token: run.Token})
	if err != nil || answer.StatusCode() >= 500 {
		h.Logger.Error("could not give a run back; another worker gets it when the lease expires", "runId", run.Id, "error", err)
	}
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
