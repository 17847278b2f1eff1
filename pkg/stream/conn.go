package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/sseload/sseload/pkg/stream/http1"
	"github.com/sseload/sseload/pkg/target"
)

// conn is an Engine with a goroutine for each connection.
//
// The goroutine that dials, shakes hands and writes the request ends with that,
// and a new one reads: its stack has never grown. Where the system lets it wait
// for a socket without reading (conn_unix.go), it reads into the one buffer that
// the shard has, in the engine's context, so that an idle client holds none.
// What comes through TLS is read on a stack and into a buffer that stay, and what
// comes to a slow reader.
//
// Over HTTP/2 the same goes for connections of many subscriptions, see carrier.
type conn struct {
	shard
	dial *dialer
	recv receiver
	buf  []byte // what was read last
}

func newConn(cfg Config) Engine {
	c := &conn{dial: newDialer(cfg.Target, cfg.Target.Subscribe), buf: make([]byte, connBuffer)}
	c.dial.control = lateBindStamped
	begin := c.begin
	if cfg.Target.HTTP == target.HTTP2 {
		begin = newCarrier(c).begin
	}
	c.init(cfg, begin)
	if cfg.Head != nil {
		c.disp.head = func(h *http1.Head) {
			o := c.subs[c.disp.id].opening
			c.cfg.tellHead(o.vars, o.moved, h)
		}
	}
	return c
}

// attemptReader is the plainReader that reads an attempt's connection.
type attemptReader struct {
	c *conn
	a *attempt
}

func (r *attemptReader) finish(tcp net.Conn, err error) { r.c.end(r.a, tcp, err) }

// connBuffer takes what a loaded server sends in one go.
const connBuffer = 64 << 10

// longAgo is a deadline that makes whatever waits for a connection return.
//
//nolint:gochecknoglobals // a constant
var longAgo = time.Unix(1, 0)

// begin starts to open a, on the address that it was sent to last.
func (c *conn) begin(a *attempt) {
	deadline := time.Now().Add(time.Duration(c.cfg.deadline(a.timing.Dialed) - c.cfg.Clock.Now()))
	o := a.opening
	a.timing.Connected = 0
	c.work.Go(func() {
		ctx, cancel := context.WithDeadline(o.ctx, deadline)
		defer cancel()
		nc, tcp, err := c.open(ctx, a, o, deadline)
		if err != nil {
			c.end(a, tcp, err)
			return
		}
		if nc == tcp && o.slow == nil {
			c.readPlain(&attemptReader{c, a}, tcp)
			return
		}
		c.work.Go(func() { c.end(a, tcp, c.readBlocking(a, nc, tcp)) })
	})
}

// open connects a and writes its request. tcp is the connection under nc; it is
// nil if there is none, and left open on an error.
func (c *conn) open(ctx context.Context, a *attempt, o *opening, deadline time.Time) (nc, tcp net.Conn, err error) {
	e := c.cfg.Target.Subscribe
	scheme, hostPort := e.Scheme, e.HostPort
	if o.moved != nil {
		scheme, hostPort = o.moved.To.Scheme, target.HostPort(o.moved.To)
	}
	tcp, err = c.dial.connect(ctx, scheme, hostPort, sourceFor(c.cfg.Sources, o.vars.Client), o.slow)
	if err != nil {
		return nil, nil, err
	}
	connected := c.cfg.Clock.Now()
	if err := tcp.SetDeadline(deadline); err != nil {
		return nil, tcp, fmt.Errorf("connect to %s: %w", hostPort, err)
	}
	if !c.enter(a) {
		return nil, tcp, errStopped
	}
	a.timing.Connected = connected
	a.stop = func() {
		o.cancel(context.Canceled)
		_ = tcp.SetDeadline(longAgo) // it can only fail on a closed connection
	}
	c.leave()

	nc = tcp
	if scheme == "https" {
		if nc, err = c.dial.secure(ctx, tcp, hostPort); err != nil {
			return nil, tcp, err
		}
	}
	requested := c.cfg.Clock.Now()
	if _, err := nc.Write(subscribeRequest(e, o, a.dec.LastEventID())); err != nil {
		return nil, tcp, fmt.Errorf("connect to %s: %w", hostPort, err)
	}
	if !c.enter(a) {
		return nil, tcp, errStopped
	}
	a.timing.Requested = requested
	c.leave()
	return nc, tcp, nil
}

