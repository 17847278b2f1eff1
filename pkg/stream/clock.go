package stream

import "time"

// Clock tells time as nanoseconds since the Unix epoch that never jump: the
// wall clock is read once, when the Clock is made, and the monotonic clock moves
// it on. Sender and receivers of a run share one Clock, so that a latency is a
// difference on one monotonic clock even when the wall clock is set meanwhile.
type Clock struct {
	base time.Time
	wall int64
}

// NewClock starts a Clock.
func NewClock() *Clock {
	now := time.Now()
	return &Clock{base: now, wall: now.UnixNano()}
}

// Now is the time on c, in nanoseconds.
func (c *Clock) Now() int64 { return c.wall + int64(time.Since(c.base)) }

// both is the time on c together with what must be added to a time of the
// system's real-time clock, such as the kernel stamps on received data, to bring
// it onto c.
func (c *Clock) both() (now, fromReal int64) {
	t := time.Now()
	now = c.wall + int64(t.Sub(c.base))
	return now, now - t.UnixNano()
}
