package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// errTwice is the error for a top-level field that is given twice.
var errTwice = errors.New("is given more than once")

// jsonCode returns the code of an error of checkJSON.
func jsonCode(err error) string {
	if errors.Is(err, errTwice) {
		return notUnique
	}
	return wrongFormat
}

// checkJSON returns an error, and the field that it is about, unless body is one JSON value that
// can be stored: valid text without NUL, with fields that are nested no deeper than maxDepth. No
// field of it can be given twice, because the validator would see only the last one. If it is a
// list of jobs, list names the field that has them, and the same holds for each job.
func checkJSON(body []byte, list string) (field string, err error) {
	if !utf8.Valid(body) {
		return "", errors.New("is not valid UTF-8")
	}
	if !json.Valid(body) {
		return "", errors.New("is not valid JSON")
	}
	found, twice, err := scan(body, list)
	around := depthAround(list)
	// The check of each token takes longer than all the rest, and most bodies do not need it.
	if found.depth > maxDepth+around || mayBeUnstorable(body) {
		if field, err := checkTokens(body, around); err != nil {
			return field, err
		}
	}
	return twice, err
}

// depthAround is how deep a field of a job is nested: in the value itself, or in a list.
func depthAround(list string) int {
	if list == "" {
		return 1
	}
	return depthOfItems
}

// mayBeUnstorable reports whether a JSON value may have a text that cannot be stored: with NUL, or
// with half of a surrogate pair.
func mayBeUnstorable(body []byte) bool {
	for {
		_, rest, ok := bytes.Cut(body, []byte(`\u`))
		if !ok || len(rest) < escapeSize-2 {
			return false
		}
		if code := unicodeEscape(append([]byte(`\u`), rest[:escapeSize-2]...)); code == 0 || utf16.IsSurrogate(code) {
			return true
		}
		body = rest
	}
}

// patchField is the field of a bulk change that has the fields of a job.
const patchField = "patch"

// checkTokens returns an error if a text of a valid JSON value cannot be stored, or if a field is
// nested too deep. around is how deep a field is that is not.
func checkTokens(body []byte, around int) (field string, err error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var at place
	for {
		begin := decoder.InputOffset()
		token, err := decoder.Token()
		if err != nil {
			return "", nil // the end: it is valid
		}
		switch t := token.(type) {
		case json.Delim:
			at = at.step(t)
			outside := around
			if len(at) > outside && at[0].name == patchField {
				outside++ // it has the fields of a job, too
			}
			if len(at) > maxDepth+outside {
				return at[:outside].field(), fmt.Errorf("is nested deeper than %d", maxDepth)
			}
		case string:
			if err := checkText(t, body[begin:decoder.InputOffset()]); err != nil {
				return at.field(), err
			}
			at = at.text(t)
		default:
			at = at.next()
		}
	}
}

// checkText refuses a string that PostgreSQL cannot store. raw is the JSON that text was decoded
// from.
func checkText(text string, raw []byte) error {
	if strings.ContainsRune(text, unicode.ReplacementChar) && hasLoneSurrogate(raw) {
		return errors.New("contains half of a surrogate pair")
	}
	if strings.ContainsRune(text, 0) {
		return errors.New("contains a NUL character")
	}
	return nil
}

// hasLoneSurrogate reports whether a JSON string has an escape, \ud800 to \udfff, that is half of a
// surrogate pair without the other half. Go decodes it as U+FFFD.
func hasLoneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		first := unicodeEscape(raw[i:])
		switch {
		case !utf16.IsSurrogate(first):
			i++ // past the second character of the escape, which may be a backslash
		case utf16.DecodeRune(first, unicodeEscape(raw[i+escapeSize:])) == unicode.ReplacementChar:
			return true
		default:
			i += 2*escapeSize - 1
		}
	}
	return false
}

// escapeSize is the length of an escape such as \u00fc, in bytes.
const escapeSize = 6

// unicodeEscape returns the code of the escape such as \u00fc that raw begins with, or -1 if raw
// begins with something else.
func unicodeEscape(raw []byte) rune {
	if len(raw) < escapeSize || raw[0] != '\\' || raw[1] != 'u' {
		return -1
	}
	code, err := strconv.ParseUint(string(raw[2:escapeSize]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(code)
}

// place is where the next token of a JSON value is: in which objects and arrays, the outermost
// first.
type place []container

// container is an object or an array that has not ended.
type container struct {
	isArray bool
	// isNamed reports, for an object, that the next token is the value of a member and not a name.
	isNamed bool
	name    string // the name of that member
	index   int    // the index of the next item of an array
}

// step goes into an object or array, or out of it.
func (p place) step(d json.Delim) place {
	if d == '{' || d == '[' {
		return append(p, container{isArray: d == '['})
	}
	return p[:len(p)-1].next()
}

// text passes a string, which may be the name of a member.
func (p place) text(t string) place {
	if len(p) == 0 || p[len(p)-1].isArray || p[len(p)-1].isNamed {
		return p.next()
	}
	p[len(p)-1].isNamed, p[len(p)-1].name = true, t
	return p
}

// next passes a value.
func (p place) next() place {
	if len(p) > 0 {
		p[len(p)-1].isNamed = false
		p[len(p)-1].index++
	}
	return p
}

// field returns the name of the place, with dots into objects. If a name comes next, it is not part
// of the result, because the name itself may be wrong.
func (p place) field() string {
	var names []string
	for _, c := range p {
		switch {
		case c.isArray:
			names = append(names, strconv.Itoa(c.index))
		case c.isNamed:
			names = append(names, c.name)
		}
	}
	return strings.Join(names, ".")
}

// isIn reports whether the place is the value of a member with a name, or within it.
func (p place) isIn(name string) bool {
	return slices.ContainsFunc(p, func(c container) bool { return c.isNamed && c.name == name })
}
