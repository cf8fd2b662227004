package e2e

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"punctual/gen/server"
)

// requested are the requests that were made through the generated Go client, as "METHOD path".
var requested sync.Map

// note notes a request of the client.
func note(_ context.Context, r *http.Request) error {
	requested.Store(r.Method+" "+r.URL.EscapedPath(), true) // a key may have slashes
	return nil
}

// TestMain fails a run of all tests in which some operation of the contract was not used by the Go
// client, and any run in which a secret was logged or stored in the clear.
func TestMain(m *testing.M) {
	if err := written.begin(); err != nil {
		fmt.Fprintln(os.Stderr, "keep what the instances write:", err)
		os.Exit(1)
	}
	code := m.Run()
	if commandDir != "" {
		_ = os.RemoveAll(commandDir) // it is in a directory for temporary files
	}
	leaks, summary, err := written.find()
	written.end()
	fmt.Fprintln(os.Stderr, summary)
	if len(leaks) > 0 || err != nil {
		fmt.Fprintln(os.Stderr, "secrets were logged or stored:", strings.Join(leaks[:min(len(leaks), 20)], "\n"), err)
		code = 1
	}
	if isWhole := flag.Lookup("test.run").Value.String() == "" && !testing.Short(); code == 0 && isWhole {
		if unused := unusedOperations(); len(unused) > 0 {
			fmt.Fprintln(os.Stderr, "operations that no test has used by the Go client:", strings.Join(unused, ", "))
			code = 1
		}
	}
	os.Exit(code)
}

// unusedOperations returns the ids of the contract's operations for which there was no request.
func unusedOperations() (unused []string) {
	spec, err := server.GetSpec()
	if err != nil {
		return []string{err.Error()}
	}
	for path, item := range spec.Paths.Map() {
		for method, operation := range item.Operations() {
			isUsed := false
			requested.Range(func(request, _ any) bool {
				isUsed = isOf(request.(string), method+" "+path)
				return !isUsed
			})
			if !isUsed {
				unused = append(unused, operation.OperationID)
			}
		}
	}
	slices.Sort(unused)
	return unused
}

// isOf reports whether a request has the form of a template, whatever stands for its parameters.
func isOf(request, template string) bool {
	return slices.EqualFunc(strings.Split(template, "/"), strings.Split(request, "/"), func(want, got string) bool {
		return want == got || (strings.HasPrefix(want, "{") && got != "")
	})
}
