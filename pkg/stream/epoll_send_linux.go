package stream

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sseload/sseload/pkg/stream/http1"
	"github.com/sseload/sseload/pkg/target"
)

// sendPool sends messages over keep-alive connections that the epoll loop reads
// too: no goroutine and no allocation per send. A message is taken out of the
// queue when there is a connection for it, established and free.
type sendPool struct {
	e          *epoll
	limit      int
	conns      []sendConn
	idle       []int32       // indices of connections that wait for a message, the one used last at the end
	unused     []int32       // indices without a connection
	connecting int           // how many are in that state
	queue      fifo[message] // those that wait for a connection
	deadlines  deadlines
}

// sendConn is one connection. At most one send is under way on it.
type sendConn struct {
	resp     http1.Response
	head     response
	fd       int32
	gen      int32 // moves on with each socket
	state    sendState
	wait     bool // for the socket to be writable
	rest     []byte
	tag      Tag
	begun    int64
	deadline int64 // of what state says
}

type sendState uint8

const (
	sendFree       sendState = iota // no connection, or one that waits for a message
	sendConnecting                  // not established yet
	sendBusy                        // until the response is there
)

// Send implements [Engine].
func (e *epoll) Send(tag Tag, due int64) {
	e.sends.queue.push(message{tag, due})
	e.sends.pump()
}

// pump sees to it that there is, or will be, a connection for each message that
// waits, up to the limit.
func (s *sendPool) pump() {
	for s.queue.len() > 0 {
		if i, ok := s.takeIdle(); ok {
			s.serve(i)
			continue
		}
		if s.connecting >= s.queue.len() {
			return
		}
		i, ok := s.place()
		if !ok {
			return
		}
		s.dial(i)
	}
}

// takeIdle takes an idle connection that the server has not ended.
func (s *sendPool) takeIdle() (i int32, ok bool) {
	for n := len(s.idle); n > 0; n = len(s.idle) {
		i = s.idle[n-1]
		s.idle = s.idle[:n-1]
		if quiet(int(s.conns[i].fd)) {
			return i, true
		}
		s.drop(i)
	}
	return 0, false
}

// place is an index for a new connection.
func (s *sendPool) place() (i int32, ok bool) {
	if n := len(s.unused); n > 0 {
		i = s.unused[n-1]
		s.unused = s.unused[:n-1]
		return i, true
	}
	if len(s.conns) == s.limit {
		return 0, false
	}
	s.conns = append(s.conns, sendConn{fd: -1})
	return int32(len(s.conns) - 1), true
}

func (s *sendPool) dial(i int32) {
	c := &s.conns[i]
	c.resp.Reset()
	c.gen++
	c.state = sendConnecting
	s.connecting++
	end := s.e.cfg.Target.Send
	fd, err := s.e.socket(end.Addr, end.Unix, firstSource(s.e.cfg.Sources), false)
	if err != nil {
		s.failLater(i, classify(err))
		return
	}
	c.fd = int32(fd)
	if end.Unix == "" {
		if err := sendAtOnce(fd); err != nil {
			s.failLater(i, classify(err))
			return
		}
	}
	s.expect(i)
	wait, err := s.e.full.connect(fd, end.Unix, i, -c.gen)
	if err == nil && !wait {
		err = s.watchConnect(i)
	}
	if err != nil {
		s.failLater(i, classify(err))
	}
}

// watchConnect has epoll tell when connection i is established.
func (s *sendPool) watchConnect(i int32) error {
	c := &s.conns[i]
	c.wait = true
	return s.e.control(unix.EPOLL_CTL_ADD, int(c.fd), unix.EPOLLIN|unix.EPOLLOUT, i, -c.gen)
}

// expect sets the deadline of what connection i is about to do.
func (s *sendPool) expect(i int32) {
	c := &s.conns[i]
	c.deadline = s.e.cfg.deadline(s.e.cfg.Clock.Now())
	s.deadlines.add(deadline{at: c.deadline, index: i, gen: c.gen}, s.isDone)
}

// take takes the next message out of the queue that is not called off.
func (s *sendPool) take() (tag Tag, v target.Vars, ok bool) {
	return nextMessage(&s.queue, s.e.cfg.Handler)
}

// serve sends a message over connection i, which is free, or lets it wait for
// one.
func (s *sendPool) serve(i int32) {
	tag, v, ok := s.take()
	c := &s.conns[i] // taken now: the Handler may have called Send
	if !ok {
		if s.watch(i, false) {
			s.idle = append(s.idle, i)
		}
		return
	}
	c.state, c.tag, c.begun = sendBusy, tag, s.e.cfg.Clock.Now()
	s.e.request, s.e.scratch = s.e.cfg.Target.Send.Append(s.e.request[:0], s.e.scratch, v, nil)
	s.expect(i)
	s.write(i, s.e.request)
}

