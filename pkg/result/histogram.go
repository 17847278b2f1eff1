package result

import (
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bar is a cell of a [Latency]'s distribution: how many durations lie from FromNS
// to ToNS, both included. A cell is at most a thousandth of its values wide.
type Bar struct {
	FromNS, ToNS int64
	Count        int64
}

// Histogram decodes the whole distribution: its cells from the smallest to the
// largest, without those that hold nothing. Their counts add up to l.Count. A
// distribution of no durations has no cells. Data that do not decode, or that hold
// another number of durations than l.Count, are an error.
func (l *Latency) Histogram() ([]Bar, error) {
	if l.Count == 0 && l.HDR == "" {
		return nil, nil
	}
	h, err := hdrhistogram.Decode([]byte(l.HDR))
	if err != nil {
		return nil, fmt.Errorf("decode histogram: %w", err)
	}
	if h.TotalCount() != l.Count {
		return nil, fmt.Errorf("the histogram holds %d durations, the count is %d", h.TotalCount(), l.Count)
	}
	var bars []Bar
	for _, b := range h.Distribution() {
		if b.Count > 0 {
			bars = append(bars, Bar{FromNS: b.From, ToNS: b.To, Count: b.Count})
		}
	}
	return bars, nil
}
