package observe

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPulse(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name  string
		beats []time.Duration // since the first
		want  Stalls
	}{
		{"none but the first", nil, Stalls{}},
		{"all on time", []time.Duration{20 * ms, 40 * ms, 60 * ms}, Stalls{}},
		{"within the slack", []time.Duration{25 * ms, 50 * ms}, Stalls{}},
		{"just beyond it", []time.Duration{25*ms + 1}, Stalls{1, int64(5*ms + 1), int64(5*ms + 1)}},
		{"one late", []time.Duration{20 * ms, 540 * ms, 560 * ms}, Stalls{1, int64(500 * ms), int64(500 * ms)}},
		{"the longer first", []time.Duration{70 * ms, 110 * ms}, Stalls{2, int64(70 * ms), int64(50 * ms)}},
		{"the longer last", []time.Duration{40 * ms, 110 * ms}, Stalls{2, int64(70 * ms), int64(50 * ms)}},
		// As at a border: it does not hide the rest of a stall, and is none itself.
		{"too early", []time.Duration{20 * ms, 22 * ms, 42 * ms}, Stalls{}},
		{"out of order", []time.Duration{20 * ms, 80 * ms, 60 * ms, 100 * ms}, Stalls{1, int64(40 * ms), int64(40 * ms)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var p pulse
			begin := time.Now()
			p.beat(begin)
			for _, d := range test.beats {
				p.beat(begin.Add(d))
			}
			if p.lost != test.want {
				t.Errorf("%+v, want %+v", p.lost, test.want)
			}
		})
	}
}

// A stall that spans a border is divided by it.
func TestPulseLaps(t *testing.T) {
	const ms = time.Millisecond
	var p pulse
	begin := time.Now()
	for _, lap := range []struct {
		at   time.Duration
		want Stalls
	}{
		{0, Stalls{}},
		{120 * ms, Stalls{1, int64(100 * ms), int64(100 * ms)}},
		{121 * ms, Stalls{}},
		{181 * ms, Stalls{1, int64(40 * ms), int64(40 * ms)}},
	} {
		if got := p.lap(begin.Add(lap.at)); got != lap.want {
			t.Errorf("at %v: %+v, want %+v", lap.at, got, lap.want)
		}
	}
}

func TestStallsWithin(t *testing.T) {
	lost := Stalls{2, 70, 50}
	for _, test := range []struct {
		elapsed time.Duration
		want    Stalls
	}{
		{100, lost},
		{60, Stalls{2, 60, 50}},
		{40, Stalls{2, 40, 40}},
		{0, Stalls{2, 0, 0}},
	} {
		if got := lost.within(test.elapsed); got != test.want {
			t.Errorf("%v: %+v, want %+v", test.elapsed, got, test.want)
		}
	}
}

// In a bubble a timer is never late.
func TestWatcherSeesNoStallsInPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Config{Interval: time.Hour})
		w.Phase("a")
		time.Sleep(time.Second + 3*time.Millisecond) //nolint:forbidigo // in a bubble
		w.Phase("b")
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		r := w.Stop()
		for _, phase := range []string{"a", "b"} {
			if s, ok := r.Stalls(phase); !ok || s != (Stalls{}) {
				t.Errorf("phase %s: %+v, %v", phase, s, ok)
			}
		}
		if s, ok := r.Stalls("none"); ok {
			t.Errorf("a phase that never was: %+v", s)
		}
		// The goroutine beats: the last time it did was in the last phase.
		if age := time.Since(w.pulse.last); age >= pulseInterval {
			t.Errorf("the last beat was %v ago", age)
		}
	})
}

func BenchmarkPulse(b *testing.B) {
	var p pulse
	b.ReportAllocs()
	for b.Loop() {
		p.beat(time.Now())
	}
}
