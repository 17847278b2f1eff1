package stream

import (
	"runtime"
	"time"
)

// A thread that has been idle takes some tens of microseconds to wake. So that an
// alarm is not late by that, its engine wakes headStart before, and looks at the
// clock until it is due: for that no more than a share of the time is spent.
const (
	headStart  = 100 * time.Microsecond
	awakeShare = 20 // one part in so many
)

// alarm is the one call that [Engine.Alarm] has asked for last.
type alarm struct {
	at   int64
	wake int64  // when to begin to look at the clock
	f    func() // nil when none is set
}

func newAlarm(at, now int64, f func()) alarm {
	early := min(int64(headStart), (max(at, now)-now)/awakeShare)
	return alarm{at: at, wake: at - early, f: f}
}

// soon reports whether it is time to look at the clock until a is due.
func (a *alarm) soon(now int64) bool { return a.f != nil && now >= a.wake }

// due takes out what is to be called at now; nil when nothing is.
func (a *alarm) due(now int64) func() {
	if a.f == nil || now < a.at {
		return nil
	}
	f := a.f
	a.f = nil
	return f
}

// left is how long it is until a is due soon.
func (a *alarm) left(now int64) time.Duration { return time.Duration(max(a.wake, now) - now) }

// bell tells one goroutine when it is time.
type bell interface {
	// set has wait return true once, after d, and forgets what was set before.
	set(d time.Duration)
	// wait returns false once the bell is closed.
	wait() bool
	// close is the last call but for one of wait.
	close()
}

// softBell is a bell on the runtime's timers, which on some systems are good to a
// millisecond only.
type softBell struct {
	timer *time.Timer
	quit  chan struct{}
}

func newSoftBell() bell {
	b := &softBell{timer: time.NewTimer(time.Hour), quit: make(chan struct{})}
	b.timer.Stop()
	return b
}

func (b *softBell) set(d time.Duration) { b.timer.Reset(d) }

func (b *softBell) wait() bool {
	select {
	case <-b.timer.C:
		return true
	case <-b.quit:
		return false
	}
}

func (b *softBell) close() {
	b.timer.Stop()
	close(b.quit)
}

// Alarm implements [Engine].
func (s *shard) Alarm(at int64, f func()) {
	now := s.cfg.Clock.Now()
	s.alarm = newAlarm(at, now, f)
	if s.bell == nil {
		s.bell = newBell()
		s.work.Go(func() {
			for s.bell.wait() {
				s.ring()
			}
		})
	}
	s.bell.set(s.alarm.left(now))
}

// ring calls what is due, or will be soon. The bell may be early: it was set anew while it rang, or
// is on another clock.
func (s *shard) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && s.alarm.f != nil {
		now := s.cfg.Clock.Now()
		if f := s.alarm.due(now); f != nil {
			f()
			return
		}
		if !s.alarm.soon(now) {
			s.bell.set(s.alarm.left(now))
			return
		}
		s.mu.Unlock()
		runtime.Gosched()
		s.mu.Lock()
	}
}
