package schedule_test

import (
	"time"
)

// quarter is the step of a walk through local times, which are at whole quarters of an hour in the
// tests.
const quarter = 15 * time.Minute

// dueAt returns the instant at which a clock first shows a local time or a later one, the slow way.
// The local time is given as if it were in UTC.
func dueAt(zone *time.Location, wanted time.Time) time.Time {
	at := wanted.Add(-15 * time.Hour)
	for shownBy(zone, at).Before(wanted) {
		at = at.Add(quarter)
	}
	for at = at.Add(-quarter); shownBy(zone, at).Before(wanted); { // some clocks change at 00:01
		at = at.Add(time.Minute)
	}
	return at
}

// shownBy returns what a clock shows, as if it were in UTC.
func shownBy(zone *time.Location, at time.Time) time.Time {
	_, offset := at.In(zone).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

// twenty are zones with all kinds of changes: none, in the north and the south, half an hour, two
// hours, around midnight, and a day that a zone has skipped.
var twenty = []string{
	"UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "America/Santiago", "America/Havana",
	"America/Sao_Paulo", "America/Caracas", "Africa/Cairo", "Africa/Casablanca", "Asia/Tehran", "Asia/Kathmandu", "Asia/Beirut",
	"Asia/Amman", "Asia/Pyongyang", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "Antarctica/Troll",
}

func load(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}
