// Package need skips tests that need a program which this machine lacks. For tests only.
//
// A developer may do without such a program, and the command testserver lists at its end what was
// skipped. In CI, where nobody reads lists, the test fails instead.
package need

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// SkippedFile is the environment variable that names the file to which skipped tests are added, a
// line each. Testserver sets it.
const SkippedFile = "PUNCTUAL_TEST_SKIPPED"

// Program returns the path of the first of the named programs that is installed. If there is none,
// it skips the test, or fails it if the environment variable CI is set. The packages are what to
// install, for people.
func Program(tb testing.TB, packages string, names ...string) string {
	tb.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	lacks := fmt.Sprintf("needs %s (package %s)", strings.Join(names, " or "), packages)
	if os.Getenv("CI") != "" {
		tb.Fatalf("%s, and CI has to run this test", lacks)
	}
	record(tb, tb.Name()+" "+lacks)
	tb.Skip(lacks)
	return ""
}

func record(tb testing.TB, line string) {
	tb.Helper()
	path := os.Getenv(SkippedFile)
	if path == "" {
		return
	}
	// Test processes append at the same time. A line this short is written whole.
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0) //nolint:gosec // testserver names it
	if err != nil {
		tb.Fatalf("record a skipped test: %v", err)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.WriteString(line + "\n"); err != nil {
		tb.Fatalf("record a skipped test: %v", err)
	}
}
