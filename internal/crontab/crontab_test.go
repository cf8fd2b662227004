package crontab_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/crontab"
)

func read(t *testing.T, text string, o crontab.Options) ([]crontab.Job, []crontab.LeftOut) {
	t.Helper()
	jobs, left, err := crontab.Read(strings.NewReader(text), o)
	require.NoError(t, err)
	return jobs, left
}

// Each line becomes a job with a schedule, a command and a key of its own.
func TestLinesBecomeJobs(t *testing.T) {
	t.Parallel()
	jobs, left := read(t, `
# a comment
MAILTO=""
15 4 * * sun	/usr/bin/backup.sh --all
CRON_TZ="Europe/Berlin"
@midnight  FOO=1 /opt/backup.sh
 0  5 * *  1-5 cd /srv && ./Clean_Up date=+\%F
@annually "
`, crontab.Options{TimeZone: "UTC", KeyPrefix: "cron/", Queue: "q"})
	require.Empty(t, left)
	var got [][]string
	for _, job := range jobs {
		require.Equal(t, job.Payload.Command, job.Name)
		require.Equal(t, crontab.Target{Type: "worker", Queue: "q"}, job.Target)
		got = append(got, []string{job.Key, job.Cron, job.TimeZone, job.Command})
	}
	require.Equal(t, [][]string{
		{"cron/backup", "15 4 * * sun", "UTC", "/usr/bin/backup.sh --all"},
		{"cron/backup-2", "@daily", "Europe/Berlin", "FOO=1 /opt/backup.sh"},
		{"cron/clean_up", "0 5 * * 1-5", "Europe/Berlin", "cd /srv && ./Clean_Up date=+%F"},
		{"cron/command", "@yearly", "Europe/Berlin", `"`},
	}, got)
}

// A line of a system's crontab names the user, who has a queue of his own.
func TestSystemLinesNameUsers(t *testing.T) {
	t.Parallel()
	jobs, left := read(t, "17 * * * *  root  run-parts /etc/cron.hourly\n@daily root\n", crontab.Options{IsSystem: true, Queue: "q"})
	require.Len(t, jobs, 1)
	require.Equal(t, "q-root", jobs[0].Target.Queue)
	require.Equal(t, "run-parts /etc/cron.hourly", jobs[0].Command)
	require.Equal(t, []crontab.LeftOut{{Line: 2, Text: "@daily root", Why: "it has a user and no command, or a command and no user"}}, left)
}

// What cannot be taken over is said, line by line.
func TestLinesAreLeftOut(t *testing.T) {
	t.Parallel()
	for text, why := range map[string]string{
		"@reboot /bin/x":            "no start of a machine",
		"0 0 * * * mail x%hello":    "standard input after a %",
		"61 * * * * /bin/x":         "minute",
		"@fortnightly /bin/x":       "cron",
		"PATH=/bin":                 "environment of the worker",
		"MAILTO=me@example.com":     "nobody gets mail",
		"CRON_TZ=Mars/Olympus_Mons": "no such time zone",
		"0 0 * * *":                 "neither a variable nor a schedule",
		"-*/5 * * * * /bin/x":       "cron",
	} {
		jobs, left := read(t, "\n"+text, crontab.Options{})
		require.Empty(t, jobs, text)
		require.Len(t, left, 1, text)
		require.Equal(t, 2, left[0].Line, text)
		require.Contains(t, left[0].Why, why, text)
	}
}

// No two jobs have the same key, whatever the commands are called.
func TestKeysDiffer(t *testing.T) {
	t.Parallel()
	jobs, _ := read(t, "@daily /a/x-2\n@daily /a/x\n@daily /b/x\n@daily /c/x-2\n@daily /d/x\n", crontab.Options{})
	seen := map[string]bool{}
	for _, job := range jobs {
		require.False(t, seen[job.Key], "%s is given once", job.Key)
		seen[job.Key] = true
	}
	require.Len(t, seen, 5)
}
