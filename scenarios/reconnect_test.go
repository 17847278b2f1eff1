package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/testserver"
)

// faithful is asked, of clients that come back.
func faithful(n int, kind stream.Kind) Load {
	ask := asked(n, kind)
	ask.Reconnect = &stream.Jitter{}
	return ask
}

// copiesOf is the account without other events: the client of r3labs takes a block
// with nothing but a reconnection time for one.
func copiesOf(d *result.Delivery) account {
	a := accountOf(d)
	a.other = 0
	return a
}

func totalOf(counts map[string]int) int64 {
	n := 0
	for _, c := range counts {
		n += c
	}
	return int64(n)
}

// TestReplayMakesUpForReconnects: a server that cuts clients off, and keeps messages
// for them, loses nothing.
func TestReplayMakesUpForReconnects(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		server, env := serve(t, testserver.Config{
			Replay: 100, Retry: 20 * time.Millisecond,
			Faults: []testserver.Fault{{Kind: testserver.FaultClose, Every: 10, After: 2}},
		})
		run, err := runOf(context.Background(), env, Rooms{Load: faithful(60, kind), Iterations: 5})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		if got, want := copiesOf(run.Delivery), (account{expected: 300, received: 300}); got != want {
			t.Errorf("account %+v, want %+v", got, want)
		}
		cut := server.Injected()[testserver.FaultClose]
		r := run.Reconnect
		if cut == 0 || totalOf(r.Ends) != cut || r.Reopened != cut || r.Attempts != cut || len(r.Failures) != 0 {
			t.Errorf("%d streams cut off; %v ended, %d attempts, %d opened again, failed: %v", cut, r.Ends, r.Attempts, r.Reopened, r.Failures)
		}
		if r.GaveUp != 0 || r.Away != 0 || run.Connect.Dropped != 0 {
			t.Errorf("%d gave up, %d away, %d dropped", r.GaveUp, r.Away, run.Connect.Dropped)
		}
		if *r.Replayed == 0 || *r.ReplayedTwice != 0 {
			t.Errorf("%d missed, %d replayed, %d of them twice", *r.Missed, *r.Replayed, *r.ReplayedTwice)
		}
		if *r.Downtime.MinNS < int64(20*time.Millisecond) {
			t.Errorf("a client was back after %d ns, before the server's reconnection time", *r.Downtime.MinNS)
		}
		if *r.FirstEndNS <= 0 || *r.LastOpenNS <= *r.FirstEndNS || *r.LastOpenNS > run.TotalNS {
			t.Errorf("first end at %d, last open at %d, of %d ns", *r.FirstEndNS, *r.LastOpenNS, run.TotalNS)
		}
	})
}

// TestWithoutReplayCopiesAreLost: and nobody waits for them.
func TestWithoutReplayCopiesAreLost(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		server, env := serve(t, testserver.Config{
			Retry:  20 * time.Millisecond,
			Faults: []testserver.Fault{{Kind: testserver.FaultClose, Every: 10, After: 2}},
		})
		run, err := runOf(context.Background(), env, Rooms{Load: faithful(60, kind), Iterations: 50})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		d, r := run.Delivery, run.Reconnect
		if cut := server.Injected()[testserver.FaultClose]; cut < 6 || r.Reopened != cut {
			t.Errorf("%d cut off, %d opened again", cut, r.Reopened)
		}
		if *r.Missed == 0 || *d.Lost == 0 || *r.Replayed != 0 || *d.Late != 0 || *d.Duplicate != 0 {
			t.Errorf("%d missed, %d replayed; account %+v", *r.Missed, *r.Replayed, accountOf(d))
		}
		if int64(*d.Incomplete) > *d.Lost || run.TotalNS > int64(30*time.Second) {
			t.Errorf("%d of %d iterations incomplete with %d copies lost, in %d ns", *d.Incomplete, *d.Iterations, *d.Lost, run.TotalNS)
		}
	})
}

