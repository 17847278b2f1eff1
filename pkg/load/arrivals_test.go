package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// all merges the first n arrivals that the shards' schedules yield before end, in
// the order of time. senders are numbered over all shards.
func all(a Arrivals, shards []int, end time.Duration, seed uint64) []arrival {
	count := 0
	for _, n := range shards {
		count += n
	}
	var out []arrival
	first := 0
	for i, n := range shards {
		s := schedule{Arrivals: a, first: first, count: n, all: count, random: rand.New(rand.NewPCG(seed, uint64(i)))}
		for next := s.next(); next.after < end; next = s.next() {
			next.sender += first
			out = append(out, next)
		}
		first += n
	}
	slices.SortStableFunc(out, func(a, b arrival) int { return int(a.after - b.after) })
	return out
}

func TestConstantArrivals(t *testing.T) {
	for _, c := range []struct {
		name   string
		rate   float64
		shards []int
		end    time.Duration
		want   int
	}{
		{"one shard", 500, []int{100}, time.Second, 500},
		{"two equal shards", 500, []int{50, 50}, time.Second, 500},
		{"unequal shards", 1000, []int{1, 7, 3}, 2 * time.Second, 2000},
		{"fewer messages than senders", 3, []int{5, 5}, time.Second, 3},
		{"a part of a second", 7, []int{2}, 500 * time.Millisecond, 4}, // 0, 1/7, 2/7, 3/7
		{"the last one would be due at the end", 1.1, []int{2}, 30 * time.Second, 33},
		{"less than one a second", 0.5, []int{1, 1}, 10 * time.Second, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := all(Arrivals{Rate: c.rate, Kind: Constant}, c.shards, c.end, 1)
			if len(got) != c.want {
				t.Fatalf("%d arrivals, want %d", len(got), c.want)
			}
			senders := 0
			for _, n := range c.shards {
				senders += n
			}
			for k, a := range got {
				if want := time.Duration(math.Round(float64(k) / c.rate * float64(time.Second))); a.after != want {
					t.Fatalf("arrival %d after %s, want %s", k, a.after, want)
				}
				if a.sender != k%senders {
					t.Fatalf("arrival %d is of sender %d, want %d", k, a.sender, k%senders)
				}
			}
		})
	}
}

// TestPoissonArrivals holds the schedule against what makes a Poisson process:
// the number of arrivals, exponential times between them, and senders that are
// equally likely. The bounds are five standard deviations; the seed is fixed.
func TestPoissonArrivals(t *testing.T) {
	const rate, seconds, senders = 1000.0, 200.0, 10
	got := all(Arrivals{Rate: rate, Kind: Poisson}, []int{3, 7}, seconds*time.Second, 42)
	n := rate * seconds
	if off := math.Abs(float64(len(got)) - n); off > 5*math.Sqrt(n) {
		t.Errorf("%d arrivals, want about %.0f", len(got), n)
	}
	var longer, times int // than the mean, which a share of 1/e should be
	bySender := make([]float64, senders)
	for k, a := range got {
		bySender[a.sender]++
		if k > 0 {
			times++
			if a.after-got[k-1].after > time.Duration(1/rate*float64(time.Second)) {
				longer++
			}
		}
	}
	p := 1 / math.E
	if off := math.Abs(float64(longer)/float64(times) - p); off > 5*math.Sqrt(p*(1-p)/float64(times)) {
		t.Errorf("%.4f of the times between arrivals are longer than their mean, want %.4f", float64(longer)/float64(times), p)
	}
	for sender, count := range bySender {
		if off := math.Abs(count - n/senders); off > 5*math.Sqrt(n/senders) {
			t.Errorf("sender %d has %.0f arrivals, want about %.0f", sender, count, n/senders)
		}
	}
}

func TestScheduleIsNeverShorterThanTime(t *testing.T) {
	s := schedule{Arrivals: Arrivals{Rate: 1e-9, Kind: Constant}, count: 1, all: 1}
	var before time.Duration = -1
	for range 100 {
		a := s.next()
		if a.after < before {
			t.Fatalf("arrival after %s follows one after %s", a.after, before)
		}
		before = a.after
	}
	if before != math.MaxInt64 {
		t.Errorf("the hundredth message at one in 32 years is due after %s", before)
	}
}

func TestSlowReadersAreSpread(t *testing.T) {
	for _, c := range []struct{ clients, slow int }{{600, 30}, {10, 1}, {10, 10}, {7, 3}, {600, 0}, {1, 1}} {
		p := &Population{cfg: Config{Clients: c.clients, Slow: SlowReaders{Count: c.slow}}}
		n, before, widest := 0, -1, 0
		for i := range c.clients {
			if p.slow(i) {
				n++
				widest = max(widest, i-before)
				before = i
			}
		}
		if n != c.slow {
			t.Errorf("%d of %d clients are slow, want %d", n, c.clients, c.slow)
		}
		if c.slow > 0 && widest > (c.clients+c.slow-1)/c.slow {
			t.Errorf("%d of %d clients: %d apart", c.slow, c.clients, widest)
		}
	}
}

// TestTurns: messages that follow each other go to different rooms, and only open
// clients take turns.
func TestTurns(t *testing.T) {
	p := &Population{cfg: Config{Clients: 8, RoomSize: 3, Senders: AllInRoom}}
	s := &shard{p: p, clients: make([]client, 8), rooms: make([]room, 3)}
	for id := range s.clients {
		s.clients[id].state = isOpen
	}
	s.clients[4].state = failed
	if got, want := s.turns(), []int32{0, 3, 6, 1, 7, 2, 5}; !slices.Equal(got, want) {
		t.Errorf("all send: turns of %v, want %v", got, want)
	}
	p.cfg.Senders = OnePerRoom
	s.clients[0].state = dropped
	if got, want := s.turns(), []int32{3, 6, 1}; !slices.Equal(got, want) {
		t.Errorf("one a room: turns of %v, want %v", got, want)
	}
}
