package access_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/testdb"
)

// acrossNamespaces are the statements that have no condition on the namespace, by the reason why
// nobody sees or changes with them what is in another one.
var acrossNamespaces = map[string][]string{
	"the caller has found the job in its namespace, and holds its lock": {
		"UpdateJob", "MarkJobDeleted", "MayBeUsedUp",
		"LockDue", "DetachSchedule", "AttachSchedule", "AttachScheduleToRun", "RaiseRevisions", "RerouteWaiting", "EndWaiting",
		"DropOccurrence", "RecordSkipped", "CountBackfilled", "LastBackfilled",
		"StartRun", "StartRunBeforeNext", "StartRunWithSchedule", "BufferRun", "DropBuffered", "SkipRun", "Backfill", "CountMissing", "CancelRuns",
		"ListRunInstants", "TakeEventStarts", "TakeEventGroup", "DropEventStarts", "CountOpen", "ListDueInstants", "StartRuns", "SkipRuns",
	},
	"they store rows for a job that CreateJob has stored in the same transaction":        {"CreateFirst", "CreateExpectation", "AuditCreation", "ReadCreated"},
	"they store rows for jobs that CopyJobs has stored, with their namespace":            {"CopyDue"},
	"events start only jobs of the namespace in which they happened":                     {"AddEventStarts"},
	"it tells only when the last run is due":                                             {"LastAskedFor"},
	"the caller has found the job in its namespace":                                      {"ListRuns", "ListRetried", "ListStored", "ListJobVersions", "ListEnds", "ListEndedRuns"},
	"each report names the namespace of its caller":                                      {"ListLeased"},
	"the caller has found the run, or the lease, in its namespace":                       {"Release", "ListCanceledOfWorker", "ForgetLeases", "KeepVersion"},
	"the names of queues are qualified by the namespace":                                 {"NextQueued", "ClaimQueued", "GrantLeases", "ListQueues", "ListUnattended"},
	"an instance executes the runs of all namespaces":                                    {"Claim", "OldestReady", "GivePlaces", "NextGrouped", "NextReady", "ListCanceled", "ListLimited", "LockLimited", "ClaimLimited", "NextLimited", "MarkConnectionDown", "MarkConnectionUp"},
	"an instance stores the runs that it has claimed, by their tokens":                   {"Complete", "RecordRuns", "RecordOverlaps", "AuditEnds", "ListTaken", "ListRevised", "RequeueFailed", "HoldRuns", "Split", "CancelEarlier", "CountFailures", "LockCompleted", "MarkFailing", "ClearFailing", "NoteSuccesses"},
	"a clock that was ahead concerns all namespaces":                                     {"ShortenLeases", "ListToCome", "FirstRunAhead"},
	"an instance has a lease of its own, under an id that nobody is given":               {"CreateLease", "RenewLease", "RenewLeaseAndInstance", "ExpireLease"},
	"everybody may see the badge of a job that says so":                                  {"GetBadgeNamespace"},
	"an instance counts the runs that it has stored":                                     {"AddRunStats"},
	"a duty of an instance, of which no caller sees anything":                            {"FreeAbandoned", "FreeLost", "ListOverdue", "ListUnserved", "PurgeDeletedJobs", "PurgeAudit", "PurgeVersions", "PurgeIdempotent", "ListNamespacesBehind", "ListEndingPauses", "TakeOverdue", "ListSpreading", "MarkSpread", "ListRunningOut", "ListStarted", "IsAnyKeyValid", "DeleteRunsOfJobs", "PurgeNamespaces", "AddConnectionStates", "TakeRunMinutes", "AddRunHours", "PurgeRunStats"},
	"a command of the operator, who has the database anyway":                             {"CountSealed", "ListSealedUnderOtherKeys", "Reseal", "ListSealedConnections", "ResealConnection"},
	"an instance knows which jobs events start, each by its namespace":                   {"ListStartsOn"},
	"it finds out who makes a request, and in which namespace":                           {"ReadKey", "NoteKeysUsed"},
	"a key for all namespaces has none, and only a caller sees it that is bound to none": {"ListKeys"},
	"it finds the request by an id that only the service makes":                          {"HoldAttempt", "ListAttempt"},
	"it counts what another statement looks at, and no caller sees the count":            {"CountRunsWithin"},
	"it bounds what another statement looks at, and no caller sees the bound":            {"FindReadyAt"},
	"the operator's metrics count over all namespaces":                                   {"MeasureDue", "MeasureConnections", "MeasureState", "MeasureFailing", "MeasureJobs"},
	"it reads no row": {"CheckTables"},
}

