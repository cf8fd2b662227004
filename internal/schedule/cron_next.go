package schedule

// next returns the first instant from at on that is due. It goes from span to span, because within
// one the local clock runs evenly.
func (c *Cron) next(at int64) (int64, bool) {
	for {
		s := spanAt(c.zone, at)
		from := at
		if at < s.start+s.changed() {
			due, ok := c.afterChange(s, at)
			if ok {
				return due, due < endOfTime
			}
			from = due
		}
		shown, ok := c.calendar.first(s.shown(from), s.shown(endOfTime))
		if !ok {
			return 0, false
		}
		due := s.when(shown)
		if due < s.end {
			return due, true
		}
		// No clock shows a named time before `shown`. All of the spans that lie well before it can
		// be skipped, unless the next one may show again what this one showed before `at`.
		if s.end-from >= farApart {
			at = max(s.end, due-farApart)
		} else {
			at = s.end
		}
	}
}

// afterChange applies what the doc of Cron says of changes. At lies between the change that began
// the span and as long after it as the change was. If something is due before the clock alone
// decides again, afterChange returns it; if not, with ok false, the instant from which on the clock
// alone does.
func (c *Cron) afterChange(s span, at int64) (due int64, ok bool) {
	over := min(s.start+s.changed(), s.end)
	switch gap := s.offset > s.before; {
	case gap && c.fixed:
		_, lost := c.calendar.first(s.shownBefore(s.start), s.shown(s.start))
		if lost && at == s.start {
			return s.start, true
		}
		return at, false

	case gap:
		shown, late := c.calendar.first(s.shownBefore(at), s.shownBefore(over))
		if !late {
			return at, false
		}
		due = s.whenBefore(shown)
		_, resumed := c.calendar.first(s.shown(s.start), s.shown(due)+1)
		if resumed {
			return at, false
		}
		return due, true

	case c.fixed: // the overlap's second pass
		return max(at, s.start+s.changed()), false

	default:
		shown, again := c.calendar.first(s.shown(at), s.shown(over))
		for again && !c.calendar.crowded(shown, s.changed()) {
			shown, again = c.calendar.first(shown+1, s.shown(over))
		}
		if !again {
			return max(at, over), false
		}
		return s.when(shown), true
	}
}
