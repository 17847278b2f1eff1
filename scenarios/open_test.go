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
	"github.com/sseload/sseload/pkg/result/resulttest"
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
				run, err := runOf(context.Background(), env, r)
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
				receipt := "read"
				if kernelTimes(kind) {
					receipt = "kernel"
				}
				if got := run.Clock.Receipt; got == nil || *got != receipt || *d.Sends.Crowded != 0 {
					t.Errorf("clock %+v, want receipt %s; %d crowded", run.Clock, receipt, *d.Sends.Crowded)
				}
				if d.ElapsedNS < int64(500*time.Millisecond) {
					t.Errorf("half a second of arrivals took %s", time.Duration(d.ElapsedNS))
				}
			})
		}
	})
}

// kernelTimes tells whether an engine has the kernel's times of receipt here.
func kernelTimes(kind stream.Kind) bool {
	return runtime.GOOS == "linux" && (kind == stream.Auto || kind == stream.Conn)
}

func TestPoissonArrivalsAreSent(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	run, err := runOf(context.Background(), env, offer(asked(60, stream.Auto), load.Poisson, 400, time.Second))
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
	for _, kind := range []load.PayloadKind{load.Marker, load.Timestamp} {
		t.Run(kind.String(), func(t *testing.T) { stallCounts(t, kind) })
	}
}

func stallCounts(t *testing.T, kind load.PayloadKind) {
	const rate, stall = 200, 500 * time.Millisecond
	server, env := serve(t, faulty(t, fmt.Sprintf("freeze=%s,every=100", stall)))
	ask := asked(60, stream.Auto)
	r := offer(ask, load.Constant, rate, 900*time.Millisecond)
	r.SendConnections, r.Payload = 256, kind
	run, err := runOf(context.Background(), env, r)
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	if n := server.Injected()[testserver.FaultFreeze]; n != 1 {
		t.Fatalf("the server stood still %d times", n)
	}
	d := run.Delivery
	if d.Expected != 180*6 || d.Received != 180*6 {
		t.Errorf("%d of %d received", d.Received, d.Expected)
	}
	// Message 100 is due at 495 ms and meets the whole stall; so do, in part, the
	// eighty after it. Half the stall is due to those of its first half.
	if n := resulttest.Above(t, d.Latency, stall/2); n < 40*6 {
		t.Errorf("%d copies took longer than half the stall, want those of 40 messages at least", n)
	}
	// A timestamp is in whole milliseconds.
	if worst := *d.Latency.MaxNS; worst < int64(stall-time.Millisecond) {
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
			run, err := runOf(context.Background(), env, r)
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
			if n := *d.Sends.Crowded; n < 5 || n > 19 {
				t.Errorf("%d sends came when both connections had one", n)
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
	run, err := runOf(context.Background(), env, offer(asked(12, stream.Auto), load.Constant, 1000, time.Hour))
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
	env.Observers = when(func(p Progress) bool { return p.Live.Received > 60 }, cancel)
	run, err := runOf(ctx, env, offer(asked(60, stream.Auto), load.Constant, 500, time.Hour))
	if !errors.Is(err, context.Canceled) || !run.Interrupted {
		t.Fatalf("error %v", err)
	}
	check(t, run)
	if d := run.Delivery; d.Received <= 60 || *d.Lost != 0 || d.Received != d.Expected {
		t.Errorf("account %+v", accountOf(d))
	}
}

// TestInterruptEndsTheDrain: what is still to come when the user stops the run is
// waited for a little, and no longer.
func TestInterruptEndsTheDrain(t *testing.T) {
	_, env := serve(t, faulty(t, "delay=1h,every=10"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	env.Observers = when(func(p Progress) bool { return p.Phase == phaseDrain }, cancel)
	began := time.Now()
	r := offer(asked(6, stream.Auto), load.Constant, 50, 200*time.Millisecond)
	run, err := runOf(ctx, env, r)
	if !errors.Is(err, context.Canceled) || !run.Interrupted {
		t.Fatalf("error %v", err)
	}
	check(t, run)
	if took := time.Since(began); took > r.Timeout/2 {
		t.Errorf("it took %s to end", took)
	}
	if d := run.Delivery; d.Received != 54 || *d.Lost != 6 {
		t.Errorf("account %+v", accountOf(d))
	}
}

func TestOpenModelWithTimestamps(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	r := offer(asked(30, stream.Auto), load.Constant, 200, 200*time.Millisecond)
	r.Payload = load.Timestamp
	run, err := runOf(context.Background(), env, r)
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
		run, err := runOf(context.Background(), env, r)
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
		if s.Drained < 15 || s.Latency.Count != s.Received {
			t.Errorf("%d drained, %d timed of %d", s.Drained, s.Latency.Count, s.Received)
		}
		if d.Latency.Count != 570 || s.Neighbours.Count != 3*5*10 {
			t.Errorf("%d copies of ordinary clients, %d of neighbours", d.Latency.Count, s.Neighbours.Count)
		}
		if s.NeighboursExpected != 3*5*10 || *s.NeighboursLost != 0 {
			t.Errorf("neighbours lost %d of %d", *s.NeighboursLost, s.NeighboursExpected)
		}
		if *s.Latency.MaxNS < int64(100*time.Millisecond) {
			t.Errorf("a slow reader's slowest copy took %s", time.Duration(*s.Latency.MaxNS))
		}
	})
}

func TestSlowReadersDoNotHoldIterationsUp(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	ask := asked(60, stream.Auto)
	ask.Slow = load.SlowReaders{Count: 6, Rate: 1 << 10}
	run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 20, PayloadSize: 1 << 10})
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

// TestLossIsNotBlamedOnSlowReaders: a copy that never comes to an ordinary client
// must not keep the slow ones from reading what the server has kept for them.
func TestLossIsNotBlamedOnSlowReaders(t *testing.T) {
	for _, closed := range []bool{false, true} {
		server, env := serve(t, faulty(t, "drop,every=20,room=0"))
		ask := asked(60, stream.Auto)
		ask.Timeout = 400 * time.Millisecond
		ask.Slow = load.SlowReaders{Count: 6, Rate: 1 << 10}
		r := offer(ask, load.Constant, 100, 500*time.Millisecond)
		if closed {
			r = Rooms{Load: ask, Iterations: 4}
		}
		r.PayloadSize = 4 << 10
		run, err := runOf(context.Background(), env, r)
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		dropped := server.Injected()[testserver.FaultDrop]
		if d := run.Delivery; dropped == 0 || *d.Lost != dropped || d.Slow.Drained == 0 || *d.Slow.Lost > dropped {
			t.Errorf("closed %v: %d dropped, %d lost, slow readers: %+v", closed, dropped, *d.Lost, d.Slow)
		}
	}
}

// TestOnlySlowReaders: an iteration has nobody's copies to wait for, but it does not
// call off its own sends.
func TestOnlySlowReaders(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	ask := asked(30, stream.Auto)
	ask.SendConnections = 1
	ask.Slow = load.SlowReaders{Count: 30, Rate: 1 << 10}
	run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 5})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	d := run.Delivery
	if want := (account{expected: 150, received: 150}); accountOf(d) != want || d.Sends.Attempted != 25 || d.Sends.CalledOff != 0 {
		t.Errorf("account %+v, sends %+v", accountOf(d), d.Sends)
	}
	if d.Latency.Count != 0 || d.Slow.Latency.Count != 150 || *d.Incomplete != 0 {
		t.Errorf("%d and %d timed, %d incomplete", d.Latency.Count, d.Slow.Latency.Count, *d.Incomplete)
	}
}

