package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Buckets leave no gap, do not overlap, and are as narrow as they claim to be.
func TestLiveBuckets(t *testing.T) {
	for i := range liveBuckets {
		from, to := liveFloor(i), liveFloor(i+1)
		if liveBucket(from) != i || liveBucket(to-1) != i {
			t.Errorf("bucket %d from %d to %d: %d holds its first, %d its last", i, from, to, liveBucket(from), liveBucket(to-1))
		}
		if width := to - from; width > max(1024, from/liveHalf) {
			t.Errorf("bucket %d from %d is %d wide", i, from, width)
		}
	}
	if last := liveBucket(highest); last >= liveBuckets {
		t.Errorf("an hour is in bucket %d of %d", last, liveBuckets)
	}
}

// What a snapshot says of a quantile is the true one, rounded up to its bucket, and the
// counts above and below a limit leave out only those in the limit's bucket.
func TestLiveAgainstSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var l Live
	var all []int64
	for range 10_000 {
		ns := int64(math.Exp(r.Float64() * math.Log(float64(highest))))
		all = append(all, ns)
		l.Record(ns)
	}
	slices.Sort(all)
	var s Snapshot
	l.AddTo(&s)
	if s.Count() != int64(len(all)) {
		t.Fatalf("%d of %d durations", s.Count(), len(all))
	}
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(1, int(math.Ceil(q*float64(len(all)))))-1]
		got, ok := s.Quantile(q)
		if !ok || got < want || got > want+max(1024, want/liveHalf) && got != highest {
			t.Errorf("quantile %v is %d, %v, want %d", q, got, ok, want)
		}
		limit := time.Duration(want)
		from, _ := slices.BinarySearch(all, want)
		above := int64(len(all) - from)
		if ns, ok := s.Largest(above); !ok || ns > want || ns < want-max(1024, want/liveHalf) {
			t.Errorf("%d are %d or more, %v, want %d", above, ns, ok, want)
		}
		if n := s.AtLeast(limit); n > above || n+s.Within(limit) < int64(len(all))-s.counts[liveBucket(want)] {
			t.Errorf("of %d that are %s or more it says %d, and %d below", above, limit, n, s.Within(limit))
		}
	}
}

func TestLiveEdges(t *testing.T) {
	var l Live
	var none Snapshot
	if _, ok := none.Quantile(0.5); ok {
		t.Error("nothing has a median")
	}
	if _, ok := none.Largest(1); ok {
		t.Error("nothing has a largest")
	}
	l.Record(-5)
	l.Record(2 * highest)
	var first, both Snapshot
	l.AddTo(&first)
	if first.Count() != 2 || first.Sum() != highest {
		t.Errorf("%d durations of %d ns", first.Count(), first.Sum())
	}
	l.Record(5e6)
	l.AddTo(&both)
	later := both.Since(&first)
	if got, ok := later.Quantile(1); !ok || later.Count() != 1 || got < 5e6 || got > 5.4e6 {
		t.Errorf("what came later: %d durations, the largest %d", later.Count(), got)
	}
}