// forgetful is a server with one room that replays everything to whoever comes back,
// whether or not they have had it.
type forgetful struct {
	mu      sync.Mutex
	log     []string
	members map[chan string]bool
	ended   int // streams so far
}

func (f *forgetful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		f.post(r)
		return
	}
	messages := make(chan string, 1000)
	f.mu.Lock()
	before := append([]string{}, f.log...)
	f.members[messages] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.members, messages)
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "retry: 10\n\n")
	for _, m := range before {
		fmt.Fprintf(w, "data: %s\n\n", m)
	}
	flusher := http.NewResponseController(w)
	_ = flusher.Flush() // the connection may be gone, here and below
	for n := 1; ; n++ {
		select {
		case m := <-messages:
			fmt.Fprintf(w, "id: %d\ndata: %s\n\n", n, m)
			_ = flusher.Flush()
		case <-r.Context().Done():
			return
		}
		if f.endsAfter(n) {
			return
		}
	}
}

// endsAfter has the first stream to get three messages end.
func (f *forgetful) endsAfter(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n < 3 || f.ended > 0 {
		return false
	}
	f.ended++
	return true
}

func (f *forgetful) post(r *http.Request) {
	body := make([]byte, r.ContentLength)
	if n, _ := r.Body.Read(body); n < len(body) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, string(body))
	for m := range f.members {
		m <- string(body)
	}
}

// TestReplayOfWhatHadCome: copies that come by replay a second time are duplicates,
// and are said to have come so.
func TestReplayOfWhatHadCome(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		server := httptest.NewServer(&forgetful{members: map[chan string]bool{}})
		t.Cleanup(server.Close)
		t.Cleanup(server.CloseClientConnections)
		env := &Env{Server: there{Site{Target: targetWithSend(t, server.URL, "/send"), Kind: "url"}}}
		run, err := runOf(context.Background(), env, Rooms{Load: faithful(4, kind), Iterations: 8})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		r, d := run.Reconnect, run.Delivery
		if r.Clients != 1 || r.Reopened != 1 || r.Ends["ended"] != 1 {
			t.Fatalf("%d clients lost their stream, %d opened again: %v", r.Clients, r.Reopened, r.Ends)
		}
		// The client had three messages, which come again, and the others by replay.
		if want := (account{expected: 32, received: 35, duplicate: 3}); copiesOf(d) != want {
			t.Errorf("account %+v, want %+v", copiesOf(d), want)
		}
		if *r.ReplayedTwice != 3 || r.ReplayLatency.Count != *r.Replayed {
			t.Errorf("%d replayed twice, %d missed, %d replayed", *r.ReplayedTwice, *r.Missed, *r.Replayed)
		}
	})
}

// gate answers subscriptions with status once it is shut, and ends the streams.
type gate struct {
	status int
	shut   atomic.Bool
	over   chan struct{}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.shut.Load() {
		w.WriteHeader(g.status)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "retry: 1\n\n")
	_ = http.NewResponseController(w).Flush() // the client may be gone
	select {
	case <-g.over:
	case <-r.Context().Done():
	}
}

// TestToldNotToComeAgain: a status other than 200 is final, HTML section 9.2.3.
func TestToldNotToComeAgain(t *testing.T) {
	for _, status := range []int{http.StatusNoContent, http.StatusServiceUnavailable} {
		eachEngine(t, func(t *testing.T, kind stream.Kind) {
			g := &gate{status: status, over: make(chan struct{})}
			server := httptest.NewServer(g)
			t.Cleanup(server.Close)
			env := &Env{Server: there{Site{Target: targetWithSend(t, server.URL, "/send"), Kind: "url"}}}
			env.Observers = when(func(p Progress) bool { return p.Phase == phaseHold }, func() {
				g.shut.Store(true)
				close(g.over)
			})
			run, err := runOf(context.Background(), env, Connect{Load: faithful(12, kind), Hold: time.Minute})
			if !errors.Is(err, load.ErrGone) {
				t.Errorf("error %v, want %v", err, load.ErrGone)
			}
			check(t, run)
			r, class := run.Reconnect, fmt.Sprintf("status %d", status)
			if r.GaveUp != 12 || r.Failures[class] != 12 || run.Connect.Drops[class] != 12 || r.Ends["ended"] != 12 || r.Reopened != 0 {
				t.Errorf("%d gave up, failures %v, drops %v, ends %v, %d opened again", r.GaveUp, r.Failures, run.Connect.Drops, r.Ends, r.Reopened)
			}
			if r.Missed != nil || r.Replayed != nil || r.ReplayLatency != nil {
				t.Error("copies are counted where nothing is sent")
			}
		})
	}
}

