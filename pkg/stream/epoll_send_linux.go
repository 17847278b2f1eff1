package stream

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sseload/sseload/pkg/stream/http1"
)

// sendPool sends messages over keep-alive connections that the epoll loop reads
// too: no goroutine and no allocation per send.
type sendPool struct {
	e         *epoll
	limit     int
	conns     []sendConn
	idle      []int32 // indices of connections that wait for a message
	unused    []int32 // indices without a connection
	queue     []Tag   // messages that wait for a connection
	head      int
	deadlines deadlines
}

// sendConn is one connection. At most one send is under way on it.
type sendConn struct {
	resp  http1.Response
	head  response
	fd    int32
	gen   int32 // moves on with each socket
	busy  bool
	wait  bool // for the socket to be writable
	rest  []byte
	tag   Tag
	begun int64
}

// Send implements [Engine].
func (e *epoll) Send(tag Tag) {
	s := &e.sends
	if s.head < len(s.queue) || !s.begin(tag) { // what waits goes first
		s.queue = append(s.queue, tag)
	}
}

// begin starts a send if a connection is free or may be opened.
func (s *sendPool) begin(tag Tag) bool {
	if n := len(s.idle); n > 0 {
		i := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.start(i, tag)
		return true
	}
	if n := len(s.unused); n > 0 {
		i := s.unused[n-1]
		s.unused = s.unused[:n-1]
		s.dial(i, tag)
		return true
	}
	if len(s.conns) < s.limit {
		s.conns = append(s.conns, sendConn{fd: -1})
		s.dial(int32(len(s.conns)-1), tag)
		return true
	}
	return false
}

// next begins what waits.
func (s *sendPool) next() {
	for s.head < len(s.queue) {
		if !s.begin(s.queue[s.head]) {
			return
		}
		s.head++
		if s.head > 1024 && s.head > len(s.queue)/2 {
			s.queue, s.head = s.queue[:copy(s.queue, s.queue[s.head:])], 0
		}
	}
	s.queue, s.head = s.queue[:0], 0
}

func (s *sendPool) dial(i int32, tag Tag) {
	c := &s.conns[i]
	c.resp.Reset()
	fd, err := s.e.socket(s.e.cfg.Target.Send.Addr, firstSource(s.e.cfg.Sources))
	if err == nil {
		c.fd = int32(fd)
		c.gen++
		err = s.e.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, i, -c.gen)
	}
	if err != nil {
		c.tag, c.busy, c.begun = tag, true, s.e.cfg.Clock.Now()
		s.failLater(i, classify(err))
		return
	}
	s.start(i, tag)
}

// start sends tag over connection i, which is free.
func (s *sendPool) start(i int32, tag Tag) {
	c := &s.conns[i]
	c.busy, c.tag = true, tag
	v := s.e.cfg.Handler.Message(tag)
	s.e.request, s.e.scratch = s.e.cfg.Target.Send.Append(s.e.request[:0], s.e.scratch, v, nil)
	c.begun = s.e.cfg.Clock.Now()
	s.deadlines.add(deadline{at: c.begun + int64(s.e.cfg.Timeout), index: i, gen: c.gen}, s.isDone)
	s.write(i, s.e.request)
}

// write sends p and keeps what the socket does not take.
func (s *sendPool) write(i int32, p []byte) {
	c := &s.conns[i]
	n, errno := write(int(c.fd), p)
	if errno != 0 && errno != unix.EAGAIN && errno != unix.ENOTCONN {
		s.failLater(i, classify(fmt.Errorf("send to %s: %w", s.e.cfg.Target.Send.Addr, errno)))
		return
	}
	waits := n < len(p)
	if waits {
		c.rest = append(c.rest[:0:0], p[n:]...)
	} else {
		c.rest = nil
	}
	if waits != c.wait {
		c.wait = waits
		interest := uint32(unix.EPOLLIN)
		if waits {
			interest |= unix.EPOLLOUT
		}
		if err := s.e.control(unix.EPOLL_CTL_MOD, int(c.fd), interest, i, -c.gen); err != nil {
			s.failLater(i, classify(err))
		}
	}
}

