package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/gen/client"
)

// attempt is one request, with the answer that it must get.
type attempt struct {
	probe
	status int    // 0: success
	code   string // empty: any
	check  func(t *testing.T, got answer)
}

// row asks for an operation as each kind of caller, and returns the statuses. The last caller may
// do it, to the same thing: nobody before has done it.
func (a *accessTable) row(t *testing.T, op *operation) (cells []string) {
	t.Helper()
	require.Equal(t, slices.Contains(openToAll, op.OperationID), isOpen(op), "whether everybody may do it")
	valid := a.valid(t, op)
	if op.OperationID == "leaseRuns" { // a worker that gets nothing does not wait
		valid.body = []byte(`{"waitSeconds":0}`)
	}
	for _, column := range columns {
		var statuses []string
		for _, try := range a.attempts(op, column, valid) {
			statuses = append(statuses, strconv.Itoa(a.try(t, column, try)))
		}
		slices.Sort(statuses)
		cells = append(cells, strings.Join(slices.Compact(statuses), " "))
	}
	return cells
}

// try sends a request, checks the answer, and returns its status.
func (a *accessTable) try(t *testing.T, column string, try attempt) int {
	t.Helper()
	got, err := a.send(t, try.probe)
	if !assert.NoError(t, err, "%s\n%s", column, try.probe) {
		return 0
	}
	assert.NoError(t, a.checkForm(t, try.probe, got), "%s\n%s%s", column, try.probe, got)
	if try.status == 0 {
		assert.Less(t, got.StatusCode, 300, "%s\n%s%s", column, try.probe, got)
	} else {
		assert.Equal(t, try.status, got.StatusCode, "%s\n%s%s", column, try.probe, got)
		if try.code != "" {
			assert.Equal(t, try.code, problemIn(got).Code, "%s\n%s%s", column, try.probe, got)
		}
		assert.Equal(t, try.status == http.StatusUnauthorized, got.Header.Get("WWW-Authenticate") != "",
			"401 says how to authenticate: %s\n%s%s", column, try.probe, got)
	}
	if try.check != nil {
		try.check(t, got)
	}
	return got.StatusCode
}

// attempts returns the requests of one cell of the table.
func (a *accessTable) attempts(op *operation, column string, valid probe) (tries []attempt) {
	with := func(status int, code string, authorization ...string) attempt {
		p := valid
		p.header = maps.Clone(valid.header)
		p.header["Authorization"] = authorization
		if isOpen(op) {
			status = 0
		}
		return attempt{probe: p, status: status, code: code}
	}
	if isOpen(op) {
		for _, authorization := range a.bad[column] {
			tries = append(tries, with(0, "", authorization...))
		}
		if tries == nil {
			tries = append(tries, with(0, "", "Bearer "+a.keys[strangerNamespace].without["admin"]))
		}
		return tries
	}
	scope := scopeOf(op)
	switch column {
	case "wrong scope":
		if scope == anyScope { // none is wrong
			return []attempt{with(http.StatusOK, "", "Bearer "+a.keys[ownerNamespace].only[scope])}
		}
		if isPublic(op) { // what is not public is not there
			return []attempt{with(http.StatusNotFound, "job-not-found", "Bearer "+a.keys[ownerNamespace].without[scope])}
		}
		tries = append(tries, with(http.StatusForbidden, "scope-required", "Bearer "+a.keys[ownerNamespace].without[scope]))
		if isServiceWide(op) {
			tries = append(tries, with(http.StatusForbidden, "service-wide-required", "Bearer "+a.keys[ownerNamespace].only[scope]))
		}
	case "other namespace":
		named := with(http.StatusNotFound, "namespace-not-found", "Bearer "+a.keys[strangerNamespace].only[scope])
		named.header.Set("Punctual-Namespace", ownerNamespace)
		tries = append(a.fromElsewhere(op, valid), named)
	case "right key":
		namespace := ownerNamespace
		if isServiceWide(op) || strings.HasPrefix(op.path, "/api/v1/namespaces/") {
			namespace = "" // whoever is bound to one namespace sees no other
		}
		tries = append(tries, with(0, "", "Bearer "+a.keys[namespace].only[scope]))
	default:
		code := "credentials-invalid"
		if column == "no key" {
			code = "credentials-required"
		}
		if column == "no key" && isPublic(op) {
			return []attempt{with(http.StatusNotFound, "job-not-found", a.bad[column][0]...), with(http.StatusNotFound, "job-not-found", "")}
		}
		for _, authorization := range a.bad[column] {
			tries = append(tries, with(http.StatusUnauthorized, code, authorization...))
		}
		// Who calls is asked first: nobody learns what else would be wrong.
		wrong := with(http.StatusUnauthorized, code, a.bad[column][0]...)
		wrong.query, wrong.body = "nope=1", []byte("{")
		tries = append(tries, wrong)
	}
	return tries
}

