package stream

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestReconnection(t *testing.T) {
	refused := &Failure{Class: Refused, Err: errors.New("refused")}
	ended := &Failure{Class: Ended, Err: errEnded}
	early := &Failure{Class: ClosedEarly, Err: errors.New("cut")}
	type step struct {
		retry  time.Duration // set by the server before, unless -1
		opened bool
		f      *Failure
		delay  time.Duration
		again  bool
	}
	const unset = -1
	for name, steps := range map[string][]step{
		"a clean end is followed by the default time": {
			{unset, true, ended, 3 * time.Second, true},
			{unset, true, ended, 3 * time.Second, true},
		},
		"the server's time is used from then on": {
			{1500 * time.Millisecond, true, ended, 1500 * time.Millisecond, true},
			{unset, true, early, 1500 * time.Millisecond, true},
			{200 * time.Millisecond, true, early, 200 * time.Millisecond, true},
		},
		"failures in a row double it up to 30 s": {
			{unset, false, refused, 3 * time.Second, true},
			{unset, false, refused, 6 * time.Second, true},
			{unset, false, early, 12 * time.Second, true},
			{unset, false, refused, 24 * time.Second, true},
			{unset, false, refused, 30 * time.Second, true},
			{unset, false, refused, 30 * time.Second, true},
		},
		"an open stream starts it over": {
			{unset, false, refused, 3 * time.Second, true},
			{unset, false, refused, 6 * time.Second, true},
			{unset, true, early, 3 * time.Second, true},
			{unset, false, refused, 3 * time.Second, true},
			{unset, false, refused, 6 * time.Second, true},
		},
		"0 is at once after an end, and not for ever after failures": {
			{0, true, ended, 0, true},
			{unset, false, refused, 0, true},
			{unset, false, refused, 100 * time.Millisecond, true},
			{unset, false, refused, 200 * time.Millisecond, true},
		},
		"a time over 30 s stays as it is": {
			{time.Minute, true, ended, time.Minute, true},
			{unset, false, refused, time.Minute, true},
			{unset, false, refused, time.Minute, true},
		},
		"the longest time does not overflow": {
			{1<<63 - 1, false, refused, 1<<63 - 1, true},
			{unset, false, refused, 1<<63 - 1, true},
		},
		"204 is for good":                    {{unset, false, statusFailure(204), 0, false}},
		"any other status is for good":       {{unset, false, statusFailure(503), 0, false}},
		"a wrong content type is for good":   {{unset, false, failuref(ContentType, "html"), 0, false}},
		"a certificate may change meanwhile": {{unset, false, failuref(TLS, "expired"), 3 * time.Second, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var r Reconnection
			for i, s := range steps {
				if s.retry != unset {
					r.SetRetry(s.retry)
				}
				if s.opened {
					r.Opened()
				}
				if delay, again := r.After(s.f); delay != s.delay || again != s.again {
					t.Fatalf("step %d: %v, %v; want %v, %v", i, delay, again, s.delay, s.again)
				}
			}
		})
	}
}

func TestNegativeRetryIsZero(t *testing.T) {
	var r Reconnection
	r.SetRetry(-time.Second)
	if delay, again := r.After(&Failure{Class: Ended, Err: errEnded}); delay != 0 || !again {
		t.Errorf("%v, %v; want 0, true", delay, again)
	}
}

func TestDeadlinesFallDueInOrder(t *testing.T) {
	var q deadlines
	gone := map[int32]bool{}
	done := func(d deadline) bool { return gone[d.index] }
	for i, at := range []int64{10, 20, 30, 15, 40, 12} {
		q.add(deadline{at: at, index: int32(i)}, done)
	}
	gone[1] = true // at 20
	var order []int64
	for {
		d, ok := q.expired(30, done)
		if !ok {
			break
		}
		order = append(order, d.at)
	}
	if got, want := len(order), 4; got != want {
		t.Fatalf("%v: %d fell due, want %d", order, got, want)
	}
	for i, want := range []int64{10, 12, 15, 30} {
		if order[i] != want {
			t.Errorf("%v: want %d at %d", order, want, i)
		}
	}
	if at, ok := q.next(); !ok || at != 40 {
		t.Errorf("next is %d, %v; want 40", at, ok)
	}
}

// inContext is an Engine's context and nothing else.
type inContext struct {
	Engine
	mu sync.Mutex
}

func (e *inContext) Do(f func()) { go e.run(f) }

func (e *inContext) run(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// TestReconnectorKeepsTime: each is opened again when its time has come, in the order
// of these times, and none once it is stopped.
func TestReconnectorKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := &Failure{Class: Reset, Err: errors.New("cut")}
		e, clock := &inContext{}, NewClock()
		type opened struct {
			id    int
			after time.Duration
		}
		var got []opened
		began := clock.Now()
		r := NewReconnector(e, clock, 4, Jitter{}, func(id int) {
			got = append(got, opened{id, time.Duration(clock.Now() - began)})
		})
		e.run(func() {
			for id, retry := range []time.Duration{5, 2, 1 << 30, 2} {
				r.SetRetry(id, retry*time.Second)
				r.Opened(id)
				if delay, again := r.Closed(id, cut); !again || id != 2 && delay != retry*time.Second {
					t.Errorf("client %d: again %v, after %s", id, again, delay)
				}
			}
		})
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
		want := []opened{{1, 2 * time.Second}, {3, 2 * time.Second}, {0, 5 * time.Second}}
		e.run(func() {
			slices.SortStableFunc(got, func(a, b opened) int { return cmp.Or(int(a.after-b.after), a.id-b.id) })
			if !slices.Equal(got, want) {
				t.Errorf("opened %v, want %v", got, want)
			}
			r.Opened(1)
			if _, again := r.Closed(1, cut); !again {
				t.Error("it gave up")
			}
			gone := &Failure{Class: Status, Status: 204, Err: errors.New("204")}
			if _, again := r.Closed(3, gone); again {
				t.Error("a status other than 200 is not final")
			}
		})
		r.Stop()
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
		e.run(func() {
			if len(got) != len(want) {
				t.Errorf("opened %v after it was stopped", got[len(want):])
			}
		})
	})
}

func TestJitter(t *testing.T) {
	const delay, n = 10 * time.Second, 10_000
	for _, c := range []struct {
		j    Jitter
		most time.Duration
		text string
	}{
		{Jitter{}, 0, ""},
		{Jitter{Most: 2 * time.Second}, 2 * time.Second, "2s"},
		{Jitter{Share: 0.25}, 2500 * time.Millisecond, "25%"},
	} {
		var sum, highest time.Duration
		for range n {
			d := c.j.of(delay)
			if d < 0 || d > c.most {
				t.Fatalf("%+v: %s added, want between 0 and %s", c.j, d, c.most)
			}
			sum += d
			highest = max(highest, d)
		}
		// Six standard deviations of the mean of so many.
		mean, off := c.most/2, time.Duration(6*float64(c.most)/math.Sqrt(12*n))
		if got := sum / n; got < mean-off || got > mean+off {
			t.Errorf("%+v: %s added on average, want %s", c.j, got, mean)
		}
		if c.j.String() != c.text {
			t.Errorf("%+v is called %q", c.j, c.j)
		}
	}
}
