package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/metrics"
)

// scrape returns what the registry serves.
func scrape(t *testing.T, r *metrics.Registry) string {
	t.Helper()
	answer := httptest.NewRecorder()
	r.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, answer.Code)
	return answer.Body.String()
}

// value returns the value of a series in what was scraped. The series is as it is written there.
func value(t *testing.T, scraped, series string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(scraped)
	require.NotNil(t, found, "there is %s in\n%s", series, scraped)
	n, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	return n
}
