package testdb

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// CreateDays creates a partition of runs for each of so many days (UTC), of which the last is
// given. The service would create one for a whole month of the past; this is what years of daily
// partitions leave behind.
func CreateDays(tb testing.TB, pool *pgxpool.Pool, last time.Time, days int) {
	tb.Helper()
	all := make([]time.Time, days)
	for n := range all {
		all[n] = last.UTC().AddDate(0, 0, -n)
	}
	for chunk := range slices.Chunk(all, 40) { // of one transaction
		var create strings.Builder
		for _, day := range chunk {
			fmt.Fprintf(&create, "create table runs_%s partition of runs for values from ('%sZ') to ('%sZ');",
				day.Format("20060102"), day.Format(time.DateOnly), day.AddDate(0, 0, 1).Format(time.DateOnly))
		}
		if _, err := pool.Exec(tb.Context(), create.String()); err != nil {
			tb.Fatalf("create partitions of runs: %v", err)
		}
	}
}
