package observe

import (
	"math"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

func TestWatcherCountsCollections(t *testing.T) {
	w := New(Config{Interval: time.Hour})
	w.Phase("collect")
	const forced = 3
	for range forced {
		runtime.GC()
	}
	w.Phase("rest")
	w.Phase("collect") // again, so that this one is reported
	runtime.GC()
	r := w.Stop()
	var process collector
	all, ok := process.lap()
	if !ok {
		t.Fatal("the runtime does not say")
	}

	first := r.collections[0]
	if !first.ok || first.gc.Cycles < forced || first.gc.PauseTotalNS <= 0 || first.gc.PauseMaxNS <= 0 {
		t.Errorf("%d collections: %+v", forced, first)
	}
	last, ok := r.GC("collect")
	if !ok || last.Cycles < 1 || last.PauseTotalNS <= 0 || last != r.collections[2].gc {
		t.Errorf("the last phase: %+v, %v", last, ok)
	}
	if rest, ok := r.GC("rest"); !ok || rest.Cycles < 0 || rest.PauseTotalNS < 0 {
		t.Errorf("between them: %+v, %v", rest, ok)
	}
	var cycles, total int64
	for _, c := range r.collections {
		cycles, total = cycles+c.gc.Cycles, total+c.gc.PauseTotalNS
	}
	if cycles > all.Cycles || total > all.PauseTotalNS {
		t.Errorf("the phases add up to %d cycles and %d ns, the process had %+v", cycles, total, all)
	}
	if gc, ok := r.GC("none"); ok {
		t.Errorf("a phase that never was: %+v", gc)
	}
}

func TestLongestPause(t *testing.T) {
	edges := []float64{math.Inf(-1), 0, 1e-6, 2e-6, 4e-6, math.Inf(1)}
	for _, test := range []struct {
		name        string
		before, now []uint64
		want        int64
	}{
		{"none", nil, []uint64{0, 0, 0, 0, 0}, 0},
		{"the first", nil, []uint64{0, 1, 0, 0, 0}, 1000},
		{"the highest", nil, []uint64{0, 5, 2, 1, 0}, 4000},
		{"a higher one before", []uint64{0, 5, 2, 1, 0}, []uint64{0, 6, 3, 1, 0}, 2000},
		{"nothing since", []uint64{0, 5, 2, 1, 0}, []uint64{0, 5, 2, 1, 0}, 0},
		{"beyond the last edge", nil, []uint64{0, 0, 0, 0, 1}, 4000},
		{"below the first edge", nil, []uint64{1, 0, 0, 0, 0}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &metrics.Float64Histogram{Counts: test.now, Buckets: edges}
			if got := longest(h, test.before); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

// The pause that a lap reports is one of that lap, not of the process.
func TestCollectorForgetsEarlierLaps(t *testing.T) {
	var c collector
	runtime.GC()
	if gc, ok := c.lap(); !ok || gc.Cycles < 1 {
		t.Fatalf("since the process began: %+v, %v", gc, ok)
	}
	runtime.GC()
	runtime.GC()
	whole := uint64(0)
	for _, n := range c.pauses {
		whole += n
	}
	gc, ok := c.lap()
	if !ok || gc.Cycles < 2 || gc.Cycles >= int64(c.cycles) {
		t.Errorf("two more: %+v of %d", gc, c.cycles)
	}
	now := uint64(0)
	for _, n := range c.pauses {
		now += n
	}
	if now < whole+2 || gc.PauseMaxNS <= 0 {
		t.Errorf("%d pauses, then %d, the longest %d ns", whole, now, gc.PauseMaxNS)
	}
}
