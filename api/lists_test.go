package api

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/gen/server"
)

// listOf returns the schema of an operation with a list, and the whole schema of its body.
func listOf(t require.TestingT, operation, body string) (listSchema, *openapi3.Schema) {
	spec, err := server.GetSpec()
	require.NoError(t, err)
	return listSchemas(spec, nil)[operation], spec.Components.Schemas[body].Value
}

// faultsOf returns what the library finds in a body.
func faultsOf(t require.TestingT, schema *openapi3.Schema, body []byte) []server.FieldError {
	value, err := decodeJSON(bytes.NewReader(body), nil, nil, nil)
	require.NoError(t, err)
	if err := schema.VisitJSON(value, openapi3.VisitAsRequest(), openapi3.MultiErrors()); err != nil {
		return schemaErrors(err, server.FieldErrorInBody, "")
	}
	return nil
}

func TestAListIsCheckedItemByItemAsAWhole(t *testing.T) {
	t.Parallel()
	apply, whole := listOf(t, "applyJobs", "JobApply")
	for _, body := range []string{
		`{}`, `[]`, `null`, `1`, `{"definitions":null}`, `{"definitions":{}}`, `{"definitions":{"name":1}}`, `{"definitions":[]}`,
		`{"definitions":[{"name":"a"}]}`, `{"definitions":[{}]}`, `{"definitions":[1, "a", null, [], [{}], {"name":"a"}]}`,
		`{"definitions":[ {"name":"a", "unknown":1} , {"name":""} ],"dryRun":1,"unknown":[{}]}`,
		`{"dryRun":true,"definitions":[{"name":"a","target":{"type":"nothing"}},{"name":"a","labels":{"a":"-"}}],"prune":""}`,
		`{"definitions":[{"name":"a","target":{"type":"http","url":1,"other":2},"payload":[{"definitions":[]}]}]}`,
		`{"prune":"a","definitions":[{"name":"\"],"},{"key":"A"}]}`,
		`{"definitions":[{"name":"a"}` + strings.Repeat(`,{"name":"a"}`, 1000) + `],"dryRun":1}`,
	} {
		require.ElementsMatch(t, faultsOf(t, whole, []byte(body)), apply.check([]byte(body)), body)
	}
	batch, whole := listOf(t, "createJobs", "JobBatch")
	for _, body := range []string{`{}`, `{"jobs":[]}`, `{"jobs":[{}]}`, `{"jobs":[{"name":"a"}]}`} {
		require.ElementsMatch(t, faultsOf(t, whole, []byte(body)), batch.check([]byte(body)), body)
	}
}

func TestAnyListIsCheckedAsAWhole(t *testing.T) {
	t.Parallel()
	apply, whole := listOf(t, "applyJobs", "JobApply")
	value := rapid.SampledFrom([]string{`1`, `"a"`, `null`, `true`, `[]`, `{}`, `[1,{"name":[]}]`, `"\"}],"`, `{"type":"log"}`, `"60"`, `60`})
	name := rapid.SampledFrom([]string{"key", "name", "target", "payload", "labels", "intervalInSeconds", "definitions", "x"})
	rapid.Check(t, func(t *rapid.T) {
		var items []string
		for range rapid.IntRange(0, 4).Draw(t, "items") {
			fields := map[string]string{}
			for range rapid.IntRange(0, 4).Draw(t, "fields") {
				fields[name.Draw(t, "name")] = value.Draw(t, "value")
			}
			var parts []string
			for name, value := range fields {
				parts = append(parts, fmt.Sprintf("%q : %s", name, value))
			}
			items = append(items, "{"+strings.Join(parts, " ,\n")+"}")
		}
		body := []byte(`{ "` + name.Draw(t, "first") + "x" + `":` + value.Draw(t, "value") + `, "definitions" : [ ` + strings.Join(items, " , ") + ` ] }`)
		require.ElementsMatch(t, faultsOf(t, whole, body), apply.check(body), "%s", body)
	})
}

func TestAListIsCheckedUntilThereAreManyFaults(t *testing.T) {
	t.Parallel()
	apply, _ := listOf(t, "applyJobs", "JobApply")
	wrong := apply.check([]byte(`{"definitions":[{"a":1,"b":1}` + strings.Repeat(`,{"a":1,"b":1}`, 999) + `]}`))
	require.GreaterOrEqual(t, len(wrong), maxFieldErrors)
	require.Less(t, len(wrong), maxFieldErrors+10)

	wrong = apply.check([]byte(`{"definitions":[{"name":"a"},{"name":"a","payload":"` + strings.Repeat("a", maxBodyBytes) + `"}]}`))
	require.Equal(t, []server.FieldError{
		{In: "body", Field: "definitions.1", Code: "too-large", Detail: "is larger than 1048576 bytes"},
	}, wrong)
}

func TestCheckJSONOfAList(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	for body, want := range map[string]string{
		`{"jobs":[{"a":1,"b":{"a":1,"a":2}},{"a":1}]}`:       "",
		`{"jobs":[{"a":1},{"a":1,"b":[],"\u0061":{}}]}`:      "jobs.1.a is given more than once",
		`{"jobs":[[{"a":1,"a":1}], 1, {"b":1} ,{}]}`:         "",
		`{"jobs":{"x":{"a":1,"a":1}}}`:                       "",
		`{"other":[{"a":1,"a":1}]}`:                          "",
		`{"jobs":[],"jobs":[{"a":1}]}`:                       "jobs is given more than once",
		`{"jobs":[{"a":` + nested(200) + `}]}`:               "",
		`{"jobs":[{"b":1},{"a":` + nested(201) + `}]}`:       "jobs.1.a is nested deeper than 200",
		`{"jobs":[{"a":"\u0000"}]}`:                          "jobs.0.a contains a NUL character",
		`{"jobs":[{"a":"\u00fc\ud800"}]}`:                    "jobs.0.a contains half of a surrogate pair",
		`{"jobs":[{"a":"x\",\"a\":1,{[","b":"\\"},{"c":1`:    " is not valid JSON",
		`{"jobs":[{"a":"x\",\"a\":1,{[","b":"\\"},{"c":1}]}`: "",
	} {
		got := ""
		if field, err := checkJSON([]byte(body), "jobs"); err != nil {
			got = field + " " + err.Error()
		}
		require.Equal(t, want, got, body)
	}
}