func TestOpenModelNeverAnswered(t *testing.T) {
	_, env := serve(t, faulty(t, "freeze=1h,every=1"))
	ask := asked(12, stream.Auto)
	ask.Timeout = 300 * time.Millisecond
	run, err := runOf(context.Background(), env, offer(ask, load.Constant, 40, 500*time.Millisecond))
	if !errors.Is(err, ErrNotSent) {
		t.Fatalf("error %v, want %v", err, ErrNotSent)
	}
	check(t, run)
	s := run.Delivery.Sends
	if s.Attempted != 20 || s.Failed == 0 || s.Failed+*s.Unanswered != 20 || s.Latency.Count != 0 || run.Aborted == nil {
		t.Errorf("sends %+v", s)
	}
}

// TestLateInTheOpenModel: a copy is late when it takes longer than the timeout,
// though the run still goes on.
func TestLateInTheOpenModel(t *testing.T) {
	server, env := serve(t, faulty(t, "delay=400ms,every=4"))
	ask := asked(6, stream.Auto)
	ask.Timeout = 300 * time.Millisecond
	run, err := runOf(context.Background(), env, offer(ask, load.Constant, 10, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	d, delayed := run.Delivery, server.Injected()[testserver.FaultDelay]
	if delayed != 12 || *d.Late < delayed || *d.Lost != 0 || d.Received != 60 {
		t.Errorf("%d delayed, account %+v", delayed, accountOf(d))
	}
}

// TestInterruptEndsTheBacklog: what waits for a connection when the user stops the
// run is called off, all that was due is counted, and nobody waits for a server that
// does not answer.
func TestInterruptEndsTheBacklog(t *testing.T) {
	const rate = 2000
	_, env := serve(t, faulty(t, "freeze=1h,every=10"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	env.Observers = when(func(p Progress) bool {
		return p.Phase == phaseSend && p.Live.Received >= 9*6 && p.Elapsed > 200*time.Millisecond
	}, cancel)
	r := offer(asked(12, stream.Auto), load.Constant, rate, time.Hour)
	r.SendConnections = 1
	began := time.Now()
	run, err := runOf(ctx, env, r)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	check(t, run)
	if took := time.Since(began); took > r.Timeout/2 {
		t.Errorf("it took %s to end", took)
	}
	s := run.Delivery.Sends
	if s.Attempted != 10 || *s.Unanswered != 1 || s.Failed != 0 {
		t.Errorf("sends %+v", s)
	}
	due := rate * time.Duration(run.Delivery.ElapsedNS).Seconds()
	if got := float64(s.Attempted + s.CalledOff); got < 0.9*due-10 || got > due+10 {
		t.Errorf("%.0f sends are accounted for, about %.0f were due", got, due)
	}
}

// TestJudge holds each rule against figures on either side of its bound.
func TestJudge(t *testing.T) {
	lag := func(n int64, p50, p99 time.Duration) *result.Latency {
		median, high := int64(p50), int64(p99)
		return &result.Latency{Count: n, P50NS: &median, P99NS: &high}
	}
	number := func(f float64) *float64 { return &f }
	wait := func(d time.Duration) *int64 { ns := int64(d); return &ns }
	stood := func(d time.Duration) *result.Stalls {
		return &result.Stalls{Count: 1, TotalNS: int64(d), MaxNS: int64(d)}
	}
	ms := time.Millisecond
	all, busy, idle := 100*float64(runtime.GOMAXPROCS(0)), number(95*float64(runtime.NumCPU())), number(50)
	for _, c := range []struct {
		name        string
		g           result.Generator
		machine     *float64
		over, known bool
	}{
		{"nothing is known", result.Generator{RunQueueNS: wait(time.Hour)}, nil, false, false},
		{"on time", result.Generator{ReadLag: lag(1000, 0, ms), DispatchLag: lag(1000, 0, ms), CPUPercent: number(50)}, idle, false, true},
		{"reads late", result.Generator{ReadLag: lag(1000, 0, ms+1)}, idle, true, true},
		{"sends late", result.Generator{ReadLag: lag(1000, 0, 1), DispatchLag: lag(1000, 0, time.Second)}, idle, true, true},
		{"one of fifty late", result.Generator{DispatchLag: lag(50, ms, time.Second)}, idle, false, true},
		{"most of fifty late", result.Generator{DispatchLag: lag(50, ms+1, time.Second)}, idle, true, true},
		{"sends wait for connections only", result.Generator{DispatchLag: lag(1000, 0, 1), SendLag: lag(1000, ms, time.Second)}, idle, false, true},
		{"stood still", result.Generator{Stalls: stood(50 * ms)}, idle, true, true},
		{"hardly stood still", result.Generator{Stalls: stood(49 * ms)}, idle, false, true},
		{"all cores", result.Generator{CPUPercent: number(all * 0.91)}, busy, true, true},
		{"nearly all cores", result.Generator{CPUPercent: number(all * 0.89)}, busy, false, true},
		{"waits more than it runs", result.Generator{CPUPercent: number(20), RunQueueNS: wait(210 * ms)}, busy, true, true},
		{"the same while cores are idle", result.Generator{CPUPercent: number(20), RunQueueNS: wait(210 * ms)}, idle, false, true},
		{"waits less than it runs", result.Generator{CPUPercent: number(40), RunQueueNS: wait(300 * ms)}, busy, false, true},
		{"hardly waits", result.Generator{CPUPercent: number(1), RunQueueNS: wait(90 * ms)}, busy, false, true},
		{"waits twice as long, in a short run", result.Generator{CPUPercent: number(20), RunQueueNS: wait(410 * ms)}, nil, true, true},
		{"waits longer, in a short run", result.Generator{CPUPercent: number(20), RunQueueNS: wait(390 * ms)}, nil, false, true},
	} {
		over, reason, known := evidence{&c.g, c.machine, time.Second}.judge()
		if over != c.over || known != c.known || over != (reason != "") {
			t.Errorf("%s: overloaded %v (%s), known %v", c.name, over, reason, known)
		}
	}
	short := evidence{&result.Generator{CPUPercent: number(1), RunQueueNS: wait(leastWait - 1)}, nil, 60 * ms}
	if over, reason, _ := short.judge(); over {
		t.Errorf("a wait of chance: %s", reason)
	}
	long := evidence{&result.Generator{Stalls: stood(60 * ms)}, nil, 7 * time.Second}
	if over, reason, _ := long.judge(); over {
		t.Errorf("less than a hundredth: %s", reason)
	}
	if text := words(1_234_567) + ", " + words(999) + ", " + words(61e9) + ", " + words(2500); text != "1.23 ms, 999 ns, 61 s, 2.5 µs" {
		t.Error(text)
	}
}
