package testserver

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// byteStream is where a client's bytes go: a net.Conn, or a response of HTTP/2 or HTTP/3.
type byteStream interface {
	io.Writer // blocks until all is written or the stream is closed
	io.Closer
	SetWriteDeadline(time.Time) error
}

// client is one subscription. There are many, so it is kept small.
type client struct {
	conn byteStream
	room *room
	slot int // place in room.members; guarded by room.mu
	// fd is noDescriptor when all writes go through the outbox. It may be written
	// to while mu is held and closed is false: conn is closed under mu alone.
	fd   int32
	bare bool // the body has no chunked framing (HTTP/1.0, 2 and 3)

	faults *memberFaults // nil without Config.Faults; guarded by room.mu

	mu     sync.Mutex
	closed bool    // nothing is written any more
	ending bool    // closed as soon as the outbox is empty
	out    *outbox // nil while the kernel takes everything at once

	scratch [8]byte // what watch reads into
}

// noDescriptor is the fd of a client without one.
const noDescriptor = -1

// outbox holds what the kernel did not take. It exists only while a goroutine
// drains it, and while it exists nobody else writes: that keeps the order and
// never tears an event.
type outbox struct {
	pending []byte // not yet handed to the drainer
	flying  int    // bytes the drainer still has to write
	limit   int
}

// drainPiece is how much the drainer writes before it counts it as sent.
const drainPiece = 16 << 10

// payload is the form of f that this client reads.
func (c *client) payload(f frame) []byte {
	if c.bare {
		return f.event
	}
	return f.wire
}

// tail is what ends the body properly.
func (c *client) tail() []byte {
	if c.bare {
		return nil
	}
	return []byte(lastChunk)
}

// over reports whether the client takes no more events.
func (c *client) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed || c.ending
}

// send hands p to the client without ever blocking and reports whether it was
// accepted. p is not kept. A client with more than Config.ClientBuffer bytes
// waiting behind the write it is stuck in is dropped.
func (s *Server) send(c *client, p []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.ending {
		return false
	}
	if c.out == nil && c.fd != noDescriptor {
		n, err := tryWrite(int(c.fd), p)
		if err != nil {
			c.abortLocked(false)
			return false
		}
		if n == len(p) {
			return true
		}
		p = p[n:]
	}
	if !s.queueLocked(c, p) {
		s.dropped.Add(1)
		s.cfg.Log.Debug("dropped a slow client", "room", c.room.name, "waiting_bytes", len(c.out.pending)+c.out.flying)
		c.abortLocked(true)
		return false
	}
	return true
}

// queueLocked appends p to the outbox and starts its drainer; it reports false
// when p does not fit any more.
func (s *Server) queueLocked(c *client, p []byte) bool {
	if c.out == nil {
		c.out = &outbox{limit: s.cfg.ClientBuffer + len(p)}
		// The client's watcher still holds the group, so this cannot race
		// with the group's Wait.
		s.wg.Go(func() { s.drain(c) })
	}
	if len(c.out.pending)+c.out.flying+len(p) > c.out.limit {
		return false
	}
	c.out.pending = append(c.out.pending, p...)
	return true
}

// drain writes a client's outbox in the blocking way until it is empty.
func (s *Server) drain(c *client) {
	var spare []byte
	defer c.tellTaken()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			c.out = nil
			return
		case len(c.out.pending) == 0:
			c.out = nil
			if c.ending {
				c.closed = true
				_ = c.conn.Close() // all is written; nothing left to tell
			}
			return
		}
		box := c.out
		taken := box.pending
		box.pending, box.flying = spare[:0], len(taken)
		for rest := taken; len(rest) > 0 && !c.closed; {
			piece := rest[:min(len(rest), drainPiece)]
			rest = rest[len(piece):]
			c.mu.Unlock()
			if s.inject != nil {
				s.inject.ice.pass()
			}
			_, err := c.conn.Write(piece)
			c.mu.Lock()
			box.flying -= len(piece)
			if err != nil {
				c.abortLocked(false)
			}
		}
		spare = taken
	}
}

// end closes the client once all it was sent, then tail, is written. Writes
// that have to wait give up at deadline, if there is one. It reports false when
// the client has ended already.
func (s *Server) end(c *client, tail []byte, deadline time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.ending {
		return false
	}
	if !deadline.IsZero() {
		// On failure the connection is gone, which the write will tell.
		_ = c.conn.SetWriteDeadline(deadline)
	}
	if c.out == nil && c.fd != noDescriptor {
		n := 0
		if len(tail) > 0 {
			var err error
			if n, err = tryWrite(int(c.fd), tail); err != nil {
				n = len(tail)
			}
		}
		if n == len(tail) {
			c.closed = true
			_ = c.conn.Close() // all is written; nothing left to tell
			return true
		}
		tail = tail[n:]
	}
	c.ending = true
	if c.out != nil {
		c.out.pending = append(c.out.pending, tail...)
		return true
	}
	s.queueLocked(c, tail)
	return true
}

// abort closes the connection now. What the kernel has taken is still sent.
func (c *client) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortLocked(false)
}

// abortLocked closes the connection without a proper end of the body. A reset
// makes the kernel forget what a slow client did not read, instead of trying to
// send it for minutes.
func (c *client) abortLocked(reset bool) {
	if c.closed {
		return
	}
	c.closed = true
	if m, ok := c.conn.(*muxStream); ok {
		m.cut.Store(true)
	}
	var conn io.Closer = c.conn
	if t, ok := c.conn.(*tls.Conn); ok {
		conn = t.NetConn() // Close on the TLS layer could wait for a full socket
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // on failure the close merely takes longer
	}
	_ = conn.Close() // whoever aborts expects nothing of the connection
}

// watch waits for the client to leave, on a goroutine of its own. What a client
// sends after its request means nothing and is thrown away.
func (s *Server) watch(c *client) {
	defer s.wg.Done()
	if conn, ok := c.conn.(net.Conn); ok {
		for {
			if _, err := conn.Read(c.scratch[:]); err != nil {
				break
			}
		}
	}
	c.abort()
	s.leave(c)
}

// muxStream is a response of HTTP/2 or HTTP/3, one of many on its connection. It
// lets a client be written to from any goroutine until its handler returns.
type muxStream struct {
	mu   sync.Mutex // held while writing; over is set under it
	over bool
	w    http.ResponseWriter
	rc   *http.ResponseController

	once sync.Once
	done chan struct{} // closed by Close
	cut  atomic.Bool   // ends by a reset; set before Close
}

func newMuxStream(w http.ResponseWriter) *muxStream {
	return &muxStream{w: w, rc: http.NewResponseController(w), done: make(chan struct{})}
}

func (h *muxStream) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return 0, net.ErrClosed
	}
	n, err := h.w.Write(p)
	if err == nil {
		err = h.rc.Flush()
	}
	return n, err
}

func (h *muxStream) SetWriteDeadline(t time.Time) error { return h.rc.SetWriteDeadline(t) }

// Close wakes the handler, which ends the stream.
func (h *muxStream) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// retire waits for a write under way and forbids more; the handler calls it
// before it returns.
func (h *muxStream) retire() {
	// A write that waits for flow control must not hold the handler, and one to a
	// stream that is cut is in vain. A stream already gone has no deadline to set,
	// and no write either.
	patience := time.Second
	if h.cut.Load() {
		patience = 0
	}
	unblock := time.AfterFunc(patience, func() { _ = h.rc.SetWriteDeadline(time.Unix(1, 0)) })
	h.mu.Lock()
	h.over = true
	h.mu.Unlock()
	unblock.Stop()
}
