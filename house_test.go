package punctual_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
var commentMarks = map[string]string{".go": "//", ".sql": "--", ".ts": "//"}

// notWritten are directories whose files are generated, copied or built.
var notWritten = []string{".git", "gen", "bin", "node_modules", "build", "testdata"}

// A file can be read in one sitting, and its comments need no scrolling.
func TestHandwrittenFilesAreShortAndNarrow(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(notWritten, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		mark := commentMarks[filepath.Ext(path)]
		if mark == "" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		assert.LessOrEqual(t, len(lines), maxFileLines, "%s has too many lines: split it", path)
		for n, line := range lines {
			if isComment(line, mark) {
				assert.LessOrEqual(t, utf8.RuneCountInString(line), maxCommentColumns,
					"%s:%d: the comment is too wide", path, n+1)
			}
		}
		return nil
	})
	require.NoError(t, err)
}

// isComment reports whether a line is a comment. Directives to tools cannot be wrapped and do not
// count.
func isComment(line, mark string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, mark) && !strings.HasPrefix(line, "//go:")
}
