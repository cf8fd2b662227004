package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// valid returns a request with only what the operation requires, for a thing of its own.
func (c *contract) valid(t *testing.T, op *operation) probe {
	t.Helper()
	p := probe{name: "valid", operation: op, method: op.method, path: op.path, header: http.Header{}, verdict: accepted}
	segments := strings.Split(op.path, "/")
	if makeOne := c.things.makers[op.OperationID]; makeOne != nil && !strings.Contains(op.path, "{") {
		p.thing = makeOne(t)
	}
	for i, segment := range segments {
		if strings.HasPrefix(segment, "{") {
			p.thing = c.things.of(t, op, segments[i-1])
			segments[i] = p.thing.id
		}
	}
	p.path = strings.Join(segments, "/")
	p.query = op.requiredQuery("")
	for _, parameter := range op.parameters("header") {
		if parameter.Required {
			p.header.Set(parameter.Name, textOf(sample(parameter.Schema)))
		}
	}
	if media := op.body(); media != nil {
		p.header.Set("Content-Type", "application/json")
		p.body = encode(p.thing.in(with(sample(media.Schema), p.thing.more)))
	}
	return p
}

// on returns p for a thing of its own if the request may change it.
func (c *contract) on(t *testing.T, p probe) probe {
	t.Helper()
	if p.verdict != refused && p.method != http.MethodGet {
		other := c.valid(t, p.operation)
		require.Equal(t, p.thing.fields, other.thing.fields, "a body for one thing is one for the other")
		p.path = other.path
	}
	return p
}

// pathProbes are requests whose path has wrong parameters.
func (c *contract) pathProbes(t *testing.T, op *operation) (probes []probe) {
	t.Helper()
	for _, parameter := range op.parameters("path") {
		valid := c.valid(t, op)
		at := slices.Index(strings.Split(op.path, "/"), "{"+parameter.Name+"}")
		for i, m := range textMutations(parameter.Schema, strings.Split(valid.path, "/")[at]) {
			segments := strings.Split(c.on(t, probe{operation: op, thing: valid.thing, method: op.method, path: valid.path, verdict: m.verdict}).path, "/")
			m = textMutations(parameter.Schema, segments[at])[i]
			isNamespace := strings.HasPrefix(op.path, "/api/v1/namespaces/")
			if (parameter.Name == "name" && !isNamespace || strings.HasPrefix(op.path, "/api/v1/keys/")) && m.verdict == accepted {
				m.absent = true // nothing has a name that was made up
			}
			segments[at] = m.escaped
			p := valid
			p.name, p.path, p.verdict = "path "+parameter.Name+" "+m.name, strings.Join(segments, "/"), m.verdict
			if (parameter.Name == "key" || isNamespace) && m.verdict == accepted {
				p.verdict = either // another test may have made a job with this key, or such a namespace
			}
			if m.verdict != accepted && !m.absent {
				p.in, p.field = "path", parameter.Name
			}
			if m.escaped == "" {
				p.operation, p.status, p.in = nil, http.StatusNotFound, "" // it is another path
			}
			if m.absent {
				p.verdict, p.status, p.in = refused, http.StatusNotFound, ""
				if strings.HasSuffix(op.Responses.Status(http.StatusNotFound).Ref, "/NamespaceNotFound") {
					p.status = http.StatusConflict // what is gone and what never was are the same
				}
				if op.hasReports() {
					p.verdict, p.status = accepted, 0 // each report is refused by itself
				}
			}
			probes = append(probes, p)
		}
	}
	return probes
}

