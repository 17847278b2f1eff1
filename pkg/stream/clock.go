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

// stamp is for bytes that were read now and that the kernel says it received at
// real, a time of the system's real-time clock; 0 when it does not say.
func (c *Clock) stamp(real int64) Stamp {
	t := time.Now()
	s := Stamp{Read: c.wall + int64(t.Sub(c.base))}
	if real != 0 {
		s.Kernel = real + s.Read - t.UnixNano()
	}
	return s
}
