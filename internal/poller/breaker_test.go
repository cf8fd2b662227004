package poller

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/runs"
)

// Only what shows that nobody answers counts against a connection: not what was refused before
// anybody was called, nor what the service itself could not do.
func TestWhatAnAttemptShowsOfItsConnection(t *testing.T) {
	t.Parallel()
	err := errors.New("no luck")
	unreachable := &executor.Failure{Err: err, IsUnreachable: true}
	for name, row := range map[string]struct {
		result *executor.Result
		err    error
		want   outcome
	}{
		"success":                   {&executor.Result{StatusCode: 200}, nil, works},
		"a failure of the job":      {&executor.Result{StatusCode: 400}, &executor.Failure{Err: err}, works},
		"too many requests":         {&executor.Result{StatusCode: 429}, &executor.Failure{Err: err}, works},
		"a proxy":                   {&executor.Result{StatusCode: 502}, &executor.Failure{Err: err}, fails},
		"no answer":                 {&executor.Result{}, unreachable, fails},
		"no answer in time":         {&executor.Result{}, fmt.Errorf("%w: %w", runs.ErrDeadline, unreachable), fails},
		"a refused address":         {&executor.Result{}, &executor.Failure{Err: err}, nothing},
		"a connection that is gone": {nil, err, nothing},
		"a canceled run":            {&executor.Result{}, runs.Canceled{Reason: db.RunReasonOVERLAP}, nothing},
	} {
		require.Equal(t, row.want, outcomeOf(row.result, row.err), name)
	}
}
