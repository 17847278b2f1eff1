package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/testserver"
)

// targetWithSend is a resolved target on the server at root with another way to
// send.
func targetWithSend(t *testing.T, root, send string) *target.Target {
	t.Helper()
	tg, err := target.New(target.Spec{URL: root + "/events?room={room}", SendURL: root + send})
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Resolve(context.Background(), time.Minute); err != nil {
		t.Fatal(err)
	}
	return tg
}

func TestConnect(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		server, env := serve(t, testserver.Config{Greeting: true})
		run, err := runOf(context.Background(), env, Connect{Load: asked(100, kind)})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		c := run.Connect
		if c.Attempted != 100 || c.Opened != 100 || c.Failed != 0 || c.Dropped != 0 {
			t.Errorf("attempted %d, opened %d, failed %d, dropped %d", c.Attempted, c.Opened, c.Failed, c.Dropped)
		}
		if c.OpenLatency.Count != 100 || c.HeaderLatency.Count != 100 || c.FirstEventLatency.Count != 100 || c.TCPLatency.Count != 100 {
			t.Errorf("timed: open %d, headers %d, first event %d, tcp %d",
				c.OpenLatency.Count, c.HeaderLatency.Count, c.FirstEventLatency.Count, c.TCPLatency.Count)
		}
		if *c.OpenLatency.MaxNS > *c.ElapsedNS || *c.ElapsedNS > run.TotalNS || *c.TCPLatency.P50NS > *c.OpenLatency.P50NS {
			t.Errorf("tcp %d, open %d, elapsed %d, total %d", *c.TCPLatency.P50NS, *c.OpenLatency.MaxNS, *c.ElapsedNS, run.TotalNS)
		}
		if run.Delivery != nil || run.IterationTime != nil {
			t.Error("a run that sends nothing has deliveries")
		}
		stats, err := server.Stats(context.Background())
		if err != nil || stats.Refused != 0 {
			t.Errorf("the server: %+v, %v", stats, err)
		}
	})
}

func TestConnectAtARate(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	ask := asked(41, stream.Auto)
	ask.Ramp.Rate = 200
	run, err := runOf(context.Background(), env, Connect{Load: ask})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	// The last of 41 clients is due 200 ms after the first.
	if elapsed := time.Duration(*run.Connect.ElapsedNS); elapsed < 199*time.Millisecond {
		t.Errorf("41 clients at 200/s took %s", elapsed)
	}
}

func TestHoldCountsDrops(t *testing.T) {
	server, env := serve(t, testserver.Config{})
	env.Observers = when(func(p Progress) bool { return p.Phase == phaseHold }, func() { _ = server.Close() })
	run, err := runOf(context.Background(), env, Connect{Load: asked(30, stream.Auto), Hold: time.Minute})
	if !errors.Is(err, load.ErrGone) {
		t.Fatalf("error %v, want %v", err, load.ErrGone)
	}
	check(t, run)
	if run.Connect.Dropped != 30 || run.Connect.Opened != 30 || run.TotalNS > int64(30*time.Second) {
		t.Errorf("%d opened, %d dropped in %d ns", run.Connect.Opened, run.Connect.Dropped, run.TotalNS)
	}
}

func TestNobodyOpens(t *testing.T) {
	_, env := serve(t, testserver.Config{Auth: &testserver.Auth{Bearer: "secret"}})
	ask := asked(500, stream.Auto)
	run, err := runOf(context.Background(), env, Connect{Load: ask})
	var f *stream.Failure
	if !errors.Is(err, load.ErrNoneOpened) || !errors.As(err, &f) || f.Status != 401 {
		t.Fatalf("error %v, want that no client opened for status 401", err)
	}
	check(t, run)
	c := run.Connect
	if c.Opened != 0 || c.Failed < 100 || c.Failed > 100+ask.Ramp.Concurrency || c.Failures["status 401"] != c.Failed || c.ElapsedNS != nil {
		t.Errorf("%d attempted, %d opened, %d failed: %v", c.Attempted, c.Opened, c.Failed, c.Failures)
	}
	if len(run.Notes) == 0 {
		t.Error("no word of the clients that were not tried")
	}
}

func TestSeriesStopsAtTheFirstError(t *testing.T) {
	_, env := serve(t, testserver.Config{MaxClients: 5})
	all := []Scenario{
		Connect{Load: asked(3, stream.Auto)},
		Rooms{Load: asked(12, stream.Auto)}, // some are refused, which is a result and no error
		Connect{Load: asked(5, stream.Epoll), Hold: -1},
	}
	all[1] = Rooms{Load: asked(12, stream.Auto), Iterations: 1}
	runs, err := Series(context.Background(), env, all[:2])
	if err != nil || len(runs) != 2 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	if got := runs[1].Connect.Failures["status 503"]; got != 7 {
		t.Errorf("%d of 12 clients refused, want 7", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	runs, err = Series(ctx, env, all)
	if !errors.Is(err, context.Canceled) || len(runs) != 1 || !runs[0].Interrupted {
		t.Errorf("after an interruption: %d runs, %v", len(runs), err)
	}
}

// TestShortStreamsAreConnectedAllTheSame: without a hold it does not matter that
// every stream has ended by the time that all have opened.
func TestShortStreamsAreConnectedAllTheSame(t *testing.T) {
	env := newOdd(t, deliverOnly, func(int) bool { return false })
	run, err := runOf(context.Background(), env, Connect{Load: asked(20, stream.Auto)})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	if c := run.Connect; c.Opened != 20 || c.Dropped != 20 || c.Drops["ended"] != 20 {
		t.Errorf("%d opened, %d dropped: %v", c.Opened, c.Dropped, c.Drops)
	}
	held, err := runOf(context.Background(), env, Connect{Load: asked(20, stream.Auto), Hold: time.Minute})
	if !errors.Is(err, load.ErrGone) {
		t.Errorf("error %v with a hold, want %v", err, load.ErrGone)
	}
	check(t, held)
}

// numbered notes what it is told of each run.
type numbered struct{ seen []string }

func (n *numbered) Begin(g Going) {
	n.seen = append(n.seen, fmt.Sprintf("%d/%d: %d clients, repetition %d of %d", g.Number, g.Of, g.Run.Params.Clients, g.Repetition, *g.Run.Repetition))
}
func (n *numbered) Sample(result.Sample) {}
func (n *numbered) End(*result.Run)      {}

func TestRepeatedSeries(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	seen := &numbered{}
	env.Observers, env.Repeat = []Observer{seen}, 2
	runs, err := Series(context.Background(), env, []Scenario{Connect{Load: asked(6, stream.Auto)}, Connect{Load: asked(12, stream.Auto)}})
	if err != nil || len(runs) != 4 {
		t.Fatal(len(runs), err)
	}
	want := []string{
		"1/4: 6 clients, repetition 1 of 1", "2/4: 12 clients, repetition 1 of 1",
		"3/4: 6 clients, repetition 2 of 2", "4/4: 12 clients, repetition 2 of 2",
	}
	if !slices.Equal(seen.seen, want) {
		t.Errorf("%q", seen.seen)
	}
	for i := range runs {
		check(t, &runs[i])
	}
	env.Observers, env.Repeat, env.Repetition = nil, 0, 7
	if runs, err = Series(context.Background(), env, []Scenario{Connect{Load: asked(6, stream.Auto)}}); err != nil || *runs[0].Repetition != 7 {
		t.Errorf("%+v, %v", runs, err)
	}
}
