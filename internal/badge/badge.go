// Package badge draws badges: small pictures with a text on the left and another on the right. It
// is pure.
package badge

import (
	"bytes"
	"encoding/xml"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"
)

// Colour is that of the right side. White text on each has enough contrast to be read.
type Colour string

// The colours.
const (
	Green  Colour = "#2a7d3f"
	Red    Colour = "#c62828"
	Orange Colour = "#b45309"
	Blue   Colour = "#1d63b8"
	Grey   Colour = "#6b6b6b"
)

// maxText is how many characters of a text are shown at most.
const maxText = 60

// picture is a badge in SVG. Browsers bring each text to the length that is computed here, so that
// the sides fit whatever font there is. It has no style attribute, which the policy of the API's
// answers would forbid.
var picture = template.Must(template.New("badge").Parse(
	`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="20" role="img" aria-label="{{.Label}}: {{.Message}}">` +
		`<title>{{.Label}}: {{.Message}}</title>` +
		`<clipPath id="r"><rect width="{{.Width}}" height="20" rx="3" fill="#fff"/></clipPath>` +
		`<g clip-path="url(#r)"><rect width="{{.Left}}" height="20" fill="#444"/>` +
		`<rect x="{{.Left}}" width="{{.Right}}" height="20" fill="{{.Colour}}"/></g>` +
		`<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">` +
		`<text x="6" y="14" textLength="{{.LabelLength}}" lengthAdjust="spacingAndGlyphs">{{.Label}}</text>` +
		`<text x="{{.MessageAt}}" y="14" textLength="{{.MessageLength}}" lengthAdjust="spacingAndGlyphs">{{.Message}}</text>` +
		`</g></svg>` + "\n"))

// SVG returns a badge. The texts may be any: what could be markup is escaped, and what is too long
// is cut off.
func SVG(label, message string, colour Colour) []byte {
	label, message = shorten(label), shorten(message)
	labelLength, messageLength := lengthOf(label), lengthOf(message)
	left, right := labelLength+2*margin, messageLength+2*margin
	var out bytes.Buffer
	err := picture.Execute(&out, struct {
		Width, Left, Right, LabelLength, MessageLength, MessageAt int
		Label, Message                                            string
		Colour                                                    Colour
	}{left + right, left, right, labelLength, messageLength, left + margin, escape(label), escape(message), colour})
	if err != nil {
		panic(err) // it writes to memory, and has each field
	}
	return out.Bytes()
}

// margin is the room beside a text, in pixels.
const margin = 6

// shorten cuts a text off that is too long.
func shorten(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if utf8.RuneCountInString(text) <= maxText {
		return text
	}
	return string([]rune(text)[:maxText-1]) + "…"
}

// escape returns a text as it may stand in XML, also in an attribute. What XML cannot have is
// replaced.
func escape(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text)) // a Builder returns no error
	return out.String()
}

// lengthOf returns about how many pixels a text has in Verdana at 11 pixels.
func lengthOf(text string) int {
	tenths := 0
	for _, r := range text {
		switch {
		case strings.ContainsRune("ijlI.,:;|!'`()[] ftr/-", r):
			tenths += 42
		case strings.ContainsRune("mwMW@%", r):
			tenths += 100
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul), r > 0xFFFF:
			tenths += 110
		case unicode.IsUpper(r):
			tenths += 78
		case unicode.Is(unicode.Mn, r):
		default:
			tenths += 67
		}
	}
	return max(1, (tenths+5)/10)
}
