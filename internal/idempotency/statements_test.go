package idempotency_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb"
)

var (
	sqlComment = regexp.MustCompile(`(?m)^--.*$`)
	// hold is what keeps the place of an attempt from being taken before the commit.
	hold = regexp.MustCompile(`strpos\(@request_id::text, '~'\) = 0\s+` +
		`or exists \(select from idempotency_keys k where k\.request_id = @request_id::text for key share\)`)
)

// Each statement that writes the audit for a request locks its attempt, or changes nothing.
func TestStatementsThatWriteTheAuditLockTheAttempt(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, file := range testdb.QueryFiles(t) {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, statement := range strings.Split(string(raw), "-- name: ")[1:] {
			name, text, _ := strings.Cut(statement, " ")
			text = sqlComment.ReplaceAllString(text, "")
			if !strings.Contains(text, "insert into audit") && name != "CreateJob" {
				continue
			}
			found[name] = true
			switch name {
			case "AuditEnds": // the service does this of its own accord, without a request
				assert.NotContains(t, text, "request_id", name)
			case "AuditCreation": // it writes nothing unless CreateJob has stored the job, which holds the attempt
			case "CopyAudit": // audit.RecordAll calls HoldAttempt; race_test.go tests it
			default:
				assert.Regexp(t, hold, text, name)
			}
		}
	}
	for _, name := range []string{"AddToAudit", "CreateJob", "AuditCreation", "AuditEnds", "CopyAudit"} {
		assert.True(t, found[name], "%s is found", name)
	}
}
