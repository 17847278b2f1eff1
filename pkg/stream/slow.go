package stream

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// slowBuffer is the receive buffer that a slow reader asks for, in bytes. Linux
// takes twice as much, socket(7).
const slowBuffer = 4 << 10

// pace is how fast a slow reader reads, in bytes a second, see [Config.Slow].
type pace int

func (c *Config) pace() pace { return pace(max(1, c.SlowRate)) }

// slow tells whether subscription id reads slowly.
func (c *Config) slow(id int) bool { return c.Slow != nil && c.Slow(id) }

// most is how many bytes to read at once. Ten such reads make a second: small
// steps, so that the reader is slow all the time rather than absent most of it.
func (p pace) most() int { return max(1, int(p)/10) }

// pause is how long to read nothing after n bytes.
func (p pace) pause(n int) time.Duration { return time.Duration(n) * time.Second / time.Duration(p) }

// throttle holds the slow readers of a shard back.
type throttle struct {
	pace pace
	free chan struct{} // closed: nobody is held back any more
}

func newThrottle(p pace) *throttle { return &throttle{pace: p, free: make(chan struct{})} }

// release belongs to the engine's context.
func (t *throttle) release() {
	if !t.released() {
		close(t.free)
	}
}

func (t *throttle) released() bool {
	select {
	case <-t.free:
		return true
	default:
		return false
	}
}

// slowConn is a connection that is read slowly from hold on. A Read that waits
// for its turn ends early where one that waits for data would.
type slowConn struct {
	net.Conn
	throttle *throttle
	held     atomic.Bool

	mu       sync.Mutex
	next     time.Time // when the next read is allowed
	deadline time.Time // for reads; zero for none
	closed   bool
	changed  chan struct{} // the deadline or closed has
}

func (t *throttle) conn(nc net.Conn) *slowConn {
	return &slowConn{Conn: nc, throttle: t, changed: make(chan struct{}, 1)}
}

// hold has c read slowly from now on.
func (c *slowConn) hold() { c.held.Store(true) }

// Read implements [net.Conn].
func (c *slowConn) Read(p []byte) (int, error) {
	if !c.held.Load() || c.throttle.released() {
		return c.Conn.Read(p)
	}
	if err := c.wait(); err != nil {
		return 0, err
	}
	pace := c.throttle.pace
	if !c.throttle.released() {
		p = p[:min(len(p), pace.most())]
	}
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = time.Now().Add(pace.pause(n))
	return n, err
}

// wait ends when it is time to read, or to learn from reading that c is closed.
func (c *slowConn) wait() error {
	for !c.throttle.released() {
		left, err := c.left()
		if err != nil || left <= 0 {
			return err
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-c.changed:
		case <-c.throttle.free:
		}
		timer.Stop()
	}
	return nil
}

// left is how long there is to wait as things are. The error is that of a deadline
// which comes first: what would be read then is not to be had yet.
func (c *slowConn) left() (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, nil
	case c.deadline.IsZero() || c.next.Before(c.deadline):
		return time.Until(c.next), nil
	}
	left := time.Until(c.deadline)
	if left <= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return left, nil
}

// change makes f take effect on a Read that waits.
func (c *slowConn) change(f func()) {
	c.mu.Lock()
	f()
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default: // it will look anyway
	}
}

// SetDeadline implements [net.Conn].
func (c *slowConn) SetDeadline(t time.Time) error {
	err := c.Conn.SetDeadline(t)
	c.change(func() { c.deadline = t })
	return err
}

// SetReadDeadline implements [net.Conn].
func (c *slowConn) SetReadDeadline(t time.Time) error {
	err := c.Conn.SetReadDeadline(t)
	c.change(func() { c.deadline = t })
	return err
}

// Close implements [net.Conn].
func (c *slowConn) Close() error {
	err := c.Conn.Close()
	c.change(func() { c.closed = true })
	return err
}
