package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/testserver"
)

// odd is a server with rooms that does as the test says.
type odd struct {
	*httptest.Server
	// open decides what becomes of the n-th subscription, from 1: false ends it.
	open func(n int) bool
	post post

	mu    sync.Mutex
	count int
	rooms map[string][]chan string
}

// post answers a message; deliver sends it to its room.
type post func(w http.ResponseWriter, r *http.Request, deliver func())

func deliverOnly(_ http.ResponseWriter, _ *http.Request, deliver func()) { deliver() }

// newOdd starts an odd server. All streams stay open unless open says otherwise.
func newOdd(t *testing.T, post post, open func(n int) bool) *Env {
	t.Helper()
	if open == nil {
		open = func(int) bool { return true }
	}
	o := &odd{rooms: map[string][]chan string{}, open: open, post: post}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", o.subscribe)
	mux.HandleFunc("POST /rooms/{room}/messages", o.send)
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	t.Cleanup(o.CloseClientConnections)
	return &Env{Server: there{Site{Target: targetWithSend(t, o.URL, "/rooms/{room}/messages"), Kind: "url"}}}
}

func (o *odd) subscribe(w http.ResponseWriter, r *http.Request) {
	messages := make(chan string, 1000)
	o.mu.Lock()
	o.count++
	n := o.count
	o.rooms[r.FormValue("room")] = append(o.rooms[r.FormValue("room")], messages)
	o.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := http.NewResponseController(w)
	_ = flusher.Flush() // the connection may be gone, here and below
	for o.open(n) {
		select {
		case m := <-messages:
			_, _ = fmt.Fprintf(w, "data: %s\n\n", m)
			_ = flusher.Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (o *odd) send(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	o.post(w, r, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, member := range o.rooms[r.PathValue("room")] {
			member <- string(body)
		}
	})
}

// hang answers nothing until the client or the server gives up.
func hang(r *http.Request) { <-r.Context().Done() }

// TestAnEarlyEndIsNotTheEnd: streams that end while others are still being
// connected are drops, and the connecting goes on.
func TestAnEarlyEndIsNotTheEnd(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		env := newOdd(t, deliverOnly, func(n int) bool { return n > 1 })
		ask := asked(30, kind)
		ask.Ramp = load.Ramp{Rate: 300, Concurrency: 8}
		run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 2})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		if c := run.Connect; c.Attempted != 30 || c.Opened != 30 || c.Dropped != 1 {
			t.Errorf("%d attempted, %d opened, %d dropped", c.Attempted, c.Opened, c.Dropped)
		}
		if got, want := accountOf(run.Delivery), (account{expected: 60, received: 58, lost: 2}); got != want {
			t.Errorf("account %+v, want %+v", got, want)
		}
	})
}

// TestGoneInTheLastIteration: that nobody is left is an error also when there was
// nothing more to do.
func TestGoneInTheLastIteration(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		_, env := serve(t, testserver.Config{Faults: []testserver.Fault{{Kind: testserver.FaultClose, Every: 1, After: 1}}})
		run, err := runOf(context.Background(), env, Rooms{Load: asked(12, kind), Iterations: 1})
		if !errors.Is(err, load.ErrGone) {
			t.Errorf("error %v, want %v", err, load.ErrGone)
		}
		check(t, run)
		if run.Connect.Dropped != 12 || run.Delivery.Received != 12 {
			t.Errorf("%d dropped, %d received", run.Connect.Dropped, run.Delivery.Received)
		}
	})
}

// TestDeliveredButRefused: a server that delivers a message and then says that it
// failed has delivered it.
func TestDeliveredButRefused(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		env := newOdd(t, func(w http.ResponseWriter, _ *http.Request, deliver func()) {
			deliver()
			w.WriteHeader(http.StatusInternalServerError)
		}, nil)
		run, err := runOf(context.Background(), env, Rooms{Load: asked(30, kind), Iterations: 3})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		d := run.Delivery
		if d.Expected != 90 || d.Received != 90 || *d.Lost != 0 || d.Sends.Failed != 15 || d.Sends.Failures["status 500"] != 15 {
			t.Errorf("account %+v with sends %+v", accountOf(d), d.Sends)
		}
	})
}

// TestSendsThatAreNeverAnswered: with every copy delivered they are failures, with
// none the end of the run, whatever else has the same timeout.
func TestSendsThatAreNeverAnswered(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		for _, delivers := range []bool{true, false} {
			t.Run(fmt.Sprintf("delivers=%v", delivers), func(t *testing.T) {
				env := newOdd(t, func(_ http.ResponseWriter, r *http.Request, deliver func()) {
					if delivers {
						deliver()
					}
					hang(r)
				}, nil)
				ask := asked(12, kind)
				ask.Timeout = 200 * time.Millisecond
				run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 2})
				check(t, run)
				d := run.Delivery
				if delivers && (err != nil || d.Received != 24 || *d.Iterations != 2) {
					t.Errorf("error %v, %d received in %d iterations", err, d.Received, *d.Iterations)
				}
				if !delivers && (!errors.Is(err, ErrNotSent) || d.Received != 0 || *d.Iterations != 1 || *d.Lost != 12) {
					t.Errorf("error %v, %d received, %d lost in %d iterations", err, d.Received, *d.Lost, *d.Iterations)
				}
			})
		}
	})
}

