package ui

import (
	"net/url"
	"slices"
	"strings"

	"punctual/gen/client"
)

// eventNames are the events that can start a job.
var eventNames = []client.EventName{
	client.EventNameRunSucceeded, client.EventNameRunFailed, client.EventNameRunSkipped, client.EventNameRunLate,
	client.EventNameJobFailing, client.EventNameJobRecovered, client.EventNameJobPaused, client.EventNameJobCompleted,
	client.EventNameJobOverdue, client.EventNameQueueUnattended, client.EventNameConnectionDown, client.EventNameConnectionRecovered,
}

// The fields of what starts a job.
const (
	eventsField       = "startsOn.events"
	eventKeysField    = "startsOn.jobs.keys"
	eventLabelsField  = "startsOn.jobs.labelSelector"
	eventWithinFields = "startsOn.groupWithinSeconds"
)

// startsOnTexts writes what starts a job into fields.
func startsOnTexts(texts url.Values, on client.StartsOn) {
	for _, event := range on.Events {
		texts.Add(eventsField, string(event))
	}
	if on.Jobs != nil {
		texts.Set(eventKeysField, strings.Join(deref(on.Jobs.Keys), ", "))
		texts.Set(eventLabelsField, deref(on.Jobs.LabelSelector))
	}
	if on.GroupWithinSeconds != nil {
		texts.Set(eventWithinFields, seconds(int64(*on.GroupWithinSeconds)))
	}
}

func (c *jobChange) isChangedStart() bool {
	return slices.ContainsFunc([]string{eventsField, eventKeysField, eventLabelsField, eventWithinFields}, c.isChanged)
}

// startsOn returns what starts the job, for the API.
func (c *jobChange) startsOn() map[string]any {
	events := c.after[eventsField]
	if events == nil {
		events = []string{} // the API says that there has to be one
	}
	on := map[string]any{"events": events}
	of := map[string]any{}
	if keys := split(entered(c.after, eventKeysField)); len(keys) > 0 {
		of["keys"] = keys
	}
	if labels := entered(c.after, eventLabelsField); labels != "" {
		of["labelSelector"] = labels
	}
	if len(of) > 0 {
		on["jobs"] = of
	}
	if entered(c.after, eventWithinFields) != "" {
		on["groupWithinSeconds"] = c.value(jobField{"groupWithinSeconds", asSpan}, "startsOn.")
	}
	return on
}
