package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/app"
)

// openToAll are the operations that anybody may call. Everything else needs a key, whatever the
// contract says.
var openToAll = []string{"getLiveness", "getReadiness", "getJwks"}

// byName are the operations whose path has the name of something that each namespace may have, so
// that a caller of another namespace is answered, from its own.
var byName = map[string]bool{"leaseRuns": true, "putJobByKey": true}

// TestAccessTable asks for each operation of the contract with each kind of key. All requests are
// derived from openapi.yaml, so a new operation is covered. It may need a line in newThings, which
// makes jobs and runs to ask for; without one the test fails.
func TestAccessTable(t *testing.T) { //nolint:tparallel // the table is printed after its rows
	t.Parallel()
	a := newAccessTable(t)
	t.Run("rows", func(t *testing.T) {
		for _, op := range a.operations {
			t.Run(op.OperationID, func(t *testing.T) {
				t.Parallel()
				a.add(op, a.row(t, op))
			})
		}
	})
	t.Logf("%d requests\n%s", a.sent.Load(), a)
	require.Len(t, a.rows, len(a.operations), "each operation has a row")
}

// columns are the kinds of callers, in the order of the table.
var columns = []string{"no key", "malformed", "unknown", "revoked", "expired", "wrong scope", "other namespace", "right key"}

// accessTable is a service with two namespaces, one of which has things to ask for.
type accessTable struct {
	*contract
	operations []*operation // by path
	// keys are keys with one scope, or with all but one, by namespace.
	keys map[string]keysOf
	// bad are the values of Authorization that stand for nobody, by the column.
	bad map[string][][]string
	// before are the answers to the bystander, before the owner had anything, by operation.
	before map[string]string
	// ofOwner are the ids of what the owner has.
	ofOwner []string

	mu   sync.Mutex
	rows map[string][]string
}

// The namespaces of the table: of whom the things are, who tries to reach them, and who only reads.
const ownerNamespace, strangerNamespace, bystanderNamespace = "owner", "stranger", "bystander"

func newAccessTable(t *testing.T) *accessTable {
	t.Helper()
	service := newGuarded(t, app.Config{SecretKeys: keyring(t, "access")}, ownerNamespace, strangerNamespace, bystanderNamespace)
	a := &accessTable{
		contract: contractOf(t, service.url), keys: map[string]keysOf{}, before: map[string]string{}, rows: map[string][]string{},
	}
	a.operations = slices.SortedFunc(slices.Values(operations(a.spec)), func(x, y *operation) int {
		return cmp.Or(strings.Compare(x.path, y.path), strings.Compare(x.method, y.method))
	})
	for _, namespace := range []string{"", ownerNamespace, strangerNamespace, bystanderNamespace} {
		a.keys[namespace] = service.keysOf(t, namespace)
	}
	for _, op := range a.operations {
		if isList(op) {
			a.before[op.OperationID] = a.readAsBystander(t, op)
		}
	}
	_, all := service.key(t, "")
	a.things = newThings(t, service.as(t, all).in(t, ownerNamespace))
	a.bad = service.badAuthorizations(t, ownerNamespace)
	a.ofOwner = service.idsIn(t, ownerNamespace)
	return a
}

// anyScope is what an operation needs that everybody may call who is known.
const anyScope access.Scope = "any"

// keysOf are keys of one namespace, by a scope: with that scope only, and with all other ones.
type keysOf struct{ only, without map[access.Scope]string }

func (g guarded) keysOf(t *testing.T, namespace string) keysOf {
	t.Helper()
	all := keysOf{map[access.Scope]string{}, map[access.Scope]string{}}
	for _, scope := range access.Scopes {
		_, all.only[scope] = g.key(t, namespace, scope)
		_, all.without[scope] = g.key(t, namespace, allBut(scope)...)
	}
	_, all.only[anyScope] = g.key(t, namespace, access.Workers)
	return all
}

// badAuthorizations returns values of Authorization that stand for nobody, by the column.
func (g guarded) badAuthorizations(t *testing.T, namespace string) map[string][][]string {
	t.Helper()
	_, good := g.key(t, namespace)
	nobodys, forged := g.unknownKeys(t, namespace)
	half := len(good) / 2
	return map[string][][]string{
		"no key":  {nil, {""}},
		"unknown": {{"Bearer " + nobodys}, {"Bearer " + forged}},
		"revoked": {{"Bearer " + g.revokedKey(t, namespace)}}, "expired": {{"Bearer " + g.expiredKey(t, namespace)}},
		"malformed": {
			{"Bearer"},
			{"Bearer "},
			{good},
			{"Basic " + good},
			{"Bearer" + good},
			{"Bearer:" + good},
			{"Bearer punc_"},
			{"Bearer punc__"},
			{"Bearer " + good[:len(good)-1]},
			{"Bearer " + good + "a"},
			{"Bearer " + good + " x"},
			{"Bearer " + good[:half] + " " + good[half:]},
			{"Bearer " + strings.ToUpper(good)},
			{"Bearer " + good + "," + good},
			{"Bearer \"" + good + "\""},
			{"Bearer " + altered(good, 1)},
			{"Bearer null"},
			{"Bearer " + strings.Repeat("a", 5000)},
			{"Bearer " + good, "Bearer " + good},
			{"Bearer " + good, ""},
			{"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."},
			{"Bearer \xff\xfe"},
			{"Bearer punc_' or true --_" + good[22:]},
		},
	}
}

// isList reports whether an operation reads without naming anything.
func isList(op *operation) bool {
	return op.method == http.MethodGet && len(op.parameters("path")) == 0 && !isOpen(op)
}

func isOpen(op *operation) bool { return op.Security != nil && len(*op.Security) == 0 }

// scopeOf returns the scope that the contract has for an operation.
func scopeOf(op *operation) access.Scope {
	scope, _ := op.Extensions["x-required-scope"].(string)
	return access.Scope(scope)
}

// isPublic reports whether an operation shows what is public to everybody, and nothing else to
// whoever has not the scope.
func isPublic(op *operation) bool {
	is, _ := op.Extensions["x-public"].(bool)
	return is
}

// isServiceWide reports whether the contract keeps an operation for those who are bound to no
// namespace.
func isServiceWide(op *operation) bool {
	is, _ := op.Extensions["x-service-wide"].(bool)
	return is
}

func (a *accessTable) add(op *operation, cells []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows[op.OperationID] = cells
}

// String prints the table.
func (a *accessTable) String() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "operation\tscope\t%s\n", strings.Join(columns, "\t"))
	for _, op := range a.operations {
		fmt.Fprintf(w, "%s\t%s\t%s\n", op.OperationID, scopeOf(op), strings.Join(a.rows[op.OperationID], "\t"))
	}
	_ = w.Flush() // to memory
	return text.String()
}
