package observe

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

// GC is what the collector of the generator's garbage did in a phase. Like
// [Sample] it converts to its counterpart in the record.
type GC struct {
	Cycles       int64 // collections that ended
	PauseTotalNS int64 // in which nothing of the generator ran
	PauseMaxNS   int64 // the longest pause, rounded up to the bucket of the runtime's histogram
}

// collector reads the collector of this process. It is not safe for concurrent
// use.
//
// Cycles and the longest pause come from runtime/metrics. Its histogram holds no
// sum, so the total comes from debug.ReadGCStats, which copies a few KiB under a
// lock; runtime.ReadMemStats has the same number but stops the world to get it,
// which is a pause of its own.
type collector struct {
	samples []metrics.Sample
	stats   debug.GCStats
	cycles  uint64
	total   time.Duration
	pauses  []uint64 // counts of the histogram, as they were
}

// liveMemory is what of the heap and of stacks of this process is in use, in bytes.
func liveMemory() opt {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	var sum opt
	for _, s := range samples {
		if s.Value.Kind() != metrics.KindUint64 {
			return opt{}
		}
		sum = known(sum.v + int64(s.Value.Uint64()))
	}
	return sum
}

// lap gives what has happened since the call before, the first time since the
// process began; false where the runtime does not say.
func (c *collector) lap() (GC, bool) {
	if c.samples == nil {
		c.samples = []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/sched/pauses/total/gc:seconds"}}
	}
	debug.ReadGCStats(&c.stats)
	metrics.Read(c.samples)
	cycles, pauses := c.samples[0].Value, c.samples[1].Value
	if cycles.Kind() != metrics.KindUint64 || pauses.Kind() != metrics.KindFloat64Histogram {
		return GC{}, false
	}
	histogram := pauses.Float64Histogram()
	gc := GC{
		Cycles:       int64(cycles.Uint64() - c.cycles),
		PauseTotalNS: int64(c.stats.PauseTotal - c.total),
		PauseMaxNS:   longest(histogram, c.pauses),
	}
	c.cycles, c.total = cycles.Uint64(), c.stats.PauseTotal
	c.pauses = append(c.pauses[:0], histogram.Counts...) // the next Read uses its memory again
	return gc, true
}

// longest gives the upper edge, in nanoseconds, of the highest bucket that has
// grown since before; where that is infinite, the lower one.
func longest(h *metrics.Float64Histogram, before []uint64) int64 {
	for i, n := range slices.Backward(h.Counts) {
		if i < len(before) && n == before[i] || n == 0 {
			continue
		}
		edge := h.Buckets[i+1]
		if math.IsInf(edge, 1) {
			edge = h.Buckets[i]
		}
		return int64(math.Round(max(0, edge) * 1e9))
	}
	return 0
}
