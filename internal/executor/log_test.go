package executor_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/internal/executor"
)

// logOf executes a run with a payload and returns the line that it logs.
func logOf(t *testing.T, payload string) (line string, fields map[string]any) {
	t.Helper()
	var out bytes.Buffer
	target := executor.Log{Logger: slog.New(slog.NewJSONHandler(&out, nil))}
	result, err := target.Execute(t.Context(), executor.Run{Namespace: "payments", JobName: "report", Payload: json.RawMessage(payload)})
	require.NoError(t, err)
	require.Nil(t, result)
	require.NoError(t, json.Unmarshal(out.Bytes(), &fields), "a line is JSON")
	return out.String(), fields
}

func TestLog(t *testing.T) {
	t.Parallel()
	t.Run("a payload is logged as JSON", func(t *testing.T) {
		t.Parallel()
		_, fields := logOf(t, "{\"a\":\r\n [1, \"é\"]}")
		require.Equal(t, map[string]any{"a": []any{1.0, "é"}}, fields["payload"])
		require.Equal(t, "payments", fields["namespace"])
		require.NotContains(t, fields, "payloadIsTruncated")
	})
	t.Run("without a payload", func(t *testing.T) {
		t.Parallel()
		_, fields := logOf(t, "null")
		require.Nil(t, fields["payload"])
	})
	t.Run("a large payload is cut", func(t *testing.T) {
		t.Parallel()
		payload := `"` + strings.Repeat("é", 500_000) + `"`
		line, fields := logOf(t, payload)
		require.Less(t, len(line), 9<<10)
		require.Equal(t, true, fields["payloadIsTruncated"])
		require.EqualValues(t, len(payload), fields["payloadBytes"])
		require.True(t, strings.HasPrefix(payload, fields["payload"].(string)))
	})
	t.Run("what a terminal obeys is made visible", func(t *testing.T) {
		t.Parallel()
		for _, payload := range []string{"\"\u009b2J\u202e\x7f\"", "\"" + strings.Repeat("\u009b\u202e", 5000) + "\""} {
			line, _ := logOf(t, payload)
			require.NotContains(t, line, "\u009b")
			require.NotContains(t, line, "\u202e")
			require.NotContains(t, line, "\x7f")
			require.Contains(t, line, `u202e`)
		}
	})
}
