package e2e

import (
	"encoding/json"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/keys"
	"punctual/internal/testdb/need"
)

// TestDocsAuthorize gives Swagger UI a key and a namespace, as "Authorize" asks for them, and sends
// a request with both.
func TestDocsAuthorize(t *testing.T) {
	t.Parallel()
	browser := need.Program(t, "chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	service, db := setupWithKeys(t)
	_, key := makeKey(t, db, "default", keys.Request{IsServiceWide: true})
	service.as(t, key).namespace(t, client.NamespaceCreate{Name: "payments"})
	ctx, asked := openBrowser(t, browser)

	const listNamespaces, createJob = "#operations-namespaces-listNamespaces", "#operations-jobs-createJob"
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(service.url+"/docs"),
		chromedp.WaitVisible(chromedp.CSS(createJob)),
	), "the page is open to those who have no key")
	status, _ := tryOut(t, ctx, listNamespaces)
	assert.Contains(t, status, "401", "without a key")

	require.NoError(t, chromedp.Do(ctx,
		chromedp.Click(chromedp.CSS(".auth-wrapper .btn.authorize")),
		chromedp.WaitVisible(chromedp.CSS("#auth-bearer-value")),
		chromedp.SendKeys(chromedp.CSS("#auth-bearer-value"), key),
		chromedp.SendKeys(chromedp.CSS("#api_key_value"), "payments"),
	), "both can be entered")
	for range 2 { // each has a button of its own, which then becomes another one
		require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(".dialog-ux .auth-btn-wrapper .btn.authorize"))))
	}
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(".dialog-ux .auth-btn-wrapper .btn-done"))))

	status, answer := tryOut(t, ctx, createJob)
	require.Contains(t, status, "201", "with a key: %s", answer)
	var job client.Job
	require.NoError(t, json.Unmarshal([]byte(answer), &job), "the page shows the job: %s", answer)
	assert.Equal(t, "payments", job.Namespace)

	_, complaints := asked()
	require.Len(t, complaints, 1, "the page has no errors but the refusal")
	assert.Contains(t, complaints[0], "401")
}
