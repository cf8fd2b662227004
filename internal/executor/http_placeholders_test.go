package executor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlaceholdersAreFilledForEachAttempt(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	const body = `{"text":"{{job.name}} at {{run.scheduledFor | date "15:04" "Europe/Berlin"}}","attempt":{{run.attempt}}}`
	_, err := execute(t, server, fields{
		"url":     server.URL + "/runs/{{run.id}}?job={{job.name}}",
		"headers": fields{"X-Run": "{{run.id}}/{{run.attempt}}", "Content-Type": "application/json"},
		"body":    body,
	}, nil)
	require.NoError(t, err)
	request := <-requests
	require.Equal(t, "/runs/"+runID.String()+"?job=report", request.RequestURI)
	require.Equal(t, runID.String()+"/2", request.Header.Get("X-Run"))
	require.JSONEq(t, `{"text":"report at 12:00","attempt":2}`, request.body)
}

func TestPlaceholdersAreChecked(t *testing.T) {
	t.Parallel()
	const url = "https://example.com/"
	for want, definition := range map[string]fields{
		"url":        {"url": "https://{{job.name}}.example.com/"},
		"body":       {"url": url, "body": "{{run.secret}}"},
		"headers.X":  {"url": url, "headers": fields{"X": "{{"}},
		"headers.X2": {"url": url, "headers": fields{"X2": "{{run.scheduledFor | date}}"}},
	} {
		faults := NewHTTP(HTTPConfig{}).Check(definition.json(t), nil)
		require.Len(t, faults, 1, want)
		require.Equal(t, want, faults[0].Field)
		require.Equal(t, WrongFormat, faults[0].Code)
	}
	require.Equal(t, []Fault{{"url", NotAllowed, "the URL must begin with http:// or https://"}},
		NewHTTP(HTTPConfig{}).Check(fields{"url": "ftp://example.com/{{run.id}}"}.json(t), nil)[:1], "the rest is checked, too")
}

func TestFieldsOfEvents(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"url", "headers.X", "body"}, FieldsOfEvents(fields{
		"type": "http", "url": "https://example.com/{{event.type}}", "headers": fields{"X": "{{ event.data.jobKey }}", "Y": "{{job.key}}"},
		"body": `{"a": "{{event.data.error}}"}`,
	}.json(t)))
	require.Empty(t, FieldsOfEvents(fields{"type": "http", "url": "https://example.com/{{run.id}}"}.json(t)))
	require.Empty(t, FieldsOfEvents([]byte(`{"type":"log"}`)))
}
