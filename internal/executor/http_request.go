package executor

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"punctual/internal/instant"
	"punctual/internal/traceid"
)

// request returns the request of one attempt that is made at now. Punctual's own headers replace
// the user's.
func (d httpDefinition) request(ctx context.Context, run Run, secrets httpSecrets, now time.Time) (*http.Request, error) {
	content, isJSON := d.content(run.Payload)
	req, err := http.NewRequestWithContext(ctx, d.Method, d.URL, bytes.NewReader(content))
	if err != nil {
		return nil, errors.New("the target's url or method is not valid")
	}
	header := req.Header
	header.Set("User-Agent", "Punctual")
	if isJSON {
		header.Set("Content-Type", "application/json")
	}
	for _, headers := range []map[string]string{d.Headers, secrets.Headers} {
		for name, value := range headers {
			header.Set(name, value)
		}
	}
	header.Set("Idempotency-Key", run.ID.String())
	header.Set("Punctual-Namespace", run.Namespace)
	header.Set("Punctual-Job-Id", run.JobID.String())
	header.Set("Punctual-Run-Id", run.ID.String())
	header.Set("Punctual-Scheduled-For", format(run.ScheduledFor))
	header.Set("Punctual-Attempt", strconv.Itoa(run.Attempt))
	if run.Trace == nil { // otherwise each request gets another one when it is sent
		header.Set(traceParentHeader, traceid.Parent(childOf(traceid.OfRun(run.ID))))
	}
	if len(secrets.SigningSecrets) > 0 {
		signature, err := sign(run.ID.String(), now, content, secrets.SigningSecrets)
		if err != nil {
			return nil, err
		}
		header.Set(standardwebhooks.HeaderWebhookID, run.ID.String())
		header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	}
	return req, nil
}

// format returns an instant as the API writes it.
func format(t time.Time) string {
	quoted, _ := instant.Time{Time: t}.MarshalJSON() // never fails
	return strings.Trim(string(quoted), `"`)
}
