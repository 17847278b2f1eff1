package stream

import (
	"errors"
	"testing"
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
