package eventstream

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"punctual/internal/events"
	"punctual/internal/labels"
)

const (
	// maxRecorded bounds how many messages an instance keeps.
	maxRecorded = 10_000
	// maxRecordedBytes bounds the size of their events, as JSON.
	maxRecordedBytes = 10 << 20
)

// entry is a message that was heard, or a loss.
type entry struct {
	at time.Time
	// id stands for the place in the record before the first event of the entry, in the ids of
	// events: "<micros>-<publisher>-<number>". The same messages have the same ids at each
	// instance.
	id string
	// namespace is where the events happened; empty if there are none.
	namespace string
	encoded   string
	// size is that of the events, as JSON.
	size int
	// lost says that events of all namespaces may be missing.
	lost lost

	once   sync.Once
	shown  []*shown
	failed error
}

// shown is an event as followers get it.
type shown struct {
	kind   events.Type
	job    *uuid.UUID
	key    *string
	labels labels.Set
	frame  []byte
}

func idOf(m message) string {
	return strconv.FormatInt(m.at.UnixMicro(), 10) + "-" + m.publisher + "-" + strconv.FormatInt(m.number, 10)
}

// parseID takes an id of an event apart into that of its entry, its place there, from 1, and its
// time. The time is zero if it cannot be an id.
func parseID(id string) (entryID string, n int, at time.Time) {
	parts := strings.Split(id, "-")
	micros, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || len(parts) < 3 || len(parts) > 4 || micros < 0 {
		return "", 0, time.Time{}
	}
	if len(parts) == 4 {
		if n, err = strconv.Atoi(parts[3]); err != nil {
			return "", 0, time.Time{}
		}
	}
	return strings.Join(parts[:3], "-"), n, time.UnixMicro(micros).UTC()
}

// content returns the events of the entry. They are decompressed when somebody asks for them first.
func (e *entry) content() ([]*shown, error) {
	e.once.Do(func() {
		var items []item
		switch {
		case e.namespace != "":
			items, e.failed = unpack(e.encoded)
			e.encoded = ""
		case !e.lost.isNone():
			what := e.lost.event("")
			items = make([]item, 1)
			items[0], e.failed = newItem(&what)
		}
		for n, it := range items {
			e.shown = append(e.shown, &shown{
				kind: it.Type, job: it.Job, key: it.Key, labels: it.Labels,
				frame: it.frame(e.id + "-" + strconv.Itoa(n+1)),
			})
		}
	})
	return e.shown, e.failed
}

// frame returns the event as the stream has it.
func (it item) frame(id string) []byte {
	return fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", id, it.Type, it.Event)
}

// after returns the id of the place after the entry.
func (e *entry) after() string { return e.id + "-" + strconv.Itoa(maxBatch+1) }

// record has what was heard last, in the order in which all instances hear it. Whoever follows
// reads it at their own pace, so that each follower costs no more memory than its place.
type record struct {
	entries []*entry
	// first is the position of the oldest entry. The first entry ever has the position 1.
	first uint64
	bytes int
	byID  map[string]uint64
	// changed is closed when there is more.
	changed chan struct{}
}

func newRecord() record {
	return record{first: 1, byID: map[string]uint64{}, changed: make(chan struct{})}
}

// end is the position of the next entry.
func (r *record) end() uint64 { return r.first + uint64(len(r.entries)) }

// add adds an entry, and drops the oldest ones if there are too many. One is always kept.
func (r *record) add(e *entry) {
	r.byID[e.id] = r.end()
	r.entries = append(r.entries, e)
	r.bytes += e.size
	for len(r.entries) > 1 && (len(r.entries) > maxRecorded || r.bytes > maxRecordedBytes) {
		oldest := r.entries[0]
		delete(r.byID, oldest.id)
		r.bytes -= oldest.size
		r.entries[0] = nil
		r.entries = r.entries[1:] // append moves them to a new array when this one is used up
		r.first++
	}
	r.wakeAll()
}

// wakeAll wakes who waits for more.
func (r *record) wakeAll() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// at returns the entry at a position that it has.
func (r *record) at(position uint64) *entry { return r.entries[position-r.first] }

// from returns the entries from a position on, at most so many.
func (r *record) from(position uint64, limit int) []*entry {
	rest := r.entries[position-r.first:]
	return rest[:min(len(rest), limit)]
}

// last returns the newest entry, or nil if there is none.
func (r *record) last() *entry {
	if len(r.entries) == 0 {
		return nil
	}
	return r.entries[len(r.entries)-1]
}
