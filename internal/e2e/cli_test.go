package e2e

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// lines returns the lines of an output.
func (r ran) lines() []string { return strings.Split(strings.TrimSpace(r.out), "\n") }

func compactJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

func TestCommandLine_formsOfOutput(t *testing.T) {
	t.Parallel()
	service := payments(t)
	list := decoded[struct{ Items []client.Job }](t, service.punctual(t, nil, "jobs", "list", "-o", "json"))
	require.Len(t, list.Items, 3)
	one := decoded[client.Job](t, service.punctual(t, nil, "jobs", "get", "payments/settle", "-o", "json"))
	require.JSONEq(t, compactJSON(t, service.getJob(t, one.Id)), compactJSON(t, one), "the object of the API")
	require.Equal(t, decoded[client.Job](t, service.punctual(t, nil, "jobs", "get", one.Id.String(), "-o", "json")), one, "found by its id, too")

	yaml := service.punctual(t, nil, "jobs", "get", "payments/settle", "-o", "yaml")
	require.Contains(t, yaml.out, "labels:\n  env: prod\n  team: payments\n")
	names := service.punctual(t, nil, "jobs", "list", "--sort", "name", "-o", "name")
	require.Equal(t, "payments/old\npayments/report\npayments/settle\n", names.out)
	table := service.punctual(t, nil, "jobs", "list", "--limit", "1")
	require.Regexp(t, `^KEY OR ID +NAME +SCHEDULE +HEALTH +LAST RUN +NEXT RUN\npayments/\w+ .* 0 5 1 1 \* .* NEVER_RAN .*\n$`, table.out)
	require.NotContains(t, table.out, "\x1b", "no terminal, no colors")
	require.Contains(t, table.err, "there are more")
	details := service.punctual(t, nil, "jobs", "get", "payments/settle")
	require.Contains(t, details.out, "Labels:             env=prod,team=payments\n")
}

// What was paused before a pause of many stays paused when that pause ends.
func TestCommandLine_aPauseEndsByItsID(t *testing.T) {
	t.Parallel()
	service := payments(t)
	require.Zero(t, service.punctual(t, nil, "jobs", "pause", "payments/old", "--reason", "by hand").code)
	paused := service.punctual(t, nil, "jobs", "pause", "-l", "team=payments", "--until", "2h", "--reason", "moving", "--yes")
	require.Zero(t, paused.code, paused.err)
	require.Contains(t, paused.out, "Paused: 2 jobs. Nothing to do: 1 job.\n")
	_, id, _ := strings.Cut(paused.last(), "jobs resume --pause ")
	settle := decoded[client.Job](t, service.punctual(t, nil, "jobs", "get", "payments/settle", "-o", "json"))
	require.Equal(t, "moving", *settle.StatusReason)
	require.NotNil(t, settle.PauseUntil)

	resumed := service.punctual(t, nil, "jobs", "resume", "--pause", id, "--yes")
	require.Zero(t, resumed.code, resumed.err)
	require.Equal(t, "Resumed: 2 jobs.\n", resumed.out)
	still := service.punctual(t, nil, "jobs", "list", "--status", "paused", "-o", "name")
	require.Equal(t, "payments/old\n", still.out)
}

// More jobs than one page and one bulk request take.
func TestCommandLine_manyJobs(t *testing.T) {
	t.Parallel()
	service := payments(t)
	for _, size := range []int{1000, 100} {
		var batch client.JobBatch
		for n := range size {
			batch.Jobs = append(batch.Jobs, client.JobCreate{
				Name: strconv.Itoa(n), Cron: new("0 5 1 1 *"), Labels: &client.Labels{"many": "yes"},
			})
		}
		created, err := service.CreateJobsWithResponse(t.Context(), nil, batch)
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, created.StatusCode(), "%s", created.Body)
	}
	all := service.punctual(t, nil, "jobs", "list", "-l", "many", "--limit", "0", "-o", "name")
	require.Len(t, all.lines(), 1100)
	require.Len(t, service.punctual(t, nil, "jobs", "list", "-l", "many", "--limit", "501", "-o", "name").lines(), 501)
	would := service.punctual(t, nil, "jobs", "delete", "-l", "many")
	require.Equal(t, 3, would.code)
	require.Contains(t, would.err, "delete 1100 jobs")
	deleted := service.punctual(t, nil, "jobs", "delete", "-l", "many", "--yes")
	require.Zero(t, deleted.code, deleted.err)
	require.Equal(t, "Deleted: 1100 jobs.\n", deleted.out)
	require.Len(t, service.punctual(t, nil, "jobs", "list", "-o", "name").lines(), 3)
}

