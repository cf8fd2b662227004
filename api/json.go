package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// errTwice is the error for a member of an object that stands in it twice.
var errTwice = errors.New("is given more than once")

// jsonCode returns the code of an error of checkJSON.
func jsonCode(err error) string {
	if errors.Is(err, errTwice) {
		return notUnique
	}
	return wrongFormat
}

// checkJSON returns an error, and the field it is in, unless body is one JSON value of valid text without NUL, nested no
// deeper than maxDepth, with no top-level field twice: the validator sees but the last one.
func checkJSON(body []byte) (field string, err error) {
	if !utf8.Valid(body) {
		return "", errors.New("is not valid UTF-8")
	}
	if !json.Valid(body) {
		return "", errors.New("is not valid JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var at place
	seen := map[string]bool{}
	for {
		begin := decoder.InputOffset()
		token, err := decoder.Token()
		if err != nil {
			return "", nil // the end: it is valid
		}
		switch t := token.(type) {
		case json.Delim:
			at = at.step(t)
			if len(at) > maxDepth {
				return at[:1].field(), fmt.Errorf("is nested deeper than %d", maxDepth-1) // without the object around it
			}
		case string:
			if err := checkText(t, body[begin:decoder.InputOffset()]); err != nil {
				return at.field(), err
			}
			at = at.text(t)
			if len(at) == 1 && at[0].isNamed { // it was a name
				if seen[t] {
					return t, errTwice
				}
				seen[t] = true
			}
		default:
			at = at.next()
		}
	}
}

// checkText refuses what PostgreSQL cannot keep, and an escape that stands for no character. raw is what was decoded.
func checkText(text string, raw []byte) error {
	replaced := strings.Count(text, "\uFFFD")
	if replaced > 0 && replaced > bytes.Count(raw, []byte("\uFFFD"))+bytes.Count(bytes.ToLower(raw), []byte(`\ufffd`)) {
		return errors.New("contains half of a surrogate pair")
	}
	if strings.ContainsRune(text, 0) {
		return errors.New("contains a NUL character")
	}
	return nil
}

// place is where in a JSON value the next token stands: the objects and arrays around it, outermost first.
type place []container

// container is an object or an array that has not ended.
type container struct {
	isArray bool
	// isNamed tells of an object that the next token is a member's value, and not its name.
	isNamed bool
	name    string // of that member
	index   int    // of the next item of an array
}

// step goes into an object or array, or out of it.
func (p place) step(d json.Delim) place {
	if d == '{' || d == '[' {
		return append(p, container{isArray: d == '['})
	}
	return p[:len(p)-1].next()
}

// text passes a string, which may be a member's name.
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

// field names the place, with dots into objects. A name that comes next is not part of it, as it may be what is at fault.
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
