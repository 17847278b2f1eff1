package stream

import "time"

// DefaultRetry is the reconnection time while no server has set one. The specification leaves it
// to the user agent, "probably in the region of a few seconds" (HTML section
// 9.2.2); this is the one that browsers use.
const DefaultRetry = 3 * time.Second

const (
	// leastBackoff stands in for a shorter reconnection time once attempts fail
	// in a row: a server that sets it to 0 and goes away must not be hammered.
	leastBackoff = 100 * time.Millisecond
	// mostBackoff is where the delay stops growing, unless the reconnection time
	// is longer.
	mostBackoff = 30 * time.Second
)

// Reconnection decides when an EventSource connects again, HTML section 9.2.3. It
// is a value without a clock: the caller waits. The zero value is a new
// EventSource. The last event ID is not its business: an [Engine] keeps it for
// the next Subscribe.
type Reconnection struct {
	retry  time.Duration
	set    bool // the server set retry
	opened bool // the last attempt opened
	failed int  // attempts in a row that did not
}

// SetRetry takes the reconnection time that the server set, see [Handler.Retry].
// A negative one counts as 0.
func (r *Reconnection) SetRetry(d time.Duration) { r.retry, r.set = max(0, d), true }

// Opened says that an attempt succeeded.
func (r *Reconnection) Opened() { r.opened, r.failed = true, 0 }

// After is what to do after f, with which a subscription ended or failed to
// open: subscribe again after delay, or, when again is false, never.
//
// The delay is the reconnection time. From the second attempt in a row that did
// not open on it doubles each time, as the specification suggests, up to 30 s.
func (r *Reconnection) After(f *Failure) (delay time.Duration, again bool) {
	if f.Permanent() {
		return 0, false
	}
	delay = DefaultRetry
	if r.set {
		delay = r.retry
	}
	if r.opened || f.Class == Ended {
		r.opened, r.failed = false, 0
		return delay, true
	}
	most := max(delay, mostBackoff)
	for range r.failed {
		if delay > most/2 {
			delay = most
			break
		}
		delay = max(2*delay, leastBackoff)
	}
	r.failed++
	return delay, true
}
