package executor

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"punctual/internal/sanitize"
)

// maxRetryAfter bounds what a Retry-After can ask for.
const maxRetryAfter = 24 * time.Hour

// judge says what the status of an answer, received at now, means: nil is success.
func (d httpDefinition) judge(resp *http.Response, now time.Time) error {
	status := resp.StatusCode
	isExpected := status/100 == 2
	if len(d.ExpectStatus) > 0 {
		isExpected = slices.Contains(d.ExpectStatus, status)
	}
	if isExpected {
		return nil
	}
	// By the usual text of the status: the one in the answer is as much the receiver's as its body.
	failure := &Failure{Err: errors.New(strings.TrimSpace(fmt.Sprintf("answered %d %s", status, http.StatusText(status))))}
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		failure.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	case http.StatusGone:
		failure.PauseReason = "the target answered 410 Gone"
	}
	return failure
}

// retryAfter reads a Retry-After, of seconds or an HTTP date. What it cannot read is zero.
func retryAfter(value string, now time.Time) time.Duration {
	seconds, err := strconv.ParseUint(value, 10, 64)
	switch {
	case err == nil || errors.Is(err, strconv.ErrRange):
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	default:
		date, err := http.ParseTime(value)
		if err != nil {
			return 0
		}
		return min(max(date.Sub(now), 0), maxRetryAfter)
	}
}

// readOutput reads the beginning of an answer and makes of it what can be kept and shown. isTruncated tells that there was
// more. It comes with an error where the answer broke off.
func readOutput(body io.Reader, hide redactor) (output string, isTruncated bool, err error) {
	read, err := io.ReadAll(io.LimitReader(body, MaxOutput+1))
	head := sanitize.Cut(string(read), MaxOutput)
	isTruncated = err != nil || len(head) < len(read)
	output, isCut := sanitize.Text(string(hide.redact([]byte(head), isTruncated)), MaxOutput)
	return output, isTruncated || isCut, err
}
