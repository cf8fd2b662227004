package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/getkin/kin-openapi/openapi3"

	"punctual/gen/server"
	"punctual/internal/jobs"
)

// lists are the operations that take a list of jobs, with the field that has it.
var lists = map[string]string{"applyJobs": "definitions", "createJobs": "jobs"}

// maxListBytes is the limit of a body with a list of jobs. For each of the jobs, maxBodyBytes is.
const maxListBytes = 16 << 20

// itemName returns the name in a request of an item of a list.
func itemName(list string, i int) string { return list + "." + strconv.Itoa(i) }

// listSchema is what the contract says of a body with a list. The library would decode and check
// the whole body at once, however many items and faults it has. This does it item by item, until
// there are as many faults as an answer lists. What it finds is the same.
type listSchema struct {
	field string
	// body is the schema of the body with a list of anything, and item is that of its items.
	body, item *openapi3.Schema
	maxItems   uint64
	options    []openapi3.SchemaValidationOption
}

// listSchemas returns the schemas of lists by operation.
func listSchemas(spec *openapi3.T, options []openapi3.SchemaValidationOption) map[string]listSchema {
	schemas := map[string]listSchema{}
	for _, item := range spec.Paths.Map() {
		for _, op := range item.Operations() {
			field, ok := lists[op.OperationID]
			if !ok {
				continue
			}
			whole := *op.RequestBody.Value.GetMediaType("application/json").Schema.Value
			list := *whole.Properties[field].Value
			l := listSchema{field: field, item: list.Items.Value, maxItems: *list.MaxItems, options: append(
				[]openapi3.SchemaValidationOption{openapi3.VisitAsRequest(), openapi3.MultiErrors()}, options...,
			)}
			list.Items = openapi3.NewSchemaRef("", openapi3.NewSchema())
			whole.Properties = maps.Clone(whole.Properties)
			whole.Properties[field] = openapi3.NewSchemaRef("", &list)
			l.body = &whole
			schemas[op.OperationID] = l
		}
	}
	return schemas
}

// readAgain returns the body of a request, which checkBody has read, and leaves it to be read.
func readAgain(r *http.Request) []byte {
	body, _ := io.ReadAll(r.Body) // from memory
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}

// check returns what is wrong with a body, which is valid JSON.
func (l listSchema) check(body []byte) []server.FieldError {
	found, _, _ := scan(body, l.field) // checkBody has seen to fields that are given twice
	wrong := l.checkAround(body, found)
	if uint64(len(found.items)) > l.maxItems {
		return wrong
	}
	for i, at := range found.items {
		if len(wrong) >= maxFieldErrors {
			break
		}
		name, item := itemName(l.field, i), body[at.begin:at.end]
		if len(item) > maxBodyBytes {
			wrong = append(wrong, server.FieldError{
				In: server.FieldErrorInBody, Field: name, Code: string(jobs.TooLarge),
				Detail: fmt.Sprintf("is larger than %d bytes", maxBodyBytes),
			})
			continue
		}
		faults := l.faults(l.item, item, name)
		if len(faults) == 0 && hasFraction(item) {
			faults = undecodable(item, name)
		}
		wrong = append(wrong, faults...)
	}
	return wrong
}

// checkAround returns what is wrong with the body without the items of its list.
func (l listSchema) checkAround(body []byte, found outline) []server.FieldError {
	if len(found.items) == 0 {
		return l.faults(l.body, body, "")
	}
	// As many items as there are, or one too many, each of which can be anything.
	n := min(uint64(len(found.items)), l.maxItems+1)
	stands := append([]byte("true"), bytes.Repeat([]byte(",true"), int(n)-1)...)
	begin, end := found.items[0].begin, found.items[len(found.items)-1].end
	return l.faults(l.body, slices.Concat(body[:begin], stands, body[end:]), "")
}

// faults returns how a value differs from a schema.
func (l listSchema) faults(schema *openapi3.Schema, raw []byte, name string) []server.FieldError {
	value, err := decodeJSON(bytes.NewReader(raw), nil, nil, nil)
	if err == nil {
		err = schema.VisitJSON(value, l.options...)
	}
	if err == nil {
		return nil
	}
	return schemaErrors(err, server.FieldErrorInBody, name)
}

// undecodable returns the field of an item that satisfies the schema and cannot be decoded: with a
// number such as 1e-400, which is zero to the validator and no integer to Go. The generated code
// would find it, but not tell in which item.
func undecodable(item []byte, name string) []server.FieldError {
	var job server.JobCreate
	faults := fieldErrors(json.Unmarshal(item, &job))
	for i := range faults {
		faults[i].Field = name + "." + faults[i].Field
	}
	return faults
}
