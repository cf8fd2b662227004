package executor

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a Retry-After can ask for.
const maxRetryAfter = 24 * time.Hour

// judge returns nil if the status of an answer, received at now, means success, and a *Failure
// otherwise.
func (d httpDefinition) judge(resp *http.Response, now time.Time) error {
	status := resp.StatusCode
	isExpected := status/100 == 2
	if len(d.ExpectStatus) > 0 {
		isExpected = slices.Contains(d.ExpectStatus, status)
	}
	if isExpected {
		return nil
	}
	// The text is the usual one of the status. That of the answer may contain anything, like its
	// body.
	text := fmt.Sprintf("answered %d %s", status, http.StatusText(status))
	failure := &Failure{
		Err:     errors.New(strings.TrimSpace(text)),
		IsFinal: d.RetryOn != nil && !slices.Contains(*d.RetryOn, status),
	}
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		failure.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	case http.StatusGone:
		failure.PauseReason = "the target answered 410 Gone"
	}
	return failure
}

// retryAfter reads a Retry-After, which is a number of seconds or an HTTP date. It returns zero for
// anything else.
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
