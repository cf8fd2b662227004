package ui

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"punctual/gen/client"
)

const (
	stripHeight = 28
	barWidth    = 6
	barGap      = 2
	digitWidth  = 5
)

// bar is a run in a strip of runs.
type bar struct {
	x, y, width, height int
	kind                kind
	// count is how many occurrences a skipped run stands for, if it is more than one.
	count string
	title string
}

// strip draws runs, oldest first: the height of a bar is the duration, on a scale of roots so that
// short runs are seen beside long ones.
func strip(runs []client.RecentRun) (bars []bar, width int) {
	var longest float64 = 1
	for _, r := range runs {
		if r.DurationMilliseconds != nil {
			longest = max(longest, math.Sqrt(float64(*r.DurationMilliseconds)))
		}
	}
	for _, r := range slices.Backward(runs) {
		b := bar{x: width, width: barWidth, height: stripHeight / 2, kind: runKind(r.Status), title: runTitle(r)}
		switch {
		case r.Status == client.RunStatusSKIPPED && r.Occurrences > 1:
			b.count = shortCount(r.Occurrences)
			b.width = max(barWidth, len(b.count)*digitWidth+2)
			b.height = stripHeight
		case r.Status == client.RunStatusSKIPPED:
		case r.DurationMilliseconds != nil:
			b.height = 4 + int(math.Round((stripHeight-4)*math.Sqrt(float64(*r.DurationMilliseconds))/longest))
		}
		b.y = stripHeight - b.height
		bars = append(bars, b)
		width += b.width + barGap
	}
	return bars, max(width, 1)
}

// shortCount writes a number with few digits: 12345 is 12k.
func shortCount(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10)
	case n < 1_000_000:
		return strconv.FormatInt(n/1000, 10) + "k"
	default:
		return strconv.FormatInt(n/1_000_000, 10) + "M"
	}
}

// hatch is the path of the lines of a bar that was skipped.
func (b bar) hatch() string {
	var path strings.Builder
	for y := b.y + 4; y < b.y+b.height+b.width; y += 4 {
		// from the left edge up to the right edge, within the bar
		x1, y1, x2, y2 := b.x, y, b.x+b.width, y-b.width
		if bottom := b.y + b.height; y1 > bottom {
			x1, y1 = x1+y1-bottom, bottom
		}
		if y2 < b.y {
			x2, y2 = x2-(b.y-y2), b.y
		}
		if x1 < x2 {
			fmt.Fprintf(&path, "M%d %dL%d %d", x1, y1, x2, y2)
		}
	}
	return path.String()
}

func runTitle(r client.RecentRun) string {
	text := words(string(r.Status))
	if r.Occurrences > 1 {
		text += fmt.Sprintf(" (%d occurrences)", r.Occurrences)
	}
	if r.DurationMilliseconds != nil {
		text += ", took " + milliseconds(r.DurationMilliseconds)
	}
	return text + ", " + r.ScheduledFor.UTC().Format("2006-01-02 15:04:05 MST")
}

// stripText says what a strip shows.
func stripText(runs []client.RecentRun) string {
	if len(runs) == 0 {
		return "No runs"
	}
	counts := map[client.RunStatus]int64{}
	longest := int64(-1)
	for _, r := range runs {
		counts[r.Status] += r.Occurrences
		if r.DurationMilliseconds != nil {
			longest = max(longest, *r.DurationMilliseconds)
		}
	}
	var parts []string
	for _, status := range []client.RunStatus{
		client.RunStatusFAILED, client.RunStatusSUCCEEDED, client.RunStatusSKIPPED, client.RunStatusCANCELED, client.RunStatusRUNNING,
		client.RunStatusPENDING,
	} {
		if counts[status] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[status], strings.ToLower(string(status))))
		}
	}
	text := "Last " + counted(len(runs), "run") + ": " + strings.Join(parts, ", ")
	if longest >= 0 {
		text += "; the longest took " + milliseconds(&longest)
	}
	return text + "."
}

// lateness returns the 95th percentile of the lateness of runs, in words, or a dash.
func lateness(runs []client.RecentRun) string {
	var all []int64
	for _, r := range runs {
		if r.LatenessMilliseconds != nil {
			all = append(all, *r.LatenessMilliseconds)
		}
	}
	if all == nil {
		return "–"
	}
	slices.Sort(all)
	return milliseconds(&all[(len(all)*95+99)/100-1])
}

// countedTo is counted for a number that may have ended early.
func countedTo(n int64, isCapped bool, noun string) string {
	if isCapped {
		return "more than " + counted(int(n), noun)
	}
	return counted(int(n), noun)
}
