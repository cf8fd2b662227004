package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The test of a page shows what it is for, and how it is reached. What all pages have in common is
// tested for each of shownPages.
func TestPageInstances(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	list, err := service.ListInstancesWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, list.StatusCode())
	require.Len(t, list.JSON200.Items, 1)
	only := list.JSON200.Items[0]

	b := openTab(t, service)
	b.open("/")
	b.press("g")
	b.press("i")
	b.reads("h1", "Instances")
	require.Equal(t, "/instances", b.path())
	row := "#instance-" + only.Id.String()
	b.reads(row, only.Name)
	b.reads(row, "serves the API")
}
