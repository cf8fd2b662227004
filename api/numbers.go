package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// hasFraction reports whether valid JSON has a number with a fraction or an exponent.
func hasFraction(body []byte) bool {
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			i = endOfText(body, i) - 1
		case (c == '.' || c == 'e' || c == 'E') && '0' <= body[i-1] && body[i-1] <= '9':
			return true
		}
	}
	return false
}

// maxDigits is how many digits always fit into an int64. No field takes a larger integer.
const maxDigits = 18

// wholeNumbers rewrites whole numbers with a fraction or an exponent, such as 3600.0 and 36e2, as
// integers: they are integers in JSON Schema, but Go's decoder refuses them. It does not change a
// payload, whose bytes must be kept: that of the job, or those of the jobs, that the body is about.
// The body must be valid JSON.
func wholeNumbers(body []byte) []byte {
	if !hasFraction(body) {
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
			if whole, ok := wholeNumber(t.String()); ok && !at.isIn("payload") {
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

// wholeNumber returns a whole number with a fraction or an exponent as an integer, or false if
// number is something else. It works on the digits, because a float64 would round.
func wholeNumber(number string) (whole string, ok bool) {
	if !strings.ContainsAny(number, ".eE") {
		return "", false
	}
	mantissa, exponent := number, "0"
	if at := strings.IndexAny(number, "eE"); at >= 0 {
		mantissa, exponent = number[:at], number[at+1:]
	}
	mantissa, isNegative := strings.CutPrefix(mantissa, "-")
	integer, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(integer+fraction, "0")
	if digits == "" {
		return "0", true
	}
	zeros, err := strconv.Atoi(exponent)
	zeros -= len(fraction)
	significant := strings.TrimRight(digits, "0")
	zeros += len(digits) - len(significant)
	if err != nil || zeros < 0 || zeros > maxDigits || len(significant)+zeros > maxDigits { // sums can overflow
		return "", false
	}
	whole = significant + strings.Repeat("0", zeros)
	if isNegative {
		whole = "-" + whole
	}
	return whole, true
}
