package cost_test

import (
	"math"
	"testing"

	"github.com/sseload/sseload/pkg/cost"
	"github.com/sseload/sseload/pkg/result"
)

// connected is a run of n clients that cost what it should.
func connected(n int) result.Run {
	count := int64(n)
	return result.Run{
		Scenario: "connect", Engine: "epoll", Params: result.Params{Clients: n},
		Target:  result.Target{Kind: "reference", URL: "http://127.0.0.1:" + string(rune('0'+n%10))},
		Connect: result.Connect{Opened: n},
		TargetProcess: result.TargetProcess{
			RSSConnectedBytes: new(10<<20 + 5000*count), CPUPerConnectNS: new(40_000 + 1e6/float64(n)),
		},
		Generator: result.Generator{RSSConnectedBytes: new(12<<20 + 150*count), CPUPerConnectNS: new(9000.0)},
		Machine:   result.Machine{SlabBytes: new(400<<20 + 9000*count)},
	}
}

func is(t *testing.T, what string, s *result.Slope, value, base float64, runs int) {
	t.Helper()
	if s == nil {
		t.Errorf("%s: no slope", what)
		return
	}
	if math.Abs(s.Value-value) > 1e-6*value || math.Abs(s.Base-base) > 1e-6*(base+value) || s.Error > 1e-6*value || s.Runs != runs {
		t.Errorf("%s: %+v, want %g and %g over %d runs", what, *s, value, base, runs)
	}
}

func TestOneSeries(t *testing.T) {
	f := &result.File{Runs: []result.Run{connected(1000), connected(2000), connected(3003)}}
	all := cost.Of(f)
	if len(all) != 1 || len(all[0].Runs) != 3 {
		t.Fatalf("%+v", all)
	}
	c := all[0]
	is(t, "target memory", c.TargetBytesPerClient, 5000, 10<<20, 3)
	is(t, "target CPU", c.TargetCPUPerConnectNS, 40_000, 1e6, 3)
	is(t, "generator memory", c.GeneratorBytesPerClient, 150, 12<<20, 3)
	is(t, "generator CPU", c.GeneratorCPUPerConnectNS, 9000, 0, 3)
	is(t, "kernel memory", c.KernelBytesPerClient, 9000, 400<<20, 3)
	if c.TargetCPUPerCopyNS != nil || c.GeneratorCPUPerCopyNS != nil {
		t.Error("a cost of copies where none were sent")
	}
}

func TestWhatMakesASeries(t *testing.T) {
	sent := func(n, iterations int) result.Run {
		r := connected(n)
		r.Scenario = "rooms"
		r.Params.Iterations, r.Params.RoomSize, r.Params.SendersPerRoom = &iterations, new(min(6, n)), new(1)
		r.Params.PayloadBytes = new(50 + n%7)
		copies := int64(n * iterations)
		r.Delivery = &result.Delivery{Received: copies}
		r.TargetProcess.CPUPerCopyNS = new(7000.0)
		return r
	}
	unknown, other, labelled, wide := connected(2500), connected(2600), connected(2700), sent(3000, 10)
	unknown.TargetProcess = result.TargetProcess{}
	other.Engine = "conn"
	labelled.Labels.Extra = map[string]string{"build": "2"}
	wide.Params.RoomSize = new(12)
	cut, gone := connected(9000), connected(9001)
	cut.Interrupted, gone.Aborted = true, new("the target went away")
	f := &result.File{Runs: []result.Run{
		connected(1000), sent(1000, 1), other, connected(2000), sent(1000, 10), unknown, cut, labelled, sent(2000, 10), connected(3000), gone, wide,
	}}
	all := cost.Of(f)
	if len(all) != 2 {
		t.Fatalf("%d series: %+v", len(all), all)
	}
	if got := all[0].Runs; len(got) != 4 || got[0] != 0 || got[1] != 3 || got[2] != 5 || got[3] != 9 {
		t.Errorf("the first series is of runs %v", got)
	}
	is(t, "target memory", all[0].TargetBytesPerClient, 5000, 10<<20, 3) // one run does not know its own
	is(t, "generator memory", all[0].GeneratorBytesPerClient, 150, 12<<20, 4)
	if got := all[1].Runs; len(got) != 3 || got[0] != 1 || got[1] != 4 || got[2] != 8 {
		t.Errorf("the second series is of runs %v", got)
	}
	is(t, "CPU of a copy", all[1].TargetCPUPerCopyNS, 7000, 0, 3)
	if s := all[1].TargetBytesPerClient; s != nil {
		t.Errorf("a slope from two numbers of clients: %+v", *s)
	}
}

func TestNoSeries(t *testing.T) {
	for _, f := range []*result.File{{}, {Runs: []result.Run{connected(1000), connected(2000)}}} {
		if all := cost.Of(f); all != nil {
			t.Errorf("%d runs gave %+v", len(f.Runs), all)
		}
	}
}