// errStopped is for an attempt that was unsubscribed: nobody hears of it.
var errStopped = errors.New("unsubscribed")

func subscribeRequest(e *target.Endpoint, o *opening, lastEventID []byte) []byte {
	var request []byte
	if o.moved != nil {
		request, _ = e.AppendRedirected(nil, nil, o.moved.Redirect, o.vars, lastEventID)
	} else {
		request, _ = e.Append(nil, nil, o.vars, lastEventID)
	}
	return request
}

// blockingBuffer is a compromise: an idle client holds it.
const blockingBuffer = 1 << 10

// readBlocking reads a connection of which nothing but Read is known, until a's
// response ends. It returns why it did.
func (c *conn) readBlocking(a *attempt, nc, tcp net.Conn) error {
	p := make([]byte, blockingBuffer)
	for {
		n, err := nc.Read(p)
		if n > 0 {
			at := Stamp{Read: c.cfg.Clock.Now()}
			if !c.enter(a) {
				return errStopped
			}
			werr := c.feed(a, tcp, at, p[:n])
			c.leave()
			if werr != nil {
				return werr
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return a.end()
		case err != nil && !a.resp.HeadDone() && errors.Is(err, io.ErrUnexpectedEOF):
			return errClosedUnopened
		case err != nil:
			return fmt.Errorf("read from %s: %w", tcp.RemoteAddr(), err)
		}
	}
}

// feed hands bytes to a's machine, in the engine's context.
func (c *conn) feed(a *attempt, tcp net.Conn, at Stamp, p []byte) error {
	c.disp.timing = a.timing
	err := c.disp.write(&a.machine, a.id, at, p)
	if c.disp.stopped {
		return errStopped
	}
	if c.disp.opened {
		a.opening.cancel(context.Canceled)
		a.opening = nil
		a.stop = func() { _ = tcp.SetReadDeadline(longAgo) }
		if slow, ok := tcp.(*slowConn); ok {
			slow.hold()
		}
		if derr := tcp.SetDeadline(time.Time{}); err == nil && derr != nil {
			err = fmt.Errorf("read from %s: %w", tcp.RemoteAddr(), derr)
		}
	}
	return err
}

// end closes a's connection and goes where a redirect leads, or tells the
// Handler what happened. Nothing else is at work on a any more.
func (c *conn) end(a *attempt, tcp net.Conn, err error) {
	if tcp != nil {
		_ = tcp.Close() // all that was wanted of it has been read
	}
	if errors.Is(err, errStopped) || !c.enter(a) {
		a.reset(0) // gives buffers back
		return
	}
	defer c.leave()
	var to *redirect
	if !errors.As(err, &to) {
		a.reset(0)
		f := classify(err)
		if a.opening != nil {
			f = a.opening.moved.through(c.cfg.Target.Subscribe, f)
		}
		c.fail(a, f)
		return
	}
	if f := a.opening.follow(c.cfg.Target.Subscribe, to); f != nil {
		c.fail(a, f)
		return
	}
	a.reset(c.cfg.MaxEventSize)
	c.begin(a)
}

// follow moves o to where a response sent it.
func (o *opening) follow(e *target.Endpoint, by *redirect) (f *Failure) {
	if o.moved == nil {
		if o.moved, f = newRedirects(e, o.vars); f != nil {
			return f
		}
	}
	return o.moved.follow(e, by, "http", "https")
}