func TestCommandLine_exitCodes(t *testing.T) {
	t.Parallel()
	service := payments(t)
	for line, want := range map[string]struct {
		code int
		err  string
	}{
		"jobs get payments/settle payments/none":          {1, "punctual: there is no such job: payments/none\n"},
		"jobs run payments/settle payments/none --yes":    {1, "punctual: there is no such job: payments/none\n"},
		"jobs list -l team=a;b":                           {1, "\n  labelSelector: is not a label selector: values[0][team]: Invalid value: \"a;b\""},
		"jobs list --name a":                              {1, "punctual: The request is not valid.\n  name: "},
		"preview 61_*_*_*_*":                              {1, "  cron: "},
		"jobs list --limit=-1":                            {3, "--limit must not be negative"},
		"jobs list --nothing":                             {3, "unknown flag --nothing"},
		"jobs pause":                                      {3, "name the jobs, or select them"},
		"jobs delete --all -l a":                          {3, "--all cannot be used together"},
		"jobs pause --all":                                {3, "add --yes to pause 3 jobs"},
		"jobs pause payments/old --until yesterday":       {3, "neither an instant"},
		"namespaces delete default":                       {3, "--yes"},
		"namespaces update default":                       {3, "say what changes"},
		"jobs list --profile nobody":                      {3, `there is no profile "nobody"`},
		"jobs list --url ftp://host":                      {3, "http:// or https://"},
		"jobs list --url http://127.0.0.1:1":              {4, "the service at 127.0.0.1:1 cannot be reached"},
		"runs get 00000000-0000-7000-8000-000000000000":   {1, "there is no such run: 00000000"},
		"runs retry 00000000-0000-7000-8000-000000000000": {1, "there is no such run"},
		"runs get 12":                                     {3, `"12" is not an id`},
		"runs list --job payments/none":                   {1, "there is no such job: payments/none"},
		"runs cancel":                                     {3, "name the runs, or select them"},
	} {
		args := strings.Fields(line)
		for n := range args {
			args[n] = strings.ReplaceAll(args[n], "_", " ")
		}
		got := service.punctual(t, []string{"DATABASE_URL="}, args...)
		require.Equal(t, want.code, got.code, "%s: %s", line, got.err)
		require.Contains(t, got.err, want.err, line)
		require.NotContains(t, got.out, "Usage", "the output may lead to another command")
	}
}

func TestCommandLine_completion(t *testing.T) {
	t.Parallel()
	service := payments(t)
	for _, shell := range []string{"bash", "zsh", "fish"} {
		got := service.punctual(t, nil, "completion", shell)
		require.Zero(t, got.code, got.err)
		if path, err := exec.LookPath(shell); err == nil {
			check := exec.Command(path, "-n")
			check.Stdin = strings.NewReader(got.out)
			out, err := check.CombinedOutput()
			require.NoError(t, err, "%s: %s", shell, out)
		}
	}
	require.Equal(t, "pause\n", service.punctual(t, []string{"COMP_LINE=punctual jobs pau"}, "").out)
	require.Equal(t, "--reason\n", service.punctual(t, []string{"COMP_LINE=punctual jobs pause --re"}, "").out)
	require.Equal(t, "json\n", service.punctual(t, []string{"COMP_LINE=punctual jobs list -o js"}, "").out)
}

// Watching prints each change once, as one JSON object a line, and ends with the runs that it was
// asked for.
func TestCommandLine_watchesRuns(t *testing.T) {
	t.Parallel()
	service := payments(t)
	started := service.punctual(t, nil, "jobs", "run", "payments/settle", "-o", "name")
	require.Zero(t, started.code, started.err)
	watched := service.punctual(t, nil, "runs", "watch", strings.TrimSpace(started.out), "-o", "json")
	require.Zero(t, watched.code, watched.err)
	var last client.Run
	require.NoError(t, json.Unmarshal([]byte(watched.last()), &last))
	require.Equal(t, client.RunStatusSUCCEEDED, last.Status)
	again := service.shell(t, t.TempDir(), nil, "timeout --preserve-status -s INT 4 punctual runs watch -o name")
	require.Zero(t, again.code, "Ctrl-C is how watching ends: %s", again.err)
	require.Equal(t, started.out, again.out)
}