// fromElsewhere returns the requests of a caller of another namespace with the right scope.
func (a *accessTable) fromElsewhere(op *operation, valid probe) []attempt {
	stranger := valid
	stranger.header = maps.Clone(valid.header)
	stranger.header["Authorization"] = []string{"Bearer " + a.keys[strangerNamespace].only[scopeOf(op)]}
	try := attempt{probe: stranger, check: a.showsNothing}
	switch {
	case isServiceWide(op):
		try.status, try.code = http.StatusForbidden, "service-wide-required"
	case isList(op):
		try.probe = a.ofBystander(valid)
		try.check = func(t *testing.T, got answer) {
			t.Helper()
			assert.Equal(t, a.before[op.OperationID], steady(got), "the list is as before others had anything")
		}
	case byName[op.OperationID] || len(op.parameters("path")) == 0:
	default:
		return a.asIfAbsent(op, stranger)
	}
	return []attempt{try}
}

// asIfAbsent returns the request for somebody else's thing, and the one for a thing that there is
// not. The answers are the same.
func (a *accessTable) asIfAbsent(op *operation, stranger probe) []attempt {
	status := http.StatusNotFound
	if op.OperationID == "heartbeat" { // what has ended, and what never was, are the same
		status = http.StatusConflict
	}
	if op.hasReports() {
		status = http.StatusOK // each report is refused by itself
	}
	var whole client.Problem
	tries := []attempt{{probe: stranger, status: status}, {probe: stranger, status: status}}
	segments := strings.Split(stranger.path, "/")
	first := slices.IndexFunc(strings.Split(op.path, "/"), func(s string) bool { return strings.HasPrefix(s, "{") })
	if _, err := uuid.Parse(segments[first]); err == nil {
		segments[first] = uuid.Must(uuid.NewV7()).String()
	} else {
		segments[first] = "nobodyhasthis2z7"
	}
	tries[1].path = strings.Join(segments, "/")
	for i := range tries {
		tries[i].check = func(t *testing.T, got answer) {
			t.Helper()
			a.showsNothing(t, got)
			problem := problemIn(got)
			problem.RequestId = nil
			if i == 0 {
				whole = problem
			}
			assert.Equal(t, whole, problem, "what is elsewhere and what is nowhere are the same")
		}
	}
	return tries
}

// showsNothing checks that nothing of the owner is in an answer.
func (a *accessTable) showsNothing(t *testing.T, got answer) {
	t.Helper()
	assert.Empty(t, shownOf(a.ofOwner, string(got.body)), "%s", got)
}

func (a *accessTable) ofBystander(valid probe) probe {
	valid.header = maps.Clone(valid.header)
	valid.header["Authorization"] = []string{"Bearer " + a.keys[bystanderNamespace].only[scopeOf(valid.operation)]}
	return valid
}

// readAsBystander returns what a list shows in a namespace in which nothing happens.
func (a *accessTable) readAsBystander(t *testing.T, op *operation) string {
	t.Helper()
	p := a.ofBystander(a.valid(t, op))
	got, err := a.send(t, p)
	require.NoError(t, err)
	if !isServiceWide(op) {
		require.Equal(t, http.StatusOK, got.StatusCode, "%s%s", p, got)
	}
	return steady(got)
}

var unsteady = regexp.MustCompile(`"lastUsedAt":("[^"]*"|null)|"(from|to|startsAt|completeUntil)":"[^"]*"`)

// steady returns the body of an answer without what a request itself, or time, may change.
func steady(got answer) string { return unsteady.ReplaceAllString(string(got.body), "") }

// problemIn returns the problem that an answer is, or an empty one.
func problemIn(got answer) (problem client.Problem) {
	_ = json.Unmarshal(got.body, &problem) // what is no problem has no code
	return problem
}
