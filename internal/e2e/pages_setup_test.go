package e2e

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb/need"
)

// tab is a browser's tab that shows pages of the dashboard. At the test's end it must not have
// complained, of the policy of pages for example, nor asked another host.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string
	// expected are complaints that the test makes happen, by parts of their texts.
	expected []string
	// elsewhere is where pages may lead besides the service.
	elsewhere string
}

// openTab opens a browser for the dashboard of an instance.
func openTab(t *testing.T, service instance, more ...chromedp.ExecAllocatorOption) *tab {
	t.Helper()
	browser := need.Program(t, "chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	ctx, asked := openBrowser(t, browser, more...)
	shown := &tab{t: t, ctx: ctx, url: service.url}
	here, err := url.Parse(service.url)
	require.NoError(t, err)
	t.Cleanup(func() {
		requests, complaints := asked()
		for _, request := range requests {
			to, err := url.Parse(request)
			require.NoError(t, err)
			assert.True(t, to.Host == here.Host || to.Scheme == "data" || shown.elsewhere != "" && strings.HasPrefix(request, shown.elsewhere), "a page asks another host: %s", request)
		}
		for _, complaint := range complaints {
			assert.True(t, shown.expects(complaint), "the browser complains: %s", complaint)
		}
	})
	return shown
}

func (b *tab) expects(complaint string) bool {
	for _, part := range b.expected {
		if strings.Contains(complaint, part) {
			return true
		}
	}
	return false
}

// do does steps. Each takes far less than its limit, unless the machine is busy.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, step := range steps {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		err := chromedp.Do(ctx, step)
		cancel()
		require.NoError(b.t, err, "the page is %s: %s", b.path(), b.text("body"))
	}
}

// open opens a path of the dashboard.
func (b *tab) open(path string) {
	b.t.Helper()
	eval[any](b, "window.isLeft = true")
	b.do(chromedp.Navigate(b.url + path))
	b.until(`!window.isLeft && document.querySelector("html.scripted") !== null`, "%s is loaded", path)
}

// path is that of the page which is shown, with its query.
func (b *tab) path() string {
	b.t.Helper()
	return eval[string](b, "location.pathname + location.search")
}

// eval computes an expression in the page. It waits for a promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err, "evaluate %s", expression)
	return value
}

// text is the text of the first element that a CSS selector selects, as it is shown, or empty.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, `document.querySelector(`+quoted(selector)+`)?.innerText ?? ""`)
}

// sees waits until an element is visible.
func (b *tab) sees(selector string) {
	b.t.Helper()
	b.until(`document.querySelector(`+quoted(selector)+`)?.checkVisibility() === true`, "%s is visible", selector)
}

// reads waits until an element shows a text, among others.
func (b *tab) reads(selector, text string) {
	b.t.Helper()
	b.until(`[...document.querySelectorAll(`+quoted(selector)+`)].some(e => e.innerText.includes(`+quoted(text)+`))`,
		"%s shows %q", selector, text)
}

// until waits until an expression is true. The page may be another one by then.
func (b *tab) until(expression, format string, args ...any) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		return err == nil && is
	}, patience, 20*time.Millisecond, append([]any{format}, args...)...)
}

// click clicks on an element as soon as it is visible.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// fill replaces what a field has.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)))
	eval[any](b, `document.querySelector(`+quoted(selector)+`).select?.()`)
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// press presses keys, one after the other, wherever the focus is. The page listens to keys when its
// scripts are loaded, which is after it shows something.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.until(`document.readyState === "complete"`, "the page is loaded")
	b.do(chromedp.KeyEvent(keys))
}

// resize gives the window another size.
func (b *tab) resize(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// quoted is a text as JavaScript writes it.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

// clickSummary opens the menu of a name.
func clickSummary(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[any](
			`[...document.querySelectorAll("summary")].find(e => e.innerText.trim() === `+quoted(name)+`).click()`))
		return err
	})
}
