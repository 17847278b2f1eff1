package scenarios

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/result/resulttest"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/testserver"
)

func encode(t *testing.T, f *result.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// account is what a record says of the copies.
type account struct{ expected, received, lost, duplicate, reordered, misrouted, late, other int64 }

func accountOf(d *result.Delivery) account {
	return account{d.Expected, d.Received, *d.Lost, *d.Duplicate, *d.Reordered, *d.Misrouted, *d.Late, d.OtherEvents}
}

func TestRoomsProvesEveryCopy(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		for _, c := range []struct {
			name     string
			clients  int // 62 leaves a room of two
			senders  load.Senders
			expected int64 // of five iterations
		}{
			{"one sender a room", 62, load.OnePerRoom, 62 * 5},
			{"all send", 62, load.AllInRoom, (10*6*6 + 2*2) * 5},
			{"one client", 1, load.OnePerRoom, 5},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, env := serve(t, testserver.Config{Greeting: true})
				r := Rooms{Load: asked(c.clients, kind), Iterations: 5, Senders: c.senders, PayloadSize: 200}
				run, err := runOf(context.Background(), env, r)
				if err != nil {
					t.Fatal(err)
				}
				check(t, run)
				want := account{expected: c.expected, received: c.expected, other: int64(c.clients)}
				if got := accountOf(run.Delivery); got != want {
					t.Errorf("account %+v, want %+v", got, want)
				}
				d := run.Delivery
				if d.Latency.Count != c.expected || *d.Latency.MinNS <= 0 || *d.Latency.MaxNS > int64(time.Minute) {
					t.Errorf("latency of %d copies from %d to %d ns", d.Latency.Count, *d.Latency.MinNS, *d.Latency.MaxNS)
				}
				if *d.Iterations != 5 || *d.Incomplete != 0 || run.IterationTime.Count != 5 {
					t.Errorf("%d iterations, %d incomplete, %d timed", *d.Iterations, *d.Incomplete, run.IterationTime.Count)
				}
				if d.Sends.Failed != 0 || d.Sends.Attempted != d.Sends.Latency.Count {
					t.Errorf("sends: %+v", d.Sends)
				}
				if *run.Params.PayloadBytes != 200 {
					t.Errorf("payload of %d bytes", *run.Params.PayloadBytes)
				}
				if run.Connect.FirstEventLatency.Count != int64(c.clients) {
					t.Errorf("%d greetings timed", run.Connect.FirstEventLatency.Count)
				}
			})
		}
	})
}

// TestFaultsAreReportedExactly is the calibration: the server does so much wrong
// and counts it; the record must say the same.
func TestFaultsAreReportedExactly(t *testing.T) {
	const clients, iterations = 60, 4 // 10 messages and 60 copies an iteration
	const copies = clients * iterations
	for _, c := range []struct {
		name    string
		fault   testserver.Fault
		timeout time.Duration
		want    func(injected int64) account
	}{
		{
			"drop", testserver.Fault{Kind: testserver.FaultDrop, Every: 7}, 150 * time.Millisecond,
			func(n int64) account { return account{expected: copies, received: copies - n, lost: n} },
		},
		{
			"drop all", testserver.Fault{Kind: testserver.FaultDrop, Every: 1}, 50 * time.Millisecond,
			func(n int64) account { return account{expected: copies, lost: n} },
		},
		{
			"duplicate", testserver.Fault{Kind: testserver.FaultDuplicate, Every: 7}, time.Minute,
			func(n int64) account { return account{expected: copies, received: copies + n, duplicate: n} },
		},
		{
			"misroute", testserver.Fault{Kind: testserver.FaultMisroute, Every: 3}, time.Minute,
			func(n int64) account { return account{expected: copies, received: copies + n, misrouted: n} },
		},
		{
			// Messages 15 and 30 belong to iterations 2 and 3. What comes late in an
			// iteration of its own is neither lost nor a duplicate.
			"delay beyond the timeout", testserver.Fault{Kind: testserver.FaultDelay, Every: 15, Delay: 450 * time.Millisecond}, 300 * time.Millisecond,
			func(n int64) account { return account{expected: copies, received: copies, late: n} },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, kind := range []stream.Kind{stream.Auto, stream.Conn} {
				t.Run(string(kind), func(t *testing.T) {
					server, env := serve(t, testserver.Config{Faults: []testserver.Fault{c.fault}})
					ask := asked(clients, kind)
					ask.Timeout = c.timeout
					run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: iterations})
					if err != nil {
						t.Fatal(err)
					}
					check(t, run)
					injected := server.Injected()[c.fault.Kind]
					if injected == 0 {
						t.Fatal("nothing was injected")
					}
					if got, want := accountOf(run.Delivery), c.want(injected); got != want {
						t.Errorf("with %d injected: account %+v, want %+v", injected, got, want)
					}
					sum := int64(0)
					for _, client := range run.Delivery.Clients {
						sum += client.Lost + client.Duplicate + client.Reordered + client.Misrouted + client.Late
					}
					if len(run.Delivery.Clients) < 20 && sum != injected {
						t.Errorf("the clients' accounts add up to %d, want %d", sum, injected)
					}
				})
			}
		})
	}
}

