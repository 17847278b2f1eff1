package cli

import (
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/scenarios"
)

func TestTimeLeft(t *testing.T) {
	const s = time.Second
	connecting := func(phase time.Duration, opened, failed int64) scenarios.Progress {
		return scenarios.Progress{Phase: "connect", Clients: 1000, Elapsed: phase, PhaseElapsed: phase, Live: load.Live{Opened: opened, Failed: failed}}
	}
	sending := func(phase time.Duration, iteration int, received int64) scenarios.Progress {
		return scenarios.Progress{
			Phase: "send", Clients: 1000, Iteration: iteration, Iterations: 100, Elapsed: phase + s, PhaseElapsed: phase,
			Live: load.Live{Opened: 1000, Received: received},
		}
	}
	lasting := func(phase string, lasts, elapsed time.Duration) scenarios.Progress {
		return scenarios.Progress{Phase: phase, Clients: 1000, PhaseElapsed: elapsed, PhaseLasts: lasts, Elapsed: elapsed + s, Live: load.Live{Opened: 1000}}
	}
	connect := scenarios.Extent{Clients: 1000}
	rooms := scenarios.Extent{Clients: 1000, Copies: 100_000}
	for _, test := range []struct {
		name string
		of   scenarios.Extent
		now  scenarios.Progress
		pace pace
		want time.Duration // below 0: not known
	}{
		{"nothing has happened", connect, connecting(s/4, 0, 0), pace{}, -1},
		{"too little to tell", connect, connecting(s/4, 20, 0), pace{}, -1},
		{"enough of it", connect, connecting(s, 250, 0), pace{}, 3 * s},
		{"failures are outcomes", connect, connecting(s, 150, 100), pace{}, 3 * s},
		{"little, but for long", connect, connecting(4*s, 40, 0), pace{}, 96 * s},
		{"a rate to connect at", scenarios.Extent{Clients: 1000, Connecting: 10 * s}, connecting(s/4, 20, 0), pace{}, 10 * s},
		{"which the target need not keep", scenarios.Extent{Clients: 1000, Connecting: 10 * s}, connecting(10*s, 500, 0), pace{}, 10 * s},
		{"then a hold", scenarios.Extent{Clients: 1000, Lasts: 30 * s}, connecting(s, 500, 0), pace{}, 31 * s},
		{"holding", scenarios.Extent{Clients: 1000, Lasts: 30 * s}, lasting("hold", 30*s, 10*s), pace{}, 20 * s},
		{"held for longer than asked", scenarios.Extent{Clients: 1000, Lasts: 30 * s}, lasting("hold", 30*s, 31*s), pace{}, 0},
		{"connecting, and nobody knows how fast copies come", rooms, connecting(s, 500, 0), pace{}, -1},
		{"the run before has told", rooms, connecting(s, 500, 0), pace{copies: 10_000}, 11 * s},
		{"nothing sent yet", rooms, sending(0, 0, 0), pace{}, -1},
		{"nothing sent yet, but the run before has told", rooms, sending(s, 1, 0), pace{copies: 10_000}, 9 * s},
		{"a fifth has come", rooms, sending(2*s, 20, 20_000), pace{}, 8 * s},
		{"a fifth of the iterations, and half of the copies lost", rooms, sending(2*s, 21, 10_000), pace{}, 8 * s},
		{"no longer than it may", scenarios.Extent{Clients: 1000, Copies: 100_000, Most: 5 * s}, sending(2*s, 20, 20_000), pace{}, 3 * s},
		{"by the clock", scenarios.Extent{Clients: 1000, Lasts: 20 * s}, lasting("send", 20*s, 5*s), pace{}, 15 * s},
		{"the end of it", rooms, scenarios.Progress{Phase: "drain"}, pace{}, 0},
		{"profiles take their time", rooms, scenarios.Progress{Phase: "profile"}, pace{}, -1},
		{"not begun", connect, scenarios.Progress{}, pace{}, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			left, ok := test.pace.seen(standing{test.now, test.of}).left(standing{test.now, test.of})
			if ok != (test.want >= 0) || ok && (left-test.want).Abs() > time.Millisecond {
				t.Errorf("%s, %t, want %s", left, ok, test.want)
			}
		})
	}
}

func TestPaceForTheNextRun(t *testing.T) {
	const s = time.Second
	of := scenarios.Extent{Clients: 1000, Copies: 100_000, Lasts: 50 * s}
	// Ten iterations of a hundred, with pauses of half a second between: 5 s of them.
	now := scenarios.Progress{
		Phase: "send", Clients: 1000, Iteration: 10, Iterations: 100, Elapsed: 8 * s, PhaseElapsed: 6 * s,
		Live: load.Live{Opened: 1000, Received: 10_000},
	}
	p := pace{}.seen(standing{now, of})
	if p.clients != 500 {
		t.Errorf("%g clients a second, want 500: connecting was over before anybody looked", p.clients)
	}
	if p.copies < 9_999 || p.copies > 10_001 {
		t.Errorf("%g copies a second, want 10000: pauses do not count", p.copies)
	}
	next := scenarios.Extent{Clients: 2000, Copies: 200_000, Lasts: 50 * s}
	if whole, ok := p.whole(next); !ok || (whole-74*s).Abs() > time.Millisecond {
		t.Errorf("the next run is to take %s, %t, want 4 s + 20 s + 50 s", whole, ok)
	}
	if whole, ok := (pace{}).whole(next); ok {
		t.Errorf("nothing is known, but it is to take %s", whole)
	}
}

func TestCountdownIsCalm(t *testing.T) {
	const s = time.Second
	start := time.Now()
	var c countdown
	if got := c.text(start); got != "" {
		t.Errorf("%q before anything is known", got)
	}
	for _, step := range []struct {
		at    time.Duration
		left  time.Duration
		known bool
		want  string
	}{
		{0, 0, false, ""},
		{s, 60 * s, true, "1m left"},
		{2 * s, 66 * s, true, "59s left"}, // not worth a jump
		{3 * s, 30 * s, true, "30s left"}, // this is
		{4 * s, 0, false, "29s left"},     // it still holds
		{5 * s, 29 * s, true, "28s left"}, // off by little
		{6 * s, 300 * s, true, "5m left"}, // it got much slower
		{306 * s, 0, true, "1s left"},     // never nothing
		{308 * s, 1500 * s, true, "25m left"},
		{309 * s, 7201 * s, true, "2h5m left"},
	} {
		now := start.Add(step.at)
		c.correct(now, step.left, step.known)
		if got := c.text(now); got != step.want {
			t.Errorf("after %s, with %s left: %q, want %q", step.at, step.left, got, step.want)
		}
	}
}
