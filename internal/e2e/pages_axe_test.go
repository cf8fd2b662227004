package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// axeDir has axe-core, which finds what people with disabilities cannot use.
const axeDir = "testdata/axe"

// violation is what axe-core finds.
type violation struct {
	ID, Help string
	Nodes    []struct{ HTML, FailureSummary string }
}

// TestPages_accessible lets axe-core look at each page, by the rules of WCAG 2.2 AA and by its best
// practices.
func TestPages_accessible(t *testing.T) {
	t.Parallel()
	findNode(t)
	require.NoError(t, installNode(axeDir), "axe-core is installed")
	axe, err := os.ReadFile(filepath.Join(axeDir, "node_modules/axe-core/axe.min.js"))
	require.NoError(t, err)
	service, _ := setup(t)
	b := openTab(t, service)
	b.open("/")
	violations := func() (found []violation) {
		// The browser's protocol is not bound to the policy of the page.
		_, err := chromedp.Run(b.ctx, chromedp.Evaluate[any](string(axe)+"; null"))
		require.NoError(t, err)
		text := eval[string](b, `axe.run(document, {resultTypes: ["violations"]}).then((found) => JSON.stringify(found.violations))`)
		require.NoError(t, json.Unmarshal([]byte(text), &found))
		return found
	}
	look := func(path, how string) {
		for _, violation := range violations() {
			for _, node := range violation.Nodes {
				assert.Fail(t, "axe-core finds: "+violation.ID, "%s, %s: %s\n%s\n%s", path, how, violation.Help, node.HTML, node.FailureSummary)
			}
		}
	}
	for _, page := range shownPages {
		path := page.path(t, service)
		for _, as := range []struct {
			theme string
			width int64
		}{{"light", 1440}, {"dark", 375}} {
			b.resize(as.width, 900)
			eval[any](b, `document.cookie = "theme=`+as.theme+`; path=/"`)
			b.open(path)
			look(path, as.theme)
		}
	}
	eval[any](b, `document.querySelectorAll("details").forEach((menu) => { menu.open = true })`)
	look("the last page", "with its menus open")
	eval[any](b, `document.getElementById("keys").showModal()`)
	look("the last page", "with the help open")

	eval[any](b, `document.getElementById("keys").close()`)
	eval[any](b, `document.body.append(document.createElement("img"))`)
	require.NotEmpty(t, violations(), "it does find an image without a text")

	closed, _ := setupWithKeys(t)
	b.url, b.elsewhere = closed.url, closed.url
	b.open("/sign-in")
	look("/sign-in", "light")
}
