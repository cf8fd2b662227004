package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// Somebody on call opens the page and reads what is wrong, and why, among ten thousand jobs.
func TestPageHome(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.WriteHeader(status)
	}))
	t.Cleanup(target.Close)
	port := netip.MustParseAddrPort(target.Listener.Addr().String()).Port()
	url := testdb.New(t)
	db := connect(t, url)
	service := start(t, app.Config{
		Role: app.RoleAPI, Database: app.DatabaseConfig{URL: url},
		OutboundAllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, OutboundAllowPorts: []uint16{port},
	})
	healthy := client.JobBatch{}
	for n := range 1000 {
		healthy.Jobs = append(healthy.Jobs, client.JobCreate{Name: fmt.Sprintf("healthy-%d", n), IntervalInSeconds: new(int64(86_400))})
	}
	for range 10 {
		stored, err := service.CreateJobsWithResponse(t.Context(), nil, healthy)
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, stored.StatusCode(), "%s", stored.Body)
	}
	b := openTab(t, service)
	b.open("/")
	b.reads("#attention", "Nothing needs attention")
	b.reads("#upcoming", "No run is due in the next hour")

	statuses := []int{500, 502, 404, 403, 400, 500, 502}
	for n, status := range statuses {
		job := service.create(t, fmt.Sprintf(`{"name":"broken-%d","intervalInSeconds":3600,"maxAttempts":1,"target":{"type":"http","url":"%s/%d"}}`, n, target.URL, status))
		age(t, db, job.Id, time.Hour)
	}
	service.create(t, `{"name":"later","intervalInSeconds":600}`)
	waits := service.create(t, `{"name":"render","intervalInSeconds":3600,"target":{"type":"worker","queue":"reports"}}`)
	age(t, db, waits.Id, 70*time.Minute)
	service.executes(t, len(statuses))
	b.open("/")
	b.reads(".tile.bad", "7\nfailing")
	b.reads(`.tile[href="#queues"]`, "1")
	for n, status := range statuses {
		b.reads("#failing", fmt.Sprintf("broken-%d", n))
		b.reads("#failing", strconv.Itoa(status))
	}
	b.reads("#queues", "reports")
	b.reads("#upcoming", "later")
	assert.Equal(t, 60, eval[int](b, `document.querySelectorAll("#upcoming rect").length`))

	// The button that helps.
	first := eval[string](b, `document.querySelector("#failing article .name").innerText`)
	b.click("#failing article form button")
	b.reads("#notice", "retr")
	require.NotEmpty(t, first)
	b.open("/?over=1h")
	b.reads("#numbers", "Succeeded")
	b.until(`document.querySelectorAll("#numbers canvas").length === 2`, "the charts are drawn")
}

// homeShown is the home page of somebody who has something to do.
func homeShown(t *testing.T, service instance) string {
	t.Helper()
	service.failedRuns(t, 1)
	service.create(t, `{"name":"hourly","intervalInSeconds":600}`)
	return "/"
}
