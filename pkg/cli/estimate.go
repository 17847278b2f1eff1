package cli

import (
	"time"

	"github.com/sseload/sseload/scenarios"
)

// pace is how fast a target was: clients that had an outcome, and copies, per second. 0
// is not known.
type pace struct{ clients, copies float64 }

// A share of what is to be done must be done before it says how long the rest takes, or
// so much time have passed.
const (
	tellingShare = 0.05
	tellingTime  = 2 * time.Second
)

// standing is where a run stands, and how far its phase has come.
type standing struct {
	scenarios.Progress
	of scenarios.Extent
}

// done is the share in [0,1] of the phase that is over; ok is false when how long the
// phase is cannot be known.
func (s standing) done() (share float64, ok bool) {
	inTime := func(lasts time.Duration) float64 {
		if lasts <= 0 {
			return 0
		}
		return min(1, s.PhaseElapsed.Seconds()/lasts.Seconds())
	}
	switch {
	case s.Phase == "connect" && s.Clients > 0:
		return min(1, float64(s.tried())/float64(s.Clients)), true
	case s.Phase == "send" && s.of.Copies > 0:
		// Copies that are lost will never come: the iterations say how far it is.
		share := min(1, float64(s.Live.Received)/float64(s.of.Copies))
		if s.Iterations > 0 {
			share = max(share, float64(s.Iteration-1)/float64(s.Iterations))
		}
		return max(share, inTime(s.of.Most)), true
	case s.PhaseLasts > 0:
		return inTime(s.PhaseLasts), true
	}
	return 0, false
}

// tried are the clients whose attempt to connect has an outcome.
func (s standing) tried() int64 { return s.Live.Opened + s.Live.Failed }

// telling reports whether so much is done that it says how long the rest takes.
func (s standing) telling(share float64) bool {
	return share > 0 && (share >= tellingShare || s.PhaseElapsed >= tellingTime)
}

// seen is p with what the phase under way says of it.
func (p pace) seen(s standing) pace {
	if before := s.Elapsed - s.PhaseElapsed; p.clients == 0 && s.Phase != "connect" && s.Phase != "" && before > 0 {
		p.clients = float64(s.tried()) / before.Seconds() // the phase was too short to be seen
	}
	share, ok := s.done()
	if !ok || !s.telling(share) {
		return p
	}
	switch {
	case s.Phase == "connect":
		p.clients = float64(s.tried()) / s.PhaseElapsed.Seconds()
	case s.Phase == "send" && s.of.Copies > 0:
		// Pauses between iterations say nothing of the target.
		if busy := s.PhaseElapsed.Seconds() - share*s.of.Lasts.Seconds(); busy > 0 {
			p.copies = share * float64(s.of.Copies) / busy
		}
	}
	return p
}

// connecting is how long it takes to connect n of e's clients at the pace p.
func (p pace) connecting(e scenarios.Extent, n int64) (time.Duration, bool) {
	if n == 0 || e.Clients == 0 {
		return 0, true
	}
	least := time.Duration(float64(e.Connecting) * float64(n) / float64(e.Clients))
	if p.clients == 0 {
		return least, least > 0
	}
	return max(least, inSeconds(float64(n)/p.clients)), true
}

// main is how long all of e but the connecting takes at the pace p.
func (p pace) main(e scenarios.Extent) (time.Duration, bool) {
	if e.Copies == 0 {
		return e.Lasts, true
	}
	if p.copies == 0 {
		return e.Most, e.Most > 0
	}
	d := e.Lasts + inSeconds(float64(e.Copies)/p.copies)
	if e.Most > 0 {
		d = min(d, e.Most)
	}
	return d, true
}

// whole is how long a run of e takes at the pace p.
func (p pace) whole(e scenarios.Extent) (time.Duration, bool) {
	connecting, ok := p.connecting(e, int64(e.Clients))
	main, known := p.main(e)
	return connecting + main, ok && known
}

// left is how long the run goes on at the pace p. ok is false while that is not known.
func (p pace) left(s standing) (left time.Duration, ok bool) {
	share, known := s.done()
	switch {
	case s.Phase == "connect":
		if !known || !s.telling(share) {
			return p.whole(s.of)
		}
		connecting, _ := p.connecting(s.of, max(0, int64(s.Clients)-s.tried()))
		main, ok := p.main(s.of)
		return connecting + main, ok
	case s.Phase == "drain":
		return 0, true
	case !known:
		return 0, false
	case s.Phase == "send" && s.of.Copies > 0:
		if !s.telling(share) {
			d, ok := p.main(s.of)
			return max(0, d-s.PhaseElapsed), ok
		}
		left = inSeconds(s.PhaseElapsed.Seconds() * (1 - share) / share)
		if s.of.Most > 0 {
			left = min(left, max(0, s.of.Most-s.PhaseElapsed))
		}
		return left, true
	}
	return max(0, s.PhaseLasts-s.PhaseElapsed), true
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// countdown is an estimate that one can look at: it runs with the clock, and is put
// right only when it is off by more than a little.
type countdown struct {
	end   time.Time
	known bool
}

// A countdown is put right when it is off by more than this, and this share of itself.
const (
	calmTime  = 2 * time.Second
	calmShare = 0.2
)

// correct has it end after left from now on, if it is known.
func (c *countdown) correct(now time.Time, left time.Duration, known bool) {
	shown := c.left(now)
	off := max(shown-left, left-shown)
	switch {
	case !known: // the phase does not say, but what was known still holds
	case !c.known, off > max(calmTime, time.Duration(calmShare*float64(left))), shown == 0 && left >= time.Second:
		c.end, c.known = now.Add(left), true
	}
}

func (c *countdown) left(now time.Time) time.Duration { return max(0, c.end.Sub(now)) }

// String is the time left, empty before it is known.
func (c *countdown) text(now time.Time) string {
	if !c.known {
		return ""
	}
	return roughly(c.left(now)) + " left"
}

// roughly writes a time as precisely as it can be known: up, so that it never says that
// nothing is left.
func roughly(d time.Duration) string {
	step := time.Second
	switch {
	case d > time.Hour:
		step = 5 * time.Minute
	case d > 10*time.Minute:
		step = time.Minute
	case d > 2*time.Minute:
		step = 10 * time.Second
	}
	return shortly(max(time.Second, (d+step-1)/step*step))
}
