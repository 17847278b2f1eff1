//go:build !race && unix

// The race detector has costs of its own.

package stream

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/target"
)

// tally is a Handler that only counts. It says on done when it has counted
// enough.
type tally struct {
	opened, events, closed int
	enough                 int
	done                   chan struct{}
	why                    *Failure
}

func (c *tally) Vars(id int) target.Vars { return target.Vars{Client: id, Room: id / 6} }

func (c *tally) Opened(int, Timing) { c.opened++ }

func (c *tally) Event(int, Stamp, sse.Event) {
	if c.events++; c.events == c.enough {
		close(c.done)
	}
}

func (c *tally) Comment(int, Stamp, []byte) {}

func (c *tally) Retry(int, time.Duration) {}

func (c *tally) Closed(_ int, f *Failure) {
	if c.closed++; c.closed == 1 {
		c.why = f
		close(c.done)
	}
}

func (c *tally) Message(Tag, int64) (target.Vars, bool) { return target.Vars{}, false }

func (c *tally) Sent(Tag, time.Duration, *Failure) {}

// inUse is the user memory that this process holds, in bytes.
func inUse() int64 {
	debug.FreeOSMemory()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// needDescriptors skips a test that the limit of open files does not allow, but
// for CI, where a budget that nobody looked at would pass for one that is kept.
func needDescriptors(t *testing.T, n int) {
	t.Helper()
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	switch {
	case err == nil && limit.Cur >= uint64(n):
	case os.Getenv("CI") == "true":
		t.Fatalf("%d descriptors are allowed, %d are needed (%v)", limit.Cur, n, err)
	default:
		t.Skipf("%d descriptors are allowed, %d are needed (%v)", limit.Cur, n, err)
	}
}

func TestMemoryPerIdleClient(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    Kind
		server  string
		clients int
		share   int     // clients on a connection; 0: HTTP/1.1
		budget  float64 // KiB a client
	}{
		{"epoll", Epoll, "plain", 15000, 0, 0.5},
		{"conn", Conn, "plain", 5000, 0, 5},
		{"conn with TLS", Conn, "tls", 5000, 0, 20},
		{"conn over h2c", Conn, "h2c", 5000, 1, 5},
		{"conn over h2c, 100 streams a connection", Conn, "h2c", 5000, 100, 0.6},
		{"conn over h2", Conn, "h2", 2000, 1, 20},
		{"conn over h2, 100 streams a connection", Conn, "h2", 5000, 100, 0.8},
	} {
		t.Run(c.name, func(t *testing.T) {
			clients := c.clients
			needDescriptors(t, clients/max(1, c.share)+500)
			if c.kind == Epoll && !epollAvailable {
				t.Skip("engine epoll needs Linux")
			}
			checkLeaks(t)
			addr, trust := idleServer(t, c.server)
			scheme := "http"
			if trust != nil {
				scheme = "https"
			}
			spec := target.Spec{URL: scheme + "://" + addr + "/events", RootCAs: trust, UserAgent: "sseload/test"}
			if c.share > 0 {
				spec.HTTP = target.HTTP2
			}
			tg := at(t, spec)
			before := inUse()
			count := &tally{enough: clients, done: make(chan struct{})}
			eng, err := New(c.kind, Config{Target: tg, Clients: clients, Handler: count, Clock: NewClock(), Timeout: 5 * patience, StreamsPerConnection: c.share})
			if err != nil {
				t.Fatal(err)
			}
			defer eng.Close()
			// In portions: the subject is what idle clients cost, not the peak while
			// all of them dial at once.
			const portion = 250
			for from := 0; from < clients; from += portion {
				count.enough = from + portion
				eng.Do(func() {
					for id := from; id < from+portion; id++ {
						eng.Subscribe(id, nil)
					}
				})
				await(t, count.done)
				read := make(chan struct{})
				eng.Do(func() { count.done = make(chan struct{}); close(read) })
				await(t, read)
				if count.closed > 0 {
					t.Fatal(count.why)
				}
			}
			each := float64(inUse()-before) / float64(clients) / 1024
			t.Logf("%.2f KiB a client", each)
			if each > c.budget {
				t.Errorf("%.2f KiB a client, want at most %.1f", each, c.budget)
			}
			if count.opened != clients || count.closed != 0 {
				t.Errorf("%d opened, %d closed; want %d and 0", count.opened, count.closed, clients)
			}
		})
	}
}

