package punctual_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	maxFileLines      = 300
	maxCommentColumns = 100
)

// commentMarks are what a comment begins with, for each kind of handwritten file.
var commentMarks = map[string]string{".go": "//", ".sql": "--", ".ts": "//", ".py": "#", ".templ": "//", ".js": "//"}

// A file can be read in one sitting, and its comments need no scrolling.
func TestHandwrittenFilesAreShortAndNarrow(t *testing.T) {
	t.Parallel()
	for _, path := range handwritten(t) {
		mark := commentMarks[filepath.Ext(path)]
		text, err := os.ReadFile(path)
		if mark == "" || os.IsNotExist(err) { // it is deleted, and git does not know yet
			continue
		}
		require.NoError(t, err)
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		assert.LessOrEqual(t, len(lines), maxFileLines, "%s has too many lines: split it", path)
		for n, line := range lines {
			if isComment(line, mark) {
				assert.LessOrEqual(t, utf8.RuneCountInString(line), maxCommentColumns,
					"%s:%d: the comment is too wide", path, n+1)
			}
		}
	}
}

// handwritten returns the files of the checkout that git does not ignore, without generated ones.
func handwritten(t *testing.T) (paths []string) {
	t.Helper()
	list, err := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard").Output()
	require.NoError(t, err, "git lists the files")
	for path := range strings.Lines(string(list)) {
		path = strings.TrimSpace(path)
		if !strings.HasPrefix(path, "gen/") && !strings.HasSuffix(path, "_templ.go") && !strings.HasPrefix(path, "ui/assets/vendor/") {
			paths = append(paths, path)
		}
	}
	require.Contains(t, paths, "openapi.yaml")
	return paths
}

// isComment reports whether a line is a comment. Directives to tools cannot be wrapped and do not
// count.
func isComment(line, mark string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, mark) && !strings.HasPrefix(line, "//go:")
}
