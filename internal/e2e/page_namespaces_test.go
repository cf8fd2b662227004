package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// billing reads the namespace billing, or nil if there is none.
func (i instance) billing(t *testing.T) *client.Namespace {
	t.Helper()
	got, err := i.GetNamespaceWithResponse(t.Context(), "billing")
	require.NoError(t, err)
	return got.JSON200
}

// Namespaces are created, limited, suspended, resumed and deleted, and people go there.
func TestPageNamespaces(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	b := openTab(t, service)
	b.expected = append(b.expected, "400", "409")
	b.open("/namespaces")
	b.click(".new-thing summary")
	b.fill("#name", "Billing")
	b.click(".new-thing button.primary")
	b.sees(".field.wrong #name")
	b.fill("#name", "billing")
	b.fill("#maxJobs", "7")
	b.click(".new-thing button.primary")
	b.reads("#notice", "The namespace is created.")
	b.reads("h1", "Namespace billing")
	require.EqualValues(t, 7, *service.billing(t).MaxJobs)

	b.fill("#maxJobs", "")
	eval[any](b, `document.getElementById("maxJobs").value = ""`)
	b.fill("#runRetentionDays", "5")
	b.click("[aria-labelledby=limits] button")
	b.reads("#notice", "The namespace is changed.")
	changed := service.billing(t)
	require.Nil(t, changed.MaxJobs, "an empty field is no limit")
	require.EqualValues(t, 5, *changed.RunRetentionDays)

	eval[any](b, `document.getElementById("from").value = "2040-01-01T00:00"; document.getElementById("to").value = "2039-01-01T00:00"`)
	b.click("[aria-labelledby=blackouts] button")
	b.sees("[aria-labelledby=blackouts] .form-problem")
	require.Equal(t, "5", eval[string](b, `document.getElementById("runRetentionDays").value`), "the limits are still there")
	eval[any](b, `document.getElementById("to").value = "2041-01-01T00:00"`)
	b.click("[aria-labelledby=blackouts] button")
	b.reads("#notice", "The blackouts are changed.")
	require.Len(t, service.billing(t).Blackouts, 1)
	b.click("[aria-labelledby=blackouts] li button")
	b.click("dialog#confirm button[value=yes]")
	b.reads("[aria-labelledby=blackouts]", "There is none.")

	b.click(".head form.action button")
	b.click("dialog#confirm button[value=yes]")
	b.reads("#notice", "The namespace is suspended.")
	require.True(t, service.billing(t).Suspended)
	b.click(".head form.action button")
	b.reads("#notice", "The namespace is resumed.")

	b.open("/namespaces")
	b.click("#namespace-billing button")
	b.reads("#namespace-billing", "You are here")
	b.click("#namespace-billing a")
	b.click(".head button.danger")
	b.click("dialog#confirm button[value=yes]")
	b.reads("#notice", "The namespace is deleted.")
	require.Nil(t, service.billing(t))
}
