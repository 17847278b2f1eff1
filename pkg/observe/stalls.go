package observe

import (
	"sync"
	"time"
)

// The generator is asked for a sign of life every pulseInterval. One that comes
// more than pulseSlack late is a stall: a timer of a process that has cores to
// run on is late by a fraction of that. Each costs some 100 µs of CPU, most of it
// the waking of a thread: at 50 a second half a percent of a core.
const (
	pulseInterval = 20 * time.Millisecond
	pulseSlack    = 5 * time.Millisecond
)

// Stalls is when nothing of the generator ran in a phase, whatever the reason:
// it was stopped by a signal, its control group had used up its share of the
// cores, the machine below a virtual one was busy, all its threads waited for a
// core, or its own goroutines kept each other from running. A stall shorter than
// 5 ms is not seen. Like [Sample] it converts to its counterpart in the record.
//
// What is measured is how late a goroutine wakes that has nothing to do but wake
// every 20 ms. A pause of the generator that begins between two wake-ups is
// therefore counted too short, by 20 ms at most, and never too long. The border
// of phases is a wake-up too: what was lost before it belongs to the phase
// before, so that no phase loses more than it lasted.
type Stalls struct {
	Count   int64
	TotalNS int64
	MaxNS   int64
}

// add takes in the time between two wake-ups.
func (s *Stalls) add(gap time.Duration) {
	late := gap - pulseInterval
	if late <= pulseSlack {
		return
	}
	s.Count++
	s.TotalNS += int64(late)
	s.MaxNS = max(s.MaxNS, int64(late))
}

// within bounds what a phase has lost by what it lasted. Its border is set a
// little before the pulse hears of it, and a stall may fall between the two.
func (s Stalls) within(elapsed time.Duration) Stalls {
	s.TotalNS = min(s.TotalNS, int64(elapsed))
	s.MaxNS = min(s.MaxNS, int64(elapsed))
	return s
}

// pulse collects stalls.
type pulse struct {
	mu   sync.Mutex
	last time.Time // the latest wake-up; zero before the first
	lost Stalls    // since the last border
}

// beat is one wake-up. One that comes with an earlier time than another, which
// the border of a phase may, says nothing new.
func (p *pulse) beat(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beatLocked(at)
}

func (p *pulse) beatLocked(at time.Time) {
	if p.last.IsZero() {
		p.last = at
	}
	if gap := at.Sub(p.last); gap > 0 {
		p.lost.add(gap)
		p.last = at
	}
}

// lap is the wake-up at a border; it gives what was lost since the border before.
func (p *pulse) lap(at time.Time) Stalls {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beatLocked(at)
	lost := p.lost
	p.lost = Stalls{}
	return lost
}

// run beats until stop is closed. Each wait begins when the one before ended: a
// ticker would be back in step after a stall and hide a part of it.
func (p *pulse) run(stop <-chan struct{}) {
	timer := time.NewTimer(pulseInterval)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		p.beat(time.Now()) // not the time that came, which is when the timer was seen to
		timer.Reset(pulseInterval)
	}
}