// TestSendsAreCalledOff: what could not begin in its iteration is not sent in the
// next one, and no copy of it is expected.
func TestSendsAreCalledOff(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		env := newOdd(t, func(_ http.ResponseWriter, r *http.Request, deliver func()) {
			deliver()
			timer := time.NewTimer(40 * time.Millisecond)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
			}
		}, nil)
		ask := asked(60, kind)
		ask.Timeout, ask.SendConnections = 100*time.Millisecond, 1
		run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 3})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		d := run.Delivery
		if d.Sends.CalledOff == 0 || d.Sends.Attempted+d.Sends.CalledOff != 30 {
			t.Errorf("%d sends attempted and %d called off, of 30", d.Sends.Attempted, d.Sends.CalledOff)
		}
		if d.Expected != 6*d.Sends.Attempted || d.Received != d.Expected || *d.Lost != 0 || *d.Incomplete != 3 {
			t.Errorf("account %+v with %d sends, %d incomplete", accountOf(d), d.Sends.Attempted, *d.Incomplete)
		}
	})
}

// TestInterruptCallsSendsOff: after Ctrl-C nothing more is sent, and what was sent
// is awaited.
func TestInterruptCallsSendsOff(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	env := newOdd(t, func(_ http.ResponseWriter, r *http.Request, deliver func()) {
		cancel()
		timer := time.NewTimer(50 * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
			deliver()
		case <-r.Context().Done():
		}
	}, nil)
	ask := asked(60, stream.Auto)
	ask.SendConnections = 2
	run, err := runOf(ctx, env, Rooms{Load: ask, Iterations: 3})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that it was cancelled", err)
	}
	check(t, run)
	d := run.Delivery
	if d.Sends.Attempted > 4 || d.Sends.Attempted+d.Sends.CalledOff != 10 {
		t.Errorf("%d sends attempted and %d called off, of 10", d.Sends.Attempted, d.Sends.CalledOff)
	}
	if d.Expected != 6*d.Sends.Attempted || d.Received != d.Expected || *d.Lost != 0 {
		t.Errorf("account %+v", accountOf(d))
	}
}

func TestInterruptBeforeTheFirstDial(t *testing.T) {
	for _, kind := range []stream.Kind{stream.Auto, stream.Conn} {
		t.Run(string(kind), func(t *testing.T) {
			_, env := serve(t, testserver.Config{})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			env.Observers = when(func(p Progress) bool { return p.Live.Open == 1 }, cancel)
			ask := asked(12, kind)
			ask.Ramp.Rate = 1.0 / 60
			run, err := runOf(ctx, env, Connect{Load: ask})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v, want that it was cancelled", err)
			}
			check(t, run)
			if run.Connect.Attempted != 1 || run.TotalNS <= 0 || run.TotalNS > int64(time.Minute) {
				t.Errorf("%d attempted, total %d ns", run.Connect.Attempted, run.TotalNS)
			}
		})
	}
}

// TestBoundsHold: no more than what was allowed is under way at once, however many
// shards there are.
func TestBoundsHold(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		var mu sync.Mutex
		var now, most int
		env := newOdd(t, func(_ http.ResponseWriter, _ *http.Request, deliver func()) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			deliver()
			mu.Lock()
			now--
			mu.Unlock()
		}, nil)
		ask := asked(60, kind)
		ask.SendConnections, ask.Ramp.Concurrency = 1, 1
		run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 3})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		if most != 1 || run.Delivery.Received != 180 {
			t.Errorf("%d sends at once, %d received", most, run.Delivery.Received)
		}
	})
}

func TestARoomLargerThanAllClients(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	ask := asked(10, stream.Auto)
	ask.RoomSize = 10_000_000
	run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 2, Senders: load.AllInRoom})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	if run.Delivery.Received != 200 || *run.Params.SendersPerRoom != 10 || *run.Params.RoomSize != 10 {
		t.Errorf("%d received with %d senders in rooms of %d", run.Delivery.Received, *run.Params.SendersPerRoom, *run.Params.RoomSize)
	}
}

// TestTimestampsAreCountedByIteration: what nothing names is still awaited as it
// should be.
func TestTimestampsAreCountedByIteration(t *testing.T) {
	t.Run("failed sends are not awaited", func(t *testing.T) {
		env := newOdd(t, func(w http.ResponseWriter, r *http.Request, deliver func()) {
			if r.PathValue("room") == "1" {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			deliver()
		}, nil)
		run := timestamps(t, env)
		if run.Delivery.Received != 18*3 || *run.Delivery.Incomplete != 3 || run.TotalNS > int64(30*time.Second) {
			t.Errorf("%d received in %d ns", run.Delivery.Received, run.TotalNS)
		}
	})
	t.Run("dropped clients are not awaited", func(t *testing.T) {
		_, env := serve(t, testserver.Config{Faults: []testserver.Fault{{Kind: testserver.FaultClose, Every: 6, After: 1}}})
		run := timestamps(t, env)
		// Four clients get one copy each and are cut off.
		if run.Delivery.Received != 24+20+20 || run.Connect.Dropped != 4 || run.TotalNS > int64(30*time.Second) {
			t.Errorf("%d received, %d dropped, in %d ns", run.Delivery.Received, run.Connect.Dropped, run.TotalNS)
		}
	})
}

// timestamps has 24 clients, in four rooms, send bare timestamps three times.
func timestamps(t *testing.T, env *Env) *result.Run {
	t.Helper()
	run, err := runOf(context.Background(), env, Rooms{Load: asked(24, stream.Auto), Iterations: 3, Payload: load.Timestamp})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	return run
}