// TestNobodyComesBack: the run ends when the timeout has passed without a client.
func TestNobodyComesBack(t *testing.T) {
	server, env := serve(t, testserver.Config{Retry: time.Millisecond})
	env.Observers = when(func(p Progress) bool { return p.Iteration > 1 && p.Live.Received > 0 }, func() { _ = server.Close() })
	ask := faithful(60, stream.Auto)
	ask.Timeout = 500 * time.Millisecond
	run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 1_000_000})
	if !errors.Is(err, load.ErrGone) {
		t.Fatalf("error %v, want %v", err, load.ErrGone)
	}
	check(t, run)
	r := run.Reconnect
	if run.Connect.Dropped != 60 || r.Away != 60 || r.Clients != 60 || r.Failures["refused"] < 60 || run.Connect.Drops["refused"] != 60 {
		t.Errorf("%d dropped, %d away of %d; failures %v, drops %v", run.Connect.Dropped, r.Away, r.Clients, r.Failures, run.Connect.Drops)
	}
	if *run.Delivery.Iterations == 1_000_000 || run.Aborted == nil {
		t.Errorf("%d iterations, aborted %v", *run.Delivery.Iterations, run.Aborted)
	}
}

// TestServerThatIsGoneIsNotWaitedFor: where its end can be seen.
func TestServerThatIsGoneIsNotWaitedFor(t *testing.T) {
	server, env := serve(t, testserver.Config{Retry: time.Millisecond})
	site := env.Server.(there)
	gone := make(chan struct{})
	site.site.Gone = gone
	env.Server = site
	env.Observers = when(func(p Progress) bool { return p.Phase == phaseHold }, func() {
		_ = server.Close()
		close(gone)
	})
	run, err := runOf(context.Background(), env, Connect{Load: faithful(60, stream.Auto), Hold: time.Hour})
	if !errors.Is(err, load.ErrGone) {
		t.Fatalf("error %v, want %v", err, load.ErrGone)
	}
	check(t, run)
	if run.Reconnect.Away != 60 || run.TotalNS > int64(30*time.Second) { // the timeout is a minute
		t.Errorf("%d away, after %d ns", run.Reconnect.Away, run.TotalNS)
	}
}

// TestRestart: the clients of a server that is started anew come back, and the
// iterations go on when they have.
func TestRestart(t *testing.T) {
	eachEngine(t, func(t *testing.T, kind stream.Kind) {
		server, env := serve(t, testserver.Config{Retry: 50 * time.Millisecond})
		var again *Env
		env.Observers = when(func(p Progress) bool { return p.Iteration > 3 && p.Live.Received > 0 }, func() {
			_ = server.Close()
			_, again = serve(t, testserver.Config{Addr: server.Addr().(*net.TCPAddr).String()})
		})
		run, err := runOf(context.Background(), env, Rooms{Load: faithful(120, kind), Iterations: 3000})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		if again == nil {
			t.Fatal("the run was over before the server was started anew")
		}
		r, d := run.Reconnect, run.Delivery
		if r.Clients != 120 || r.Reopened != 120 || run.Connect.Dropped != 0 || *d.Iterations != 3000 {
			t.Errorf("%d of %d clients opened again, %d dropped, %d iterations", r.Reopened, r.Clients, run.Connect.Dropped, *d.Iterations)
		}
		// All were waited for: but for the messages under way when the server ended,
		// nothing was lost.
		if most := int64(120 * 3); *d.Lost > most {
			t.Errorf("%d lost, want no more than %d; %d missed", *d.Lost, most, *r.Missed)
		}
	})
}

