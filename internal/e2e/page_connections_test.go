package e2e

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
	"punctual/internal/app"
	"punctual/internal/testdb"
)

// crm reads the connection crm, or nil if there is none.
func (i instance) crm(t *testing.T) *client.Connection {
	t.Helper()
	got, err := i.GetConnectionWithResponse(t.Context(), "crm")
	require.NoError(t, err)
	return got.JSON200
}

// Connections are created, changed and deleted. Their secrets are written and never shown.
func TestPageConnections(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{
		Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}, SecretKeys: keyring(t, "pages"),
	})
	b := openTab(t, service)
	b.expected = append(b.expected, "400")
	b.open("/connections")
	b.click(".new-thing summary")
	b.fill("#key", "crm")
	b.fill("#baseUrl", "https://crm.example.com/api")
	b.do(chromedp.SetValue(chromedp.CSS(`select[name="auth.type"]`), "bearer"))
	b.sees(`input[name="auth.token"]`)
	b.until(`!document.querySelector('input[name="auth.password"]').checkVisibility()`, "only fields of this kind are shown")
	b.fill(`input[name="auth.token"]`, "s3cret-of-the-crm")
	b.fill("#headers", "Accept: text/plain")
	eval[any](b, `document.getElementById("maxConcurrency").value = "0"`)
	b.click(".new-thing button.primary")
	b.sees(".field.wrong #maxConcurrency")
	b.until(`!document.documentElement.outerHTML.includes("s3cret")`, "a secret is not shown again")
	eval[any](b, `document.getElementById("maxConcurrency").value = "3"`)
	b.fill(`input[name="auth.token"]`, "s3cret-of-the-crm")
	b.click(".new-thing button.primary")
	b.reads("#notice", "The connection is created.")
	b.reads("h1", "Connection crm")
	b.reads("[aria-labelledby=calls]", "auth.token")
	b.reads("[aria-labelledby=calls]", "Accept: text/plain")
	stored := service.crm(t)
	require.EqualValues(t, 3, stored.MaxConcurrency)
	require.Equal(t, []string{"auth.token"}, stored.Secrets)

	b.click(".head a.button")
	b.fill("#maxPerSecond", "20")
	b.click("form.card button.primary")
	b.reads("#notice", "The connection is changed.")
	stored = service.crm(t)
	require.EqualValues(t, 20, *stored.MaxPerSecond)
	require.Equal(t, []string{"auth.token"}, stored.Secrets, "a secret that is not given stays")

	job := service.create(t, `{"name":"x","onDemand":true,"target":{"type":"http","connection":"crm","path":"/x"}}`)
	service.create(t, `{"name":"other","onDemand":true}`)
	b.click("#connection-state a")
	b.reads("main", "x")
	b.until(`document.querySelectorAll("#job-list tbody tr").length === 1`, "only jobs of the connection are listed")
	require.Contains(t, b.path(), "connection=crm")
	b.open("/connections/crm")
	b.click(".head button.danger")
	b.click("dialog#confirm button[value=yes]")
	b.sees("#notice .failed")
	require.NotNil(t, service.crm(t), "a job uses it")
	deleted, err := service.DeleteJobWithResponse(t.Context(), job.Id, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	b.click(".head button.danger")
	b.click("dialog#confirm button[value=yes]")
	b.reads("#notice", "The connection is deleted.")
	require.Nil(t, service.crm(t))
}

func connectionShown(t *testing.T, service instance) string {
	t.Helper()
	if service.crm(t) == nil {
		got, err := service.CreateConnectionWithResponse(t.Context(), nil, client.ConnectionCreate{
			Key: "crm", BaseUrl: "https://a-customer-relationship-management.example.com/api/v2/with/a/long/path",
		})
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, got.StatusCode(), "created: %s", got.Body)
	}
	return "/connections/crm"
}
