package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/sseload/sseload/pkg/stream/http2"
)

// mux is a connection of HTTP/2, which carries many streams. Its fields belong to
// the engine's context.
//
// What is to be written is taken by a goroutine of its own, which exists only while
// there is something: a server that does not read holds up nobody but itself.
type mux struct {
	s      *shard
	user   muxUser
	http   http2.Conn
	from   *conn // has the buffer and the receiver to read with; nil: read into a buffer of its own
	cancel context.CancelFunc
	nc     net.Conn // nil until connected
	tcp    net.Conn // under nc
	since  int64    // when it was connected
	at     Stamp    // of what is being read
	unsaid error    // why nothing can be written any more
	failed bool     // it will be over
	left   bool     // no further stream comes, and it ends with the last
	over   bool
	busy   bool // somebody writes
}

// muxUser is told what becomes of a mux, in the engine's context.
type muxUser interface {
	http2.Handler
	// connected says that streams can be opened.
	connected()
	// writing says that all that was opened before is now written.
	writing(now int64)
	// gone says that the connection is over. Its streams are the user's to end, by
	// [http2.Conn.Close].
	gone(err error)
}

// dial starts to connect m by d, for as long as nobody calls quit. It must be called
// in the engine's context.
func (m *mux) dial(d *dialer, to originKey, source netip.Addr) {
	ctx, cancel := context.WithCancel(m.s.ctx)
	m.cancel = cancel
	if m.s.muxes == nil {
		m.s.muxes = map[*mux]struct{}{}
	}
	m.s.muxes[m] = struct{}{}
	m.s.work.Go(func() {
		defer cancel()
		nc, tcp, since, err := m.connect(ctx, d, to, source)
		if err == nil && !m.begin(nc, tcp, since) {
			err = errStopped
		}
		switch {
		case err != nil:
			m.end(tcp, err)
		case nc == tcp && m.from != nil:
			m.from.readPlain(&muxReader{m}, tcp)
		default:
			m.s.work.Go(func() { m.end(tcp, m.readBlocking(nc)) })
		}
	})
}

// connect makes the connection. since is when it was there, before TLS. tcp is left
// open on an error, unless it is nil.
func (m *mux) connect(ctx context.Context, d *dialer, to originKey, source netip.Addr) (nc, tcp net.Conn, since int64, err error) {
	if tcp, err = d.connect(ctx, to.scheme, to.hostPort, source, nil); err != nil {
		return nil, nil, 0, err
	}
	since = m.s.cfg.Clock.Now()
	if to.scheme != "https" {
		return tcp, tcp, since, nil
	}
	if nc, err = d.secure(ctx, tcp, to.hostPort); err != nil {
		return nil, tcp, since, err
	}
	if c, ok := nc.(*tls.Conn); ok && c.ConnectionState().NegotiatedProtocol != "h2" {
		return nil, tcp, since, failuref(Protocol, "TLS handshake with %s: the server does not take HTTP/2", to.hostPort)
	}
	return nc, tcp, since, nil
}

// begin says the first words. It returns false when m is not wanted any more.
func (m *mux) begin(nc, tcp net.Conn, since int64) bool {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.closed || m.over {
		return false
	}
	m.nc, m.tcp, m.since = nc, tcp, since
	m.http.Start()
	m.user.connected()
	m.settle()
	return !m.over
}

// muxBuffer is for connections of many streams that are read into a buffer of their
// own.
const muxBuffer = 4 << 10

