package placeholders

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"punctual/internal/policy"
)

// dateFilter matches the filter date, with the layout and the zone as Go's quoted texts.
var dateFilter = regexp.MustCompile(`^date\s+("(?:[^"\\]|\\.)*")(?:\s+("(?:[^"\\]|\\.)*"))?$`)

var errFilter = errors.New(`has a placeholder with a filter that is not date "layout" or date "layout" "zone"`)

// parseDate parses the filter of an instant. The default of the zone is UTC.
func parseDate(filter string) (layout string, zone *time.Location, err error) {
	match := dateFilter.FindStringSubmatch(filter)
	if match == nil {
		return "", nil, errFilter
	}
	if layout, err = strconv.Unquote(match[1]); err != nil || layout == "" {
		return "", nil, errFilter
	}
	if match[2] == "" {
		return layout, time.UTC, nil
	}
	name, err := strconv.Unquote(match[2])
	if err != nil {
		return "", nil, errFilter
	}
	if name == "" || !policy.IsZone(name) {
		return "", nil, fmt.Errorf("writes a date in %q, which is not the IANA name of a time zone", name)
	}
	zone, err = policy.LoadZone(name)
	return layout, zone, err
}