// parameterProbes are requests with wrong parameters in the query and in headers.
func (c *contract) parameterProbes(t *testing.T, op *operation) (probes []probe) {
	t.Helper()
	valid := c.valid(t, op)
	add := func(name, query string, v verdict, in, field string) {
		p := valid
		p.name, p.verdict, p.in, p.field = "query "+name, v, in, field
		p.query = strings.TrimPrefix(op.requiredQuery(field)+"&"+query, "&")
		probes = append(probes, c.on(t, p))
	}
	add("without anything in it", "&&", accepted, "", "")
	add("with an unknown parameter", "nope=1", refused, "query", "nope")
	add("with an unknown parameter without a value", "nope", refused, "query", "nope")
	add("with a very long unknown parameter", strings.Repeat("n", 10_000)+"=1", refused, "query", strings.Repeat("n", 10_000))
	add("with a NUL for a name", "%00=1", refused, "", "")
	add("with invalid UTF-8 for a name", "%ff=1", refused, "", "")
	add("with no name", "=1", refused, "", "")
	add("that cannot be decoded", "nope=%zz", refused, "", "")
	for _, parameter := range op.parameters("query") {
		name := parameter.Name
		text := url.QueryEscape(textOf(sample(parameter.Schema)))
		for _, m := range textMutations(parameter.Schema, text) {
			add(name+" "+m.name, name+"="+m.escaped, op.verdict(m.verdict, "query", name), "query", name)
		}
		add(name+" repeated", name+"="+text+"&"+name+"="+text, refused, "query", name)
		add(name+" that cannot be decoded", name+"=%zz", refused, "", "")
		add(name+" in another letter case", strings.ToUpper(name)+"="+text, refused, "query", strings.ToUpper(name))
		add(name+" as an array", name+"[]="+text, refused, "query", name+"[]")
		if parameter.Required {
			p := valid
			p.name, p.query, p.verdict, p.in, p.field = "without "+name, op.requiredQuery(name), refused, "query", name
			probes = append(probes, p)
		}
	}
	for _, parameter := range op.parameters("header") {
		for _, m := range textMutations(parameter.Schema, textOf(sample(parameter.Schema))) {
			value, err := url.QueryUnescape(m.escaped)
			if err != nil || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				continue // Go does not send this in a header
			}
			if value != strings.TrimSpace(value) && strings.TrimSpace(value) == textOf(sample(parameter.Schema)) {
				continue // HTTP leaves out the white space around a value
			}
			if len(value) > 8<<10 {
				continue // the server refuses it before it is a request
			}
			p := valid
			p.name, p.verdict, p.in, p.field = "header "+parameter.Name+" "+m.name, m.verdict, "header", parameter.Name
			p.header = maps.Clone(valid.header)
			p.header.Set(parameter.Name, value)
			probes = append(probes, c.on(t, p))
		}
	}
	return probes
}

