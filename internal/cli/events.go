package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tmaxmax/go-sse"

	"punctual/gen/client"
)

type followEvents struct {
	Globals  `embed:""`
	Type     []client.EventName `group:"filter" placeholder:"TYPE" help:"Events of these types, such as run.failed or job.paused."`
	Job      string             `group:"filter" placeholder:"JOB" help:"Events of the job with this key or id."`
	Selector string             `group:"filter" short:"l" placeholder:"SELECTOR" help:"Events of jobs whose labels match: team=payments,env in (prod,stage),!legacy."`
	After    string             `group:"filter" placeholder:"ID" help:"Go on after the event with this id, which -o name prints."`
}

// Run prints what happens until Ctrl-C. It connects again when the connection is lost, and goes on
// where it was.
func (c *followEvents) Run(ctx context.Context, s *Session) error {
	params := client.StreamEventsParams{
		Type: someOf(c.Type), LabelSelector: given(c.Selector), LastEventID: given(c.After),
	}
	if id, err := uuid.Parse(c.Job); err == nil {
		params.JobId = &id
	} else if c.Job != "" {
		params.Key = &[]client.JobKeyGiven{c.Job}
	}
	request, err := client.NewStreamEventsRequest(s.Server, &params)
	if err != nil {
		return fmt.Errorf("the request cannot be made: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	request = request.WithContext(ctx)
	for _, edit := range s.RequestEditors {
		if err := edit(ctx, request); err != nil {
			return err
		}
	}
	var refusal error
	hasBegun := false
	follower := sse.Client{
		HTTPClient: sender(0), Backoff: sse.Backoff{MaxInterval: maxReconnectWait},
		ResponseValidator: func(r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				refusal = done(r, nil)
				return refusal
			}
			hasBegun = true
			return sse.DefaultValidator(r)
		},
		OnRetry: func(err error, _ time.Duration) {
			if !hasBegun {
				stop(&unreachable{request.URL.Host, err})
				return
			}
			fmt.Fprintln(s.Err, "punctual: the connection is lost, and is made again:", cause(errors.Unwrap(err)))
		},
	}
	connection := follower.NewConnection(request)
	connection.SubscribeToAll(func(e sse.Event) {
		if err := s.showEvent(e); err != nil {
			stop(err)
		}
	})
	err = connection.Connect()
	switch cause := context.Cause(ctx); {
	case refusal != nil:
		return refusal
	case errors.Is(cause, context.Canceled):
		return nil // Ctrl-C is how following ends
	case cause != nil:
		return cause
	default:
		return err
	}
}

// maxReconnectWait is the longest wait before another try to connect.
const maxReconnectWait = 10 * time.Second

// followed is what is printed of an event, for people.
type followed struct {
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		JobKey       *string    `json:"jobKey"`
		JobName      string     `json:"jobName"`
		RunID        *string    `json:"runId"`
		Reason       *string    `json:"reason"`
		StatusReason *string    `json:"statusReason"`
		Error        *string    `json:"error"`
		Queue        string     `json:"queue"`
		Connection   string     `json:"connection"`
		From         *time.Time `json:"from"`
		To           *time.Time `json:"to"`
	} `json:"data"`
}

// showEvent prints an event on a line.
func (s *Session) showEvent(e sse.Event) error {
	switch {
	case e.Data == "": // only a place in the stream
		return nil
	case s.Output == outJSON:
		_, err := fmt.Fprintln(s.Out, e.Data)
		return err
	case s.Output == outYAML:
		text, err := yamlOf([]byte(e.Data))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.Out, "---\n%s", text)
		return err
	case s.Output == outName:
		_, err := fmt.Fprintln(s.Out, e.LastEventID)
		return err
	}
	var what followed
	if err := json.Unmarshal([]byte(e.Data), &what); err != nil {
		return fmt.Errorf("an event is not what the contract says: %w", err)
	}
	columns := []string{what.Timestamp.UTC().Format(time.RFC3339), fmt.Sprintf("%-20s", e.Type)}
	if from, to := what.Data.From, what.Data.To; from != nil && to != nil {
		columns = append(columns, "events may be missing from "+when(from)+" to "+when(to))
	}
	for _, text := range []*string{
		what.subject(), what.Data.RunID, what.Data.Reason, what.Data.StatusReason, what.Data.Error,
	} {
		if text != nil {
			columns = append(columns, plain(*text))
		}
	}
	_, err := fmt.Fprintln(s.Out, strings.TrimSpace(strings.Join(columns, "  ")))
	return err
}

// subject returns what an event is about, or nil.
func (f followed) subject() *string {
	d := f.Data
	for _, name := range []string{orDash(d.JobKey), d.JobName, d.Queue, d.Connection} {
		if name != "" && name != "-" {
			return &name
		}
	}
	return nil
}
