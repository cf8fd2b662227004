package policy

import (
	"fmt"
	"regexp"
	"sync"
	"time"

	// The service must know the zones, whatever the machine knows.
	_ "time/tzdata"

	"punctual/internal/schedule"
)

const (
	// maxCrons bounds the cache of parsed expressions. An entry takes about 500 bytes, and one of a
	// recurrence rule with a COUNT up to 4 kB. A job whose expression is not in the cache costs some
	// 10 microseconds more for each of its runs.
	maxCrons = 20_000
	// maxZones bounds the cache of time zones, of which IANA knows some 600. One takes about 10 kB.
	maxZones = 2_000
)

var (
	crons = cronCache{parsed: map[cronKey]schedule.Grid{}}
	zones = zoneCache{loaded: map[string]*time.Location{}}
)

// cronKey says what a parsed expression depends on.
type cronKey struct {
	expression, zone string
	seed             uint64 // zero if the expression does not depend on it
	isRule           bool   // the expression is a recurrence rule
}

func newCronKey(expression, zone string, job [16]byte) cronKey {
	key := cronKey{expression: expression, zone: zone}
	if schedule.IsSeeded(expression) {
		key.seed = schedule.Seed(job)
	}
	return key
}

// parseCron parses an expression.
func parseCron(key cronKey) (schedule.Grid, error) {
	zone, err := LoadZone(key.zone)
	if err != nil {
		return nil, err
	}
	if key.isRule {
		return schedule.ParseRule(key.expression, zone)
	}
	return schedule.ParseCron(key.expression, zone, key.seed)
}

// cronCache remembers parsed expressions, because each run of a job needs its own. Jobs with the
// same expression and zone share one.
type cronCache struct {
	mu     sync.RWMutex
	parsed map[cronKey]schedule.Grid
}

// parse parses an expression, unless it is in the cache.
func (c *cronCache) parse(key cronKey) (schedule.Grid, error) {
	c.mu.RLock()
	cron, ok := c.parsed[key]
	c.mu.RUnlock()
	if ok {
		return cron, nil
	}
	cron, err := parseCron(key)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.parsed) >= maxCrons {
		for some := range c.parsed { // any will do: which ones are needed is not known
			delete(c.parsed, some)
			break
		}
	}
	c.parsed[key] = cron
	return cron, nil
}

// zoneCache remembers time zones: time.LoadLocation reads and parses one anew at each call.
type zoneCache struct {
	mu     sync.RWMutex
	loaded map[string]*time.Location
}

// nonIANAZone matches names that Go loads from the zone directory of a machine but that are no IANA
// zones: the machine's own, and those with leap seconds.
var nonIANAZone = regexp.MustCompile(`^(?i:local|localtime|posixrules|(posix|right)/.*)$`)

// IsZone reports whether a text is the IANA name of a time zone.
func IsZone(name string) bool {
	_, err := LoadZone(name)
	return err == nil && !nonIANAZone.MatchString(name)
}

// LoadZone returns a time zone by its name, like time.LoadLocation. All callers share one.
func LoadZone(name string) (*time.Location, error) {
	zones.mu.RLock()
	zone, ok := zones.loaded[name]
	zones.mu.RUnlock()
	if ok {
		return zone, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone: %w", err)
	}
	zones.mu.Lock()
	defer zones.mu.Unlock()
	if len(zones.loaded) >= maxZones {
		clear(zones.loaded)
	}
	zones.loaded[name] = zone
	return zone, nil
}
