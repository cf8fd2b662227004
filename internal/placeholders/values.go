package placeholders

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"punctual/internal/instant"
)

// Values are what placeholders stand for.
type Values struct {
	RunID        uuid.UUID
	ScheduledFor time.Time
	// Attempt is counted from 1.
	Attempt int
	JobID   uuid.UUID
	// JobKey is empty if the job has none.
	JobKey  string
	JobName string
	// Event is the event that has started the run, as JSON. A run that no event has started has
	// none, and placeholders of the event are empty then.
	Event json.RawMessage
}

// kind says what a placeholder stands for.
type kind int

const (
	aText kind = iota
	aNumber
	anInstant
)

// eventPrefix begins the names of what an event says, and dataPrefix those of its data.
const (
	eventPrefix = "event."
	dataPrefix  = eventPrefix + "data."
)

// kinds are all placeholders, by name. Those of the data of an event are the fields of the
// contract's events that are no lists; a test compares them.
var kinds = map[string]kind{
	"run.id":           aText,
	"run.scheduledFor": anInstant,
	"run.attempt":      aNumber,
	"job.id":           aText,
	"job.key":          aText,
	"job.name":         aText,

	"event.type":      aText,
	"event.timestamp": anInstant,

	"event.data.namespace":           aText,
	"event.data.jobId":               aText,
	"event.data.jobKey":              aText,
	"event.data.jobName":             aText,
	"event.data.runId":               aText,
	"event.data.status":              aText,
	"event.data.reason":              aText,
	"event.data.trigger":             aText,
	"event.data.scheduledFor":        anInstant,
	"event.data.startedAt":           anInstant,
	"event.data.finishedAt":          anInstant,
	"event.data.attempt":             aNumber,
	"event.data.occurrences":         aNumber,
	"event.data.error":               aText,
	"event.data.consecutiveFailures": aNumber,
	"event.data.statusReason":        aText,
	"event.data.actor":               aText,
	"event.data.overdueSince":        anInstant,
	"event.data.queue":               aText,
	"event.data.waitingSince":        anInstant,
	"event.data.connection":          aText,
	"event.data.count":               aNumber,
}

// get returns the value of a placeholder: nil if there is none, a text, or a json.Number.
func (v Values) get(name string) any {
	switch name {
	case "run.id":
		return v.RunID.String()
	case "run.scheduledFor":
		return written(v.ScheduledFor)
	case "run.attempt":
		return v.Attempt
	case "job.id":
		return v.JobID.String()
	case "job.key":
		return v.JobKey
	case "job.name":
		return v.JobName
	}
	var event map[string]any
	decoder := json.NewDecoder(bytes.NewReader(v.Event))
	decoder.UseNumber()
	if decoder.Decode(&event) != nil {
		return nil
	}
	if field, isData := strings.CutPrefix(name, dataPrefix); isData {
		data, _ := event["data"].(map[string]any)
		return plain(data[field])
	}
	return plain(event[strings.TrimPrefix(name, eventPrefix)])
}

// plain returns a value if it is a text or a number. A payload of a run that somebody has started
// by hand may have anything else.
func plain(value any) any {
	switch value.(type) {
	case string, json.Number:
		return value
	default:
		return nil
	}
}

// written returns an instant as the API writes it.
func written(at time.Time) string {
	quoted, _ := instant.Time{Time: at}.MarshalJSON() // never fails
	return strings.Trim(string(quoted), `"`)
}
