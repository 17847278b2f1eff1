package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/sseload/sseload/pkg/stream/http1"
	"github.com/sseload/sseload/pkg/stream/http2"
)

// h2Dialer makes connections of package net/http's HTTP/2 client.
type h2Dialer struct {
	cfg       Config
	client    *webClient
	dialer    *dialer
	transport *http.Transport
}

func newH2Dialer(cfg Config, c *webClient) *h2Dialer {
	h := &h2Dialer{cfg: cfg, client: c, dialer: newDialer(cfg.Target, cfg.Target.Subscribe)}
	h.dialer.tls.NextProtos = []string{"h2"} // RFC 9113 section 3.2
	h.transport = &http.Transport{
		// The connection is there already; whether it is encrypted is not the
		// transport's business.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if nc, ok := ctx.Value(frameConnKey{}).(*frameConn); ok {
				return nc, nil
			}
			return nil, errors.New("no connection to speak HTTP/2 over")
		},
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxResponseHeaderBytes: http1.MaxHeadBytes,
	}
	h.transport.Protocols.SetUnencryptedHTTP2(true)
	return h
}

func (h *h2Dialer) follows(scheme string) bool { return scheme == "http" || scheme == "https" }

// dial implements [trunkDialer].
func (h *h2Dialer) dial(ctx context.Context, o originKey, source netip.Addr) (trunk, int64, error) {
	t := &trip{clock: h.cfg.Clock, source: source}
	nc, err := h.client.dial(t.in(ctx), h.dialer, o.hostPort, o.scheme == "https")
	if err != nil {
		return nil, 0, err
	}
	if secure, ok := nc.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol != "h2" {
		_ = nc.Close()
		return nil, 0, failuref(Protocol, "%s does not offer HTTP/2 (by ALPN)", o.hostPort)
	}
	frames := &frameConn{Conn: nc, settled: make(chan struct{}), gone: make(chan struct{})}
	cc, err := h.transport.NewClientConn(context.WithValue(ctx, frameConnKey{}, frames), "http", o.hostPort)
	if err != nil {
		_ = nc.Close()
		return nil, 0, fmt.Errorf("speak HTTP/2 with %s: %w", o.hostPort, err)
	}
	c := &h2Conn{ClientConn: cc, origin: o, share: h.cfg.share(), frames: frames, streams: map[*http.Request]struct{}{}}
	// Only the server's settings say how many streams it allows.
	select {
	case <-frames.settled:
		return c, t.connected.Load(), nil
	case <-frames.gone:
		if err = c.explain(net.ErrClosed); o.scheme == "http" {
			err = doubted(err)
		}
	case <-ctx.Done():
		err = o.at(ctx.Err())
	}
	c.close()
	return nil, 0, err
}

// h2Conn is a trunk.
type h2Conn struct {
	*http.ClientConn
	origin originKey
	share  int // how many clients it is for
	frames *frameConn

	mu      sync.Mutex
	streams map[*http.Request]struct{} // open, or about to be
	left    chan struct{}              // closed when one is over; nil while nobody waits for that
}

func (c *h2Conn) usable() bool { return c.Err() == nil && !c.frames.goAway.Load() }

func (c *h2Conn) heard() uint64 { return c.frames.reads.Load() }

func (c *h2Conn) done(req *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.streams, req)
	if c.left != nil {
		close(c.left)
		c.left = nil
	}
}

func (c *h2Conn) close() {
	c.frames.closing.Store(true)
	_ = c.Close() // always nil
}

// reserve takes the place of a stream for req.
func (c *h2Conn) reserve(req *http.Request) error {
	for {
		left, err := c.tryReserve(req)
		if left == nil {
			return err
		}
		select {
		case <-left:
		case <-req.Context().Done():
			return req.Context().Err()
		}
	}
}

// tryReserve is reserve, but where it must be tried again once left is closed.
func (c *h2Conn) tryReserve(req *http.Request) (left <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Reserve() != nil {
		if !c.usable() {
			return nil, errUnsent
		}
		for other := range c.streams {
			if other.Context().Err() != nil { // its client has gone, and its place is free in a moment
				if c.left == nil {
					c.left = make(chan struct{})
				}
				return c.left, nil
			}
		}
		// A stream that was cancelled may still count, until the server has
		// confirmed that it is there: then RoundTrip waits for that.
		if c.InFlight() <= len(c.streams) {
			return nil, streamLimit(len(c.streams))
		}
	}
	c.streams[req] = struct{}{}
	return nil, nil
}

