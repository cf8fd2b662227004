//go:build screenshots

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// TestScreenshots makes the pictures of docs/, of a service in which some things go wrong.
func TestScreenshots(t *testing.T) {
	const into = "../../docs/screenshots"
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.WriteHeader(status)
		_, _ = w.Write([]byte("the ledger is closed for the night"))
	}))
	t.Cleanup(target.Close)
	port := netip.MustParseAddrPort(target.Listener.Addr().String()).Port()
	url := testdb.New(t)
	service := start(t, app.Config{
		Database:           app.DatabaseConfig{URL: url},
		OutboundAllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, OutboundAllowPorts: []uint16{port},
	})
	for name, schedule := range map[string]string{
		"weekday-report": `"cron":"*/15 * * * *","timeZone":"Europe/Berlin"`, "nightly-backup": `"cron":"40 2 * * *","expectSuccessWithinSeconds":60`,
		"refresh-search": `"intervalInSeconds":30`, "import-rates": `"cron":"*/4 * * * *"`, "send-reminders": `"cron":"*/10 * * * *","timeZone":"Asia/Tokyo"`,
		"rotate-logs": `"intervalInSeconds":900`, "cleanup-sessions": `"intervalInSeconds":60`, "poll-inbox": `"intervalInSeconds":20`,
	} {
		job := service.create(t, fmt.Sprintf(`{"name":"%s",%s,"labels":{"team":"platform"}}`, name, schedule))
		for range 12 {
			service.startRun(t, job.Id, client.OverlapPolicyOverrideALLOWALL)
		}
	}
	var failing client.Job
	for name, status := range map[string]int{"settle-payments": 502, "sync-crm": 401, "export-ledger": 500, "notify-partners": 404} {
		failing = service.create(t, fmt.Sprintf(`{"name":"%s","intervalInSeconds":120,"maxAttempts":1,"labels":{"team":"payments"},`+
			`"target":{"type":"http","url":"%s/%d"}}`, name, target.URL, status))
		for range status % 7 {
			service.startRun(t, failing.Id, client.OverlapPolicyOverrideALLOWALL)
		}
		service.startRun(t, failing.Id, client.OverlapPolicyOverrideALLOWALL)
	}
	service.create(t, fmt.Sprintf(`{"name":"old-webhook","intervalInSeconds":4,"maxAttempts":1,"target":{"type":"http","url":"%s/410"}}`, target.URL))
	waits := service.create(t, `{"name":"render-invoices","intervalInSeconds":20,"target":{"type":"worker","queue":"invoices"}}`)
	db := connect(t, url)
	age(t, db, waits.Id, 5*time.Minute)

	b := openTab(t, service)
	b.expected = []string{""}
	b.open("/")
	until := time.Now().Add(3 * time.Minute) // an instance counts once a minute
	for !strings.Contains(b.text("#attention"), "overdue") || b.text("#numbers dd") == "0" || b.text("#overdue") == "" {
		require.True(t, time.Now().Before(until), b.text("main"))
		b.press("x") // any key: it takes a moment
		b.open("/")
	}
	_, err := db.Exec(t.Context(), `
		insert into run_stats
		select namespace, label, starts_at - n * interval '1 hour', is_hour, trigger, target_type, succeeded * (40 + (n * 7) % 13),
			failed * ((n * 5) % 4), canceled, skipped + case when n = 9 then 300 else 0 end, labels_left_out, max_lateness, lateness, duration
		from run_stats, generate_series(1, 23) n
		on conflict do nothing`)
	require.NoError(t, err)
	run := service.listRuns(t, failing.Id)[0]
	picture := func(name, path, theme string, width, height int64) {
		b.resize(width, height)
		eval[any](b, `document.cookie = "theme=`+theme+`; path=/"; document.cookie`)
		b.open(path)
		if path == "/" {
			b.until(`document.querySelectorAll("#numbers canvas").length === 2`, "the charts are drawn")
		}
		png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(into, name+".png"), png, 0o644))
	}
	for _, theme := range []string{"light", "dark"} {
		picture("home-"+theme, "/", theme, 1440, 900)
		picture("home-phone-"+theme, "/", theme, 375, 800)
	}
	picture("jobs", "/jobs", "light", 1440, 900)
	picture("job", "/jobs/"+run.JobId.String(), "light", 1440, 900)
	picture("run", "/runs/"+run.Id.String(), "light", 1440, 900)
}
