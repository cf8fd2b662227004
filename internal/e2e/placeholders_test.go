package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/app"
	"punctual/internal/testdb"
)

// What would not be filled is refused, and the field is named.
func TestPlaceholdersThatAreWrong(t *testing.T) {
	t.Parallel()
	service := start(t, app.Config{Role: app.RoleAPI, Database: app.DatabaseConfig{URL: testdb.New(t)}})
	for target, want := range map[string]string{
		`"url":"https://{{job.name}}.example.com/"`:                                    "target.url wrong-format",
		`"url":"https://example.com/","body":"{{run.secret}}"`:                         "target.body wrong-format",
		`"url":"https://example.com/","headers":{"X":"{{event.type}}"}`:                "target.headers.X conflicting",
		`"url":"https://example.com/{{event.data.jobKey}}"`:                            "target.url conflicting",
		`"url":"https://example.com/","body":"{{run.scheduledFor | date \"2006\" 1}}"`: "target.body wrong-format",
	} {
		refused := service.refuse(t, `{"name":"x","intervalInSeconds":3600,"target":{"type":"http",`+target+`}}`)
		require.Len(t, refused, 1, target)
		require.Equal(t, want, refused[0].Field+" "+refused[0].Code, target)
	}
	alert := service.create(t, `{"name":"x","startsOn":{"events":["job.failing"]},
		"target":{"type":"http","url":"https://example.com/{{event.type}}","body":"{\"text\":\"{{event.data.jobKey}}\"}"}}`)
	answer := service.patch(t, alert.Id, `{"cron":"0 9 * * *"}`)
	require.NotNil(t, answer.ApplicationproblemJSON400, "%s", answer.Body)
	var fields []string
	for _, e := range *answer.ApplicationproblemJSON400.Errors {
		fields = append(fields, e.Field)
	}
	require.Equal(t, []string{"target.url", "target.body"}, fields)
}
