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

// reports are the operations with which a worker reports how a run ended. If a report were refused
// for its form, the run would be executed again. So reports are repaired; only the token must be
// right, and the body must be JSON.
var reports = []string{"completeRun", "completeRuns", "failRun"}

const (
	// maxReportBytes is the limit of the body of a report. It can be higher than maxBodyBytes
	// because most of a long output is dropped at once.
	maxReportBytes = 16 << 20
	// maxReportText is how much of each text is passed on, in bytes. It is more than is stored, so
	// that the code that cuts the text sees that it was longer.
	maxReportText = 2 * executor.MaxOutput
)

func isReport(op *openapi3.Operation) bool { return slices.Contains(reports, op.OperationID) }

// repairReport returns a report in the form that the schema describes. It drops unknown fields, and
// optional fields with a value of another type. It does not change required fields that are not
// text.
func repairReport(schema *openapi3.Schema, body []byte) ([]byte, error) {
	body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	if !json.Valid(body) {
		return nil, errors.New("is not valid JSON")
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return body, nil // it is not an object: left to the validator
	}
	repairFields(schema, fields)
	return json.Marshal(fields)
}

// repairFields repairs the fields of a report.
func repairFields(schema *openapi3.Schema, fields map[string]json.RawMessage) {
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
		case property.Value.Type.Is(openapi3.TypeArray) && isGiven:
			fields[name] = repairReports(property.Value.Items.Value, value)
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
}

// repairReports repairs each report of a list. One without a token gets the token 0, which no run
// has, so that it alone is refused.
func repairReports(schema *openapi3.Schema, list json.RawMessage) json.RawMessage {
	var items []json.RawMessage
	if json.Unmarshal(list, &items) != nil {
		return list // left to the validator
	}
	for i, item := range items {
		var fields map[string]json.RawMessage
		if json.Unmarshal(item, &fields) != nil || fields == nil {
			fields = map[string]json.RawMessage{} // nothing is known of its run
		}
		repairFields(schema, fields)
		const token = "token"
		if fields[token] = repairNumber(schema.Properties[token].Value, fields[token]); fields[token] == nil {
			fields[token] = json.RawMessage("0")
		}
		items[i], _ = json.Marshal(fields) // what was valid stays valid
	}
	repaired, _ := json.Marshal(items)
	return repaired
}

// repairText returns value as a JSON string that can be stored. If value is not a string, the
// result contains its JSON. Unpaired surrogates become U+FFFD.
func repairText(value json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(value, &text) != nil {
		text = string(value)
	}
	text, _ = sanitize.Text(text, maxReportText)
	repaired, _ := json.Marshal(text) // a string cannot fail
	return repaired
}

// repairNumber returns the whole number nearest to value that the schema allows, or nil if value is
// not a number.
func repairNumber(schema *openapi3.Schema, value json.RawMessage) json.RawMessage {
	number, err := strconv.ParseFloat(string(value), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return nil
	}
	number = math.Ceil(min(max(number, *schema.Min), *schema.Max))
	return strconv.AppendFloat(nil, number, 'f', -1, 64)
}
