package jobfiles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDepth is how deep values may be nested. The service accepts 200 levels in a payload.
	maxDepth = 250
	// maxSize bounds the JSON of a definition, in bytes, because aliases of YAML can make a
	// gigabyte of a line. The service accepts less.
	maxSize = 8 << 20
)

// jsonNumber is a number as JSON writes it. It keeps its digits.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// block is a text whose lines people can read without quotes, and so can the library.
var block = regexp.MustCompile(`^(\S([^\t\r\n]*\S)?\n)+(\S([^\t\r\n]*\S)?)?$`)

// JSON returns the definition as the service gets it. Each secret field has its value from the
// environment, which lookup reads, as os.LookupEnv does.
func (d Definition) JSON(lookup func(string) (string, bool)) (json.RawMessage, error) {
	w := writer{Definition: d, lookup: lookup}
	if err := w.value(d.node, nil); err != nil {
		return nil, err
	}
	return w.out.Bytes(), nil
}

// ConnectionJSON is JSON for the definition of a connection.
func (d Definition) ConnectionJSON(lookup func(string) (string, bool)) (json.RawMessage, error) {
	w := writer{Definition: d, lookup: lookup, isConnection: true}
	if err := w.value(d.node, nil); err != nil {
		return nil, err
	}
	return w.out.Bytes(), nil
}

// writer writes YAML as JSON.
type writer struct {
	Definition
	isConnection bool
	lookup       func(string) (string, bool)
	out          bytes.Buffer
}

func (w *writer) fault(node *yaml.Node, path []string, format string, args ...any) error {
	return &Fault{w.File, node.Line, strings.Join(path, ".") + ": " + fmt.Sprintf(format, args...)}
}

func (w *writer) value(node *yaml.Node, path []string) error {
	node = target(node)
	if len(path) > maxDepth || w.out.Len() > maxSize {
		return w.fault(node, path[:1], "is nested too deeply or too large")
	}
	switch node.Kind {
	case yaml.MappingNode:
		return w.mapping(node, path)
	case yaml.SequenceNode:
		w.out.WriteByte('[')
		for i, item := range node.Content {
			if i > 0 {
				w.out.WriteByte(',')
			}
			if err := w.value(item, append(path, strconv.Itoa(i))); err != nil {
				return err
			}
		}
		w.out.WriteByte(']')
		return nil
	default:
		return w.scalar(node, path)
	}
}

func (w *writer) mapping(node *yaml.Node, path []string) error {
	w.out.WriteByte('{')
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := target(node.Content[i])
		at := slices.Concat(path, []string{name.Value})
		switch {
		case name.Kind != yaml.ScalarNode:
			return w.fault(name, path, "the name of a field is a text")
		case name.ShortTag() == "!!merge":
			return w.fault(name, path, "the merge key << of YAML 1.1 is not supported")
		case seen[name.Value]:
			return w.fault(name, at, "is given twice")
		}
		seen[name.Value] = true
		if i > 0 {
			w.out.WriteByte(',')
		}
		w.text(name.Value)
		w.out.WriteByte(':')
		if err := w.value(node.Content[i+1], at); err != nil {
			return err
		}
	}
	w.out.WriteByte('}')
	return nil
}

func (w *writer) scalar(node *yaml.Node, path []string) error {
	text := node.Value
	isPlain := node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0
	if isPlain && jsonNumber.MatchString(text) {
		w.out.WriteString(text)
		return nil
	}
	switch node.ShortTag() {
	case "!!null":
		w.out.WriteString("null")
	case "!!bool":
		w.out.WriteString(strings.ToLower(text))
	case "!!int": // one of YAML's other forms, such as 0x1F
		number, isNumber := new(big.Int).SetString(strings.TrimPrefix(text, "+"), 0)
		if !isNumber {
			return w.fault(node, path, "%s is not an integer that JSON has", text)
		}
		w.out.WriteString(number.String())
	case "!!float":
		number := strings.TrimPrefix(strings.ReplaceAll(text, "_", ""), "+")
		if strings.HasPrefix(number, ".") {
			number = "0" + number
		}
		if number = strings.TrimSuffix(number, "."); !jsonNumber.MatchString(number) {
			return w.fault(node, path, "%s is not a number that JSON has", text)
		}
		w.out.WriteString(number)
	case "!!str", "!!timestamp", "!!merge":
		if w.isSecret(path) {
			var err error
			if text, err = w.resolve(node, path); err != nil {
				return err
			}
		}
		w.text(text)
	default:
		return w.fault(node, path, "values of the type %s are not supported", node.ShortTag())
	}
	return nil
}

func (w *writer) text(text string) {
	encoder := json.NewEncoder(&w.out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text)        // a text can always be encoded
	w.out.Truncate(w.out.Len() - 1) // the line's end
}

// target returns the node that an alias stands for.
func target(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// FromJSON returns JSON as a node of YAML, with its order, its numbers and its lines.
func FromJSON(text []byte) (*yaml.Node, error) {
	r := reader{text: text, decoder: json.NewDecoder(bytes.NewReader(text)), line: 1}
	r.decoder.UseNumber()
	return r.value()
}

type reader struct {
	text    []byte
	decoder *json.Decoder
	// at is the offset up to which line breaks are counted.
	at   int64
	line int
}

func (r *reader) token() (json.Token, error) {
	token, err := r.decoder.Token()
	r.line += bytes.Count(r.text[r.at:r.decoder.InputOffset()], []byte("\n"))
	r.at = r.decoder.InputOffset()
	return token, err
}

func (r *reader) value() (*yaml.Node, error) {
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	node := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line}
	switch value := token.(type) {
	case nil:
		node.Tag, node.Value = "!!null", "null"
	case bool:
		node.Tag, node.Value = "!!bool", strconv.FormatBool(value)
	case json.Number:
		node.Value = value.String()
	case string:
		node.SetString(value)
		// YAML quotes neither 1e400, which it takes for no number, nor the merge key.
		// The library writes some texts with lines in blocks that it cannot read.
		if jsonNumber.MatchString(value) || value == "<<" || node.Style == yaml.LiteralStyle && !block.MatchString(value) {
			node.Style = yaml.DoubleQuotedStyle
		}
		if node.Style == 0 {
			node.Tag = "!!str"
		}
	case json.Delim:
		return r.nested(node, value)
	}
	return node, nil
}

func (r *reader) nested(node *yaml.Node, delim json.Delim) (*yaml.Node, error) {
	node.Kind = yaml.SequenceNode
	if delim == '{' {
		node.Kind = yaml.MappingNode
	}
	for r.decoder.More() {
		value, err := r.value()
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, value)
	}
	_, err := r.token()
	return node, err
}
