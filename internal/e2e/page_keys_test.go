package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// keysOf lists the keys of the namespace.
func (i instance) keysOf(t *testing.T) []client.Key {
	t.Helper()
	got, err := i.ListKeysWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), "listed: %s", got.Body)
	return got.JSON200.Items
}

// A new key is shown once. No page has it afterwards, and no cache keeps the page.
func TestPageKeys(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	b := openTab(t, service)
	b.open("/keys")
	b.click("summary:not(.menu > summary)")
	b.fill("#description", "The shop")
	b.click(".new-thing button.primary")
	b.reads("#scopes", "minimum number of items")
	require.Equal(t, "The shop", eval[string](b, `document.getElementById("description").value`), "the form is as it was sent")
	b.expected = append(b.expected, "400")

	b.click(`input[value="jobs:read"]`)
	b.click(".new-thing button.primary")
	b.reads("#new-key", "shown this once")
	secret := eval[string](b, `document.getElementById("secret").value`)
	key := service.keysOf(t)[0]
	require.Contains(t, secret, key.Id)
	require.Equal(t, []client.Scope{client.ScopeJobsRead}, key.Scopes)

	b.click("#new-key a")
	b.reads("#key-"+key.Id, "The shop")
	b.until(`!document.documentElement.outerHTML.includes("`+secret+`")`, "no other page has the key")
	b.click("#key-" + key.Id + " button")
	b.sees("dialog#confirm")
	b.click("dialog#confirm button[value=yes]")
	b.reads("#notice", "The key is revoked.")
	b.reads("#key-"+key.Id, "Revoked")
	require.Equal(t, client.KeyStatusREVOKED, service.keysOf(t)[0].Status)
}

// A form that is sent again makes no other key.
func TestPageKeys_again(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	send := func() (status int, caching string) {
		answer, err := http.Post(service.url+"/keys", "application/x-www-form-urlencoded",
			strings.NewReader("description=x&scopes=jobs:read&once=0123456789"))
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode, answer.Header.Get("Cache-Control")
	}
	status, caching := send()
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "no-store", caching)
	status, _ = send()
	require.Equal(t, http.StatusConflict, status)
	require.Len(t, service.keysOf(t), 1)
}

// The audit tells who changed what, and leads there.
func TestPageAudit(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	job := service.createJob(t, "report", 3600, `null`)
	b := openTab(t, service)
	b.open("/audit")
	b.reads("#audit", "createJob")
	b.reads("#audit a[href='/jobs/"+job.Id.String()+"']", job.Id.String())
	b.fill("input[name=operation]", "deleteJob")
	b.reads("#audit-list", "No entry matches")
	require.Contains(t, b.path(), "operation=deleteJob")
}
