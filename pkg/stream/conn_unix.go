//go:build unix

package stream

import (
	"fmt"
	"net"
	"syscall"
)

// reading is a plain connection that is being read, by one goroutine after the
// other: what decodes and handles events needs a stack that, once grown, the
// runtime would not shrink to its first size again. So whoever has read something
// leaves the waiting for more to a new goroutine, which costs less than the
// memory does. Everything that it takes is here, so that it allocates nothing.
type reading struct {
	c    *conn
	a    *attempt
	tcp  net.Conn
	raw  syscall.RawConn
	next func()             // r.run
	take func(uintptr) bool // r.ready
	got  bool               // something was read on this stack
	end  error
}

// readPlain starts to read tcp into the shard's buffer, whenever there is
// something.
func (c *conn) readPlain(a *attempt, tcp net.Conn) {
	sc, ok := tcp.(syscall.Conn)
	if !ok {
		c.end(a, tcp, fmt.Errorf("read from %s: not a socket", tcp.RemoteAddr()))
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		c.end(a, tcp, fmt.Errorf("read from %s: %w", tcp.RemoteAddr(), err))
		return
	}
	r := &reading{c: c, a: a, tcp: tcp, raw: raw}
	r.next, r.take = r.run, r.ready
	c.work.Add(1) // until the last goroutine ends
	go r.next()
}

func (r *reading) run() {
	r.got = false
	err := r.raw.Read(r.take)
	if err == nil && r.end == nil {
		go r.next()
		return
	}
	if r.end == nil {
		r.end = fmt.Errorf("read from %s: %w", r.tcp.RemoteAddr(), err)
	}
	r.c.end(r.a, r.tcp, r.end)
	r.c.work.Done()
}

// ready reads what has arrived at fd. It returns false to wait for more: only
// after a read that found nothing, as the runtime hears of data once, and of an
// end that came with it not at all.
func (r *reading) ready(fd uintptr) bool {
	for {
		n, err := r.c.readOnce(r.a, r.tcp, int(fd))
		switch {
		case err != nil:
			r.end = err
			return true
		case n == 0:
			return r.got
		}
		r.got = true
		if n < connBuffer {
			return true
		}
	}
}

// readOnce reads what has arrived, as far as it fits into the buffer. n is 0
// when there was nothing.
func (c *conn) readOnce(a *attempt, tcp net.Conn, fd int) (n int, err error) {
	if !c.enter(a) {
		return 0, errStopped
	}
	defer c.leave()
	n, real, errno := c.recv.read(fd, c.buf)
	switch {
	case errno == syscall.EAGAIN:
		return 0, nil
	case errno != 0:
		return 0, fmt.Errorf("read from %s: %w", tcp.RemoteAddr(), errno)
	case n == 0:
		return 0, a.end()
	}
	return n, c.feed(a, tcp, c.cfg.Clock.stamp(real), c.buf[:n])
}

// silent reports whether there is nothing to read from tcp, not even its end.
func silent(tcp net.Conn) bool {
	sc, ok := tcp.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var is bool
	// Control rather than Read, which would look at the deadline first.
	err = raw.Control(func(fd uintptr) { is = quiet(int(fd)) })
	return err == nil && is
}