// TestReorderIsReportedExactly has a server that holds copies back until the
// member's next one. In a closed loop the held one is late too, and the last ones
// held are lost.
func TestReorderIsReportedExactly(t *testing.T) {
	server, env := serve(t, testserver.Config{Faults: []testserver.Fault{{Kind: testserver.FaultReorder, Every: 11}}})
	ask := asked(60, stream.Auto)
	ask.Timeout = 150 * time.Millisecond
	run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 4})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	n := server.Injected()[testserver.FaultReorder]
	stats, err := server.Stats(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	lost := 240 - stats.Deliveries
	want := account{expected: 240, received: 240 - int64(lost), lost: int64(lost), reordered: n, late: n}
	if got := accountOf(run.Delivery); got != want || n == 0 {
		t.Errorf("with %d injected: account %+v, want %+v", n, got, want)
	}
}

func TestDelayShowsInLatency(t *testing.T) {
	const delay = 60 * time.Millisecond
	server, env := serve(t, testserver.Config{Faults: []testserver.Fault{{Kind: testserver.FaultDelay, Every: 4, Delay: delay}}})
	run, err := runOf(context.Background(), env, Rooms{Load: asked(60, stream.Auto), Iterations: 4})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	late := resulttest.Above(t, run.Delivery.Latency, delay)
	injected := server.Injected()[testserver.FaultDelay]
	if injected == 0 || late < injected {
		t.Errorf("%d copies took %s or longer, but %d were delayed by that", late, delay, injected)
	}
	if *run.Delivery.Lost != 0 || *run.Delivery.Late != 0 {
		t.Errorf("account %+v", accountOf(run.Delivery))
	}
}

// TestDroppedClientsAreOwedTheirCopies: a client that the server cuts off is lost
// from then on, and nobody waits for it.
func TestDroppedClientsAreOwedTheirCopies(t *testing.T) {
	server, env := serve(t, testserver.Config{Faults: []testserver.Fault{{Kind: testserver.FaultClose, Every: 10, After: 2}}})
	run, err := runOf(context.Background(), env, Rooms{Load: asked(60, stream.Auto), Iterations: 5})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	cut := server.Injected()[testserver.FaultClose]
	if cut != 6 || run.Connect.Dropped != 6 || run.Connect.Drops["closed early"] != 6 {
		t.Errorf("%d cut off, %d dropped: %v", cut, run.Connect.Dropped, run.Connect.Drops)
	}
	want := account{expected: 300, received: 300 - 6*3, lost: 6 * 3}
	if got := accountOf(run.Delivery); got != want {
		t.Errorf("account %+v, want %+v", got, want)
	}
	if *run.Delivery.ClientsAffected != 6 || len(run.Delivery.Clients) != 6 {
		t.Errorf("%d clients affected, %d named", *run.Delivery.ClientsAffected, len(run.Delivery.Clients))
	}
}

// TestRefusedClientsAreOwedNothing: a client that never opened expects nothing,
// and if it would have been the sender another one sends.
func TestRefusedClientsAreOwedNothing(t *testing.T) {
	server, env := serve(t, testserver.Config{Faults: []testserver.Fault{{Kind: testserver.FaultRefuse, Every: 5}}})
	ask := asked(60, stream.Auto)
	ask.Ramp.Concurrency = 1 // in order, so that the first of some rooms is refused
	run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 3})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	refused := int(server.Injected()[testserver.FaultRefuse])
	if refused != 12 || run.Connect.Failed != refused || run.Connect.Failures["status 503"] != refused {
		t.Errorf("%d refused, %d failed: %v", refused, run.Connect.Failed, run.Connect.Failures)
	}
	want := account{expected: 48 * 3, received: 48 * 3}
	if got := accountOf(run.Delivery); got != want || run.Delivery.Sends.Attempted != 30 {
		t.Errorf("account %+v with %d sends, want %+v with 30", got, run.Delivery.Sends.Attempted, want)
	}
}

