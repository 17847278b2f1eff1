package stream

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sseload/sseload/pkg/target"
)

// TestSlowReaderOfTheDead hears what a server said before it cut the connection,
// at its own pace, and does not look for more all the time. On other systems a reset
// takes away what was not read.
func TestSlowReaderOfTheDead(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		opened := make(chan struct{})
		s := serve(t, func(c *peer) {
			c.request()
			c.say(head)
			c.hold(opened)
			c.say("data: 0\n\n")
			c.reset()
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Slow: only(0), SlowRate: 9})
		p.subscribe(0, "")
		p.expect("opened")
		begun, before := time.Now(), cpuTime(t)
		close(opened)
		p.expect(`message "0"`)
		p.expect("closed: reset")
		took, used := time.Since(begun), cpuTime(t)-before
		if least := 8 * time.Second / 9; took < least {
			t.Errorf("it took %s, want at least %s", took, least)
		}
		if used > took/2 {
			t.Errorf("it used the processor for %s of %s", used, took)
		}
	})
}

// TestReadFreelyEndsPauses at once.
func TestReadFreelyEndsPauses(t *testing.T) {
	checkLeaks(t)
	opened := make(chan struct{})
	s := serve(t, func(c *peer) {
		c.request()
		c.say(head)
		c.hold(opened)
		c.say("data: 0\n\n")
		c.gone()
	})
	p := start(t, Epoll, Config{Target: at(t, target.Spec{URL: s.url("/")}), Slow: only(0), SlowRate: 1})
	e, ok := p.eng.(*epoll)
	if !ok {
		t.Fatalf("engine epoll is a %T", p.eng)
	}
	p.subscribe(0, "")
	p.expect("opened")
	close(opened)
	for begun, was := time.Now(), false; !was; {
		p.do(func() {
			if was = e.conns[0].paused; was {
				e.ReadFreely()
				if e.conns[0].paused || e.pauses.len() != 0 {
					t.Error("it still pauses")
				}
			}
		})
		if time.Since(begun) > patience {
			t.Fatal("it never paused")
		}
	}
	p.expect(`message "0"`)
}

// cpuTime is what this process has used.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
