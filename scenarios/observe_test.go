package scenarios

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/testserver"
)

// diary is an Observer that writes down what it is told.
type diary struct {
	told    []string
	going   []Going
	samples []result.Sample
	ended   []*result.Run
	latency int64 // copies in the latencies at the last sample
}

// Begin implements [Observer].
func (d *diary) Begin(g Going) {
	d.told, d.going, d.samples = append(d.told, "begin"), append(d.going, g), nil
}

// Sample implements [Observer].
func (d *diary) Sample(s result.Sample) {
	d.told, d.samples = append(d.told, "sample"), append(d.samples, s)
	now := d.going[len(d.going)-1].Latencies()
	d.latency = now.Delivery.Count()
}

// End implements [Observer].
func (d *diary) End(r *result.Run) { d.told, d.ended = append(d.told, "end"), append(d.ended, r) }

// An observer is told of each run of a series in order, and its samples are those of
// the record.
func TestObserver(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	var d diary
	env.Observers = []Observer{&d}
	all := []Scenario{Connect{Load: asked(12, stream.Auto)}, Rooms{Load: asked(12, stream.Auto), Iterations: 3}}
	runs, err := Series(context.Background(), env, all)
	if err != nil {
		t.Fatal(err)
	}
	if told := strings.Join(d.told, " "); told != "begin sample sample end begin sample sample end" {
		t.Errorf("told %s", told)
	}
	for i, g := range d.going {
		if g.Number != i+1 || g.Of != 2 || g.Run.Scenario != all[i].Name() || g.Run.Params.Clients != 12 {
			t.Errorf("run %d is %d of %d, %s of %d clients", i+1, g.Number, g.Of, g.Run.Scenario, g.Run.Params.Clients)
		}
	}
	rooms := &runs[1]
	check(t, rooms)
	if !reflect.DeepEqual(d.samples, rooms.Samples) {
		t.Errorf("told of %+v, recorded %+v", d.samples, rooms.Samples)
	}
	last := rooms.Samples[len(rooms.Samples)-1]
	if d.latency != 36 || last.Sent == nil || *last.Sent != 6 || last.LatencyMaxNS == nil || *last.LatencyMaxNS < *rooms.Delivery.Latency.MaxNS {
		t.Errorf("%d copies had a latency; the last sample is %+v, the largest latency %d", d.latency, last, *rooms.Delivery.Latency.MaxNS)
	}
	if p := d.going[1].Progress(); p.MostCopies != 36 || p.Live.Received != 36 {
		t.Errorf("the progress at the end is %+v", p)
	}
}

// A run that an observer calls off is partial, says why, and is the last of its series.
func TestCallOff(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	d := &diary{}
	caller := &calling{waiting: waiting{reached: func(p Progress) bool { return p.Live.Received > 0 }}}
	env.Observers = []Observer{caller, d}
	began := time.Now()
	runs, err := Series(context.Background(), env, []Scenario{
		Rooms{Load: asked(12, stream.Auto), Duration: time.Minute}, Rooms{Load: asked(12, stream.Auto), Iterations: 1},
	})
	if !errors.Is(err, ErrCalledOff) || errors.Is(err, context.Canceled) {
		t.Errorf("the series ended with %v", err)
	}
	if len(runs) != 1 || len(d.ended) != 1 || runs[0].Interrupted || runs[0].Aborted == nil || !strings.Contains(*runs[0].Aborted, "too slow") {
		t.Fatalf("%d runs, %d ended; the first was aborted as %v", len(runs), len(d.ended), runs[0].Aborted)
	}
	check(t, &runs[0])
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it went on for %s", took)
	}
	if n := runs[0].Delivery; n.Received != n.Expected {
		t.Errorf("%d of %d copies", n.Received, n.Expected)
	}
}

// calling calls a run off.
type calling struct{ waiting }

// Begin implements [Observer].
func (c *calling) Begin(g Going) {
	c.act = func() { g.CallOff("too slow") }
	c.waiting.Begin(g)
}
