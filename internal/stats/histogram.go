package stats

import (
	"math"
	"slices"
	"strconv"
	"time"
)

// Durations are counted in buckets. The first one ends at smallest, and each of the others at a
// ninth of an octave (8 %) after the one before. What is told of a bucket is its middle, which is
// at most 4 % off. The last one begins after 11 days and has no end.
const (
	smallest  = 100 * time.Microsecond
	perOctave = 9
	buckets   = 300
)

// bucketOf returns the number of the bucket of a duration.
func bucketOf(d time.Duration) int {
	if d <= smallest {
		return 0
	}
	return min(int(math.Ceil(math.Log2(float64(d)/float64(smallest))*perOctave)), buckets-1)
}

// middleOf returns the middle of a bucket in milliseconds, rounded to microseconds.
func middleOf(bucket int) float64 {
	if bucket == 0 {
		return milliseconds(smallest)
	}
	return math.Round(milliseconds(smallest)*math.Exp2((float64(bucket)-0.5)/perOctave)*1000) / 1000
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// counts has how many durations are in each bucket.
type counts [buckets]int64

func (c *counts) merge(other *counts) {
	for i, n := range other {
		c[i] += n
	}
}

// A stored element is the number of a bucket and a count.
const countBits = 40

// addStored adds what a row of run_stats has.
func (c *counts) addStored(stored []int64) {
	for _, s := range stored {
		c[min(s>>countBits, buckets-1)] += s & (1<<countBits - 1)
	}
}

// unknown stands for a maximum that is not known.
const unknown = time.Duration(math.MaxInt64)

// quantiles returns the quantiles, none of which is more than the maximum, or nil if nothing was
// counted.
func (c *counts) quantiles(most time.Duration) *Quantiles {
	var all int64
	for _, n := range c {
		all += n
	}
	if all == 0 {
		return nil
	}
	q := Quantiles{Max: milliseconds(most)}
	of := []struct {
		rank int64
		to   *float64
	}{{(all + 1) / 2, &q.P50}, {all - all/20, &q.P95}, {all - all/100, &q.P99}}
	var seen int64
	for bucket, n := range c {
		seen += n
		for len(of) > 0 && seen >= of[0].rank {
			*of[0].to = min(middleOf(bucket), q.Max)
			of = of[1:]
		}
	}
	return &q
}

// histogram has the buckets in which there are durations, in their order: few, as a rule.
type histogram []bucketCount

type bucketCount struct {
	bucket uint16
	count  uint32
}

// add counts a duration. It allocates nothing where the histogram had as many buckets before.
func (h *histogram) add(d time.Duration) {
	bucket := uint16(bucketOf(d))
	i, found := slices.BinarySearchFunc(*h, bucket, func(b bucketCount, bucket uint16) int { return int(b.bucket) - int(bucket) })
	if !found {
		*h = slices.Insert(*h, i, bucketCount{bucket: bucket})
	}
	(*h)[i].count++
}

// stored returns the histogram as the text of an array, as run_stats has it.
func (h histogram) stored(text []byte) []byte {
	text = append(text, '{')
	for i, b := range h {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(b.bucket)<<countBits|int64(b.count), 10)
	}
	return append(text, '}')
}