func TestTimestampPayloadKnowsNoNames(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	run, err := runOf(context.Background(), env, Rooms{Load: asked(60, stream.Auto), Iterations: 3, Payload: load.Timestamp})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	d := run.Delivery
	if d.Expected != 180 || d.Received != 180 || *d.Incomplete != 0 || d.Latency.Count != 180 {
		t.Errorf("%d expected, %d received, %d timed, %d incomplete", d.Expected, d.Received, d.Latency.Count, *d.Incomplete)
	}
	if d.Lost != nil || d.Duplicate != nil || d.Reordered != nil || d.Misrouted != nil || d.Late != nil {
		t.Error("what cannot be known is not null")
	}
	if *run.Params.PayloadBytes != 13 {
		t.Errorf("payload of %d bytes", *run.Params.PayloadBytes)
	}
}

func TestOnlyTheNamedEventTypeCounts(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	ask := asked(12, stream.Auto)
	ask.EventType, ask.Timeout = "chat", 100*time.Millisecond
	run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 1})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	want := account{expected: 12, lost: 12, other: 12}
	if got := accountOf(run.Delivery); got != want {
		t.Errorf("account %+v, want %+v", got, want)
	}
}

func TestSendsThatAllFailEndTheRun(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	site := env.Server.(there)
	site.site.Target.Send = nil
	tg := targetWithSend(t, site.site.Target.URL, "/nowhere/{room}")
	env.Server = there{Site{Target: tg, Kind: "url"}}
	run, err := runOf(context.Background(), env, Rooms{Load: asked(12, stream.Auto), Iterations: 3})
	if !errors.Is(err, ErrNotSent) {
		t.Fatalf("error %v, want %v", err, ErrNotSent)
	}
	check(t, run)
	if s := run.Delivery.Sends; s.Failed != 2 || s.Failures["status 404"] != 2 || *run.Delivery.Iterations != 1 || run.Aborted == nil {
		t.Errorf("sends %+v in %d iterations, aborted %v", s, *run.Delivery.Iterations, run.Aborted)
	}
}

func TestDurationBoundsIterations(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	r := Rooms{Load: asked(6, stream.Auto), Duration: 50 * time.Millisecond, Interval: time.Millisecond}
	run, err := runOf(context.Background(), env, r)
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	if d := run.Delivery; *d.Iterations < 2 || d.ElapsedNS < int64(50*time.Millisecond) || run.Params.Iterations != nil {
		t.Errorf("%d iterations in %d ns", *d.Iterations, d.ElapsedNS)
	}
}

func TestInterruptLeavesAPartialRecord(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// The run is interrupted as soon as it is seen to have received something.
	env.Observers = when(func(p Progress) bool { return p.Phase == phaseSend && p.Iteration > 1 && p.Live.Received > 0 }, cancel)
	run, err := runOf(ctx, env, Rooms{Load: asked(12, stream.Auto), Iterations: 1_000_000})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that it was cancelled", err)
	}
	check(t, run)
	d := run.Delivery
	if !run.Interrupted || run.Aborted != nil || *d.Iterations < 2 || *d.Iterations == 1_000_000 {
		t.Errorf("interrupted %v, aborted %v, %d iterations", run.Interrupted, run.Aborted, *d.Iterations)
	}
	if *d.Lost != 0 || d.Received != d.Expected || d.Expected == 0 {
		t.Errorf("what was under way was not awaited: %+v", accountOf(d))
	}
}

func TestServerThatDies(t *testing.T) {
	server, env := serve(t, testserver.Config{})
	env.Observers = when(func(p Progress) bool { return p.Iteration > 1 && p.Live.Received > 0 }, func() { _ = server.Close() })
	run, err := runOf(context.Background(), env, Rooms{Load: asked(120, stream.Auto), Iterations: 1_000_000})
	if !errors.Is(err, load.ErrGone) {
		t.Fatalf("error %v, want %v", err, load.ErrGone)
	}
	check(t, run)
	if run.Connect.Opened != 120 || run.Connect.Dropped != 120 || run.Aborted == nil || !strings.Contains(*run.Aborted, "went away") {
		t.Errorf("%d opened, %d dropped, aborted %v", run.Connect.Opened, run.Connect.Dropped, run.Aborted)
	}
	if run.Delivery.Received == 0 || run.Interrupted {
		t.Errorf("received %d, interrupted %v", run.Delivery.Received, run.Interrupted)
	}
}
