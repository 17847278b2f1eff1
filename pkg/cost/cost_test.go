package cost_test

import (
	"math"
	"testing"
	"time"

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
			RSSConnectedBytes: new(10<<20 + 5000*count), BytesPerClient: new(5000 + 3e5/float64(n)), CPUPerConnectNS: new(40_000 + 1e6/float64(n)),
		},
		Generator: result.Generator{LiveBytesPerClient: new(150 + 1e5/float64(n)), CPUPerConnectNS: new(9000.0)},
		Machine:   result.Machine{SocketBytesPerClient: new(4608.0)},
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
	is(t, "target memory", c.TargetBytesPerClient, 5000, 3e5, 3)
	is(t, "target CPU", c.TargetCPUPerConnectNS, 40_000, 1e6, 3)
	is(t, "generator memory", c.GeneratorBytesPerClient, 150, 1e5, 3)
	is(t, "generator CPU", c.GeneratorCPUPerConnectNS, 9000, 0, 3)
	is(t, "sockets", c.SocketBytesPerClient, 4608, 0, 3)
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
	is(t, "target memory", all[0].TargetBytesPerClient, 5000, 3e5, 3) // one run does not know its own
	is(t, "generator memory", all[0].GeneratorBytesPerClient, 150, 1e5, 4)
	if got := all[1].Runs; len(got) != 3 || got[0] != 1 || got[1] != 4 || got[2] != 8 {
		t.Errorf("the second series is of runs %v", got)
	}
	is(t, "CPU of a copy", all[1].TargetCPUPerCopyNS, 7000, 0, 3)
	if s := all[1].TargetBytesPerClient; s != nil {
		t.Errorf("a slope from two numbers of clients: %+v", *s)
	}
}

// TestServersThatRunOn: memory that they keep is no client's.
func TestServersThatRunOn(t *testing.T) {
	there := func(at, n int) result.Run {
		r := connected(n)
		r.Target = result.Target{Kind: "url", URL: "http://127.0.0.1:3000/events"}
		r.StartedAt = time.Unix(int64(at), 0)
		r.TargetProcess.BytesPerClient = new(0.1)
		return r
	}
	rising := &result.File{Runs: []result.Run{there(1, 1000), there(2, 2000), there(3, 3000)}}
	is(t, "rising", cost.Of(rising)[0].TargetBytesPerClient, 5000, 10<<20, 3)
	merged := &result.File{Runs: []result.Run{there(3, 3000), there(1, 1000), there(2, 2000)}}
	is(t, "rising in time", cost.Of(merged)[0].TargetBytesPerClient, 5000, 10<<20, 3)
	falling := &result.File{Runs: []result.Run{there(1, 3000), there(2, 2000), there(3, 1000)}}
	if s := cost.Of(falling)[0].TargetBytesPerClient; s != nil {
		t.Errorf("a falling series gave %+v", *s)
	}
	is(t, "falling, the generator", cost.Of(falling)[0].GeneratorBytesPerClient, 150, 1e5, 3)
	other := there(4, 4000)
	other.Target.URL = "http://127.0.0.1:3001/events"
	rising.Runs = append(rising.Runs, other, rising.Runs[0], rising.Runs[1])
	if got := cost.Of(rising); len(got) != 1 || len(got[0].Runs) != 3 {
		t.Errorf("another server, or the same run again, is in the series: %+v", got)
	}
}

// TestServersStartedByACommand: each run's is fresh, whatever the order.
func TestServersStartedByACommand(t *testing.T) {
	f := &result.File{}
	for _, n := range []int{3000, 1000, 2000} {
		r := connected(n)
		r.Target = result.Target{Kind: "url", URL: "http://127.0.0.1:3000/events", Command: new("node server.js")}
		f.Runs = append(f.Runs, r)
	}
	fresh := &result.File{}
	for _, n := range []int{3000, 1000, 2000} {
		fresh.Runs = append(fresh.Runs, connected(n))
	}
	got, want := cost.Of(f)[0].TargetBytesPerClient, cost.Of(fresh)[0].TargetBytesPerClient
	if got == nil || want == nil || *got != *want {
		t.Errorf("%+v, want %+v as with the bundled server", got, want)
	}
}

// TestProgramsAndPayloadsApart: what may cost otherwise is no series.
func TestProgramsAndPayloadsApart(t *testing.T) {
	f := &result.File{
		Runs:    []result.Run{connected(1000), connected(2000), connected(3000), connected(4000)},
		Sources: []result.Source{{Tool: result.Tool{Commit: "a"}, Runs: 2}, {Tool: result.Tool{Commit: "b"}, Runs: 2}},
	}
	if got := cost.Of(f); got != nil {
		t.Errorf("two programs: %+v", got)
	}
	f.Sources[1].Tool.Commit = "a"
	if got := cost.Of(f); len(got) != 1 {
		t.Errorf("one program: %+v", got)
	}
	for i, size := range []int{51, 55, 60, 4096} {
		f.Runs[i].Params.PayloadBytes, f.Runs[i].Params.RoomSize = &size, new(6)
	}
	if got := cost.Of(f); len(got) != 1 || len(got[0].Runs) != 3 {
		t.Errorf("two sizes of messages: %+v", got)
	}
}

func TestNoSeries(t *testing.T) {
	for _, f := range []*result.File{{}, {Runs: []result.Run{connected(1000), connected(2000)}}} {
		if all := cost.Of(f); all != nil {
			t.Errorf("%d runs gave %+v", len(f.Runs), all)
		}
	}
}

// A server that runs on keeps the memory of the first repetition, which alone shows
// what clients cost it.
func TestRepetitions(t *testing.T) {
	f := &result.File{}
	for n := range 3 {
		for _, clients := range []int{1000, 2000, 3003} {
			r := connected(clients)
			r.Target = result.Target{Kind: "url", URL: "http://127.0.0.1:1"}
			r.Repetition = new(n + 1)
			if n > 0 {
				r.TargetProcess.RSSConnectedBytes = new(int64(25 << 20))
			}
			f.Runs = append(f.Runs, r)
		}
	}
	all := cost.Of(f)
	if len(all) != 1 || len(all[0].Runs) != 9 {
		t.Fatalf("%+v", all)
	}
	is(t, "target memory", all[0].TargetBytesPerClient, 5000, 10<<20, 3)
	is(t, "target CPU", all[0].TargetCPUPerConnectNS, 40_000, 1e6, 9)
}