// write sends p and keeps what the socket does not take.
func (s *sendPool) write(i int32, p []byte) {
	c := &s.conns[i]
	n, errno := write(int(c.fd), p)
	if errno != 0 && errno != unix.EAGAIN {
		s.failLater(i, classify(fmt.Errorf("send to %s: %w", s.e.cfg.Target.Send.Peer(), errno)))
		return
	}
	c.rest = nil
	if n < len(p) {
		c.rest = append(c.rest, p[n:]...)
	}
	s.watch(i, n < len(p))
}

// watch has epoll tell when connection i can be read, and also, if write is true,
// when it can be written. It returns false when that fails, and i with it.
func (s *sendPool) watch(i int32, write bool) bool {
	c := &s.conns[i]
	if write == c.wait {
		return true
	}
	c.wait = write
	interest := uint32(unix.EPOLLIN)
	if write {
		interest |= unix.EPOLLOUT
	}
	err := s.e.control(unix.EPOLL_CTL_MOD, int(c.fd), interest, i, -c.gen)
	if err == nil {
		return true
	}
	if c.state == sendBusy {
		s.failLater(i, classify(err))
	} else {
		s.drop(i)
	}
	return false
}

// isDone tells whether what d was set for is over. A connection does one thing at
// a time, and each sets a later deadline.
func (s *sendPool) isDone(d deadline) bool {
	c := &s.conns[d.index]
	return c.gen != d.gen || c.state == sendFree || c.deadline != d.at
}

func (s *sendPool) expire() {
	if s.deadlines.len() == 0 {
		return
	}
	now := s.e.cfg.Clock.Now()
	for {
		d, ok := s.deadlines.expired(now, s.isDone)
		if !ok {
			return
		}
		s.fail(d.index, sendTimeout(s.conns[d.index].state == sendBusy, s.e.cfg.Timeout))
	}
}

// ready handles what epoll says about connection i.
func (s *sendPool) ready(i, gen int32, events uint32) {
	c := &s.conns[i]
	if c.gen != gen || c.fd < 0 {
		return
	}
	if c.state == sendConnecting {
		s.connected(i)
		return
	}
	if events&unix.EPOLLOUT != 0 && len(c.rest) > 0 {
		s.write(i, c.rest)
	}
	if events&^unix.EPOLLOUT != 0 && c.fd >= 0 && c.gen == gen {
		s.read(i)
	}
}

// connected puts connection i to use, unless connecting it has failed.
func (s *sendPool) connected(i int32) {
	errno, err := unix.GetsockoptInt(int(s.conns[i].fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	if err != nil {
		s.fail(i, classify(fmt.Errorf("connect to %s: %w", s.e.cfg.Target.Send.Peer(), err)))
		return
	}
	s.conns[i].state = sendFree
	s.connecting--
	s.serve(i)
}

func (s *sendPool) read(i int32) {
	c := &s.conns[i]
	n, _, errno := s.e.recv.read(int(c.fd), s.e.buf)
	switch {
	case errno == unix.EAGAIN:
		return
	case c.state == sendFree: // the server ends an idle connection, or it babbles
		if k := slices.Index(s.idle, i); k >= 0 {
			s.idle = slices.Delete(s.idle, k, k+1)
		}
		s.drop(i)
		return
	case errno != 0:
		s.fail(i, classify(fmt.Errorf("send to %s: %w", s.e.cfg.Target.Send.Peer(), errno)))
		return
	case n == 0:
		if err := c.resp.End(); err != nil {
			s.fail(i, classify(fmt.Errorf("send to %s: %w", s.e.cfg.Target.Send.Peer(), err)))
			return
		}
		s.finish(i, false)
		return
	}
	used, err := c.resp.Write(s.e.buf[:n], &c.head)
	switch {
	case err != nil:
		s.fail(i, classify(fmt.Errorf("send to %s: %w", s.e.cfg.Target.Send.Peer(), err)))
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
	f := c.head.failure(s.e.cfg.Target.Send)
	if keep {
		c.state = sendFree
		c.resp.Reset()
		s.idle = append(s.idle, i)
	} else {
		s.drop(i)
	}
	s.e.cfg.Handler.Sent(tag, elapsed, f)
	s.pump()
}

// fail ends connection i, and the send on it. If it was still connecting, the
// message is one that has waited for it.
func (s *sendPool) fail(i int32, f *Failure) {
	c := &s.conns[i]
	tag, ok, begun := c.tag, true, c.begun
	connecting := c.state == sendConnecting
	s.drop(i)
	if connecting {
		tag, _, ok = s.take()
		begun = s.e.cfg.Clock.Now()
	}
	if ok {
		s.e.cfg.Handler.Sent(tag, time.Duration(s.e.cfg.Clock.Now()-begun), f)
	}
	s.pump()
}

// failLater is fail outside of Send's caller.
func (s *sendPool) failLater(i int32, f *Failure) {
	gen := s.conns[i].gen
	s.e.Do(func() {
		if c := &s.conns[i]; c.gen == gen && c.state != sendFree {
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
	if c.state == sendConnecting {
		s.connecting--
	}
	c.resp.Reset() // gives a buffer back
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
