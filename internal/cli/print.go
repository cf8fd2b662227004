package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// The forms of the output.
const (
	outTable = "table"
	outJSON  = "json"
	outYAML  = "yaml"
	outName  = "name"
)

// table says how things of a kind are shown.
type table[T any] struct {
	columns []column[T]
	// name returns what other commands call a thing by.
	name func(T) string
}

type column[T any] struct {
	title string
	value func(T) string
}

// items is how a list is written as JSON and YAML.
type items[T any] struct {
	Items []T `json:"items"`
}

// print writes things in the form that the user wants.
func (t table[T]) print(s *Session, all []T) error {
	switch s.Output {
	case outJSON, outYAML:
		return s.object(items[T]{append([]T{}, all...)})
	case outName:
		for _, one := range all {
			if _, err := fmt.Fprintln(s.Out, t.name(one)); err != nil {
				return err
			}
		}
		return nil
	default:
		return t.write(s.Console, all)
	}
}

// write writes an aligned table.
func (t table[T]) write(c *Console, all []T) error {
	out := tabwriter.NewWriter(trimmed{c.Out}, 0, 0, 2, ' ', 0)
	paint := painter(c.hasColor())
	line := func(cell func(column[T]) string) {
		for n, col := range t.columns {
			if n > 0 {
				fmt.Fprint(out, "\t")
			}
			fmt.Fprint(out, paint(plain(cell(col))))
		}
		fmt.Fprintln(out)
	}
	line(func(col column[T]) string { return strings.ToUpper(col.title) })
	for _, one := range all {
		line(func(col column[T]) string { return col.value(one) })
	}
	return out.Flush()
}

// trimmed drops the spaces at the end of lines, with which tabwriter pads the last column.
type trimmed struct{ io.Writer }

func (w trimmed) Write(p []byte) (int, error) {
	var out bytes.Buffer
	for line := range bytes.Lines(p) {
		text, hasEnd := bytes.CutSuffix(line, []byte("\n"))
		if hasEnd {
			text = append(bytes.TrimRight(text, " "), '\n')
		}
		out.Write(text)
	}
	if _, err := w.Writer.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// object writes something as JSON or YAML.
func (s *Session) object(value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	out := text.Bytes()
	if s.Output == outYAML {
		var err error
		if out, err = yamlOf(out); err != nil {
			return err
		}
	}
	_, err := s.Out.Write(out)
	return err
}

// plain returns text on one line, without what could control a terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// colors are those of the words that say how something is.
var colors = map[string]int{
	"OK": 32, "SUCCEEDED": 32, "FAILING": 31, "FAILED": 31, "DOWN": 31, "UNATTENDED": 31, "OVERDUE": 33, "PAUSED_BY_SERVICE": 31, "LATE": 33, "SKIPPED": 33, "CANCELED": 33, "PAUSED": 33, "RUNNING": 36,
}

// painter returns what colors a cell. Each cell gets codes of the same length, since tabwriter
// counts them as text.
func painter(hasColor bool) func(string) string {
	if !hasColor {
		return func(cell string) string { return cell }
	}
	return func(cell string) string {
		code, isWord := colors[cell]
		if !isWord {
			code = 39
		}
		return fmt.Sprintf("\x1b[%dm%s\x1b[39m", code, cell)
	}
}

// orDash returns a text, or a dash if there is none.
func orDash[T ~string](text *T) string {
	if text == nil || *text == "" {
		return "-"
	}
	return string(*text)
}

// say prints a sentence for people. The other forms of output have nothing to say then.
func (s *Session) say(format string, args ...any) error {
	if s.Output != outTable {
		return nil
	}
	_, err := fmt.Fprintf(s.Out, format+"\n", args...)
	return err
}
