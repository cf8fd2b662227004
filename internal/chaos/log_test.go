//go:build chaos

package chaos

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
)

// line holds what the tests read from a line of an instance's log.
type line struct {
	Time         time.Time
	Level        string
	Msg          string
	URL          string
	RunID        string
	JobID        uuid.UUID
	ScheduledFor time.Time
	Attempt      int
}

// lines returns what the instance has logged so far. The last line may be incomplete.
func (i *instance) lines(t *testing.T) []line {
	t.Helper()
	text, err := os.ReadFile(i.log)
	if err != nil {
		t.Error(err) // not require, because conditions call this on another goroutine
	}
	var lines []line
	for raw := range bytes.Lines(text) {
		var l line
		if json.Unmarshal(raw, &l) == nil {
			lines = append(lines, l)
		} else if bytes.HasSuffix(raw, []byte("\n")) {
			assert.Fail(t, "a line of the log is not JSON", "%s: %s", i.name, raw)
		}
	}
	return lines
}

// tail returns the end of the instance's log, for messages.
func (i *instance) tail() string {
	text, err := os.ReadFile(i.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-3000):])
}

// executedSince reports whether the instance has executed a run since an instant.
func (i *instance) executedSince(t *testing.T, since time.Time) bool {
	t.Helper()
	for _, l := range i.lines(t) {
		if l.Msg == "run" && l.Time.After(since) {
			return true
		}
	}
	return false
}

// count returns how many lines since an instant have a message that begins with one of these.
func (i *instance) count(t *testing.T, since time.Time, messages ...string) (n int) {
	t.Helper()
	for _, l := range i.lines(t) {
		for _, m := range messages {
			if strings.HasPrefix(l.Msg, m) && l.Time.After(since) {
				n++
			}
		}
	}
	return n
}

// occurrence is one instant of one job.
type occurrence struct {
	job uuid.UUID
	at  int64 // microseconds since 1970
}

// execution is a line of a log that says that a run was executed.
type execution struct {
	by      *instance
	at      time.Time // by the clock of this machine, which the database shares
	attempt int
	runID   string
}

// executions returns the executions in all logs.
func (s *system) executions(t *testing.T) map[occurrence][]execution {
	t.Helper()
	all := map[occurrence][]execution{}
	for _, i := range s.all {
		for _, l := range i.lines(t) {
			if l.Msg == "run" {
				o := occurrence{job: l.JobID, at: l.ScheduledFor.UnixMicro()}
				all[o] = append(all[o], execution{by: i, at: l.Time, attempt: l.Attempt, runID: l.RunID})
			}
		}
	}
	return all
}