// isDone tells whether the send that d was set for has ended. A connection
// carries one send at a time, so a later one began after d's time was set.
func (s *sendPool) isDone(d deadline) bool {
	c := &s.conns[d.index]
	return c.gen != d.gen || !c.busy || c.begun+int64(s.e.cfg.Timeout) != d.at
}

func (s *sendPool) expire() {
	if s.deadlines.head == len(s.deadlines.queue) {
		return
	}
	now := s.e.cfg.Clock.Now()
	for {
		d, ok := s.deadlines.expired(now, s.isDone)
		if !ok {
			return
		}
		s.fail(d.index, failuref(TimedOut, "no response to the send within %s", s.e.cfg.Timeout))
	}
}

// ready handles what epoll says about connection i.
func (s *sendPool) ready(i, gen int32, events uint32) {
	c := &s.conns[i]
	if c.gen != gen || c.fd < 0 {
		return
	}
	if events&unix.EPOLLOUT != 0 && len(c.rest) > 0 {
		s.write(i, c.rest)
	}
	if events&^unix.EPOLLOUT != 0 && c.fd >= 0 && c.gen == gen {
		s.read(i)
	}
}

func (s *sendPool) read(i int32) {
	c := &s.conns[i]
	n, _, errno := s.e.recv.read(int(c.fd), s.e.buf)
	switch {
	case errno == unix.EAGAIN:
		return
	case errno != 0:
		s.lost(i, classify(fmt.Errorf("send to %s: %w", s.e.cfg.Target.Send.Addr, errno)))
		return
	case !c.busy: // an idle connection is closed by the server, or it babbles
		s.lost(i, nil)
		return
	case n == 0:
		err := c.resp.End()
		if err == nil {
			s.finish(i, false)
		} else {
			s.lost(i, classify(fmt.Errorf("send: %w", err)))
		}
		return
	}
	used, err := c.resp.Write(s.e.buf[:n], &c.head)
	switch {
	case err != nil:
		s.lost(i, classify(fmt.Errorf("send: %w", err)))
	case c.resp.Done():
		// A server may answer before it has read the request: the rest of that
		// must not be taken for the next one.
		s.finish(i, used == n && c.head.keepAlive && len(c.rest) == 0)
	}
}

// finish ends the send on connection i with the response just read.
func (s *sendPool) finish(i int32, keep bool) {
	c := &s.conns[i]
	tag, elapsed := c.tag, time.Duration(s.e.cfg.Clock.Now()-c.begun)
	f := c.head.failure()
	if keep {
		c.busy = false
		c.resp.Reset()
		s.idle = append(s.idle, i)
	} else {
		s.drop(i)
	}
	s.e.cfg.Handler.Sent(tag, elapsed, f)
	s.next()
}

// lost handles the end of connection i, under a send (f says why) or idle.
func (s *sendPool) lost(i int32, f *Failure) {
	if s.conns[i].busy {
		s.fail(i, f)
		return
	}
	for k, idle := range s.idle {
		if idle == i {
			s.idle = append(s.idle[:k], s.idle[k+1:]...)
			break
		}
	}
	s.drop(i)
}

// fail ends the send on connection i, and the connection with it.
func (s *sendPool) fail(i int32, f *Failure) {
	c := &s.conns[i]
	tag, elapsed := c.tag, time.Duration(s.e.cfg.Clock.Now()-c.begun)
	s.drop(i)
	s.e.cfg.Handler.Sent(tag, elapsed, f)
	s.next()
}

// failLater is fail outside of Send's caller.
func (s *sendPool) failLater(i int32, f *Failure) {
	c := &s.conns[i]
	gen := c.gen
	s.e.Do(func() {
		if c := &s.conns[i]; c.gen == gen && c.busy {
			s.fail(i, f)
		}
	})
}

// drop closes connection i and makes its place free.
func (s *sendPool) drop(i int32) {
	c := &s.conns[i]
	if c.fd >= 0 {
		_ = unix.Close(int(c.fd))
	}
	*c = sendConn{fd: -1, gen: c.gen + 1}
	s.unused = append(s.unused, i)
}

func (s *sendPool) release() {
	for i := range s.conns {
		if s.conns[i].fd >= 0 {
			s.drop(int32(i))
		}
	}
}
