package ui

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"punctual/gen/client"
)

// span is how far back the charts go.
type span struct {
	name, label string
	length      time.Duration
	step        client.GetStatsParamsStep
}

// spans are those that can be chosen. The first is the default.
var spans = []span{
	{"24h", "24 hours", 24 * time.Hour, client.GetStatsParamsStepHOUR},
	{"1h", "Hour", time.Hour, client.GetStatsParamsStepMINUTE},
	{"7d", "7 days", 7 * 24 * time.Hour, client.GetStatsParamsStepHOUR},
}

func spanOf(name string) span {
	for _, s := range spans {
		if s.name == name {
			return s
		}
	}
	return spans[0]
}

// numbers are the runs over time.
type numbers struct {
	span  span
	stats client.Stats
}

// chart is what charts.js draws.
type chart struct {
	X      []int64  `json:"x"` // seconds since 1970
	Series []series `json:"series"`
}

// series is a line of a chart, or bars that stand on those of the series before.
type series struct {
	Label  string     `json:"label"`
	Kind   kind       `json:"kind"`
	Unit   string     `json:"unit"`
	IsBars bool       `json:"isBars,omitempty"`
	Values []*float64 `json:"values"`
}

func (c chart) text() string {
	text, _ := json.Marshal(c) // it is made of numbers and texts
	return string(text)
}

func (n numbers) chartOf(all ...series) chart {
	c := chart{Series: all}
	for _, item := range n.stats.Items {
		c.X = append(c.X, item.StartsAt.Unix())
	}
	return c
}

// outcomes is the chart of runs by how they ended.
func (n numbers) outcomes() chart {
	bars := func(label string, k kind, count func(client.StatsItem) int64) series {
		s := series{Label: label, Kind: k, IsBars: true}
		for _, item := range n.stats.Items {
			s.Values = append(s.Values, new(float64(count(item))))
		}
		return s
	}
	return n.chartOf(
		bars("Failed", bad, func(i client.StatsItem) int64 { return i.Failed }),
		bars("Skipped", warning, func(i client.StatsItem) int64 { return i.Skipped }),
		bars("Canceled", quiet, func(i client.StatsItem) int64 { return i.Canceled }),
		bars("Succeeded", good, func(i client.StatsItem) int64 { return i.Succeeded }),
	)
}

// lateness is the chart of how late runs began.
func (n numbers) lateness() chart {
	line := func(label string, k kind, of func(client.LatenessQuantiles) float64) series {
		s := series{Label: label, Kind: k, Unit: " ms"}
		for _, item := range n.stats.Items {
			var value *float64
			if item.LatenessMilliseconds != nil {
				value = new(math.Round(of(*item.LatenessMilliseconds)*10) / 10)
			}
			s.Values = append(s.Values, value)
		}
		return s
	}
	return n.chartOf(
		line("p50", busy, func(q client.LatenessQuantiles) float64 { return q.P50 }),
		line("p99", warning, func(q client.LatenessQuantiles) float64 { return q.P99 }),
	)
}

// quantile writes a quantile of the lateness.
func quantile(q *client.LatenessQuantiles, of func(client.LatenessQuantiles) float64) string {
	switch {
	case q == nil:
		return "–"
	case of(*q) < 100:
		return strconv.FormatFloat(of(*q), 'f', 1, 64) + "ms"
	default:
		return exact(time.Duration(of(*q) * float64(time.Millisecond)))
	}
}

func p50(q client.LatenessQuantiles) float64 { return q.P50 }
func p99(q client.LatenessQuantiles) float64 { return q.P99 }