var (
	statementStart = regexp.MustCompile(`(?m)^-- name: (\w+) :\w+$`)
	sqlComment     = regexp.MustCompile(`(?m)--.*$`)
	// walledTable matches where a statement reads or changes a table whose rows belong to
	// namespaces.
	walledTable = regexp.MustCompile(`\b(?:from|join|update|into|using|,)\s+(jobs|job_versions|keys|audit|idempotency_keys|connections|calendars|due|runs|open_runs|leases|event_starts|run_stats)\b`)
	// namespaceCondition matches what keeps a statement within one namespace.
	namespaceCondition = regexp.MustCompile(`(?:\bnamespace|\bnamespace_name)\s*(?:=|is not distinct from)\s*(?:@namespace\b|sqlc\.narg\(namespace\))` +
		`|starts_with\(queue, @namespace::text \|\| '/'\)`)
	insertOfNamespace = regexp.MustCompile(`(?s)insert into \w+ \([^)]*\bnamespace\b[^)]*\)\s*(?:values \(|select )[^;]*(?:@namespace\b|sqlc\.narg\(namespace\))`)
)

// Every statement keeps to one namespace, or is listed above. Whoever adds one has to decide.
func TestStatementsKeepToOneNamespace(t *testing.T) {
	t.Parallel()
	reasons := map[string]string{}
	for reason, names := range acrossNamespaces {
		for _, name := range names {
			require.Empty(t, reasons[name], "%s is listed once", name)
			reasons[name] = reason
		}
	}
	all := statements(t)
	for name, text := range all {
		tables := walledTable.FindAllStringSubmatch(text, -1)
		_, isListed := reasons[name]
		switch isWalled := keepsToOneNamespace(text, len(tables)); {
		case len(tables) == 0, isWalled:
			assert.False(t, isListed, "%s needs no place in the list", name)
			for _, at := range namespaceCondition.FindAllStringIndex(text, -1) {
				without := text[:at[0]] + "true" + text[at[1]:]
				assert.False(t, keepsToOneNamespace(without, len(tables)), "%s needs each of its conditions", name)
			}
		default:
			assert.True(t, isListed, "%s reads or changes %q without a condition on the namespace", name, tables)
		}
	}
	for name := range reasons {
		assert.Contains(t, all, name, "the list has only statements that there are")
	}
}

// keepsToOneNamespace reports whether a statement has a condition on the namespace for each use of
// a table of jobs, keys or the audit.
func keepsToOneNamespace(text string, uses int) bool {
	// The rows of due and runs are found through their job, and have no namespace of their own.
	throughJobs, byKey := 0, 0
	for _, use := range walledTable.FindAllStringSubmatch(text, -1) {
		if slices.Contains([]string{"due", "runs", "open_runs", "leases"}, use[1]) {
			throughJobs++
		}
		if slices.Contains([]string{"connections", "calendars"}, use[1]) && !strings.HasPrefix(use[0], "into") {
			byKey++
		}
	}
	_, conditions, _ := strings.Cut(text, " where ") // what an update sets is no condition
	found := len(namespaceCondition.FindAllString(conditions, -1))
	if insertOfNamespace.MatchString(text) {
		return found >= byKey // keys are those of a namespace
	}
	return found > 0 && found >= uses-throughJobs
}

// statements returns the text of each statement that sqlc reads by its name, without comments.
func statements(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range testdb.QueryFiles(t) {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		starts := statementStart.FindAllStringSubmatchIndex(string(raw), -1)
		require.NotEmpty(t, starts, file)
		for i, at := range starts {
			end := len(raw)
			if i+1 < len(starts) {
				end = starts[i+1][0]
			}
			name := string(raw[at[2]:at[3]])
			require.NotContains(t, all, name)
			all[name] = strings.Join(strings.Fields(sqlComment.ReplaceAllString(string(raw[at[1]:end]), "")), " ")
		}
	}
	return all
}

func TestWhatKeepsToOneNamespace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"select * from jobs where id = @id and namespace = @namespace":                                         true,
		"select * from jobs where id = @id":                                                                    false,
		"select * from jobs where namespace = @other":                                                          false,
		"select namespace from keys where id = @id":                                                            false,
		"select * from jobs j join keys k on true where j.namespace = @namespace":                              false,
		"select * from jobs j join keys k on true where j.namespace = @namespace and k.namespace = @namespace": true,
		"select * from jobs j, keys k where j.namespace = @namespace":                                          false,
		"select * from jobs where namespace = @namespace union all select * from jobs":                         false,
		"select * from jobs j join runs r on r.job_id = j.id where j.namespace = @namespace":                   true,
		"update jobs set namespace = @namespace where id = @id":                                                false,
		"insert into keys (id, namespace) values (@id, @namespace)":                                            true,
		"insert into audit (id) values (@id)":                                                                  false,
	} {
		require.Equal(t, want, keepsToOneNamespace(text, len(walledTable.FindAllString(text, -1))), text)
	}
}
