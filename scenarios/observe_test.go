package scenarios

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/testserver"
)

// last keeps where each run stood at its end, and does something then.
type last struct {
	going Going
	at    []Progress
	end   func(Going, *result.Run)
}

func (l *last) Begin(g Going)        { l.going = g }
func (l *last) Sample(result.Sample) {}
func (l *last) End(run *result.Run) {
	l.at = append(l.at, l.going.Progress())
	if l.end != nil {
		l.end(l.going, run)
	}
}

// What is counted while a run goes on is what its record says in the end.
func TestLiveCountsAreThoseOfTheRecord(t *testing.T) {
	type counts struct{ duplicate, reordered, misrouted, late, lost int64 }
	for name, c := range map[string]struct {
		fault   testserver.Fault
		timeout time.Duration
	}{
		"drop":      {testserver.Fault{Kind: testserver.FaultDrop, Every: 7}, 150 * time.Millisecond},
		"duplicate": {testserver.Fault{Kind: testserver.FaultDuplicate, Every: 7}, time.Minute},
		"misroute":  {testserver.Fault{Kind: testserver.FaultMisroute, Every: 7}, 150 * time.Millisecond},
		"reorder":   {testserver.Fault{Kind: testserver.FaultReorder, Every: 7}, 300 * time.Millisecond},
		"late":      {testserver.Fault{Kind: testserver.FaultDelay, Every: 7, Delay: 200 * time.Millisecond}, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			_, env := serve(t, testserver.Config{Faults: []testserver.Fault{c.fault}})
			watch := &last{}
			env.Observers = []Observer{watch}
			ask := asked(24, stream.Conn)
			ask.Timeout = c.timeout
			run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 3})
			if err != nil {
				t.Fatal(err)
			}
			check(t, run)
			d, live := run.Delivery, watch.at[0].Live
			want := counts{*d.Duplicate, *d.Reordered, *d.Misrouted, *d.Late, *d.Lost}
			if got := (counts{live.Duplicate, live.Reordered, live.Misrouted, live.Late, live.Missing - live.Late}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if want == (counts{}) {
				t.Error("nothing went wrong")
			}
			if watch.at[0].Total != time.Duration(run.TotalNS) {
				t.Errorf("a total of %s, want %s", watch.at[0].Total, time.Duration(run.TotalNS))
			}
		})
	}
}

// The total of a run grows with it, but for the time that profiles take.
func TestTotalOfPhases(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		at   phase
		want time.Duration
	}{
		"sending":   {phase{name: phaseSend, began: now.Add(-time.Second), before: time.Minute}, time.Minute + time.Second},
		"profiling": {phase{name: phaseProfile, began: now.Add(-time.Second), before: time.Minute, still: true}, time.Minute},
	} {
		if got := c.at.total(); got < c.want || c.at.still && got != c.want || got > c.want+time.Minute {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A run that has come to its end is whole, but the series can be ended with it.
func TestCallOffAtTheEnd(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	env.Observers = []Observer{&last{end: func(g Going, _ *result.Run) { g.CallOff("enough") }}}
	one := Connect{Load: asked(3, stream.Conn)}
	runs, err := Series(context.Background(), env, []Scenario{one, one, one})
	if !errors.Is(err, ErrCalledOff) || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "enough") {
		t.Errorf("the error is %v", err)
	}
	if len(runs) != 1 || runs[0].Aborted != nil || runs[0].Interrupted || runs[0].Connect.Opened != 3 {
		t.Errorf("%d runs, %+v", len(runs), runs)
	}
}

// A run that is called off has a whole record, marked so.
func TestCallOffInTheMiddle(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	watch := &last{}
	env.Observers = append([]Observer{watch}, when(
		func(p Progress) bool { return p.Live.Received > 12 }, func() { watch.going.CallOff("enough") })...)
	run, err := runOf(context.Background(), env, Rooms{Load: asked(12, stream.Conn), Iterations: 1 << 20, Payload: load.Marker})
	if !errors.Is(err, ErrCalledOff) {
		t.Fatalf("the error is %v", err)
	}
	check(t, run)
	if run.Aborted == nil || !strings.Contains(*run.Aborted, "enough") || run.Interrupted || *run.Delivery.Lost != 0 || run.Delivery.Received <= 12 {
		t.Errorf("aborted %v, interrupted %v, %+v", run.Aborted, run.Interrupted, run.Delivery)
	}
}
