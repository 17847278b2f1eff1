//go:build unix

package observe

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// freeze stops a subject by a signal for at least d, and gives for how long it
// certainly did nothing. Meanwhile runs while it is stopped.
func (s *subject) freeze(t *testing.T, d time.Duration, meanwhile func()) time.Duration {
	t.Helper()
	pid := s.cmd.Process.Pid
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("not stopped: %v, %v", status, err)
	}
	begin := time.Now()
	meanwhile()
	<-time.After(d) // the stall itself
	stopped := time.Since(begin)
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	return stopped
}

// stalls asks for those of a phase.
func (s *subject) stalls(t *testing.T, phase string) (got Stalls, elapsed int64) {
	t.Helper()
	answer := s.tell("stalls " + phase)
	if _, err := fmt.Sscan(answer, &got.Count, &got.TotalNS, &got.MaxNS, &elapsed); err != nil {
		t.Fatalf("%q: %v", answer, err)
	}
	if got.Count < 0 || got.MaxNS < 0 || got.MaxNS > got.TotalNS || got.TotalNS > elapsed {
		t.Errorf("phase %s: %+v in %d ns", phase, got, elapsed)
	}
	return got, elapsed
}

func TestWatcherSeesThatItWasStopped(t *testing.T) {
	s := start(t)
	s.tell("phase stopped")
	var all, longest time.Duration
	for range 3 {
		d := s.freeze(t, 200*time.Millisecond, func() {})
		all, longest = all+d, max(longest, d)
		s.tell("open 0") // it runs again
	}
	got, elapsed := s.stalls(t, "stopped")
	if got.Count < 1 || got.TotalNS < int64(all)*9/10 || got.MaxNS < int64(longest)*9/10 {
		t.Errorf("%+v in %d ns, it was stopped for %v in all, %v at most", got, elapsed, all, longest)
	}
}

// A phase that ends as soon as the generator runs again has lost what it was
// stopped for, whoever comes first: the pulse or the border.
func TestStallAtABorder(t *testing.T) {
	s := start(t)
	s.tell("phase before")
	stopped := s.freeze(t, 200*time.Millisecond, func() {
		if _, err := fmt.Fprintln(s.in, "phase after"); err != nil {
			t.Error(err)
		}
	})
	if !s.out.Scan() {
		t.Fatal(s.out.Err())
	}
	if got, elapsed := s.stalls(t, "before"); got.Count < 1 || got.TotalNS < int64(stopped)*9/10 {
		t.Errorf("%+v in %d ns, it was stopped for %v", got, elapsed, stopped)
	}
	s.stalls(t, "after")
}