func (m *mux) readBlocking(nc net.Conn) error {
	size := muxBuffer
	if m.from != nil && m.s.cfg.share() == 1 {
		size = blockingBuffer
	}
	p := make([]byte, size)
	for {
		n, err := nc.Read(p)
		if n > 0 {
			if err := m.read(Stamp{Read: m.s.cfg.Clock.Now()}, p[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

func (m *mux) read(at Stamp, p []byte) error {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.closed || m.over {
		return errStopped
	}
	return m.feed(at, p)
}

// feed hands on what has been read, in the engine's context.
func (m *mux) feed(at Stamp, p []byte) error {
	m.at = at
	err := m.http.Write(p, m.user)
	if m.failed = err != nil; !m.failed {
		m.settle()
	}
	return err
}

// settle sees to what the calls before have left to do: there is something to
// write, or nothing to wait for.
func (m *mux) settle() {
	switch {
	case m.s.closed || m.over || m.failed || m.nc == nil:
	case (m.left || m.http.Going()) && m.http.Streams() == 0:
		m.quit()
	case m.http.Pending() && !m.busy:
		m.busy = true
		m.s.work.Go(m.write)
	}
}

// write writes what is pending, until nothing is.
func (m *mux) write() {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	var p []byte
	for !m.s.closed && !m.over {
		// What it was last is reused while there is more, and then left: an idle
		// connection should not hold it.
		p = m.http.Take(p)
		if len(p) == 0 {
			break
		}
		m.user.writing(m.s.cfg.Clock.Now())
		m.s.mu.Unlock()
		_, err := m.nc.Write(p)
		m.s.mu.Lock()
		if err != nil {
			// The reader will come upon the end, after what came before it.
			m.unsaid = err
			_ = m.tcp.SetReadDeadline(time.Now().Add(lastWords)) // it can only fail on a closed connection
			return                                               // busy: nothing more is written
		}
	}
	m.busy = false
	m.http.Take(nil)
}

// lastWords is how long a connection that is over may take to say, or hear, why.
const lastWords = 100 * time.Millisecond

// quit ends m. Nobody is told.
func (m *mux) quit() {
	if m.over {
		return
	}
	m.over = true
	m.cancel()
	if m.tcp != nil {
		_ = m.tcp.SetDeadline(longAgo) // it can only fail on a closed connection
	}
}

// end closes m, whose reading has ended with err, and tells its user.
func (m *mux) end(tcp net.Conn, err error) {
	if errors.As(err, new(*http2.ConnError)) {
		m.complain()
	}
	if tcp != nil {
		if f := new(Failure); !errors.As(err, &f) && !errors.Is(err, errStopped) {
			err = m.ended(tcp, err)
		}
		_ = tcp.Close()
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	delete(m.s.muxes, m)
	if m.s.closed || m.over {
		return
	}
	m.over = true
	m.user.gone(err)
}

// ended is why a connection ended, by the error of reading it.
func (m *mux) ended(tcp net.Conn, err error) error {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	op := "read from"
	switch {
	case isHTTP2(err):
	case m.unsaid != nil && !m.http.Going():
		// Of a reset the system tells once, and that was the writer.
		op, err = "write to", m.unsaid
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = m.http.Ended()
	}
	err = fmt.Errorf("%s %s: %w", op, tcp.RemoteAddr(), err)
	if _, settled := m.http.Limit(); !settled && m.nc == tcp {
		err = doubted(err)
	}
	return err
}

// complain tells the server what it did wrong, if it listens.
func (m *mux) complain() {
	m.s.mu.Lock()
	if m.s.closed || m.over || m.busy {
		m.s.mu.Unlock()
		return
	}
	m.busy = true
	p := m.http.Take(nil)
	m.s.mu.Unlock()
	_ = m.nc.SetWriteDeadline(time.Now().Add(lastWords))
	_, _ = m.nc.Write(p) // whoever does not hear it has closed the connection
}

// muxReader is the plainReader that reads a mux.
type muxReader struct{ m *mux }

func (r *muxReader) finish(tcp net.Conn, err error) { r.m.end(tcp, err) }

// timed has f called in the engine's context after d, unless the timer is stopped
// by [shard.untimed].
func (s *shard) timed(d time.Duration, f func()) *time.Timer {
	s.work.Add(1)
	return time.AfterFunc(d, func() {
		defer s.work.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.closed {
			f()
		}
	})
}

func (s *shard) untimed(t *time.Timer) {
	if t.Stop() {
		s.work.Done()
	}
}
