package e2e

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// Somebody without a mouse finds a job that fails, reads why, and runs it again.
func TestPages_keyboardOnly(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	service.failedRuns(t, 1)
	service.create(t, `{"name":"another","intervalInSeconds":3600}`)
	b := openTab(t, service)
	const focused = `document.activeElement.innerText`
	b.open("/")
	b.press(kb.Tab)
	require.Equal(t, "Skip to the content", eval[string](b, focused))
	require.NotEqual(t, "none", eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`), "the focus is seen")
	b.press(kb.Enter)
	require.Equal(t, "main", eval[string](b, `document.activeElement.id`))

	b.press("?")
	b.sees("#keys[open]")
	b.press(kb.Escape)
	b.until(`document.querySelector("#keys[open]") === null`, "the help is closed")

	b.press("g")
	b.press("j")
	b.reads("h1", "Jobs")
	b.press("/")
	b.until(`document.activeElement.type === "search"`, "somebody can type")
	b.press(kb.Backspace) // the protocol of the browser writes the key although the page has taken it
	b.press("import")
	b.until(`document.querySelectorAll("#job-list tbody tr").length === 1`, "only one job is found")
	require.Equal(t, "import", eval[string](b, `document.activeElement.value`), "the focus stays")
	b.until(`location.search.includes("import")`, "the filter is in the URL")
	b.press(kb.Escape)
	eval[any](b, `document.activeElement.blur()`)
	b.press("j")
	b.until(`document.activeElement.closest("tbody tr") !== null`, "the row is chosen")
	b.press(kb.Enter)
	b.reads("h1", "import")

	b.press("g")
	b.press("h")
	b.reads("#failing", "import")
	for range 100 {
		if eval[string](b, focused) == "Retry" {
			break
		}
		b.press(kb.Tab)
	}
	b.press(kb.Enter)
	b.reads("#notice", "retr")
}
