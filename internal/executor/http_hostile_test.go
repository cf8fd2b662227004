package executor

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests do not run in parallel, because they count what the process allocates.

// maxAllocated is how much an attempt and its receiver can allocate, in bytes.
const maxAllocated = 4 << 20

const deadline = 500 * time.Millisecond

// attempt executes a run against a raw receiver. It must end soon after its deadline, and without
// allocating much.
func attempt(t *testing.T, answer func(conn net.Conn)) (*Result, error) {
	t.Helper()
	url, addr := raw(t, answer)
	target, run := executor(t, addr), newRun(t, fields{"url": url}, fields{"secretHeaders": fields{"X-Key": secretWord}})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	result, err := target.Execute(ctx, run)
	assert.Less(t, time.Since(began), deadline+2*time.Second, "it ends soon after its deadline")
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(maxAllocated), "bytes allocated")
	return result, err
}

// writeUntilCutOff writes text again and again, up to size bytes.
func writeUntilCutOff(conn net.Conn, text string, size int) {
	chunk := []byte(strings.Repeat(text, 1+(64<<10)/len(text)))
	for written := 0; written < size; written += len(chunk) {
		if _, err := conn.Write(chunk); err != nil {
			return
		}
	}
}

// writeEach writes text at each tick until the other end closes the connection.
func writeEach(conn net.Conn, tick time.Duration, text string) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for range ticker.C {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

func TestLargeAnswerIsCutOff(t *testing.T) {
	for name, header := range map[string]string{
		"with its length": ok + "Content-Length: 1073741824\r\n\r\n",
		"without":         ok + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			result, err := attempt(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, header)
				writeUntilCutOff(conn, "a", 1<<30)
			})
			require.NoError(t, err, "its beginning is enough")
			require.Equal(t, strings.Repeat("a", MaxOutput), result.Output)
			require.True(t, result.OutputIsTruncated)
		})
	}
}

func TestLargeChunkExtensionIsCutOff(t *testing.T) {
	result, err := attempt(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, ok+"Transfer-Encoding: chunked\r\n\r\n1;")
		writeUntilCutOff(conn, "a", 1<<30)
	})
	require.NoError(t, err, "the status decides")
	require.True(t, result.OutputIsTruncated)
}

func TestEndlessHeadersAreCutOff(t *testing.T) {
	for name, row := range map[string]struct{ first, repeated string }{
		"many":          {ok, "X-A: b\r\n"},
		"a long one":    {ok + "X-A: ", "b"},
		"the status":    {"HTTP/1.1 200 ", "b"},
		"informational": {"", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := attempt(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, row.first)
				writeUntilCutOff(conn, row.repeated, 1<<30)
			})
			require.ErrorContains(t, err, "headers exceeded 65536 bytes")
			require.Zero(t, result.StatusCode)
		})
	}
}

func TestTrickleIsCutOffByTheDeadline(t *testing.T) {
	for name, row := range map[string]struct{ first, trickle string }{
		"nothing": {"", ""},
		"headers": {ok + "X-A: ", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := attempt(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, row.first)
				if row.trickle == "" {
					_, _ = conn.Read(make([]byte, 1)) // until the other end closes
					return
				}
				writeEach(conn, 20*time.Millisecond, row.trickle)
			})
			require.EqualError(t, err, "there was no answer in time")
			assert.Empty(t, result.Output)
		})
	}
}

func TestCompressedBodyIsCutOff(t *testing.T) {
	for name, body := range map[string][]byte{
		"large":                      gzipped(t, strings.Repeat("a", 64<<20)),
		"of empty parts without end": bytes.Repeat(gzipped(t, ""), 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			result, err := attempt(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, ok+"Content-Encoding: gzip\r\n\r\n")
				_, _ = conn.Write(body)
			})
			require.NoError(t, err)
			require.True(t, result.OutputIsTruncated)
			require.LessOrEqual(t, len(result.Output), MaxOutput)
		})
	}
}

func TestSwitchOfProtocolsDoesNotOutliveTheDeadline(t *testing.T) {
	_, err := attempt(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = conn.Read(make([]byte, 1)) // until the other end closes
	})
	require.ErrorContains(t, err, "answered 101 Switching Protocols")
}
