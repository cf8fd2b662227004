package placeholders_test

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"punctual/internal/placeholders"
)

var values = placeholders.Values{
	RunID: uuid.MustParse("0199c7e0-74c0-7000-9d7e-3f1b2a4c5d6e"), JobID: uuid.MustParse("0199c2f0-5b1e-7c3a-9d7e-3f1b2a4c5d6e"),
	ScheduledFor: time.Date(2026, 3, 28, 23, 30, 0, 0, time.UTC), Attempt: 2, JobKey: "reports/weekday", JobName: "a \"b\" & <c>\n",
	Event: json.RawMessage(`{"type":"job.failing","timestamp":"2026-03-28T23:30:00.000001Z",` +
		`"data":{"jobKey":"etl/import","jobName":"x","consecutiveFailures":3,"error":"line \"1\"","runId":null,"events":[1]}}`),
}

func TestURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://h.example/runs/{{run.id}}?n={{ run.attempt }}":                           "https://h.example/runs/0199c7e0-74c0-7000-9d7e-3f1b2a4c5d6e?n=2",
		"https://h.example/{{job.key}}":                                                   "https://h.example/reports%2Fweekday",
		"https://h.example/?q={{job.name}}&day=1":                                         "https://h.example/?q=a+%22b%22+%26+%3Cc%3E%0A&day=1",
		"/by/{{job.name}}":                                                                "/by/a%20%22b%22%20&%20%3Cc%3E%0A",
		`/{{run.scheduledFor | date "2006-01-02" "Europe/Berlin"}}`:                       "/2026-03-29",
		`/{{run.scheduledFor|date "2006-01-02"}}`:                                         "/2026-03-28",
		"/{{event.data.jobKey}}/{{event.data.consecutiveFailures}}":                       "/etl%2Fimport/3",
		"/x{{event.data.runId}}{{event.data.queue}}":                                      "/x",
		`/{{"{{"}}run.id}}`:                                                               "/{{run.id}}",
		`/{{event.timestamp | date "2006-01-02T15:04:05.000000Z07:00" "Asia/Kathmandu"}}`: "/2026-03-29T05:15:00.000001+05:45",
	} {
		template, err := placeholders.URL(text)
		require.NoError(t, err, text)
		filled, err := template.FillURL(values)
		require.NoError(t, err, text)
		require.Equal(t, want, filled, text)
	}
	for text, want := range map[string]string{
		"https://{{job.key}}/x":                              "before its path",
		"{{job.key}}":                                        "before its path",
		"https://h.example:{{run.attempt}}/":                 "before its path",
		"/{{run.secret}}":                                    "which does not exist",
		"/{{event.data.events}}":                             "which does not exist",
		"/{{job.payload}}":                                   "which does not exist",
		"/{{run.id":                                          "without }}",
		`/{{job.name | date "2006"}}`:                        "no instant",
		`/{{run.scheduledFor | upper}}`:                      "filter",
		`/{{run.scheduledFor | date "2006" "Mars/Olympus"}}`: "IANA",
		`/{{run.scheduledFor | date "2006" "Local"}}`:        "IANA",
		`/{{run.scheduledFor | date ""}}`:                    "filter",
	} {
		_, err := placeholders.URL(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestAValueIsNoOtherSegment(t *testing.T) {
	t.Parallel()
	template, err := placeholders.URL("https://h.example/hooks/{{job.name}}/x")
	require.NoError(t, err)
	for _, name := range []string{"..", "."} {
		_, err := template.FillURL(placeholders.Values{JobName: name})
		require.Error(t, err)
	}
}

// Whatever a value is, it stays within its place.
func TestValuesStayData(t *testing.T) {
	t.Parallel()
	path, err := placeholders.URL("https://h.example/a/{{job.name}}/b?x={{job.name}}&y=1")
	require.NoError(t, err)
	header, err := placeholders.Header("job={{job.name}}")
	require.NoError(t, err)
	body, err := placeholders.Body(`{"text":"job {{job.name}}","name":{{job.name}},"n":{{run.attempt}},"e":{{event.data.error}}}`, "application/json")
	require.NoError(t, err)
	form, err := placeholders.Body("a={{job.name}}&b=1", "application/x-www-form-urlencoded")
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		v := placeholders.Values{JobName: name, Attempt: 1, ScheduledFor: values.ScheduledFor}
		if filled, err := path.FillURL(v); err == nil {
			u, err := url.Parse(filled)
			require.NoError(t, err)
			require.Equal(t, "h.example", u.Host)
			require.Equal(t, "/a/"+name+"/b", u.Path)
			require.Equal(t, url.Values{"x": {name}, "y": {"1"}}, u.Query())
		}
		require.NotContains(t, header.Fill(v), "\n")
		var got struct {
			Text, Name string
			N          int
			E          any
		}
		require.NoError(t, json.Unmarshal([]byte(body.Fill(v)), &got))
		require.Equal(t, "job "+strings.ToValidUTF8(name, "\ufffd"), got.Text)
		require.Equal(t, strings.ToValidUTF8(name, "\ufffd"), got.Name)
		require.Nil(t, got.E)
		parsed, err := url.ParseQuery(form.Fill(v))
		require.NoError(t, err)
		require.Equal(t, name, parsed.Get("a"))
	})
}

func TestBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, contentType, want string }{
		{`{"text": "{{event.data.jobKey}}: {{event.data.error}}"}`, "", `{"text": "etl/import: line \"1\""}`},
		{`{"n": {{event.data.consecutiveFailures}}, "run": {{event.data.runId}}}`, "application/json; charset=utf-8", `{"n": 3, "run": null}`},
		{`{{event.data.jobKey}} fails`, "", `etl/import fails`},
		{`<p>{{job.name}}</p>`, "text/html", `<p>a &#34;b&#34; &amp; &lt;c&gt;&#xA;</p>`},
		{`{{job.name}}`, "text/plain", "a \"b\" & <c>\n"},
		{`"\"{{job.name}}"`, "", `"\"a \"b\" & <c>\n"`},
	} {
		template, err := placeholders.Body(c.text, c.contentType)
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, template.Fill(values), c.text)
	}
	_, err := placeholders.Body(`{"n": {{run.attempt}}`, "application/vnd.api+json")
	require.ErrorContains(t, err, "is not JSON")
}

func TestTextWithoutPlaceholders(t *testing.T) {
	t.Parallel()
	require.False(t, placeholders.In(`{"a": {"b": "}}"}}`))
	template, err := placeholders.Body("{}}", "")
	require.NoError(t, err)
	require.Equal(t, "{}}", template.Fill(values))
	require.False(t, template.IsFilledByEvents())
}

// Each field of an event's data that the contract has, and that is no list, is a placeholder.
func TestTheFieldsOfTheContract(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../openapi.yaml")
	require.NoError(t, err)
	var contract struct {
		Components struct {
			Schemas map[string]struct {
				Properties struct {
					Data struct {
						Properties map[string]struct{ Type string }
					}
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(raw, &contract))
	for _, name := range []string{"RunEvent", "JobEvent", "QueueEvent", "ConnectionEvent", "EventGroup"} {
		fields := contract.Components.Schemas[name].Properties.Data.Properties
		require.NotEmpty(t, fields, name)
		for field, schema := range fields {
			if schema.Type == "array" {
				continue
			}
			_, err := placeholders.Header("{{event.data." + field + "}}")
			require.NoError(t, err)
		}
	}
}

func FuzzTemplates(f *testing.F) {
	for _, text := range []string{`{{run.id}}`, `{{"{{"}}`, `{{ run.scheduledFor | date "2006" "UTC" }}`, `{"a":"{{job.name}}"}`, `{{{{}}`} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if template, err := placeholders.URL(text); err == nil {
			_, _ = template.FillURL(values)
		}
		if template, err := placeholders.Body(text, ""); err == nil {
			template.Fill(values)
		}
	})
}
