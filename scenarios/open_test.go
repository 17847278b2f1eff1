package scenarios

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/testserver"
)

// faulty configures a server with one fault.
func faulty(t *testing.T, fault string) testserver.Config {
	t.Helper()
	f, err := testserver.ParseFault(fault)
	if err != nil {
		t.Fatal(err)
	}
	return testserver.Config{Faults: []testserver.Fault{f}}
}

// offer is the open model at a rate per second.
func offer(ask Load, kind load.ArrivalKind, rate float64, d time.Duration) Rooms {
	ask.SendConnections = 64
	return Rooms{Load: ask, Arrivals: &load.Arrivals{Rate: rate, Kind: kind}, Duration: d}
}

func TestOpenModelSendsWhatIsDue(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		for _, c := range []struct {
			name    string
			senders load.Senders
			rate    float64
			sends   int64
		}{
			{"one sender a room", load.OnePerRoom, 200, 100},
			{"all send", load.AllInRoom, 300, 150},
			{"fewer messages than senders", load.OnePerRoom, 6, 3},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, env := serve(t, testserver.Config{})
				r := offer(asked(60, kind), load.Constant, c.rate, 500*time.Millisecond)
				r.Senders = c.senders
				run, err := r.Run(context.Background(), env)
				if err != nil {
					t.Fatal(err)
				}
				check(t, run)
				d := run.Delivery
				if d.Sends.Attempted != c.sends || d.Sends.Failed != 0 || d.Sends.CalledOff != 0 {
					t.Errorf("sends %+v, want %d", d.Sends, c.sends)
				}
				if want := (account{expected: 6 * c.sends, received: 6 * c.sends}); accountOf(d) != want {
					t.Errorf("account %+v, want %+v", accountOf(d), want)
				}
				if d.Latency.Count != 6*c.sends || run.Generator.SendLag.Count != c.sends || run.Generator.DispatchLag.Count != c.sends {
					t.Errorf("%d copies timed, %d and %d sends", d.Latency.Count, run.Generator.SendLag.Count, run.Generator.DispatchLag.Count)
				}
				if d.Iterations != nil || d.Incomplete != nil || run.IterationTime != nil || *run.Params.Model != "open" {
					t.Errorf("an open model with iterations: %+v", run.Params)
				}
				if d.ElapsedNS < int64(500*time.Millisecond) {
					t.Errorf("half a second of arrivals took %s", time.Duration(d.ElapsedNS))
				}
			})
		}
	})
}

func TestPoissonArrivalsAreSent(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	run, err := offer(asked(60, stream.Auto), load.Poisson, 400, time.Second).Run(context.Background(), env)
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	d := run.Delivery
	// 400 expected; 300 and 500 are five standard deviations away.
	if n := d.Sends.Attempted; n < 300 || n > 500 || accountOf(d) != (account{expected: 6 * n, received: 6 * n}) {
		t.Errorf("%d sends, account %+v", n, accountOf(d))
	}
}

// TestStallCountsForAllThatWereDue is what the open model is for: a server that
// stands still for half a second must show in the latency of every message that
// was due meanwhile, and sends must leave all the same.
func TestStallCountsForAllThatWereDue(t *testing.T) {
	const rate, stall = 200, 500 * time.Millisecond
	server, env := serve(t, faulty(t, fmt.Sprintf("freeze=%s,every=100", stall)))
	ask := asked(60, stream.Auto)
	r := offer(ask, load.Constant, rate, 900*time.Millisecond)
	r.SendConnections = 256
	run, err := r.Run(context.Background(), env)
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	if n := server.Injected()[testserver.FaultFreeze]; n != 1 {
		t.Fatalf("the server stood still %d times", n)
	}
	d := run.Delivery
	if want := (account{expected: 180 * 6, received: 180 * 6}); accountOf(d) != want {
		t.Errorf("account %+v, want %+v", accountOf(d), want)
	}
	// Message 100 is due at 495 ms and meets the whole stall; so do, in part, the
	// eighty after it. Half the stall is due to those of its first half.
	if n := above(t, d.Latency, stall/2); n < 40*6 {
		t.Errorf("%d copies took longer than half the stall, want those of 40 messages at least", n)
	}
	if worst := *d.Latency.MaxNS; worst < int64(stall) {
		t.Errorf("at most %s", time.Duration(worst))
	}
}