// TestEventsAllocateNothing receives 100,000 events on each engine that is built
// on the machine.
func TestEventsAllocateNothing(t *testing.T) {
	theseEngines(t, []Kind{Epoll, Conn}, func(t *testing.T, k Kind) {
		if k == Epoll && !epollAvailable {
			t.Skip("engine epoll needs Linux")
		}
		const events = 100_000
		event := []byte("4d\r\nid: 1234567890\nevent: message\ndata: 0123456789 0123456789 0123456789 012345\n\n\r\n")
		piece := bytes.Repeat(event, 100)
		start := make(chan struct{})
		s := serve(t, func(p *peer) {
			p.request()
			p.say(chunked("data: first\n\n"))
			p.hold(start)
			// Cut where it does not suit: within events and within chunks.
			for range events / 100 {
				if _, err := p.Write(piece[:4001]); err != nil {
					return
				}
				if _, err := p.Write(piece[4001:]); err != nil {
					return
				}
			}
			p.gone()
		})
		count := &tally{enough: 1, done: make(chan struct{})}
		eng, err := New(k, Config{
			Target: at(t, target.Spec{URL: s.url("/")}), Clients: 1, Handler: count, Clock: NewClock(), Timeout: patience,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer eng.Close()
		eng.Do(func() { eng.Subscribe(0, nil) })
		await(t, count.done)
		ready := make(chan struct{})
		eng.Do(func() { count.done, count.enough = make(chan struct{}), events+1; close(ready) })
		await(t, ready)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		close(start)
		await(t, count.done)
		runtime.ReadMemStats(&after)
		if count.closed > 0 {
			t.Fatal(count.why)
		}
		const most = 1000 // pools that a garbage collection emptied, the runtime's own
		if n := after.Mallocs - before.Mallocs; n > most {
			t.Errorf("%d allocations for %d events, want at most %d", n, events, most)
		} else {
			t.Logf("%d allocations for %d events", n, events)
		}
	})
}

// relay sends one message after the other.
type relay struct {
	tally
	eng     Engine
	payload []byte
	left    int
}

func (r *relay) Message(Tag, int64) (target.Vars, bool) { return target.Vars{Payload: r.payload}, true }

func (r *relay) Sent(tag Tag, _ time.Duration, f *Failure) {
	if r.left--; r.left == 0 || f != nil {
		r.why = f
		close(r.done)
		return
	}
	r.eng.Send(tag+1, 0)
}

// TestSendsAllocateNothing makes 10,000 sends on the engine that promises it.
func TestSendsAllocateNothing(t *testing.T) {
	if !epollAvailable {
		t.Skip("engine epoll needs Linux")
	}
	checkLeaks(t)
	s := serve(t, func(p *peer) {
		buf, answer := make([]byte, 4<<10), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		for {
			n, err := p.Read(buf)
			if err != nil {
				return
			}
			if bytes.HasSuffix(buf[:n], []byte("hello")) {
				if _, err := p.Write(answer); err != nil {
					return
				}
			}
		}
	})
	h := &relay{payload: []byte("hello")}
	eng, err := New(Epoll, Config{
		Target: at(t, target.Spec{URL: s.url("/"), SendURL: s.url("/send")}), Clients: 1, Handler: h, Clock: NewClock(), Timeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	h.eng = eng
	var before, after runtime.MemStats
	const sends = 10_000
	for _, n := range []int{100, sends} { // the first ones make room
		done := make(chan struct{})
		runtime.ReadMemStats(&before)
		eng.Do(func() {
			h.left, h.done = n, done
			eng.Send(0, 0)
		})
		await(t, done)
		runtime.ReadMemStats(&after)
		if h.why != nil {
			t.Fatal(h.why)
		}
	}
	const most = 200
	if n := after.Mallocs - before.Mallocs; n > most {
		t.Errorf("%d allocations for %d sends, want at most %d", n, sends, most)
	} else {
		t.Logf("%d allocations for %d sends", n, sends)
	}
	if n := s.accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestAlarmsAllocateNothing sets 5,000 alarms, one after the other.
func TestAlarmsAllocateNothing(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		p := idle(t, k)
		const alarms = 5000
		var before, after runtime.MemStats
		for _, n := range []int{10, alarms} { // the first ones open the timer
			left, done := n, make(chan struct{})
			var f func()
			f = func() {
				if left--; left == 0 {
					close(done)
					return
				}
				p.eng.Alarm(p.now()+int64(left%4)*int64(10*time.Microsecond), f)
			}
			runtime.ReadMemStats(&before)
			p.do(func() { p.eng.Alarm(0, f) })
			await(t, done)
			runtime.ReadMemStats(&after)
		}
		const most = 200
		if n := after.Mallocs - before.Mallocs; n > most {
			t.Errorf("%d allocations for %d alarms, want at most %d", n, alarms, most)
		} else {
			t.Logf("%d allocations for %d alarms", n, alarms)
		}
	})
}
