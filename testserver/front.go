package testserver

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	// headTimeout is how long the head of a request may take, from its beginning;
	// on a new connection from the connection's.
	headTimeout = 10 * time.Second
	// idleTimeout is how long a connection may wait for its next request.
	idleTimeout = 5 * time.Minute
)

// front accepts the connections of a server and serves on them the two requests
// that a load consists of, a message and a subscription, in their plain form. For a
// message net/http would take half as long as writing it to six members does. At any
// other request the connection goes, with what was read of it, to net/http, and
// stays there: to that the front is a listener.
//
// So nothing that the front does not know of can be answered in another way than
// by net/http; what it does answer it answers byte for byte as the handlers do.
// Three things differ: a head that is cut off by the time limit gets no 400, half a
// request behind a whole one does not cancel that, and the preface of HTTP/2 begins it
// behind messages, too.
type front struct {
	s  *Server
	ln net.Listener

	free   sync.Pool // *frontConn
	passed chan net.Conn
	done   chan struct{} // closed when no connection is accepted any more

	ctx context.Context // of the messages; ends when the connections are cut
	end context.CancelFunc

	mu    sync.Mutex
	conns map[*frontConn]struct{}
	why   error // the end of Accept, before done is closed; nil until then
}

// frontable reports whether the front can serve this server: it does not repeat
// what TLS, credentials, CORS and faults ask for.
func (s *Server) frontable() bool {
	return s.cert == nil && s.cfg.Auth == nil && len(s.cors) == 0 && s.inject == nil
}

// openFront starts to accept, where there is a front to do so, and returns what
// net/http is to accept on. The front's goroutines are of the server's group.
func (s *Server) openFront(ctx context.Context) net.Listener {
	if !s.frontable() {
		return s.listener
	}
	f := &front{
		s: s, ln: s.listener, conns: make(map[*frontConn]struct{}),
		passed: make(chan net.Conn), done: make(chan struct{}),
	}
	f.ctx, f.end = context.WithCancel(context.WithoutCancel(ctx))
	f.free.New = func() any { return newFrontConn(f) }
	s.life.Lock()
	s.front = f
	s.life.Unlock()
	s.wg.Go(f.run)
	return f
}

// run accepts until the listener is closed or fails for good.
func (f *front) run() {
	const most = time.Second
	delay := 5 * time.Millisecond
	for {
		conn, err := f.ln.Accept()
		if err == nil {
			delay = 5 * time.Millisecond
			f.take(conn)
			continue
		}
		// Too many open files, say, which may get fewer.
		passing, ok := errors.AsType[interface {
			error
			Temporary() bool
		}](err)
		if !ok || !passing.Temporary() {
			f.stop(err)
			return
		}
		f.s.cfg.Log.Debug("cannot accept", "error", err, "again_in", delay)
		select {
		case <-time.After(delay):
		case <-f.done:
			return
		}
		delay = min(2*delay, most)
	}
}

// take serves a connection on a goroutine of its own.
func (f *front) take(conn net.Conn) {
	plain, ok := conn.(socket)
	if !ok {
		f.pass(conn)
		return
	}
	c := f.free.Get().(*frontConn)
	c.conn = plain
	f.mu.Lock()
	ended := f.why != nil
	if !ended {
		f.conns[c] = struct{}{}
	}
	f.mu.Unlock()
	if ended {
		conn.Close()
		return
	}
	f.s.wg.Go(c.serve)
}

// forget ends what the front has to do with a connection, which it then no longer
// closes.
func (f *front) forget(c *frontConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// recycle keeps what served a connection for another one.
func (f *front) recycle(c *frontConn) {
	if len(c.buf) <= maxPooled {
		c.reset()
		f.free.Put(c)
	}
}

// pass gives a connection to net/http.
func (f *front) pass(conn net.Conn) {
	select {
	case f.passed <- conn:
	case <-f.done:
		conn.Close()
	}
}

// Accept returns a connection for net/http.
func (f *front) Accept() (net.Conn, error) {
	select {
	case conn := <-f.passed:
		return conn, nil
	case <-f.done:
		return nil, f.why
	}
}

// Addr is the listener's.
func (f *front) Addr() net.Addr { return f.ln.Addr() }

// Close ends accepting, and every connection that waits for a request. What is
// being received or answered goes on.
func (f *front) Close() error {
	f.stop(net.ErrClosed)
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		// Wakes who reads, and that sees that the server stops.
		_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // a connection gone needs no waking
	}
	return nil
}

func (f *front) stop(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.why != nil {
		return
	}
	f.why = why
	close(f.done)
	f.ln.Close()
}

// cut ends what is left. A server without a front has a nil one.
func (f *front) cut() {
	if f == nil {
		return
	}
	f.end()
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.conn.Close() // whoever cuts expects nothing of the connection
	}
}

// passedConn is a connection on its way to net/http, which begins with what the
// front has read already.
type passedConn struct {
	socket
	begun  []byte
	headBy time.Time // when the head it begins with must be there; zero is no matter
}

func (c *passedConn) Read(p []byte) (int, error) {
	if len(c.begun) == 0 {
		return c.socket.Read(p)
	}
	n := copy(p, c.begun)
	if c.begun = c.begun[n:]; len(c.begun) == 0 {
		c.begun = nil
	}
	return n, nil
}

// SetReadDeadline keeps to the time that is left for a head begun at the front.
// net/http takes its deadline away when it has read one.
func (c *passedConn) SetReadDeadline(t time.Time) error {
	switch {
	case t.IsZero():
		c.headBy = t
	case !c.headBy.IsZero() && t.After(c.headBy):
		t = c.headBy
	}
	return c.socket.SetReadDeadline(t)
}
