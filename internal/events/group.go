package events

import (
	"encoding/json"
	"fmt"
	"time"

	"punctual/internal/instant"
)

const (
	// MaxDepth is how many runs there may be in a chain of runs that start each other by events.
	MaxDepth = 8
	// MaxGroupBytes bounds the events that a group lists.
	MaxGroupBytes = 100 << 10
)

// Grouped is the type of a group of events. Nothing starts on it.
const Grouped Type = "events.grouped"

// GroupData is the data of a group of events.
type GroupData struct {
	Count  int64             `json:"count"`
	Events []json.RawMessage `json:"events"`
}

// Group returns the JSON of so many events, of which the first are given in JSON.
func Group(at time.Time, count int64, first []string) (json.RawMessage, error) {
	listed := make([]json.RawMessage, len(first))
	for i, e := range first {
		listed[i] = json.RawMessage(e)
	}
	raw, err := json.Marshal(Event{Type: Grouped, Timestamp: instant.Time{Time: at}, Data: GroupData{count, listed}})
	if err != nil {
		return nil, fmt.Errorf("encode a group of events: %w", err)
	}
	return raw, nil
}
