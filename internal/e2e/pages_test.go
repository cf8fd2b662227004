package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shownPage is a page of the dashboard.
type shownPage struct {
	// title is that of its head.
	title string
	// path is where it is. It may make what the page is to show.
	path func(*testing.T, instance) string
}

func at(path string) func(*testing.T, instance) string {
	return func(*testing.T, instance) string { return path }
}

// under is a path below another one.
func under(path func(*testing.T, instance) string, more string) func(*testing.T, instance) string {
	return func(t *testing.T, service instance) string {
		t.Helper()
		return path(t, service) + more
	}
}

// shownPages are all pages. A new page is a line here.
var shownPages = []shownPage{
	{"Home", homeShown},
	{"Jobs", func(t *testing.T, service instance) string {
		t.Helper()
		jobsShown(t, service)
		return "/jobs"
	}},
	{"payments with a name that is longer than a phone is wide", jobShown("")},
	{"Versions of payments with a name that is longer than a phone is wide", jobShown("/versions")},
	{"Numbers of payments with a name that is longer than a phone is wide", jobShown("/stats")},
	{"Edit payments with a name that is longer than a phone is wide", jobShown("/edit")},
	{"Pause payments with a name that is longer than a phone is wide", jobShown("/pause")},
	{"Run payments with a name that is longer than a phone is wide", jobShown("/run")},
	{"Backfill payments with a name that is longer than a phone is wide", jobShown("/backfill")},
	{"Delete payments with a name that is longer than a phone is wide", jobShown("/delete")},
	{"New job", at("/jobs/new")},
	{"Pause jobs", at("/jobs/bulk?action=PAUSE&of=all")},
	{"Instances", at("/instances")},
	{"Queues", queuesShown},
	{"Runs", runsShown},
	{"Retry runs", at("/runs/bulk?of=all&action=RETRY&status=FAILED")},
	{"Run of import", func(t *testing.T, service instance) string {
		t.Helper()
		return "/runs/" + service.failedRuns(t, 1)[0].Id.String()
	}},
	{"Connections", at("/connections")},
	{"Connection crm", connectionShown},
	{"Edit crm", under(connectionShown, "/edit")},
	{"Calendars", at("/calendars")},
	{"Calendar berlin", calendarShown},
	{"Edit berlin", under(calendarShown, "/edit")},
	{"Keys", at("/keys")},
	{"Audit", at("/audit")},
	{"Namespaces", at("/namespaces")},
	{"Namespace default", at("/namespaces/default")},
}

// TestPages looks at each page in the ways in which people look: on a phone and on a large screen,
// in the light and in the dark. No page may be wider than its window.
func TestPages(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	b := openTab(t, service)
	b.open("/")
	for _, page := range shownPages {
		path := page.path(t, service)
		for _, width := range []int64{375, 1440} {
			b.resize(width, 900)
			for _, theme := range []string{"light", "dark"} {
				// Reading a cookie waits until the browser has stored it.
				eval[any](b, `document.cookie = "theme=`+theme+`; path=/"; document.cookie`)
				b.open(path)
				assert.Equal(t, page.title, b.text("h1"), path)
				assert.Equal(t, theme, eval[string](b, "getComputedStyle(document.documentElement).colorScheme"), path)
				assert.LessOrEqual(t, eval[int64](b, "document.documentElement.scrollWidth"), width, "%s is too wide for %d pixels", path, width)
			}
		}
	}
}

// TestPages_weight loads each page with nothing in the cache.
func TestPages_weight(t *testing.T) {
	t.Parallel()
	const limit = 150_000 // bytes, compressed
	service, _ := setup(t)
	for _, page := range shownPages {
		b := openTab(t, service)
		b.open(page.path(t, service))
		weight := eval[int](b, `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
			.filter(e => !e.name.includes("/live")).reduce((sum, e) => sum + e.encodedBodySize, 0)`)
		assert.Less(t, weight, limit, page.title)
		assert.Positive(t, weight)
	}
}

// TestPages_withoutScripts reads each page as a browser does that runs no scripts.
func TestPages_withoutScripts(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	for _, page := range shownPages {
		mediaType, body := fetch(t, service.url+page.path(t, service))
		assert.Equal(t, "text/html; charset=utf-8", mediaType)
		assert.Contains(t, string(body), "<h1>"+page.title, page.title)
		assert.NotContains(t, string(body), "<script>", "no script stands in a page")
		assert.NotContains(t, string(body), " style=", "nor does a style")
	}
}

// A form of another site is refused, whatever cookies come with it.
func TestPages_crossOrigin(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	send := func(site string) *http.Response {
		form := url.Values{"theme": {"dark"}, "back": {"//evil.test"}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, service.url+"/preferences", strings.NewReader(form.Encode()))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Sec-Fetch-Site", site)
		answer, err := http.DefaultTransport.RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer
	}
	refused := send("cross-site") //nolint:bodyclose // it is closed
	require.Equal(t, http.StatusForbidden, refused.StatusCode)
	require.Empty(t, refused.Cookies())
	taken := send("same-origin") //nolint:bodyclose // it is closed
	require.Equal(t, http.StatusSeeOther, taken.StatusCode)
	require.Equal(t, "/", taken.Header.Get("Location"), "and leads nowhere else")
	require.Equal(t, "theme", taken.Cookies()[0].Name)
}
