package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/db"
	"punctual/internal/executor"
	"punctual/internal/policy"
)

func TestEnd(t *testing.T) {
	t.Parallel()
	next := policy.Step{Next: at(2)}
	for name, c := range map[string]struct {
		change func(*db.Claimed, *db.Job)
		err    error
		want   outcome
		retry  time.Duration // from the end of the attempt on; 0: none
	}{
		"succeeded": {want: outcome{status: db.RunStatusSUCCEEDED, attempt: 1, step: next}},
		"succeeded at a worker": {
			change: func(row *db.Claimed, _ *db.Job) { row.Queue, row.AwaitsWorker = new("q"), true },
			want:   outcome{status: db.RunStatusSUCCEEDED, attempt: 1, executedBy: "me", step: next},
		},
		"failed": {
			err:   errNoLuck,
			want:  outcome{status: db.RunStatusFAILED, attempt: 1, error: "no luck", executedBy: "me"},
			retry: 5 * time.Second,
		},
		"failed, and asks for more time": {
			err:   &executor.Failure{Err: errNoLuck, RetryAfter: time.Minute},
			want:  outcome{status: db.RunStatusFAILED, attempt: 1, error: "no luck", executedBy: "me"},
			retry: time.Minute,
		},
		"failed, and asks for less time": {
			err:   &executor.Failure{Err: errNoLuck, RetryAfter: time.Second},
			want:  outcome{status: db.RunStatusFAILED, attempt: 1, error: "no luck", executedBy: "me"},
			retry: 5 * time.Second,
		},
		"failed for good": {
			err:  fmt.Errorf("wrapped: %w", &executor.Failure{Err: errNoLuck, IsFinal: true}),
			want: outcome{status: db.RunStatusFAILED, attempt: 1, error: "wrapped: no luck", executedBy: "me", step: next},
		},
		"failed for the last time": {
			change: func(row *db.Claimed, _ *db.Job) { row.Attempt = 3 },
			err:    errNoLuck,
			want:   outcome{status: db.RunStatusFAILED, attempt: 3, error: "no luck", executedBy: "me", step: next},
		},
		"failed, and the job must be paused": {
			err: &executor.Failure{Err: errNoLuck, PauseReason: "gone"},
			want: outcome{
				status: db.RunStatusFAILED, attempt: 1, error: "no luck", executedBy: "me",
				step: policy.Step{FinalStatus: db.JobStatusPAUSED, StatusReason: "gone"},
			},
		},
		"took too long": {
			change: func(_ *db.Claimed, job *db.Job) { job.MaxAttempts = 1 },
			err:    fmt.Errorf("wrapped: %w", ErrDeadline),
			want: outcome{
				status: db.RunStatusFAILED, reason: db.RunReasonDEADLINEEXCEEDED, attempt: 1,
				error: "wrapped: attempt deadline exceeded", executedBy: "me", step: next,
			},
		},
		"canceled": {
			err:  Canceled{db.RunReasonREQUESTED},
			want: outcome{status: db.RunStatusCANCELED, reason: db.RunReasonREQUESTED, attempt: 1, step: next},
		},
		"failed without a word": {
			change: func(_ *db.Claimed, job *db.Job) { job.MaxAttempts = 1 },
			err:    errors.New(""),
			want: outcome{
				status: db.RunStatusFAILED, attempt: 1, error: "failed without saying why", executedBy: "me", step: next,
			},
		},
	} {
		ended := begin(t, c.change).End(at(1.5), nil, c.err)
		require.Equal(t, c.want, outcomeOf(ended), name)
		require.Equal(t, at(1.5), ended.finished, name)
		require.Empty(t, ended.result, name)
		if c.retry == 0 {
			require.True(t, ended.retryAt.IsZero(), "%s: it is not tried again", name)
			require.Empty(t, ended.failedAttempt, name)
			continue
		}
		require.Equal(t, at(1.5).Add(c.retry), ended.retryAt, name)
		require.NotEmpty(t, ended.failedAttempt, name)
	}
}

func TestEndOfARunOfADeletedJobIsFinal(t *testing.T) {
	t.Parallel()
	attempt := begin(t, nil)
	attempt.Job.DeletedAt = &noon // an edit meanwhile
	require.True(t, attempt.End(at(1.5), nil, errNoLuck).retryAt.IsZero())
}

func TestEndKeepsAFailedAttemptAsTheContractSays(t *testing.T) {
	t.Parallel()
	ended := begin(t, nil).End(at(1.5), &executor.Result{StatusCode: 500, Duration: time.Second, Output: "a"}, ErrDeadline)
	require.JSONEq(t, `{
		"attempt": 1, "startedAt": "2026-11-23T12:01:00.000000Z", "finishedAt": "2026-11-23T12:01:30.000000Z",
		"error": "attempt deadline exceeded", "reason": "DEADLINE_EXCEEDED", "executedBy": "me",
		"result": {"statusCode": 500, "durationMilliseconds": 1000, "output": "a", "outputIsTruncated": false}
	}`, string(ended.failedAttempt))
}

func TestEndKeepsTheResult(t *testing.T) {
	t.Parallel()
	ended := begin(t, nil).End(at(1.5), &executor.Result{Duration: 1500 * time.Microsecond, OutputIsTruncated: true}, nil)
	require.JSONEq(t, `{"statusCode": null, "durationMilliseconds": 1, "output": "", "outputIsTruncated": true}`,
		string(ended.result))
}

func TestEndBoundsTheError(t *testing.T) {
	t.Parallel()
	ended := begin(t, nil).End(at(1.5), nil, errors.New(strings.Repeat("a", 2*maxErrorLength)+"\x00"))
	require.LessOrEqual(t, len(ended.error), maxErrorLength)
	require.True(t, json.Valid(ended.failedAttempt))
}
