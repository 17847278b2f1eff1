package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/threshold"
	"github.com/sseload/sseload/scenarios"
)

func verdicts(held ...bool) result.Run {
	var run result.Run
	for i, h := range held {
		run.Thresholds = append(run.Thresholds, result.Verdict{
			Threshold: fmt.Sprintf("delivery.lost <= %d", i), Unit: "count", Limit: float64(i), Actual: new(float64(i + 1)), Held: h,
		})
	}
	return run
}

func TestFailures(t *testing.T) {
	notKnown := verdicts(false)
	notKnown.Thresholds[0].Actual = nil
	for want, runs := range map[string][]result.Run{
		"": {verdicts(true, true), verdicts()},
		"1 of 1 thresholds failed: delivery.lost <= 0, but it was 1":                      {verdicts(false)},
		"1 of 2 thresholds failed in 1 of 2 runs: delivery.lost <= 1, but it was 2":       {verdicts(true, true), verdicts(true, false)},
		"2 of 3 thresholds failed in 2 of 3 runs: delivery.lost <= 2, but it was 3":       {verdicts(true, true, false), verdicts(true), verdicts(false)},
		"1 of 1 thresholds failed in 2 of 2 runs: delivery.lost <= 0, which is not known": {notKnown, verdicts(false)},
	} {
		if got := failures(runs); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What ended the runs counts before thresholds, and those before an overload.
func TestExitCodesOfRuns(t *testing.T) {
	for name, c := range map[string]struct {
		held, overloaded, strict bool
		err                      error
		want                     int
	}{
		"good":                    {held: true, want: exitOK},
		"a threshold":             {want: exitThreshold},
		"a threshold, overloaded": {overloaded: true, strict: true, want: exitThreshold},
		"overloaded":              {held: true, overloaded: true, strict: true, want: exitOverloaded},
		"overloaded, not strict":  {held: true, overloaded: true, want: exitOK},
		"interrupted":             {err: context.Canceled, want: exitInterrupted},
		"an error":                {err: load.ErrGone, want: exitError},
		"called off":              {err: endedBy(scenarios.ErrCalledOff, []result.Run{verdicts(false)}), want: exitThreshold},
	} {
		run := verdicts(c.held)
		run.Generator.Overloaded = &c.overloaded
		var said strings.Builder
		a := &App{Stderr: &said}
		asked := &campaign{flags: &loadFlags{strict: c.strict}}
		if got := a.report(asked.conclude(a, outcome{file: &result.File{Runs: []result.Run{run}}, err: c.err})); got != c.want {
			t.Errorf("%s: exit code %d, want %d: %s", name, got, c.want, said.String())
		}
	}
}

func TestThresholdFlags(t *testing.T) {
	var f thresholdFlags
	judging, aborting := &thresholds{of: &f}, &thresholds{of: &f, abort: true}
	for _, s := range []struct {
		v    *thresholds
		text string
	}{{judging, "delivery.p99<1s; connect.failed == 0"}, {aborting, "connect.failed == 0"}, {judging, "delivery.p99 < 1s"}} {
		if err := s.v.Set(s.text); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.all) != 2 || judging.String() != "delivery.p99 < 1s" || aborting.String() != "connect.failed == 0" {
		t.Errorf("%v: %q and %q", f.all, judging, aborting)
	}
	if err := judging.Set("delivery.lost == 0; nonsense"); err == nil || len(f.all) != 2 {
		t.Errorf("%v, and there are %v", err, f.all)
	}
	for text, ok := range map[string]bool{
		"connect.failures.refused == 0": true, "connect.failures.timed out == 0": true, "connect.drops.status 503 < 1%": true,
		"sends.failures.status 503 == 0": true, "connect.failures.status == 0": false, "connect.failures.status 5 == 0": false, "reconnect.ends.rest == 0": false,
	} {
		if err := judging.Set(text); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The judge ends a run once, and leaves nothing behind.
func TestJudgeEndsTheRun(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var f thresholdFlags
	for _, v := range []*thresholds{{of: &f, abort: true}, {of: &f}} {
		if err := v.Set([]string{"connect.failed == 0", "connect.opened >= 9"}[len(f.all)]); err != nil {
			t.Fatal(err)
		}
	}
	off := make(chan string, 2)
	j := &judge{of: f.all}
	run := &result.Run{Connect: result.Connect{Opened: 9}}
	j.Begin(scenarios.Going{
		Number: 1, Of: 1, Run: run, CallOff: func(reason string) { off <- reason },
		Progress: func() scenarios.Progress {
			return scenarios.Progress{Clients: 10, Live: load.Live{Failed: 3}}
		},
		Latencies: func() load.Latencies { return load.Latencies{} },
	})
	select {
	case reason := <-off:
		if want := "--abort-on connect.failed == 0 cannot hold any more: connect.failed will be 3 or more"; reason != want {
			t.Errorf("called off for %q, want %q", reason, want)
		}
	case <-time.After(time.Minute):
		t.Fatal("not called off")
	}
	j.End(run)
	if len(run.Thresholds) != 2 || run.Thresholds[0].Held || *run.Thresholds[0].Actual != 3 || !run.Thresholds[1].Held || len(off) != 0 {
		t.Errorf("%+v, and %d calls", run.Thresholds, len(off))
	}
}

func TestRejudge(t *testing.T) {
	runs := []result.Run{{Connect: result.Connect{Failed: 1}, Thresholds: verdicts(false).Thresholds}, {Delivery: &result.Delivery{Received: 5}}}
	var none thresholdFlags
	if err := none.rejudge(runs, func() error { return nil }); err != nil || len(runs[0].Thresholds) != 1 {
		t.Errorf("%v, %+v", err, runs[0].Thresholds)
	}
	var f thresholdFlags
	if err := (&thresholds{of: &f, most: threshold.Anything()}).Set("delivery.received > 4"); err != nil {
		t.Fatal(err)
	}
	if err := f.rejudge(runs, func() error { return nil }); err != nil || len(runs[0].Thresholds) != 0 || !runs[1].Thresholds[0].Held {
		t.Errorf("%v, %+v", err, runs)
	}
	broken := errors.New("a full disk")
	if err := f.rejudge(runs, func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if err := f.rejudge(runs[:1], func() error { return nil }); !errors.As(err, new(*usageError)) {
		t.Errorf("%v", err)
	}
}