// TestHeldClientsComeBack: and are not dropped.
func TestHeldClientsComeBack(t *testing.T) {
	g := &gate{status: http.StatusNoContent, over: make(chan struct{})}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	env := &Env{Server: there{Site{Target: targetWithSend(t, server.URL, "/send"), Kind: "url"}}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// Streams end as soon as they have begun.
	close(g.over)
	env.Observers = when(func(p Progress) bool { return p.Phase == phaseHold }, func() { time.AfterFunc(200*time.Millisecond, cancel) })
	run, err := runOf(ctx, env, Connect{Load: faithful(20, stream.Auto), Hold: time.Minute})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that it was cancelled", err)
	}
	check(t, run)
	if r := run.Reconnect; r.Clients != 20 || r.Reopened < 20 || r.GaveUp != 0 || len(r.Failures) != 0 {
		t.Errorf("%d clients, %d opened again, %d gave up: %v", r.Clients, r.Reopened, r.GaveUp, r.Failures)
	}
}

// TestTimestampsAcrossReconnects: copies without names are counted all the same.
func TestTimestampsAcrossReconnects(t *testing.T) {
	server, env := serve(t, testserver.Config{
		Retry: 20 * time.Millisecond, Replay: 100,
		Faults: []testserver.Fault{{Kind: testserver.FaultClose, Every: 6, After: 1}},
	})
	run, err := runOf(context.Background(), env, Rooms{Load: faithful(24, stream.Auto), Iterations: 5, Payload: load.Timestamp})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	r := run.Reconnect
	if cut := server.Injected()[testserver.FaultClose]; r.Reopened != cut || cut == 0 {
		t.Errorf("%d cut off, %d opened again", cut, r.Reopened)
	}
	if run.Delivery.Received != 120 || r.ReplayedTwice != nil || r.Replayed == nil || run.TotalNS > int64(30*time.Second) {
		t.Errorf("%d received, replayed twice %v, in %d ns", run.Delivery.Received, r.ReplayedTwice, run.TotalNS)
	}
}

func TestReconnectParameters(t *testing.T) {
	_, env := serve(t, testserver.Config{})
	ask := asked(6, stream.Auto)
	for _, c := range []struct {
		j    *stream.Jitter
		off  bool
		text string
	}{
		{nil, true, ""},
		{&stream.Jitter{}, false, ""},
		{&stream.Jitter{Most: time.Second}, false, "1s"},
		{&stream.Jitter{Share: 0.5}, false, "50%"},
	} {
		ask.Reconnect = c.j
		run, err := runOf(context.Background(), env, Connect{Load: ask})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		text := ""
		if p := run.Params.ReconnectJitter; p != nil {
			text = *p
		}
		if run.Params.NoReconnect != c.off || text != c.text || (run.Reconnect == nil) != c.off {
			t.Errorf("%+v: %v, %q, %+v", c.j, run.Params.NoReconnect, text, run.Reconnect)
		}
	}
	var none *result.Reconnect
	if run, err := runOf(context.Background(), env, Connect{Load: asked(6, stream.Auto)}); err != nil || run.Reconnect != none {
		t.Errorf("%+v, %v", run.Reconnect, err)
	}
}