// TestSendsWaitForConnections has fewer connections than sends that are due while
// the server holds each: what leaves late is counted, and dated back to when it
// was due.
func TestSendsWaitForConnections(t *testing.T) {
	for _, kind := range []stream.Kind{stream.Auto, stream.Conn} {
		t.Run(string(kind), func(t *testing.T) {
			const stall = 300 * time.Millisecond
			_, env := serve(t, faulty(t, fmt.Sprintf("freeze=%s,every=10", stall)))
			r := offer(asked(12, kind), load.Constant, 100, 190*time.Millisecond)
			r.SendConnections = 2
			run, err := r.Run(context.Background(), env)
			if err != nil {
				t.Fatal(err)
			}
			check(t, run)
			d := run.Delivery
			if want := (account{expected: 19 * 6, received: 19 * 6}); accountOf(d) != want {
				t.Errorf("account %+v, want %+v", accountOf(d), want)
			}
			// The tenth takes a connection and the server; the next ones take the
			// others, and at least five of nine wait.
			if n := *d.Sends.Behind; n < 5 {
				t.Errorf("%d sends were behind", n)
			}
			if lag := *run.Generator.SendLag.MaxNS; lag < int64(100*time.Millisecond) || lag > *d.Latency.MaxNS {
				t.Errorf("send lag up to %s, latency up to %s", time.Duration(lag), time.Duration(*d.Latency.MaxNS))
			}
		})
	}
}

func TestOpenModelWithoutSuccess(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	root := env.Server.(there).site.Target.URL
	env.Server = there{Site{Target: targetWithSend(t, root, "/nowhere/{room}"), Kind: "url"}}
	run, err := offer(asked(12, stream.Auto), load.Constant, 1000, time.Hour).Run(context.Background(), env)
	if !errors.Is(err, ErrNotSent) || run == nil {
		t.Fatalf("error %v", err)
	}
	check(t, run)
	if n := run.Delivery.Sends.Failures["status 404"]; n < 100 || run.Aborted == nil {
		t.Errorf("%d failed, aborted %v", n, run.Aborted)
	}
}

func TestOpenModelInterrupted(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	env.Show = when(func(p Progress) bool { return p.Live.Received > 60 }, cancel)
	run, err := offer(asked(60, stream.Auto), load.Constant, 500, time.Hour).Run(ctx, env)
	if !errors.Is(err, context.Canceled) || !run.Interrupted {
		t.Fatalf("error %v", err)
	}
	check(t, run)
	if d := run.Delivery; d.Received <= 60 || *d.Lost != 0 || d.Received != d.Expected {
		t.Errorf("account %+v", accountOf(d))
	}
}

func TestOpenModelWithTimestamps(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	r := offer(asked(30, stream.Auto), load.Constant, 200, 200*time.Millisecond)
	r.Payload = load.Timestamp
	run, err := r.Run(context.Background(), env)
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	if d := run.Delivery; d.Expected != 40*6 || d.Received != 40*6 || d.Lost != nil || d.Latency.Count != 40*6 {
		t.Errorf("%d of %d received, %d timed", d.Received, d.Expected, d.Latency.Count)
	}
}