func (c *h2Conn) roundTrip(req *http.Request, _ *trip) (*http.Response, error) {
	if err := c.reserve(req); err != nil {
		return nil, err
	}
	resp, err := c.RoundTrip(req)
	if err != nil {
		c.done(req)
		return nil, c.explain(err)
	}
	return resp, nil
}

// explain implements [trunk]. Most of the errors of package net/http's HTTP/2
// have no type that can be named.
func (c *h2Conn) explain(err error) error {
	f := new(Failure)
	if errors.As(err, &f) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if stream := new(h2StreamError); errors.As(err, stream) {
		return c.origin.at(c.reset(stream))
	}
	switch cause := c.frames.failed.Load(); {
	case c.frames.goAway.Load():
		return failuref(ClosedEarly, "%s is going away (GOAWAY): %w", c.origin.hostPort, err)
	case cause != nil && cause.text != "":
		return failuref(Protocol, "%s does not speak HTTP/2: it begins with %q", c.origin.hostPort, cause.text)
	case cause != nil:
		return fmt.Errorf("read from %s: %w", c.origin.hostPort, cause.err)
	case c.Err() != nil && !c.frames.closing.Load():
		// The client closes a connection on which it reads what must not be.
		return failuref(Protocol, "%s: %w", c.origin.hostPort, err)
	}
	return c.origin.at(err)
}

// h2StreamError has the fields of package net/http's error for a stream that was
// reset, which is made for being taken over in this way.
type h2StreamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e h2StreamError) Error() string { return fmt.Sprintf("stream error %#x", e.Code) }

// reset is what the end of one stream means, RFC 9113 section 7.
func (c *h2Conn) reset(e *h2StreamError) *Failure {
	const refusedStream = 7
	switch {
	case e.Cause == nil || e.Cause.Error() != "received from peer":
		return failuref(Protocol, "HTTP/2 error %#x: %v", e.Code, e.Cause)
	case e.Code == refusedStream:
		if limit := c.Available() + c.InFlight(); c.usable() && limit < c.share {
			return streamLimit(limit)
		}
		return failuref(Reset, "%w", &http2.ResetError{Code: http2.RefusedStream})
	}
	return failuref(Reset, "the server reset the stream, error %#x", e.Code)
}

type frameConnKey struct{}

// frameConn is a connection of HTTP/2 that sees what package net/http does not
// tell: when the server's settings have come, whether it is going away, and why
// reading ended.
type frameConn struct {
	net.Conn
	settled chan struct{} // closed once the server's first settings have been taken in
	gone    chan struct{} // closed by Close
	once    sync.Once

	head  [9]byte // of the frame being read, RFC 9113 section 4.1
	have  int     // bytes of head
	left  int     // bytes of its payload to come
	whole int     // frames read
	told  bool    // settled is closed

	reads   atomic.Uint64
	goAway  atomic.Bool
	closing atomic.Bool // it is this side that closes
	failed  atomic.Pointer[frameFailure]
}

// frameFailure is why reading ended.
type frameFailure struct {
	err  error
	text string // with which a peer that does not speak HTTP/2 begins
}

// Read implements [net.Conn]. One goroutine reads, and takes in all that it has
// been given before it comes back.
func (c *frameConn) Read(p []byte) (int, error) {
	if c.whole > 0 && !c.told {
		c.told = true
		close(c.settled)
	}
	n, err := c.Conn.Read(p)
	c.reads.Add(1)
	if ferr := c.walk(p[:n]); ferr != nil {
		c.failed.CompareAndSwap(nil, ferr)
	}
	if err != nil {
		cause := err
		if errors.Is(err, io.EOF) {
			cause = io.ErrUnexpectedEOF // a connection has no end that is in order while it has streams
		}
		c.failed.CompareAndSwap(nil, &frameFailure{err: cause})
	}
	return n, err
}

// walk goes over the frames in p.
func (c *frameConn) walk(p []byte) *frameFailure {
	const settings, goAway = 4, 7
	for len(p) > 0 {
		if c.have < len(c.head) {
			n := copy(c.head[c.have:], p)
			c.have += n
			p = p[n:]
			if c.have < len(c.head) {
				break
			}
			if c.whole == 0 && c.head[3] != settings {
				return &frameFailure{text: clip(append(c.head[:], p...))}
			}
			if c.head[3] == goAway {
				c.goAway.Store(true)
			}
			c.left = int(c.head[0])<<16 | int(c.head[1])<<8 | int(c.head[2])
		}
		n := min(c.left, len(p))
		c.left -= n
		p = p[n:]
		if c.left == 0 {
			c.have = 0
			c.whole++
		}
	}
	return nil
}

// Close implements [net.Conn].
func (c *frameConn) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}