// TestStreamsThatEndAllTheTime: most clients are away at any time, and the run goes on.
func TestStreamsThatEndAllTheTime(t *testing.T) {
	g := &gate{status: http.StatusNoContent, over: make(chan struct{})}
	close(g.over) // streams end as soon as they have begun
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			g.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	env := &Env{Server: there{Site{Target: targetWithSend(t, server.URL, "/send"), Kind: "url"}}}
	ask := faithful(12, stream.Auto)
	ask.Timeout = 200 * time.Millisecond
	run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 4})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	if d, r := run.Delivery, run.Reconnect; *d.Iterations != 4 || d.Received != 0 || *d.Lost != d.Expected || r.Reopened < 12 || r.GaveUp != 0 {
		t.Errorf("%d iterations, account %+v, %d opened again, %d gave up", *d.Iterations, accountOf(d), r.Reopened, r.GaveUp)
	}
	if run.TotalNS > int64(20*time.Second) {
		t.Errorf("it took %d ns", run.TotalNS)
	}
}

// tardy is a server of many rooms, which delivers each message half a second after it
// came. Once, it ends the stream of room 0, and refuses that room's messages until its
// client is back.
type tardy struct {
	mu      sync.Mutex
	members map[string]chan string
	cut     bool
	away    bool
	refused int
}

