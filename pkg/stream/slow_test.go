package stream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sseload/sseload/pkg/target"
)

// kib is an event that takes 1 KiB on the wire.
const kib = 1 << 10

func kibEvent() string { return "data: " + strings.Repeat("x", kib-len("data: \n\n")) + "\n\n" }

// only makes the client of one number slow.
func only(id int) func(int) bool { return func(i int) bool { return i == id } }

// eventsOf waits until subscription id has had n events, and counts those of the
// others meanwhile.
func (p *probe) eventsOf(id, n int) (others int, last fact) {
	p.t.Helper()
	for n > 0 {
		f := p.next()
		switch {
		case !strings.HasPrefix(f.text, "message "):
			p.t.Fatalf("%q happened to %d (%v), want events alone", f.text, f.id, f.failure)
		case f.id == id:
			n--
			last = f
		default:
			others++
		}
	}
	return others, last
}

// securely runs f with plain connections on every engine and with TLS on those
// that have it.
func securely(t *testing.T, f func(t *testing.T, k Kind, cfg *tls.Config, spec target.Spec)) {
	t.Helper()
	t.Run("plain", func(t *testing.T) {
		everyEngine(t, func(t *testing.T, k Kind) { f(t, k, nil, target.Spec{}) })
	})
	t.Run("TLS", func(t *testing.T) {
		cfg, trust := certificate(t, "127.0.0.1")
		theseEngines(t, []Kind{Conn, NetHTTP, R3Labs}, func(t *testing.T, k Kind) { f(t, k, cfg, target.Spec{RootCAs: trust}) })
	})
}

// TestSlowReader is as slow as it was told to be, also after a redirect and when
// it connects again, and hears all of it before the end.
func TestSlowReader(t *testing.T) {
	securely(t, func(t *testing.T, k Kind, cfg *tls.Config, spec target.Spec) {
		const size, rate = 64, 256 * kib
		opened := make(chan struct{}, 1)
		s := serveTLS(t, cfg, func(c *peer) {
			switch r := c.request(); {
			case r == nil:
			case r.URL.Path == "/":
				c.say("HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n")
			default:
				c.say(stream(kibEvent())) // comes along with the head
				c.hold(opened)
				for range size {
					c.say(kibEvent())
				}
			}
		})
		spec.URL = s.url("/")
		p := start(t, k, Config{Target: at(t, spec), Slow: only(0), SlowRate: rate})
		for range 2 {
			p.subscribe(0, "")
			p.expect("opened")
			p.eventsOf(0, 1)
			begun := p.now()
			opened <- struct{}{}
			_, last := p.eventsOf(0, size)
			p.expect("closed: ended")
			if last.at.Kernel != 0 || last.at.Read == 0 {
				t.Errorf("stamps %+v: the kernel's is not wanted of a slow reader", last.at)
			}
			// What is read last is not waited for.
			least := time.Duration(size*kib-rate/10) * time.Second / rate
			if took := time.Duration(last.at.Read - begun); took < least {
				t.Errorf("read %d KiB in %s, want at least %s", size, took, least)
			}
		}
		p.quiet()
	})
}

// TestSlowReaderBesideFast does not hold the others of its engine up.
func TestSlowReaderBesideFast(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		const size, fast = 64, 1
		start0 := make(chan struct{})
		s := serve(t, func(c *peer) {
			c.request()
			c.say(head)
			c.hold(start0)
			for range size {
				c.say(kibEvent())
			}
			c.gone()
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Clients: 2, Slow: only(0), SlowRate: 16 * kib})
		for id := range 2 {
			p.subscribe(id, "")
			p.expect("opened")
		}
		close(start0)
		slow, _ := p.eventsOf(fast, size)
		if slow >= size/2 {
			t.Errorf("the slow one had %d events before the fast one had %d", slow, size)
		}
		p.do(p.eng.ReadFreely)
		p.eventsOf(0, size-slow)
		p.quiet()
	})
}

