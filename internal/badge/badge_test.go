package badge_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punctual/internal/badge"
)

type svg struct {
	Width int    `xml:"width,attr"`
	Label string `xml:"aria-label,attr"`
	Title string `xml:"title"`
	Texts []text `xml:"g>text"`
	// Others are elements that no badge has.
	Scripts []struct{} `xml:"script"`
}

type text struct {
	Text string `xml:",chardata"`
}

func parse(t require.TestingT, label, message string) (got svg) {
	decoder := xml.NewDecoder(strings.NewReader(string(badge.SVG(label, message, badge.Green))))
	decoder.Strict = true
	require.NoError(t, decoder.Decode(&got))
	return got
}

func TestSVG(t *testing.T) {
	t.Parallel()
	got := parse(t, "nightly report", "OK")
	require.Equal(t, "nightly report: OK", got.Label)
	require.Equal(t, got.Label, got.Title)
	require.Equal(t, "nightly report", got.Texts[0].Text)
	require.Equal(t, "OK", got.Texts[1].Text)
	require.Less(t, parse(t, "iiii", "OK").Width, parse(t, "WWWW", "OK").Width)

	hostile := `"/><script>alert(1)</script><image href='https://example.com/x' onload="x" />&lt;]]>`
	got = parse(t, hostile, hostile)
	require.Empty(t, got.Scripts)
	require.True(t, strings.HasPrefix(hostile, strings.TrimSuffix(got.Texts[0].Text, "…")), got.Texts[0].Text)
	require.NotContains(t, string(badge.SVG(hostile, hostile, badge.Red)), "<script")
}

// Whatever the texts are, the badge is XML with these texts.
func TestSVGOfAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.String().Draw(t, "label")
		got := parse(t, label, rapid.String().Draw(t, "message"))
		require.Len(t, got.Texts, 2)
		require.LessOrEqual(t, len([]rune(got.Texts[0].Text)), 60)
		require.Positive(t, got.Width)
	})
}
