package e2e

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/app"
)

// Nothing of a form that is too long is kept, whoever sends it. It is not parallel, because the
// directory for temporary files is one of the process.
func TestFormsAreBounded(t *testing.T) {
	service := newGuarded(t, app.Config{Role: app.RoleAPI})
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("file", "long.txt")
	require.NoError(t, err)
	_, err = file.Write(make([]byte, 40<<20))
	require.NoError(t, err)
	require.NoError(t, form.Close())
	for _, path := range []string{"/jobs/new", "/sign-in", "/preferences", "/calendars"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, service.url+path, bytes.NewReader(body.Bytes()))
		require.NoError(t, err)
		request.Header.Set("Content-Type", form.FormDataContentType())
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err == nil { // or the service has closed the connection before it has read all
			require.NoError(t, answer.Body.Close())
		}
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left, "%s", path)
	}
}