func (s *tardy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	room := r.FormValue("room")
	if r.Method == http.MethodPost {
		s.post(w, r, room)
		return
	}
	messages := make(chan string, 100)
	s.mu.Lock()
	s.members[room] = messages
	if room == "0" {
		s.away = false
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "retry: 300\n\n")
	flusher := http.NewResponseController(w)
	_ = flusher.Flush() // the client may be gone, here and below
	for {
		select {
		case m := <-messages:
			fmt.Fprintf(w, "data: %s\n\n", m)
			_ = flusher.Flush()
			if s.cuts(room) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func (s *tardy) cuts(room string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if room != "0" || s.cut {
		return false
	}
	s.cut, s.away = true, true
	return true
}

func (s *tardy) post(w http.ResponseWriter, r *http.Request, room string) {
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if room == "0" && s.away {
		s.refused++
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	time.AfterFunc(500*time.Millisecond, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.members[room] <- string(body)
	})
}

// TestOneClientsLossIsNotAnothers: that sends of a room failed while its client was away
// does not shorten the wait for others' copies.
func TestOneClientsLossIsNotAnothers(t *testing.T) {
	for _, payload := range []load.PayloadKind{load.Marker, load.Timestamp} {
		s := &tardy{members: map[string]chan string{}}
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		t.Cleanup(server.CloseClientConnections)
		env := &Env{Server: there{Site{Target: targetWithSend(t, server.URL, "/?room={room}"), Kind: "url"}}}
		ask := faithful(4, stream.Auto)
		ask.RoomSize = 1
		run, err := runOf(context.Background(), env, Rooms{Load: ask, Arrivals: &load.Arrivals{Rate: 40}, Duration: 1500 * time.Millisecond, Payload: payload})
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		s.mu.Lock()
		refused := int64(s.refused)
		s.mu.Unlock()
		d := run.Delivery
		if refused == 0 || d.Sends.Failed != refused || run.Reconnect.Reopened != 1 {
			t.Fatalf("%d refused, %d failed, %d opened again", refused, d.Sends.Failed, run.Reconnect.Reopened)
		}
		if payload == load.Timestamp {
			continue
		}
		for _, c := range d.Clients {
			if c.Client != 0 {
				t.Errorf("client %d lost %d", c.Client, c.Lost)
			}
		}
		if *d.Lost < refused || run.TotalNS > int64(30*time.Second) {
			t.Errorf("%d refused, %d lost, in %d ns", refused, *d.Lost, run.TotalNS)
		}
	}
}

// TestReplayThatTakesItsTime is waited for at the end.
func TestReplayThatTakesItsTime(t *testing.T) {
	var mu sync.Mutex
	var log []string
	streams := 0
	var live chan string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body := make([]byte, r.ContentLength)
			if _, err := io.ReadFull(r.Body, body); err == nil {
				mu.Lock()
				log = append(log, string(body))
				live <- string(body)
				mu.Unlock()
			}
			return
		}
		own := make(chan string, 100)
		mu.Lock()
		streams++
		n := streams
		live = own
		mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "retry: 100\n\n")
		flusher := http.NewResponseController(w)
		_ = flusher.Flush() // the client may be gone, here and below
		if n == 1 {
			<-own // which is lost with the stream
			return
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
		mu.Lock()
		for _, m := range log {
			fmt.Fprintf(w, "data: %s\n\n", m)
		}
		mu.Unlock()
		_ = flusher.Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	env := &Env{Server: there{Site{Target: targetWithSend(t, server.URL, "/send"), Kind: "url"}}}
	run, err := runOf(context.Background(), env, Rooms{Load: faithful(1, stream.Auto), Iterations: 1})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	if got, want := accountOf(run.Delivery), (account{expected: 1, received: 1}); got != want || *run.Reconnect.Replayed != 1 {
		t.Errorf("account %+v, want %+v; %d replayed", got, want, *run.Reconnect.Replayed)
	}
}

// TestRoomsThatAreAwayAtFirst: a room whose clients have all lost their stream when the
// sending begins has a sender all the same.
func TestRoomsThatAreAwayAtFirst(t *testing.T) {
	for _, arrivals := range []*load.Arrivals{nil, {Rate: 40}} {
		s := &tardy{members: map[string]chan string{}, cut: true}
		var ended atomic.Bool
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.FormValue("room") == "0" && !ended.Swap(true) {
				w.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprint(w, "retry: 500\n\n")
				return
			}
			s.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		t.Cleanup(server.CloseClientConnections)
		env := &Env{Server: there{Site{Target: targetWithSend(t, server.URL, "/?room={room}"), Kind: "url"}}}
		ask := faithful(4, stream.Auto)
		ask.RoomSize = 1
		ask.Ramp = load.Ramp{Rate: 20, Concurrency: 4} // so that the first end is seen before the last client opens
		rooms := Rooms{Load: ask, Iterations: 3, Arrivals: arrivals}
		if arrivals != nil {
			rooms.Iterations, rooms.Duration = 0, time.Second
		}
		run, err := runOf(context.Background(), env, rooms)
		if err != nil {
			t.Fatal(err)
		}
		check(t, run)
		if want := run.Delivery.Sends.Attempted; run.Delivery.Expected != want || arrivals == nil && want != 12 || arrivals != nil && want != 40 {
			t.Errorf("%d sends, %d copies expected", want, run.Delivery.Expected)
		}
		if *run.Reconnect.Missed == 0 {
			t.Error("the room was not away")
		}
	}
}

// TestServerThatWantsNobodySoon: a run does not wait for an hour, nor beyond its
// duration.
func TestServerThatWantsNobodySoon(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "retry: 3600000\n\n")
			_ = http.NewResponseController(w).Flush() // the client may be gone
			time.Sleep(100 * time.Millisecond)        //nolint:forbidigo // a stream has a length
		}
	}))
	t.Cleanup(server.Close)
	env := &Env{Server: there{Site{Target: targetWithSend(t, server.URL, "/send"), Kind: "url"}}}
	ask := faithful(12, stream.Auto)
	ask.Timeout = 500 * time.Millisecond
	run, err := runOf(context.Background(), env, Rooms{Load: ask, Iterations: 1_000_000})
	if !errors.Is(err, load.ErrGone) || !strings.Contains(err.Error(), "only after 1h0m0s") {
		t.Errorf("error %v, want %v", err, load.ErrGone)
	}
	check(t, run)
	ask.Timeout = time.Minute
	run, err = runOf(context.Background(), env, Rooms{Load: ask, Duration: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	check(t, run)
	if run.Reconnect.Away != 12 || run.Delivery.ElapsedNS > int64(30*time.Second) {
		t.Errorf("%d away, sending for %d ns", run.Reconnect.Away, run.Delivery.ElapsedNS)
	}
}
