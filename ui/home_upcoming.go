package ui

import (
	"fmt"
	"strconv"
	"time"

	"punctual/gen/client"
)

// timeline is how many runs are due in each minute of the next hour.
type timeline struct {
	minutes  [60]minute
	next     []client.UpcomingRun
	count    int
	most     int
	isCapped bool
	// until is how far the runs are counted, if it is not an hour.
	until string
}

// minute is the runs that are due in a minute.
type minute struct {
	count int
	title string
}

const (
	timelineHeight = 60
	shownNext      = 8
)

// timelineOf counts the runs of the next hour.
func (p *page) timelineOf(list client.UpcomingRunList) (t timeline) {
	if list.CompleteUntil.Before(p.now.Add(59 * time.Minute)) {
		t.isCapped, t.until = true, p.clock(list.CompleteUntil)
	}
	t.next = list.Items[:min(len(list.Items), shownNext)]
	for _, run := range list.Items {
		n := int(run.ScheduledFor.Sub(p.now) / time.Minute)
		if n >= len(t.minutes) {
			continue
		}
		m := &t.minutes[max(n, 0)]
		m.count++
		t.count++
		t.most = max(t.most, m.count)
		switch {
		case m.count <= 5:
			m.title += "\n" + run.JobName
		case m.count == 6:
			m.title += "\n…"
		}
	}
	for n := range t.minutes {
		m := &t.minutes[n]
		m.title = fmt.Sprintf("%s: %s", p.clock(p.now.Add(time.Duration(n)*time.Minute)), counted(m.count, "run")) + m.title
	}
	return t
}

// height is that of the bar of a minute.
func (t timeline) height(n int) int {
	if t.minutes[n].count == 0 {
		return 0
	}
	return max(3, t.minutes[n].count*timelineHeight/t.most)
}

// text says what the timeline shows.
func (t timeline) text() string {
	if t.count == 0 {
		return "No run is due in the next hour."
	}
	within := "in the next hour"
	if t.isCapped {
		within = "until " + t.until + ", and more after that"
	}
	return counted(t.count, "run") + " " + within + "; at most " + strconv.Itoa(t.most) + " in a minute."
}

// clock writes the hour and minute of an instant, in the zone that was chosen.
func (p *page) clock(t time.Time) string { return t.In(p.location()).Format("15:04") }