// TestSlowReaders: what they take is theirs, and counted apart.
func TestSlowReaders(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		_, env := serve(t, testserver.Config{})
		ask := asked(60, kind)
		ask.Slow = load.SlowReaders{Count: 3, Rate: 2 << 10}
		r := offer(ask, load.Constant, 200, 500*time.Millisecond)
		r.PayloadSize = 1 << 10
		run, err := r.Run(context.Background(), env)
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		d := run.Delivery
		if want := (account{expected: 600, received: 600}); accountOf(d) != want {
			t.Errorf("account %+v, want %+v", accountOf(d), want)
		}
		s := d.Slow
		if s.Clients != 3 || s.Dropped != 0 || s.Expected != 30 || s.Received != 30 || *s.Lost != 0 {
			t.Errorf("slow readers: %+v", s)
		}
		// Ten messages of 1 KiB each in half a second, at 2 KiB a second: most of
		// them cannot have been read in time.
		if s.Drained < 15 || s.Drained+s.Latency.Count != s.Received {
			t.Errorf("%d drained, %d timed of %d", s.Drained, s.Latency.Count, s.Received)
		}
		if d.Latency.Count != 570 || s.Neighbours.Count != 3*5*10 {
			t.Errorf("%d copies of ordinary clients, %d of neighbours", d.Latency.Count, s.Neighbours.Count)
		}
		if s.Latency.Count > 0 && *s.Latency.MaxNS < int64(100*time.Millisecond) {
			t.Errorf("a slow reader's slowest copy took %s", time.Duration(*s.Latency.MaxNS))
		}
	})
}

func TestSlowReadersDoNotHoldIterationsUp(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	ask := asked(60, stream.Auto)
	ask.Slow = load.SlowReaders{Count: 6, Rate: 1 << 10}
	run, err := Rooms{Load: ask, Iterations: 20, PayloadSize: 1 << 10}.Run(context.Background(), env)
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	d := run.Delivery
	if want := (account{expected: 1200, received: 1200}); accountOf(d) != want || *d.Incomplete != 0 {
		t.Errorf("account %+v with %d incomplete, want %+v", accountOf(d), *d.Incomplete, want)
	}
	// At 1 KiB a second twenty messages of 1 KiB would take twenty seconds.
	if d.Slow.Drained == 0 || d.Slow.Received != 120 || d.ElapsedNS > int64(10*time.Second) {
		t.Errorf("slow %+v after %s", d.Slow, time.Duration(d.ElapsedNS))
	}
}

// TestJudge holds each rule against figures on either side of its bound.
func TestJudge(t *testing.T) {
	lag := func(p99 time.Duration) *result.Latency {
		ns := int64(p99)
		return &result.Latency{Count: 1, P99NS: &ns}
	}
	number := func(f float64) *float64 { return &f }
	count := func(n int64) *int64 { return &n }
	busy := 100 * float64(runtime.GOMAXPROCS(0))
	for _, c := range []struct {
		name  string
		g     result.Generator
		over  bool
		known bool
		phase time.Duration
	}{
		{"waits in a short run", result.Generator{CPUPercent: number(20), RunQueueNS: count(int64(time.Millisecond))}, false, true, 3 * time.Millisecond},
		{"nothing is known", result.Generator{RunQueueNS: count(int64(time.Hour))}, false, false, time.Second},
		{"on time", result.Generator{ReadLag: lag(time.Millisecond), DispatchLag: lag(time.Millisecond), CPUPercent: number(50)}, false, true, time.Second},
		{"reads late", result.Generator{ReadLag: lag(time.Millisecond + 1)}, true, true, time.Second},
		{"sends late", result.Generator{ReadLag: lag(1), DispatchLag: lag(time.Second)}, true, true, time.Second},
		{"sends wait for connections only", result.Generator{ReadLag: lag(1), DispatchLag: lag(1), SendLag: lag(time.Second)}, false, true, time.Second},
		{"all cores", result.Generator{CPUPercent: number(busy * 0.91)}, true, true, time.Second},
		{"nearly all cores", result.Generator{CPUPercent: number(busy * 0.89)}, false, true, time.Second},
		{"waits more than it runs", result.Generator{CPUPercent: number(20), RunQueueNS: count(int64(300 * time.Millisecond))}, true, true, time.Second},
		{"waits less than it runs", result.Generator{CPUPercent: number(40), RunQueueNS: count(int64(300 * time.Millisecond))}, false, true, time.Second},
		{"hardly waits", result.Generator{CPUPercent: number(1), RunQueueNS: count(int64(50 * time.Millisecond))}, false, true, time.Second},
	} {
		over, reason, known := judge(&c.g, &result.Machine{}, c.phase)
		if over != c.over || known != c.known || over != (reason != "") {
			t.Errorf("%s: overloaded %v (%s), known %v", c.name, over, reason, known)
		}
	}
}
