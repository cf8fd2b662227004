package app_test

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
)

// A client that follows events and does not read them is cut off; others get all of them.
func TestSlowFollower(t *testing.T) {
	t.Parallel()
	service := setup(t, app.Config{Role: app.RoleAPI})
	const request, jobs = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n", 1000
	list := make([]client.JobCreate, jobs)
	for n := range list {
		list[n] = client.JobCreate{Name: strings.Repeat("x", 255), OnDemand: new(true)}
	}
	created, err := service.CreateJobsWithResponse(t.Context(), nil, client.JobBatch{Jobs: list})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, created.StatusCode(), "%s", created.Body)

	slow := service.dial(t, "").(*net.TCPConn)
	require.NoError(t, slow.SetReadBuffer(4096))
	_, err = slow.Write([]byte(request))
	require.NoError(t, err)
	quick := bufio.NewReader(service.dial(t, request))
	readTo := func(start string) {
		for line := ""; !strings.HasPrefix(line, start); {
			line, err = quick.ReadString('\n')
			require.NoError(t, err)
			require.NotContains(t, line, "events.lost")
		}
	}
	readTo("id: ")
	require.Eventually(t, func() bool { return streams(t) == 2 }, time.Minute, 10*time.Millisecond, "both follow")
	// Some megabytes are in buffers of the system until nothing more can be written.
	for began := time.Now(); streams(t) > 1; {
		require.Less(t, time.Since(began), 10*time.Minute, "the slow one is cut off")
		for _, action := range []client.JobBulkAction{client.JobBulkActionPAUSE, client.JobBulkActionRESUME} {
			changed, err := service.ChangeJobsWithResponse(t.Context(), nil, client.JobBulk{
				Selector: client.JobSelector{Name: new("xxx")}, Action: action, Reason: new(strings.Repeat("y", 255)),
			})
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, changed.StatusCode(), "%s", changed.Body)
			if action == client.JobBulkActionPAUSE {
				for range changed.JSON200.Changed {
					readTo("event: job.paused")
				}
			}
		}
	}
}

// streams returns how many clients follow events of this process.
func streams(t *testing.T) int {
	t.Helper()
	var stacks bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&stacks, 2))
	return strings.Count(stacks.String(), "VisitStreamEventsResponse(")
}
