package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Requests says how fast requests were answered, in the slice of time with the median speed.
type Requests struct {
	Operation         string  `json:"operation"`
	Name              string  `json:"name"`
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	Slowest           float64 `json:"slowest"`
	Fastest           float64 `json:"fastest"`
	P50               float64 `json:"p50"`
	P99               float64 `json:"p99"`
	CPUPerRequest     float64 `json:"cpuMicrosecondsPerRequest"` // of this process, with the one that asks
}

// medianRequests returns the slice of median speed, with the speeds of the slowest and the fastest.
func medianRequests(all []Requests) Requests {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b Requests) int {
		return cmp.Compare(a.RequestsPerSecond, b.RequestsPerSecond)
	})
	r := sorted[len(sorted)/2]
	r.Slowest, r.Fastest = sorted[0].RequestsPerSecond, sorted[len(sorted)-1].RequestsPerSecond
	return r
}

// checkAPI compares the contestants within each round. The median of the ratios counts.
func (r *Report) checkAPI(operation string, rounds map[string][]Requests) {
	check := func(name, other string, least float64) {
		if len(rounds[name]) == 0 {
			return
		}
		ratios := make([]float64, len(rounds[name]))
		for i := range ratios {
			ratios[i] = rounds[name][i].RequestsPerSecond / rounds[other][i].RequestsPerSecond
		}
		r.atLeast(fmt.Sprintf("%s, %s / %s", operation, name, other), median(ratios), least)
	}
	check(keylessName, bareAPIName, minOfBare)
	check(keyedName, keylessName, minOfKeyless)
}

func writeRequests(out io.Writer, all []Requests) {
	if len(all) > 0 {
		fmt.Fprintln(out, "\nAPI\tby\trequests/s\tslowest\tfastest\tp50 ms\tp99 ms\tCPU µs/request")
	}
	for _, r := range all {
		fmt.Fprintf(out, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.0f\n", r.Operation, r.Name, r.RequestsPerSecond,
			r.Slowest, r.Fastest, r.P50, r.P99, r.CPUPerRequest)
	}
}
