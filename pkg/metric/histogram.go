// Package metric counts and measures: latency histograms that merge without
// loss, and their summaries. It knows nothing of what is measured.
//
// A [Histogram] is not safe for concurrent use: keep one per goroutine and merge
// them when the goroutines have ended.
package metric

import (
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range and resolution of every histogram here: 1 ns to an hour, to three
// significant digits. All share them so that any two merge exactly.
const (
	lowest  = 1
	highest = int64(time.Hour)
	digits  = 3
)

// Histogram is a distribution of durations in nanoseconds. The zero value is
// empty and takes no memory; a used one takes 264 KiB at most.
type Histogram struct {
	h      *hdrhistogram.Histogram
	sum    float64
	min    int64
	max    int64
	capped int64
}

// Reserve takes the memory that the first Record would take, for those who record
// where a pause would be measured.
func (h *Histogram) Reserve() {
	if h.h == nil {
		h.h = hdrhistogram.New(lowest, highest, digits)
	}
}

// Record adds a duration in nanoseconds. One outside of the range is recorded at
// its edge and counted, see [Summary.Capped]; the exact mean, minimum and maximum
// are kept beside the histogram.
func (h *Histogram) Record(ns int64) {
	h.Reserve()
	if h.h.TotalCount() == 0 || ns < h.min {
		h.min = ns
	}
	if ns > h.max || h.h.TotalCount() == 0 {
		h.max = ns
	}
	h.sum += float64(ns)
	v := min(max(ns, 0), highest)
	if v != ns {
		h.capped++
	}
	// It fails only for values outside of the range, which v is not.
	_ = h.h.RecordValue(v)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() int64 {
	if h.h == nil {
		return 0
	}
	return h.h.TotalCount()
}

// Merge adds everything in other, which stays as it is. No count is lost, as all
// histograms have one range.
func (h *Histogram) Merge(other *Histogram) {
	if other.Count() == 0 {
		return
	}
	h.Reserve()
	if h.h.TotalCount() == 0 {
		h.min, h.max = other.min, other.max
	}
	h.min, h.max = min(h.min, other.min), max(h.max, other.max)
	h.sum += other.sum
	h.capped += other.capped
	h.h.Merge(other.h)
}

// Quantile is the smallest recorded duration, to three digits, that at least the
// share q in [0,1] of all do not exceed. ok is false when nothing was recorded.
func (h *Histogram) Quantile(q float64) (ns int64, ok bool) {
	if h.Count() == 0 {
		return 0, false
	}
	// The library rounds to the nearest rank: asked for a quarter of a rank more than
	// the one that is meant, it finds that.
	n := float64(h.Count())
	return min(h.h.ValueAtQuantile(100*(math.Ceil(q*n-1e-6)-0.25)/n), h.max), true
}

// Summary is what reports say of a distribution. Times are nanoseconds.
type Summary struct {
	Count                              int64
	Mean                               float64
	Min, P50, P90, P95, P99, P999, Max int64
	Capped                             int64
	HDR                                string // HdrHistogram V2, compressed, base64
}

// Summary sums h up. ok is false when nothing was recorded.
func (h *Histogram) Summary() (s Summary, ok bool, err error) {
	if h.Count() == 0 {
		return Summary{}, false, nil
	}
	hdr, err := h.h.EncodeV2()
	if err != nil {
		return Summary{}, false, fmt.Errorf("encode histogram: %w", err)
	}
	q := func(p float64) int64 { v, _ := h.Quantile(p); return v }
	return Summary{
		Count: h.Count(), Mean: h.sum / float64(h.Count()), Min: h.min, Max: h.max,
		P50: q(0.50), P90: q(0.90), P95: q(0.95), P99: q(0.99), P999: q(0.999),
		Capped: h.capped, HDR: string(hdr),
	}, true, nil
}
