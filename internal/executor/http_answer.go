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
	"unicode/utf8"
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
	isTruncated = err != nil || len(read) > MaxOutput
	shown := storable(hide.redact(clip(read, MaxOutput), isTruncated))
	if len(shown) > MaxOutput { // what was replaced made it longer
		shown, isTruncated = clip(shown, MaxOutput), true
	}
	return string(shown), isTruncated, err
}

// storable makes bytes text that PostgreSQL takes. NUL is replaced, not dropped: what it parts must not become one.
func storable(b []byte) []byte {
	return []byte(strings.ToValidUTF8(strings.ReplaceAll(string(b), "\x00", "\uFFFD"), "\uFFFD"))
}

// clip cuts b to at most size bytes, and not within a character.
func clip(b []byte, size int) []byte {
	if len(b) <= size {
		return b
	}
	for end := size; end > size-utf8.UTFMax && end > 0; end-- {
		if utf8.RuneStart(b[end]) {
			return b[:end]
		}
	}
	return b[:size]
}
