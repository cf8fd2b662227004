package eventstream

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"punctual/internal/clock"
	"punctual/internal/events"
	"punctual/internal/instant"
	"punctual/internal/labels"
)

// The kinds of messages.
const (
	// kindInterest says what the followers of an instance want, and that the instance is alive:
	// "team-a=fff,team-b=2". Nobody has to want anything.
	kindInterest = "i"
	// kindEvents is a part of what happened in a namespace: "team-a 1/2 60000 <base64>". The parts
	// of one batch follow each other, and have its size when it is decompressed, in bytes.
	kindEvents = "e"
	// kindMissed says that an instance heard nothing for some time, in which it may not have known
	// that somebody follows: "<micros> <micros>".
	kindMissed = "m"
	// kindAsking asks what others follow. An instance asks when it begins to listen.
	kindAsking = "a"
	// kindLeaving says that an instance stops, and has told everything.
	kindLeaving = "x"
)

const (
	// maxBody bounds the body of a message, in bytes. PostgreSQL takes payloads of less than 8000.
	maxBody = 7600
	// maxContent bounds what a batch of events may have when it is decompressed, in bytes.
	maxContent = 16 << 20
)

var errMessage = errors.New("the message cannot be read")

// message is what instances tell each other by NOTIFY: "<micros> <publisher> <number> <kind>
// <body>". The time is the database's, and added by the statement that sends it.
type message struct {
	at        time.Time
	publisher string
	// number counts the messages of a publisher from 1, so that a lost one is noticed.
	number int64
	kind   string
	body   string
}

// String returns the message as it is sent, without its time.
func (m message) String() string {
	return m.publisher + " " + strconv.FormatInt(m.number, 10) + " " + m.kind + " " + m.body
}

func parseMessage(payload string) (m message, err error) {
	fields := strings.SplitN(payload, " ", 5)
	if len(fields) < 5 {
		return m, errMessage
	}
	micros, errAt := strconv.ParseInt(fields[0], 10, 64)
	m.number, err = strconv.ParseInt(fields[2], 10, 64)
	m.at, m.publisher, m.kind, m.body = time.UnixMicro(micros).UTC(), fields[1], fields[3], fields[4]
	return m, errors.Join(errAt, err)
}

// interestBodies returns the bodies of messages that say what is wanted, by namespace: at least
// one.
func interestBodies(wanted map[string]events.Set) (bodies []string) {
	var body strings.Builder
	for namespace, set := range wanted {
		one := namespace + "=" + strconv.FormatUint(uint64(set), 16)
		if body.Len() > 0 && body.Len()+len(one) >= maxBody {
			bodies = append(bodies, body.String())
			body.Reset()
		}
		if body.Len() > 0 {
			body.WriteByte(',')
		}
		body.WriteString(one)
	}
	return append(bodies, body.String())
}

// parseInterest calls each with what is wanted in a namespace.
func parseInterest(body string, each func(namespace string, set events.Set)) {
	for one := range strings.SplitSeq(body, ",") {
		namespace, hex, _ := strings.Cut(one, "=")
		if set, err := strconv.ParseUint(hex, 16, 16); err == nil {
			each(namespace, events.Set(set))
		}
	}
}

// item is what happened, with what filters ask for. The names are short: many are sent.
type item struct {
	Type   events.Type     `json:"t"`
	Job    *uuid.UUID      `json:"j,omitempty"`
	Key    *string         `json:"k,omitempty"`
	Labels labels.Set      `json:"l,omitempty"`
	Event  json.RawMessage `json:"e"`
}

// typeLost is the type of the event that says that some may be missing.
const typeLost events.Type = "events.lost"

func newItem(e *events.Event) (item, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return item{}, fmt.Errorf("encode an event: %w", err)
	}
	it := item{Type: e.Type, Event: raw}
	if e.Job != nil {
		it.Job, it.Key, it.Labels = &e.Job.ID, e.Job.Key, e.Job.Labels
	}
	return it, nil
}

// lost is when events happened that are missing. The zero lost is none.
type lost struct{ from, to time.Time }

// lostSince returns what was lost from a moment before an instant, when its events happened that
// were heard last, to another. The database's clock may have been set back between them.
func lostSince(heard, to time.Time) lost {
	from := heard.Add(-behind)
	return lost{from, clock.Later(from, to)}
}

func (l lost) isNone() bool { return l.to.IsZero() }

// with returns a time that has both.
func (l lost) with(other lost) lost {
	switch {
	case l.isNone():
		return other
	case other.isNone():
		return l
	}
	if other.from.Before(l.from) {
		l.from = other.from
	}
	if other.to.After(l.to) {
		l.to = other.to
	}
	return l
}

// lostData is the data of the contract's EventsLost.
type lostData struct {
	From instant.Time `json:"from"`
	To   instant.Time `json:"to"`
}

// event returns the contract's EventsLost.
func (l lost) event(namespace string) events.Event {
	return events.Event{
		Type: typeLost, Timestamp: instant.Time{Time: l.to}, Namespace: namespace,
		Data: lostData{instant.Time{Time: l.from}, instant.Time{Time: l.to}},
	}
}

// packer compresses batches of items. One batch is compressed at a time.
type packer struct {
	packed bytes.Buffer
	writer *flate.Writer
}

// pack returns the bodies of the messages that carry items of a namespace.
func (p *packer) pack(namespace string, items []item) (bodies []string, err error) {
	content, err := json.Marshal(items)
	if err != nil {
		return nil, fmt.Errorf("encode events: %w", err)
	}
	p.packed.Reset()
	if p.writer == nil {
		p.writer, err = flate.NewWriter(&p.packed, flate.BestSpeed)
	} else {
		p.writer.Reset(&p.packed)
	}
	if err == nil {
		_, err = p.writer.Write(content)
	}
	if err = errors.Join(err, p.writer.Close()); err != nil {
		return nil, fmt.Errorf("compress events: %w", err)
	}
	text := base64.StdEncoding.EncodeToString(p.packed.Bytes())
	of := (len(text) + maxBody - 1) / maxBody
	for n := range of {
		chunk := text[n*maxBody : min((n+1)*maxBody, len(text))]
		bodies = append(bodies, fmt.Sprintf("%s %d/%d %d %s", namespace, n+1, of, len(content), chunk))
	}
	return bodies, nil
}

// part is a part of a batch.
type part struct {
	namespace   string
	n, of, size int
	text        string
}

func parsePart(body string) (p part, err error) {
	fields := strings.SplitN(body, " ", 4)
	if len(fields) < 4 {
		return p, errMessage
	}
	n, of, _ := strings.Cut(fields[1], "/")
	p.namespace, p.text = fields[0], fields[3]
	var errs [3]error
	p.n, errs[0] = strconv.Atoi(n)
	p.of, errs[1] = strconv.Atoi(of)
	p.size, errs[2] = strconv.Atoi(fields[2])
	return p, errors.Join(errs[:]...)
}

// unpack returns the items of a batch, whose parts have been joined.
func unpack(text string) (items []item, err error) {
	r := flate.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)))
	if err := json.NewDecoder(io.LimitReader(r, maxContent)).Decode(&items); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return items, nil
}
