package stream

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sseload/sseload/pkg/target"
)

// crowded listens at a Unix socket whose queue is full: who connects hears EAGAIN
// until somebody accepts.
func crowded(t *testing.T) (ln net.Listener, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	socket := func() int {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	name := &unix.SockaddrUnix{Name: path}
	f := os.NewFile(uintptr(socket()), path)
	t.Cleanup(func() { _ = f.Close() })
	if err := unix.Bind(int(f.Fd()), name); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(int(f.Fd()), 1); err != nil {
		t.Fatal(err)
	}
	for full := false; !full; {
		fd := socket()
		t.Cleanup(func() { _ = unix.Close(fd) })
		switch err := unix.Connect(fd, name); {
		case errors.Is(err, unix.EAGAIN):
			full = true
		case err != nil:
			t.Fatal(err)
		}
	}
	ln, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln, path
}

// TestCrowdedUnixSocket: a place in the queue comes free.
func TestCrowdedUnixSocket(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		const clients, sends = 40, 10
		ln, path := crowded(t)
		tg := at(t, target.Spec{URL: "http://sse.test/", SendURL: "http://sse.test/send", Unix: path})
		p := start(t, k, Config{Target: tg, Clients: clients, SendConnections: sends})
		p.do(func() {
			for id := range clients {
				p.eng.Subscribe(id, nil)
			}
			for tag := range Tag(sends) {
				p.eng.Send(tag, 0)
			}
		})
		p.quiet()
		serveOn(t, ln, nil, tell)
		texts := map[string]int{}
		for range 3*clients + sends {
			f := p.next()
			texts[f.text]++
			if f.text == "opened" {
				checkTiming(t, f.timing)
			}
		}
		if texts["opened"] != clients || texts["closed: ended"] != clients || texts["sent"] != sends {
			t.Errorf("%v, want %d clients opened and %d sends", texts, clients, sends)
		}
	})
}

// TestCrowdedUnixSocketTimesOut: nobody ever accepts.
func TestCrowdedUnixSocketTimesOut(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		const timeout = 150 * time.Millisecond
		_, path := crowded(t)
		tg := at(t, target.Spec{URL: "http://sse.test/", SendURL: "http://sse.test/send", Unix: path})
		p := start(t, k, Config{Target: tg, Clients: 3, SendConnections: 2, Timeout: timeout})
		begun := time.Now()
		p.do(func() {
			for id := range 3 {
				p.eng.Subscribe(id, nil)
			}
			p.eng.Unsubscribe(1)
			p.eng.Send(1, 0)
		})
		texts := map[string]int{}
		for range 3 {
			f := p.next()
			texts[f.text]++
			if !strings.Contains(f.failure.Error(), "no connection") {
				t.Errorf("%q does not say what was missing", f.failure)
			}
		}
		if texts["closed: timed out"] != 2 || texts["sent: timed out"] != 1 {
			t.Errorf("%v, want two clients and a send timed out", texts)
		}
		if took := time.Since(begun); took < timeout {
			t.Errorf("gave up after %s, want not before %s", took, timeout)
		}
		p.quiet()
	})
}

// TestCrowdedUnixSocketIsNotAsked: waiting for a place is no spin.
func TestCrowdedUnixSocketIsNotAsked(t *testing.T) {
	e := &epoll{cfg: Config{Clock: NewClock()}}
	e.full.e = e
	e.full.push(unplaced{})
	e.full.at = e.cfg.Clock.Now() + int64(time.Hour)
	if got, most := e.patience(), int(time.Hour/time.Millisecond); got > most || got < most/2 {
		t.Errorf("the loop waits %d ms for the next try in an hour, want at most %d", got, most)
	}
	e.full.retry()
	if e.full.len() != 1 {
		t.Error("it was tried before its time")
	}
}