// writeBackedUp writes n events and says on stuck when the peer takes no more for
// a while, which must happen. It returns false when the peer has gone.
func writeBackedUp(t *testing.T, c *peer, n int, stuck chan<- int) bool {
	left := []byte(strings.Repeat(kibEvent(), n))
	told := false
	for len(left) > 0 {
		deadline := time.Time{}
		if !told {
			deadline = time.Now().Add(300 * time.Millisecond)
		}
		_ = c.SetWriteDeadline(deadline)
		wrote, err := c.Write(left[:min(len(left), 16*kib)])
		left = left[wrote:]
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && !told:
			told = true
			stuck <- n*kib - len(left)
		case err != nil:
			return false
		}
	}
	if !told {
		t.Errorf("%d KiB were never held up", n)
		stuck <- n * kib
	}
	return true
}

// TestSlowReaderHoldsUpServer until it reads freely.
func TestSlowReaderHoldsUpServer(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		const size = 4 << 10
		opened, stuck, written := make(chan struct{}), make(chan int, 1), make(chan bool, 1)
		s := serve(t, func(c *peer) {
			if tcp, ok := c.Conn.(*net.TCPConn); !ok || tcp.SetWriteBuffer(16<<10) != nil {
				t.Error("the server cannot have a small buffer")
			}
			c.request()
			c.say(head)
			c.hold(opened)
			written <- writeBackedUp(t, c, size, stuck)
			c.gone()
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Slow: only(0), SlowRate: 8 * kib})
		p.subscribe(0, "")
		p.expect("opened")
		close(opened)
		taken := await(t, stuck)
		if runtime.GOOS == "linux" && taken > 128*kib {
			t.Errorf("the server wrote %d KiB before it was held up: the receive buffer is not small", taken/kib)
		}
		select {
		case <-written:
			t.Error("the server has written everything")
		default:
		}
		p.do(p.eng.ReadFreely)
		if !await(t, written) {
			t.Error("the server could not write everything")
		}
		p.eventsOf(0, size)
		p.quiet()
	})
}

// TestReadFreelyBefore: who opens later is not slow either.
func TestReadFreelyBefore(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		const size = 256
		s := serve(t, func(c *peer) {
			c.request()
			c.say(head)
			for range size {
				c.say(kibEvent())
			}
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Slow: only(0), SlowRate: kib})
		p.do(p.eng.ReadFreely)
		p.do(p.eng.ReadFreely)
		p.subscribe(0, "")
		p.expect("opened")
		p.eventsOf(0, size)
		p.expect("closed: ended")
	})
}

// TestSlowReaderGivesUp while it waits for its turn, and is as good as new.
func TestSlowReaderGivesUp(t *testing.T) {
	securely(t, func(t *testing.T, k Kind, cfg *tls.Config, spec target.Spec) {
		opened, gone := make(chan struct{}, 9), make(chan struct{}, 9)
		s := serveTLS(t, cfg, func(c *peer) {
			c.request()
			c.say(head)
			c.hold(opened)
			for c.say("data: 0\n\n") {
				continue
			}
			gone <- struct{}{}
		})
		spec.URL = s.url("/")
		// One event a read, and then a tenth of a second of nothing.
		rate := 10 * len("data: 0\n\n")
		p := start(t, k, Config{Target: at(t, spec), Clients: 2, Slow: func(int) bool { return true }, SlowRate: rate})
		for range 2 {
			p.subscribe(0, "")
			p.expect("opened")
			opened <- struct{}{}
			p.expect(`message "0"`)
			p.do(func() { p.eng.Unsubscribe(0) })
			for len(p.facts) > 0 { // it may have been quicker
				p.expect(`message "0"`)
			}
			await(t, gone)
			p.quiet()
		}
		for id := range 2 { // one that waits for its turn, and one for data
			p.subscribe(id, "")
			p.expect("opened")
		}
		opened <- struct{}{}
		p.expect(`message "0"`)
		p.eng.Close()
	})
}

