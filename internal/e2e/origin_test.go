package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	cdpfetch "github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/testdb/need"
)

// attack tries everything that a page can do to create a job or to start a run at %[1]s. %[2]s is a
// job.
const attack = `(async () => {
	const service = "%[1]s", job = "%[2]s"
	const body = JSON.stringify({name: "attack", intervalInSeconds: 60})
	const json = {"Content-Type": "application/json"}
	const form = (action, name) => new Promise(done => {
		const frame = document.createElement("iframe")
		frame.name = name
		document.body.append(frame)
		const form = document.createElement("form")
		Object.assign(form, {method: "post", action, target: name, enctype: "text/plain"})
		const field = document.createElement("input")
		Object.assign(field, {name: body.slice(0, -1) + ',"payload":"', value: '"}'})
		form.append(field)
		document.body.append(form)
		frame.onload = done
		form.submit()
	})
	await Promise.allSettled([
		fetch(service + "/api/v1/jobs", {method: "POST", headers: json, body}),
		fetch(service + "/api/v1/jobs", {method: "POST", headers: json, body, credentials: "include"}),
		fetch(service + "/api/v1/jobs", {method: "POST", mode: "no-cors", body}),
		fetch(service + "/api/v1/jobs/" + job + "/run", {method: "POST", mode: "no-cors"}),
		fetch(service + "/api/v1/jobs/" + job, {method: "DELETE"}),
		form(service + "/api/v1/jobs", "a"),
		form(service + "/api/v1/jobs/" + job + "/run", "b"),
	])
	navigator.sendBeacon(service + "/api/v1/jobs/" + job + "/run")
	await fetch(service + "/api/v1/jobs/" + job + "/run", {method: "POST", mode: "no-cors"}).catch(() => {})
	return true
})()`

// No page in a browser on the service's machine changes anything, wherever the page comes from.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	browser := need.Program(t, "chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	service, db := setup(t)
	job := service.createJob(t, "victim", 3600, `{}`)
	at, err := url.Parse(service.url)
	require.NoError(t, err)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><body>an attack"))
	}))
	t.Cleanup(page.Close)
	elsewhere, err := url.Parse(page.URL)
	require.NoError(t, err)

	ctx, _ := openBrowser(t, browser,
		chromedp.Flag("host-resolver-rules", "MAP evil.test 127.0.0.1, MAP rebound.test 127.0.0.1"),
		// Browsers begin to ask the user before a page may reach a local address. Many do not yet.
		chromedp.Flag("disable-features", "LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"))
	answered := openPages(t, ctx, at.Port())
	rebound := "http://rebound.test:" + at.Port()
	for _, c := range []struct{ name, from, to string }{
		{"another port", page.URL, service.url},
		{"another name", "http://evil.test:" + elsewhere.Port(), service.url},
		{"another name, to localhost", "http://evil.test:" + elsewhere.Port(), "http://localhost:" + at.Port()},
		// The name used to lead to the attacker's server, which sent the page.
		{"a name that leads to the service", rebound + interceptedPath, rebound},
	} {
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(c.from), chromedp.WaitReady(chromedp.CSS("body"))), c.name)
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(attack, c.to, job.Id), chromedp.EvalAwaitPromise))
		require.NoError(t, err, c.name)
		answers := answered()
		require.GreaterOrEqual(t, len(answers), 4, "%s: the requests have reached the service", c.name)
		for _, answer := range answers {
			// 405 answers the question whether a page of another origin may send this (OPTIONS).
			assert.Contains(t, []int64{http.StatusForbidden, http.StatusMethodNotAllowed}, answer.Status, "%s: %s", c.name, answer.URL)
		}
	}
	var jobs, due, runs int
	require.NoError(t, db.QueryRow(t.Context(), "select (select count(*) from jobs), (select count(*) from due), (select count(*) from runs)").
		Scan(&jobs, &due, &runs))
	require.Equal(t, []int{1, 1, 0}, []int{jobs, due, runs}, "nothing is created, started or deleted")
	require.Equal(t, client.JobStatusACTIVE, service.getJob(t, job.Id).Status)
}

const interceptedPath = "/page-of-an-attacker"

// openPages makes the browser show an empty page at interceptedPath, whatever the host, without
// asking it. answered returns the answers of a port since the last call.
func openPages(t *testing.T, ctx context.Context, port string) (answered func() []*network.Response) {
	t.Helper()
	var mu sync.Mutex
	var answers []*network.Response
	paused := make(chan cdpfetch.RequestID, 16)
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *cdpfetch.EventRequestPaused:
			paused <- e.RequestID
		case *network.EventResponseReceived:
			if to, err := url.Parse(e.Response.URL); err == nil && to.Port() == port && to.Path != interceptedPath {
				mu.Lock()
				defer mu.Unlock()
				answers = append(answers, e.Response)
			}
		}
	}))
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case id := <-paused:
				_, _ = chromedp.Call(ctx, cdpfetch.FulfillRequest, cdpfetch.FulfillRequestParams{
					RequestID: id, ResponseCode: http.StatusOK, Body: []byte("<!doctype html><body>an attack"),
					ResponseHeaders: []*cdpfetch.HeaderEntry{{Name: "Content-Type", Value: "text/html"}},
				}) // without it, the navigation fails
			}
		}
	}()
	_, err := chromedp.Call(ctx, cdpfetch.Enable, cdpfetch.EnableParams{
		Patterns: []*cdpfetch.RequestPattern{{URLPattern: "*" + interceptedPath}},
	})
	require.NoError(t, err)
	return func() []*network.Response {
		mu.Lock()
		defer mu.Unlock()
		taken := answers
		answers = nil
		return taken
	}
}
