package schedule_test

import (
	"testing"
	"time"

	"punctual/internal/schedule"
)

func BenchmarkCronNext(b *testing.B) {
	for _, c := range []struct{ name, expression, zone, from string }{
		{"minutes in UTC", "*/5 * * * *", "UTC", "2026-07-15T10:20:30Z"},
		{"minutes", "*/5 * * * *", "Europe/Berlin", "2026-07-15T10:20:30Z"},
		{"daily", "30 2 * * *", "Europe/Berlin", "2026-07-15T10:20:30Z"},
		{"working days", "0 9 * * MON-FRI", "America/New_York", "2026-07-17T15:20:30Z"},
		{"after a change", "*/5 * * * *", "Europe/Berlin", "2026-03-29T01:10:00Z"},
		{"in a second pass", "0 */2 * * *", "Europe/Berlin", "2026-10-25T00:10:00Z"},
		{"beyond the tables", "*/5 * * * *", "Europe/Berlin", "2050-07-15T10:20:30Z"},
		{"yearly", "0 0 1 1 *", "Europe/Berlin", "2026-07-15T10:20:30Z"},
		{"leap day", "0 0 29 2 *", "Europe/Berlin", "2096-07-15T10:20:30Z"},
		{"leap day on a Monday", "0 0 ? 2 MON#5", "Europe/Berlin", "2072-07-15T10:20:30Z"},
	} {
		b.Run(c.name, func(b *testing.B) {
			cron, from := parse(b, c.expression, c.zone), instant(b, c.from)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := cron.Next(from); !ok {
					b.Fatal("never due")
				}
			}
		})
	}
}

func BenchmarkParseCron(b *testing.B) {
	for b.Loop() {
		if _, err := schedule.ParseCron("*/15 9-17 * * MON-FRI", time.UTC, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJitter(b *testing.B) {
	for b.Loop() {
		schedule.Jitter([16]byte{1}, 60)
	}
}