// TestSlowReaderUnsubscribesWithin the Handler call in which it has had its share.
func TestSlowReaderUnsubscribesWithin(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		const times = 5
		s := serve(t, func(c *peer) {
			c.request()
			c.say(head)
			for c.say("data: 0\n\n") {
				continue
			}
		})
		p := &probe{t: t, facts: make(chan fact, 1000)}
		left := times
		p.on = func(f fact) {
			if f.text != `message "0"` {
				return
			}
			p.eng.Unsubscribe(0)
			if left--; left > 0 {
				p.eng.Subscribe(0, nil)
			}
		}
		startWith(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Slow: only(0), SlowRate: 20}, p)
		p.subscribe(0, "")
		for range times {
			p.expect("opened")
			p.expect(`message "0"`)
		}
		p.quiet()
	})
}

// TestSlowConn: a Read that waits for its turn ends as one that waits for data
// would, and at once.
func TestSlowConn(t *testing.T) {
	const soon = 10 * time.Second
	for name, c := range map[string]struct {
		end   func(*slowConn) error
		after time.Duration
		want  error
	}{
		"deadline":      {func(c *slowConn) error { return c.SetDeadline(time.Now().Add(soon)) }, soon, os.ErrDeadlineExceeded},
		"read deadline": {func(c *slowConn) error { return c.SetReadDeadline(longAgo) }, 0, os.ErrDeadlineExceeded},
		"close":         {func(c *slowConn) error { return c.Close() }, 0, io.ErrClosedPipe},
		"release":       {func(c *slowConn) error { c.throttle.release(); return nil }, 0, nil},
		"its turn":      {func(*slowConn) error { return nil }, time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				defer near.Close()
				go func() { _, _ = far.Write([]byte("abc")) }()
				slow := newThrottle(1).conn(near)
				slow.hold()
				p := make([]byte, 9)
				if n, err := slow.Read(p); n != 1 || err != nil {
					t.Fatalf("read %d bytes, %v; want 1", n, err)
				}
				slow.mu.Lock()
				slow.next = time.Now().Add(time.Hour)
				slow.mu.Unlock()
				if err := slow.SetReadDeadline(time.Now().Add(2 * time.Hour)); err != nil { // is no reason to end
					t.Fatal(err)
				}
				begun, read := time.Now(), make(chan error)
				go func() {
					_, err := slow.Read(p)
					read <- err
				}()
				synctest.Wait()
				if err := c.end(slow); err != nil {
					t.Fatal(err)
				}
				if err := <-read; !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				if took := time.Since(begun); took != c.after {
					t.Errorf("waited %s, want %s", took, c.after)
				}
			})
		})
	}
}

func TestPace(t *testing.T) {
	for _, c := range []struct {
		rate, most, n int
		pause         time.Duration
	}{
		{0, 1, 1, time.Second}, {1, 1, 1, time.Second}, {9, 1, 1, time.Second / 9}, {1000, 100, 100, 100 * time.Millisecond},
		{1 << 30, 1 << 30 / 10, 64 << 10, 61035 * time.Nanosecond}, {100, 10, 3, 30 * time.Millisecond},
	} {
		cfg := Config{SlowRate: c.rate}
		if got := cfg.pace().most(); got != c.most {
			t.Errorf("%d a second: reads %d at once, want %d", c.rate, got, c.most)
		}
		if got := cfg.pace().pause(c.n); got != c.pause {
			t.Errorf("%d a second: rests %s after %d, want %s", c.rate, got, c.n, c.pause)
		}
	}
	if got := fmt.Sprint((&Config{}).slow(0), (&Config{Slow: only(1)}).slow(0), (&Config{Slow: only(1)}).slow(1)); got != "false false true" {
		t.Errorf("slow: %s", got)
	}
}
