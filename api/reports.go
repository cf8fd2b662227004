package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/getkin/kin-openapi/openapi3"

	"punctual/internal/executor"
	"punctual/internal/sanitize"
)

// reports are the operations by which a worker says how a run ended. What it says is about the past: if it were refused
// for its form, the run would be executed again. So it is repaired, and only its token and its JSON have to be right.
var reports = []string{"completeRun", "failRun"}

const (
	// maxReportBytes is the limit of a report's body, in bytes. It is higher than maxBodyBytes, since most of a long
	// output is thrown away at once.
	maxReportBytes = 16 << 20
	// maxReportText is how much of a report's text goes on from here, in bytes: more than is kept of it, so that whoever
	// cuts it sees that it was longer.
	maxReportText = 2 * executor.MaxOutput
)

func isReport(op *openapi3.Operation) bool { return slices.Contains(reports, op.OperationID) }

// repairReport returns a report in the form that the schema describes. Unknown fields, and optional ones of which no sense
// can be made, are dropped. Required fields that are not text are left as they are.
func repairReport(schema *openapi3.Schema, body []byte) ([]byte, error) {
	body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	if !json.Valid(body) {
		return nil, errors.New("is not valid JSON")
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return body, nil // it is not an object: left to the validator
	}
	maps.DeleteFunc(fields, func(name string, value json.RawMessage) bool {
		return schema.Properties[name] == nil || string(value) == "null"
	})
	for name, property := range schema.Properties {
		isRequired := slices.Contains(schema.Required, name)
		value, isGiven := fields[name]
		switch {
		case property.Value.Type.Is(openapi3.TypeString):
			if isGiven || isRequired {
				fields[name] = repairText(value)
			}
		case !isGiven || isRequired:
		case property.Value.Type.Is(openapi3.TypeBoolean):
			if string(value) != "true" && string(value) != "false" {
				delete(fields, name)
			}
		default:
			if fields[name] = repairNumber(property.Value, value); fields[name] == nil {
				delete(fields, name)
			}
		}
	}
	return json.Marshal(fields)
}

// repairText returns a JSON string: of value's text, or of value itself if it is not a string. Unpaired surrogates become
// U+FFFD, as does what cannot be stored.
func repairText(value json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(value, &text) != nil {
		text = string(value)
	}
	text, _ = sanitize.Text(text, maxReportText)
	repaired, _ := json.Marshal(text) // a string cannot fail
	return repaired
}

// repairNumber returns the whole number nearest to value that the schema allows, or nil if value is not a number.
func repairNumber(schema *openapi3.Schema, value json.RawMessage) json.RawMessage {
	number, err := strconv.ParseFloat(string(value), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return nil
	}
	number = math.Ceil(min(max(number, *schema.Min), *schema.Max))
	return strconv.AppendFloat(nil, number, 'f', -1, 64)
}