// bodyProbes are requests with wrong bodies.
func (c *contract) bodyProbes(t *testing.T, op *operation) (probes []probe) {
	t.Helper()
	valid := c.valid(t, op)
	add := func(name, contentType string, body []byte, v verdict, change ...func(*probe)) {
		p := valid
		if op.OperationID == "applyJobs" && len(body) > 0 { // each about a job of its own
			body = bytes.ReplaceAll(body, []byte(`"reports/weekday"`), fmt.Appendf(nil, `"reports/%.7s"`, uuid.NewString()))
		}
		p.name, p.body, p.verdict, p.header = "body "+name, body, v, maps.Clone(valid.header)
		p.header.Set("Content-Type", contentType)
		for _, change := range change {
			change(&p)
		}
		probes = append(probes, c.on(t, p))
	}
	names := func(in, field string) func(*probe) {
		return func(p *probe) { p.in, p.field = in, field }
	}
	status := func(status int) func(*probe) { return func(p *probe) { p.status = status } }
	chunked := func(p *probe) { p.chunked = true }
	const jsonType = "application/json"
	limit, job := op.maxBody(), strings.TrimSuffix(ofJobs[op.OperationID], ".")

	media := op.body()
	if media == nil {
		// What a body would mean here is said nowhere, so it may be refused, but only as the
		// contract says.
		add("where none belongs", jsonType, []byte(`{"a":1}`), either)
		add("that is text, where none belongs", "text/plain", []byte("text"), either)
		add("that is no JSON, where none belongs", jsonType, []byte("{"), either)
		add("that is large, where none belongs", jsonType, padded(nil, limit+1), either)
		return probes
	}
	good := valid.body
	anywhere := func(p *probe) { p.in, p.field, p.loosely = "body", "", true }

	for _, contentType := range []string{"application/json; charset=utf-8", "application/json;charset=UTF-8", "APPLICATION/JSON", "Application/Json ; Charset=\"utf-8\""} {
		add("of type "+contentType, contentType, good, accepted)
	}
	for _, contentType := range []string{"application/json; charset=utf-16", "application/json; charset=iso-8859-1", "application/json; version=2"} {
		add("of type "+contentType, contentType, good, either)
	}
	for _, contentType := range []string{
		"", "text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
		"application/merge-patch+json", "application/problem+json", "application/*", "*/*", "json", "application/jsonx",
		"application/json, text/plain", "application/json; charset", "\"",
	} {
		add("of type "+contentType, contentType, good, refused, status(http.StatusUnsupportedMediaType), names("header", "Content-Type"))
	}
	add("without a type", "", good, refused, status(http.StatusUnsupportedMediaType), names("header", "Content-Type"),
		func(p *probe) { p.header.Del("Content-Type") })
	if op.RequestBody.Value.Required {
		add("empty", jsonType, nil, refused, anywhere)
		add("empty, without a length", jsonType, []byte{}, refused, anywhere, chunked)
	} else {
		add("empty", jsonType, nil, accepted)
		add("empty, without a length", jsonType, []byte{}, accepted, chunked)
	}
	add("without a length", jsonType, good, accepted, chunked)

	notJSON := map[string][]byte{
		"of white space":     []byte(" \n\t"),
		"of text":            []byte("hello"),
		"of a NUL":           {0},
		"with NUL after it":  append(slices.Clone(good), 0),
		"cut short":          good[:len(good)-1],
		"cut in half":        good[:len(good)/2],
		"with more after it": append(slices.Clone(good), "x"...),
		"given twice":        append(slices.Clone(good), good...),
		"with a comma more":  append(slices.Clone(good[:len(good)-1]), ",}"...),
		"with a comment":     append([]byte("/**/"), good...),
		"with a BOM":         append([]byte("\xef\xbb\xbf"), good...),
		"in UTF-16":          utf16(good),
		"with NaN":           []byte(`{"nope":NaN}`),
		"in single quotes":   []byte(`{'nope':1}`),
		"with a raw newline": []byte("{\"nope\":\"\n\"}"),
		"in invalid UTF-8":   []byte("{\"nope\":\"\xff\"}"),
		"in overlong UTF-8":  []byte("{\"nope\":\"\xc0\xaf\"}"),
		"nested without end": []byte(strings.Repeat("[", 100_000)),
		"of form fields":     []byte("name=a"),
		"gzipped":            {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3},
		"of 201 arrays":      nested(201),
		"of 100 000 arrays":  nested(100_000),
	}
	if op.isReport() { // it is repaired
		delete(notJSON, "in invalid UTF-8")
		delete(notJSON, "in overlong UTF-8")
	}
	for _, name := range slices.Sorted(maps.Keys(notJSON)) {
		add(name, jsonType, notJSON[name], refused, anywhere)
	}

	add("as large as can be", jsonType, padded(good, limit), accepted)
	add("as large as can be, without a length", jsonType, padded(good, limit), accepted, chunked)
	for _, size := range []int{limit + 1, limit + 100_000} {
		add("too large", jsonType, padded(good, size), refused, status(http.StatusRequestEntityTooLarge))
		add("too large, without a length", jsonType, padded(good, size), refused, status(http.StatusRequestEntityTooLarge), chunked)
	}

	// JSON says that names should be unique; what others than the last value are good for, nobody
	// checks.
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(good, &members))
	for name, value := range members {
		for what, first := range map[string][]byte{"the same": value, "a wrong": []byte(`{"nope":[]}`)} {
			body := slices.Concat([]byte("{"), encode(name), []byte(":"), first, []byte(","), good[1:])
			v := refused
			if op.isReport() {
				v = accepted
			}
			add("with "+name+" twice, first "+what+" value", jsonType, body, v, names("body", name))
		}
	}

	mutations := bodyMutations(media, good)
	if op.isReport() {
		mutations = repaired(mutations)
	}
	for _, m := range mutations {
		body := encode(m.body)
		switch _, isOfThing := valid.thing.fields[m.field]; {
		case len(body) > limit:
			add(m.name, jsonType, body, refused, status(http.StatusRequestEntityTooLarge))
		case job != "" && len(body) > maxBody: // each job in a list has the limit of a body
			add(m.name, jsonType, body, refused, names("body", job))
		case isOfThing && m.verdict == accepted:
			add(m.name, jsonType, body, refused, status(http.StatusConflict)) // well-formed, but not what the thing has
		default:
			v, loosely := op.verdict(m.verdict, "body", m.field), m.loosely
			if list, isItem := strings.CutSuffix(m.field, ".0"); isItem && v == accepted {
				v, loosely = op.verdict(v, "body", list), true // a rule about the list as a whole names the list
			}
			if before, _, isPart := strings.Cut(m.field, "startsOn."); isPart && v == accepted {
				v, loosely = op.verdict(v, "body", before+"startsOn"), true // so does the one about kinds of schedules
			}
			add(m.name, jsonType, body, v, func(p *probe) {
				p.in, p.field, p.loosely, p.secret = "body", m.field, loosely, m.secret
			})
		}
	}
	return probes
}
