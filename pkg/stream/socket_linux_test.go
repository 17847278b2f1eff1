package stream

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sseload/sseload/pkg/target"
)

// fullListener is the address of a socket that listens and whose backlog is full:
// who connects to it waits.
func fullListener(t *testing.T) netip.AddrPort {
	t.Helper()
	socket := func() int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
	ln := socket()
	if err := unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(ln, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(ln)
	if err != nil {
		t.Fatal(err)
	}
	in4, ok := name.(*unix.SockaddrInet4)
	if !ok {
		t.Fatalf("bound to %+v", name)
	}
	for range 8 { // two would be enough
		if err := unix.Connect(socket(), name); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
	}
	return netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port))
}

// TestSendBeginsWhenConnected: what it takes to connect is no part of a send,
// also when it is in vain.
func TestSendBeginsWhenConnected(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		const timeout = 200 * time.Millisecond
		addr := fullListener(t)
		url := fmt.Sprintf("http://%s/", addr)
		p := start(t, k, Config{Target: at(t, target.Spec{URL: url, SendURL: url}), Timeout: timeout, SendConnections: 2})
		begun := time.Now()
		p.do(func() {
			p.eng.Send(1, 0)
			p.eng.Send(2, 0)
		})
		p.do(func() {
			if len(p.asked) != 0 {
				t.Error("Message was called without a connection")
			}
		})
		for range 2 {
			f := p.expect("sent: timed out")
			if !strings.Contains(f.failure.Error(), "no connection for the send within 200ms") {
				t.Errorf("%q does not say what was missing", f.failure)
			}
			if took := time.Since(begun); took < timeout || f.elapsed > timeout/2 {
				t.Errorf("failed after %s, %s of which are the send's; want not before %s, and next to nothing", took, f.elapsed, timeout)
			}
		}
		p.quiet()
	})
}

func TestZones(t *testing.T) {
	ifs, err := net.Interfaces()
	if err != nil || len(ifs) == 0 {
		t.Fatalf("no interfaces: %v", err)
	}
	for text, want := range map[string]uint32{
		"[fe80::1]:80": 0, "[fe80::1%" + ifs[0].Name + "]:80": uint32(ifs[0].Index), "[fe80::1%4711]:80": 4711,
	} {
		sa, err := sockaddr(netip.MustParseAddrPort(text))
		if err != nil {
			t.Fatal(err)
		}
		in6, ok := sa.(*unix.SockaddrInet6)
		if !ok || in6.ZoneId != want || in6.Port != 80 {
			t.Errorf("%s is %+v, want zone %d", text, sa, want)
		}
	}
	if _, err := sockaddr(netip.MustParseAddrPort("[fe80::1%no/such]:80")); err == nil || !strings.Contains(err.Error(), "no/such") {
		t.Errorf("%v does not name the zone", err)
	}
}

func TestPatience(t *testing.T) {
	e := &epoll{cfg: Config{Clock: NewClock(), Timeout: math.MaxInt64}}
	if got := e.patience(); got != -1 {
		t.Errorf("%d with nothing to wait for, want -1", got)
	}
	never := func(deadline) bool { return false }
	e.opening.add(deadline{at: e.cfg.deadline(e.cfg.Clock.Now())}, never)
	if got := e.patience(); got != math.MaxInt32 {
		t.Errorf("%d to the end of time, want the most that the kernel takes", got)
	}
	e.pauses.add(deadline{at: e.cfg.Clock.Now() + int64(time.Hour)}, never)
	if got, most := e.patience(), int(time.Hour/time.Millisecond); got > most || got < most/2 {
		t.Errorf("%d with an hour of a slow reader's pause, want at most %d", got, most)
	}
	e.alarm = alarm{at: e.cfg.Clock.Now() + int64(time.Minute), f: func() {}} // with no timer
	if got, most := e.patience(), int(time.Minute/time.Millisecond); got > most || got < most/2 {
		t.Errorf("%d with a minute to the alarm, want at most %d", got, most)
	}
	e.alarm.at = math.MinInt64
	if got := e.patience(); got != 1 {
		t.Errorf("%d for an alarm that is overdue, want 1", got)
	}
	e.alarm = alarm{}
	e.sends.deadlines.add(deadline{at: e.cfg.Clock.Now() - 1}, never)
	if got := e.patience(); got != 1 {
		t.Errorf("%d for what is overdue, want 1", got)
	}
}
