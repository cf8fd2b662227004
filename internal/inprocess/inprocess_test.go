package inprocess_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/inprocess"
)

func send(ctx context.Context, t *testing.T, handler http.HandlerFunc, body string) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://punctual/path?a=b", strings.NewReader(body))
	require.NoError(t, err)
	client := http.Client{Transport: inprocess.Transport{Handler: handler}}
	return client.Do(request)
}

func TestTransport(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "of the caller")
	answer, err := send(ctx, t, func(w http.ResponseWriter, r *http.Request) {
		assert.Nil(t, r.Context().Value(key{}), "as over a connection")
		assert.True(t, inprocess.Is(r.Context()))
		w.Header().Set("X-Of", r.Host+" "+r.RequestURI)
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-Late", "is not sent")
		_, err := io.Copy(w, r.Body)
		assert.NoError(t, err)
	}, "hello")
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, "hello", string(body))
	require.Equal(t, http.StatusTeapot, answer.StatusCode)
	require.Equal(t, "punctual /path?a=b", answer.Header.Get("X-Of"))
	require.Empty(t, answer.Header.Get("X-Late"))
	require.False(t, inprocess.Is(t.Context()))
}

func TestTransport_stream(t *testing.T) {
	t.Parallel()
	next, ended := make(chan string), make(chan struct{})
	answer, err := send(t.Context(), t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.(http.Flusher).Flush()
		for {
			select {
			case text := <-next:
				_, _ = fmt.Fprintln(w, text)
			case <-r.Context().Done():
				return
			}
		}
	}, "")
	require.NoError(t, err, "the answer is there before its end")
	lines := bufio.NewScanner(answer.Body)
	for _, text := range []string{"one", "two"} {
		next <- text
		require.True(t, lines.Scan())
		require.Equal(t, text, lines.Text())
	}
	require.NoError(t, answer.Body.Close())
	<-ended
}

func TestTransport_noAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := send(ctx, t, func(_ http.ResponseWriter, r *http.Request) { //nolint:bodyclose // there is none
		cancel()
		<-r.Context().Done()
	}, "")
	require.ErrorIs(t, err, context.Canceled)
	_, err = send(t.Context(), t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "") //nolint:bodyclose // there is none
	require.ErrorIs(t, err, http.ErrAbortHandler)
	answer, err := send(t.Context(), t, func(http.ResponseWriter, *http.Request) {}, "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.NoError(t, answer.Body.Close())
}
