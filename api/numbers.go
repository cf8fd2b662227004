package api

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// maybeWhole finds numbers with a fraction or an exponent, and more than these.
var maybeWhole = regexp.MustCompile(`[0-9][.eE][0-9+-]`)

// exactFloat is the smallest number from which on a float64 does not hold every integer.
const exactFloat = 1 << 53

// wholeNumbers rewrites whole numbers with a fraction or an exponent, such as 3600.0 and 36e2, as
// integers, which is what JSON Schema takes them for and Go's decoder does not. It leaves the
// top-level field payload as it is, which is kept byte for byte. The body is valid JSON.
func wholeNumbers(body []byte) []byte {
	if !maybeWhole.Match(body) {
		return body
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var at place
	var rewritten []byte
	kept := int64(0) // how much of body is in rewritten
	for {
		token, err := decoder.Token()
		if err != nil { // the end
			return append(rewritten, body[kept:]...)
		}
		switch t := token.(type) {
		case json.Delim:
			at = at.step(t)
		case string:
			at = at.text(t)
		case json.Number:
			isPayload := len(at) > 0 && at[0].isNamed && at[0].name == "payload"
			if whole, ok := wholeNumber(t.String()); ok && !isPayload {
				end := decoder.InputOffset()
				rewritten = append(append(rewritten, body[kept:end-int64(len(t))]...), whole...)
				kept = end
			}
			at = at.next()
		default:
			at = at.next()
		}
	}
}

// wholeNumber returns the integer that a number with a fraction or an exponent is, if it is one.
func wholeNumber(number string) (whole string, ok bool) {
	if !strings.ContainsAny(number, ".eE") {
		return "", false
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= exactFloat {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}
