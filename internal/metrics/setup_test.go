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

// requireValue requires that a series, as it is written in what was scraped, has a value.
func requireValue(t *testing.T, want float64, scraped, series string) {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(scraped)
	require.NotNil(t, found, "there is %s in\n%s", series, scraped)
	n, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	require.InDelta(t, want, n, 1e-9, series)
}

// countSeries returns how many series of a metric were scraped.
func countSeries(scraped, metric string) int {
	return len(regexp.MustCompile(`(?m)^`+metric+`(?:\{.*\})? \S+$`).FindAllString(scraped, -1))
}
