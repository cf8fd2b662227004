package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"punctual"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"punctual/gen/client"
	"punctual/internal/testdb/need"
)

// TestDocs uses Swagger UI in a real browser. The page must work without any other host, because
// the service may run in a closed network.
func TestDocs(t *testing.T) {
	t.Parallel()
	browser := need.Program(t, "chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	service, db := setup(t)
	ctx, asked := openBrowser(t, browser)

	const createJob = "#operations-jobs-createJob"
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(service.url+"/docs"),
		chromedp.WaitVisible(chromedp.CSS(createJob)),
	), "the page shows the operations")
	shown, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](
		`[...document.querySelectorAll(".opblock")].map(e => e.id.split("-").pop())`))
	require.NoError(t, err)
	assert.Equal(t, operationIDs(t), shown, "all of them, in the author's order")

	status, answer := tryOut(t, ctx, createJob)
	assert.Contains(t, status, "201", "the page shows the answer")
	var job client.Job
	require.NoError(t, json.Unmarshal([]byte(answer), &job), "the page shows the job: %s", answer)
	var name string
	require.NoError(t, db.QueryRow(t.Context(), "select name from jobs where id = $1", job.Id).Scan(&name), "it is stored")
	assert.Equal(t, job.Name, name)
	status, answer = tryOut(t, ctx, "#operations-jobs-putJobByKey")
	assert.Contains(t, status, "201", "the page fills in no condition: %s", answer)
	_, answer = tryOut(t, ctx, "#operations-jobs-listJobs")
	assert.Contains(t, answer, job.Name, "the page fills in no filter")

	here, err := url.Parse(service.url)
	require.NoError(t, err)
	requests, complaints := asked()
	require.NotEmpty(t, requests)
	for _, request := range requests {
		to, err := url.Parse(request)
		require.NoError(t, err)
		assert.True(t, to.Host == here.Host || to.Scheme == "data" || to.Scheme == "blob", "the page asks another host: %s", request)
	}
	assert.Empty(t, complaints, "the page has no errors")
}

// tryOut opens an operation of Swagger UI, sends its first example, and returns the status and the
// body of the answer as the page shows them.
func tryOut(t *testing.T, ctx context.Context, operation string) (status, body string) {
	t.Helper()
	within := func(selector string) chromedp.CSS { return chromedp.CSS(operation + " " + selector) }
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Click(within(".opblock-summary-control")),
		// "Try it out" is on already and has the first example.
		chromedp.WaitVisible(within(".execute")),
		chromedp.Click(within(".execute")),
		chromedp.WaitVisible(within(".live-responses-table tbody .response-col_status")),
	), "the example can be sent")
	status, err := chromedp.Run(ctx, chromedp.Text(within(".live-responses-table tbody .response-col_status")))
	require.NoError(t, err)
	body, err = chromedp.Run(ctx, chromedp.TextContent(within(".live-responses-table tbody .response-col_description pre code")))
	require.NoError(t, err)
	return status, body
}

// openBrowser starts a browser until the test's end. asked returns the requests and the errors of
// the page.
func openBrowser(
	t *testing.T, path string, more ...chromedp.ExecAllocatorOption,
) (ctx context.Context, asked func() (requests, complaints []string)) {
	t.Helper()
	options := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 1600),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true),
		// The browser itself must not contact any host either.
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
	}, more...)
	bounded, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	allocated, cancel := chromedp.NewExecAllocator(bounded, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // waits for the browser's end, so that its directory can be removed

	var mu sync.Mutex
	var requests, complaints []string
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			requests = append(requests, e.Request.URL)
		case *network.EventWebSocketCreated:
			requests = append(requests, e.URL)
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Text)
		case *cdplog.EventEntryAdded: // what a policy blocks is here
			if e.Entry.Level == cdplog.EntryLevelError {
				complaints = append(complaints, e.Entry.Text)
			}
		}
	}), "the browser starts")
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
	require.NoError(t, err)
	return ctx, func() ([]string, []string) {
		mu.Lock()
		defer mu.Unlock()
		return requests, complaints
	}
}

// operationIDs returns the ids of all operations in the author's order, which goes by tags.
func operationIDs(t *testing.T) (ids []string) {
	t.Helper()
	var contract struct {
		Tags  []struct{ Name string }
		Paths yaml.Node
	}
	require.NoError(t, yaml.Unmarshal(punctual.OpenAPI, &contract))
	for _, tag := range contract.Tags {
		for i := 1; i < len(contract.Paths.Content); i += 2 {
			for _, value := range contract.Paths.Content[i].Content {
				var op struct {
					OperationID string `yaml:"operationId"`
					Tags        []string
				}
				if value.Kind == yaml.MappingNode && value.Decode(&op) == nil && slices.Contains(op.Tags, tag.Name) {
					ids = append(ids, op.OperationID)
				}
			}
		}
	}
	return ids
}

func fetch(t *testing.T, from string) (mediaType string, content []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, from, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	content, err = io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.Header.Get("Content-Type"), content
}
