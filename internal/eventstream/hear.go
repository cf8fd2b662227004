package eventstream

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"punctual/internal/events"
)

// checkEach is how often it is looked at who no longer follows, and who no longer publishes.
const checkEach = time.Second

// listen records what is heard, until ctx ends.
func (h *Hub) listen(ctx context.Context) {
	check := time.NewTicker(checkEach)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case got := <-h.heard:
			select {
			case <-h.unheard: // as a rule, it was missed before this was heard
				h.addMissed()
			default:
			}
			h.hear(got, time.Now())
		case <-h.unheard:
			h.addMissed()
		case <-check.C:
			if h.interest.isFollowed.Load() {
				h.check(time.Now())
			}
		}
	}
}

// hear records a payload.
func (h *Hub) hear(payload string, now time.Time) {
	m, err := parseMessage(payload)
	if err != nil {
		h.Logger.Warn("a message about events cannot be read; it may come from another version", "error", err)
		h.addMissed()
		return
	}
	h.clock.Observe(m.at)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heardAt = m.at
	h.take(m, now)
}

// addMissed records that messages were missed. What was missed first, when the instance started, is
// nobody's.
func (h *Hub) addMissed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.publishers) // the next number of each may be any
	h.ask()
	if h.heardAt.IsZero() {
		return
	}
	missed := lostSince(h.heardAt, h.clock.Now())
	h.addLost(missed)
	h.missed = h.missed.with(missed)
}

// ask asks what others follow, and keeps what happens until they have answered.
func (h *Hub) ask() {
	h.questions++
	h.isAsking = true
	h.interest.isUnknown.Store(true)
	h.wakeSender()
}

// answer says anew what the followers of this instance want.
func (h *Hub) answer() {
	for namespace := range h.demands {
		h.asked[namespace] = true
	}
	if len(h.asked) > 0 {
		h.wakeSender()
	}
}

// awaitAnswers lets the others answer a question that they have heard at this moment.
func (h *Hub) awaitAnswers() {
	question := h.questions
	time.AfterFunc(settlesWithin, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.questions == question {
			h.interest.isUnknown.Store(false)
			h.outbox.keep(h.interest.asked)
		}
	})
}

// addLost records that events of all namespaces may be missing.
func (h *Hub) addLost(l lost) {
	h.losses++
	id := strconv.FormatInt(h.clock.Now().UnixMicro(), 10) + "-" + h.name + "-lost" + strconv.Itoa(h.losses)
	h.record.add(&entry{at: l.to, id: id, lost: l})
}

// take records a message.
func (h *Hub) take(m message, now time.Time) {
	from := h.publishers[m.publisher]
	if from == nil {
		from = &publisher{number: m.number - 1}
		h.publishers[m.publisher] = from
	}
	if m.number <= from.number {
		return // it was sent twice, because it was not known that it was sent
	}
	if m.number > from.number+1 {
		from.parts = nil
		h.addLost(lostSince(from.toldAt, m.at))
	}
	from.number, from.toldAt, from.heardAt = m.number, m.at, now
	e := &entry{at: m.at, id: idOf(m)}
	switch m.kind {
	case kindInterest:
		parseInterest(m.body, func(namespace string, set events.Set) {
			h.interest.add(namespace, set, h.record.end(), now)
			h.wantedAt = now
		})
	case kindEvents:
		if !from.collect(m.body, e) {
			return
		}
	case kindAsking:
		if m.publisher == h.name {
			h.awaitAnswers()
		} else {
			h.answer()
		}
		delete(h.publishers, m.publisher) // it goes on saying that it is alive only while somebody follows
	case kindMissed:
		first, second, _ := strings.Cut(m.body, " ")
		e.lost = lost{timeOf(first), timeOf(second)}
	case kindLeaving:
		delete(h.publishers, m.publisher)
	}
	h.record.add(e)
}

// collect adds a part of a batch, and reports whether the batch is whole. Then it is in the entry.
func (p *publisher) collect(body string, e *entry) bool {
	got, err := parsePart(body)
	if err != nil || got.n != len(p.parts)+1 {
		p.parts = nil // the parts before this one were told as lost
		return false
	}
	p.parts = append(p.parts, got)
	if got.n < got.of {
		return false
	}
	var whole strings.Builder
	for _, one := range p.parts {
		whole.WriteString(one.text)
	}
	p.parts = nil
	e.namespace, e.encoded, e.size = got.namespace, whole.String(), got.size
	return true
}

func timeOf(micros string) time.Time {
	n, _ := strconv.ParseInt(micros, 10, 64) // one that cannot be read is long ago, which is no lie
	return time.UnixMicro(n).UTC()
}

// check forgets who no longer follows, and tells who has died and may have published something.
func (h *Hub) check(now time.Time) {
	h.interest.forget(now)
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.wantedAt) > 2*announceEach {
		// Nobody follows any more, so nobody says that they are alive.
		clear(h.publishers)
		return
	}
	for name, p := range h.publishers {
		if now.Sub(p.heardAt) > silentAfter {
			delete(h.publishers, name)
			h.Logger.Info("an instance no longer says what happens; its last events may be missing in streams", "instance", name)
			h.addLost(lostSince(p.toldAt, h.clock.Now()))
		}
	}
}

// missedBody is the body of kindMissed.
func missedBody(l lost) string { return fmt.Sprintf("%d %d", l.from.UnixMicro(), l.to.UnixMicro()) }
