package metric

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// The buckets of [Live]: 32 of 1,024 ns each, then 16 for each doubling, up to an
// hour.
const (
	liveShift   = 10
	liveHalf    = 16 // buckets of a doubling
	liveBuckets = (32-5+1)*liveHalf + liveHalf
)

// Live is a coarse distribution of durations in nanoseconds that can be looked at
// while it is recorded. One goroutine may record; any may take a [Snapshot]. Its cells
// are 1,024 ns wide up to 32 µs, and a sixteenth of their values or less from there.
// The zero value is empty.
type Live struct {
	buckets [liveBuckets]atomic.Int64
	sum     atomic.Int64
}

// Record adds a duration. One below 0, or above an hour, is recorded at that edge.
func (l *Live) Record(ns int64) {
	ns = min(max(ns, 0), highest)
	l.buckets[liveBucket(ns)].Add(1)
	l.sum.Add(ns)
}

func liveBucket(ns int64) int {
	u := uint64(ns) >> liveShift
	shift := max(0, bits.Len64(u)-5)
	return shift*liveHalf + int(u>>shift)
}

// liveFloor is the least duration of bucket i; that of the bucket after it is where
// bucket i ends.
func liveFloor(i int) int64 {
	shift := max(0, i/liveHalf-1)
	return int64(i-shift*liveHalf) << shift << liveShift
}

// AddTo adds what was recorded until now to s.
func (l *Live) AddTo(s *Snapshot) {
	for i := range l.buckets {
		s.counts[i] += l.buckets[i].Load()
	}
	s.sum += l.sum.Load()
}

// Snapshot is what one or several [Live] held at a moment, or between two. Counts of
// it that were recorded meanwhile may or may not be in it. The zero value is empty.
type Snapshot struct {
	counts [liveBuckets]int64
	sum    int64
}

// Since is what was recorded after before was taken.
func (s *Snapshot) Since(before *Snapshot) Snapshot {
	out := *s
	for i := range out.counts {
		out.counts[i] -= before.counts[i]
	}
	out.sum -= before.sum
	return out
}

// Count is how many durations there are.
func (s *Snapshot) Count() int64 {
	var n int64
	for _, c := range s.counts {
		n += c
	}
	return n
}

// Sum is the sum of all durations in nanoseconds.
func (s *Snapshot) Sum() int64 { return s.sum }

// Quantile is a duration that at least the share q in [0,1] of all do not exceed, no
// more than a bucket above the smallest such. ok is false without any.
func (s *Snapshot) Quantile(q float64) (ns int64, ok bool) {
	n := s.Count()
	if n == 0 {
		return 0, false
	}
	rank := max(1, int64(math.Ceil(q*float64(n)-1e-6)))
	for i, c := range s.counts {
		if rank -= c; rank <= 0 {
			return min(liveFloor(i+1), highest), true
		}
	}
	return highest, true // counts were recorded meanwhile
}

// AtLeast is how many durations are surely no less than d: those in the bucket that d
// falls into are not among them, unless it begins with d.
func (s *Snapshot) AtLeast(d time.Duration) int64 {
	var n int64
	for i := len(s.counts) - 1; i >= 0 && liveFloor(i) >= int64(d); i-- {
		n += s.counts[i]
	}
	return n
}

// Largest is a duration that at least n of all, which is more than 0, are surely no less
// than: no more than a bucket below the greatest such. ok is false with fewer than n.
func (s *Snapshot) Largest(n int64) (ns int64, ok bool) {
	for i := len(s.counts) - 1; i >= 0; i-- {
		if n -= s.counts[i]; n <= 0 {
			return liveFloor(i), true
		}
	}
	return 0, false
}

// Within is how many durations are surely less than d, as the buckets show.
func (s *Snapshot) Within(d time.Duration) int64 {
	var n int64
	for i := 0; i < len(s.counts) && liveFloor(i+1) <= int64(d); i++ {
		n += s.counts[i]
	}
	return n
}
