//go:build unix

package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// plainReader reads a connection without TLS, see readPlain.
type plainReader interface {
	// readOnce reads from tcp's descriptor. n is 0 when there was nothing.
	readOnce(tcp net.Conn, fd int) (n int, err error)
	// finish is the last call.
	finish(tcp net.Conn, err error)
}

// reading is a plain connection that is being read, by one goroutine after the
// other: what decodes and handles events needs a stack that, once grown, the
// runtime would not shrink to its first size again. So whoever has read something
// leaves the waiting for more to a new goroutine, which costs less than the
// memory does. Everything that it takes is here, so that it allocates nothing.
type reading struct {
	c    *conn
	by   plainReader
	tcp  net.Conn
	raw  syscall.RawConn
	next func()             // r.run
	take func(uintptr) bool // r.ready
	got  bool               // something was read on this stack
	end  error
}

// readPlain starts to read tcp into the shard's buffer, whenever there is
// something.
func (c *conn) readPlain(by plainReader, tcp net.Conn) {
	sc, ok := tcp.(syscall.Conn)
	if !ok {
		by.finish(tcp, fmt.Errorf("read from %s: not a socket", tcp.RemoteAddr()))
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		by.finish(tcp, fmt.Errorf("read from %s: %w", tcp.RemoteAddr(), err))
		return
	}
	r := &reading{c: c, by: by, tcp: tcp, raw: raw}
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
	r.by.finish(r.tcp, r.end)
	r.c.work.Done()
}

// ready reads what has arrived at fd. It returns false to wait for more: only
// after a read that found nothing, as the runtime hears of data once, and of an
// end that came with it not at all.
func (r *reading) ready(fd uintptr) bool {
	for {
		n, err := r.by.readOnce(r.tcp, int(fd))
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

// readOnce implements plainReader.
func (r *attemptReader) readOnce(tcp net.Conn, fd int) (n int, err error) {
	c, a := r.c, r.a
	if !c.enter(a) {
		return 0, errStopped
	}
	defer c.leave()
	n, at, err := c.readSocket(tcp, fd)
	switch {
	case errors.Is(err, io.EOF):
		return 0, a.end()
	case n == 0:
		return 0, err
	}
	return n, c.feed(a, tcp, at, c.buf[:n])
}

// readOnce implements plainReader.
func (r *muxReader) readOnce(tcp net.Conn, fd int) (n int, err error) {
	m := r.m
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.closed || m.over {
		return 0, errStopped
	}
	n, at, err := m.from.readSocket(tcp, fd)
	if n == 0 {
		return 0, err
	}
	return n, m.feed(at, m.from.buf[:n])
}

// readSocket reads what has arrived into the shard's buffer, as far as it fits, in
// the engine's context. n is 0 when there was nothing, and the error io.EOF at the
// end.
func (c *conn) readSocket(tcp net.Conn, fd int) (n int, at Stamp, err error) {
	n, real, errno := c.recv.read(fd, c.buf)
	switch {
	case errno == syscall.EAGAIN:
		return 0, at, nil
	case errno != 0:
		return 0, at, fmt.Errorf("read from %s: %w", tcp.RemoteAddr(), errno)
	case n == 0:
		return 0, at, io.EOF
	}
	return n, c.cfg.Clock.stamp(real), nil
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
