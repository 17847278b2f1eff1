package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"

	"github.com/sseload/sseload/pkg/target"
)

// pool is an http.RoundTripper over connections that carry many subscriptions each:
// those of the clients with the numbers k*N … k*N+N-1, see
// Config.StreamsPerConnection. Package net/http's own pool would open as many
// connections as it finds convenient.
//
// A connection is dialled for the first of its clients, the others wait for that.
// It stays when its streams end, as a browser's does, until it breaks or its
// clients are redirected to another origin.
type pool struct {
	cfg    Config
	dialer trunkDialer
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // dials

	mu     sync.Mutex
	groups map[int][]*sharedConn // by k; more than one while redirected or when one drains
	closed bool
}

// trunk is a connection of HTTP/2 or 3.
type trunk interface {
	// roundTrip makes a request on a stream of its own. Its error is errUnsent, a
	// *Failure, or to be classified.
	roundTrip(*http.Request, *trip) (*http.Response, error)
	// explain is the failure that err, of the reading of a body, stands for.
	explain(err error) error
	// heard changes with whatever the server says, be it only that it is there.
	heard() uint64
	// done says that the stream that roundTrip opened for a request is over.
	done(*http.Request)
	// usable reports whether the connection takes further streams, but for a limit
	// to their number.
	usable() bool
	close()
}

type trunkDialer interface {
	// follows reports whether URLs of the scheme can be reached.
	follows(scheme string) bool
	// dial connects to o. at is when that was established, before a handshake where
	// the two can be told apart.
	dial(ctx context.Context, o originKey, source netip.Addr) (c trunk, at int64, err error)
}

// errUnsent is for a request of which the server can know nothing, as the
// connection takes no more of them: it can be made on another one.
var errUnsent = errors.New("the server takes no more requests on the connection")

// originKey is where a connection leads to, RFC 6454 section 4.
type originKey struct{ scheme, hostPort string }

// sharedConn is a connection, or the dial for one.
type sharedConn struct {
	origin originKey
	cancel context.CancelFunc // of the dial
	ready  chan struct{}      // closed when the rest is known
	err    error
	trunk
	at    int64 // when it was established
	users int   // attempts that wait for it or have a stream
	left  bool  // it was given up: those who have a stream keep it, and others take another
}

func newPool(cfg Config, d trunkDialer) *pool {
	p := &pool{cfg: cfg, dialer: d, groups: map[int][]*sharedConn{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// RoundTrip implements [http.RoundTripper].
func (p *pool) RoundTrip(req *http.Request) (*http.Response, error) {
	t, ok := req.Context().Value(tripKey{}).(*trip)
	if !ok {
		return nil, errors.New("a request that has no trip")
	}
	resp, err := p.trip(req, t)
	if errors.Is(err, errUnsent) {
		resp, err = p.trip(req, t) // once: a server that takes no request at all must not be hammered
	}
	if err != nil && req.Body != nil {
		_ = req.Body.Close() // of memory
	}
	return resp, err
}

func (p *pool) trip(req *http.Request, t *trip) (*http.Response, error) {
	if !p.dialer.follows(req.URL.Scheme) {
		return nil, failuref(Protocol, "redirect to %s, which HTTP/%s cannot follow", req.URL, p.cfg.Target.HTTP)
	}
	c, err := p.acquire(req.Context(), t.vars.Client, originKey{req.URL.Scheme, target.HostPort(req.URL)})
	if err != nil {
		return nil, err
	}
	t.connected.Store(max(c.at, t.dialed))
	t.requested.Store(p.cfg.Clock.Now())
	heard := c.heard()
	resp, err := c.roundTrip(req, t)
	if err != nil {
		if isOpenTimeout(req.Context()) {
			p.giveUp(c, c.heard() == heard)
		}
		p.release(c)
		return nil, err
	}
	resp.Body = &sharedBody{ReadCloser: resp.Body, p: p, c: c, req: req}
	return resp, nil
}

// acquire finds or makes the connection to o for the client of the given number,
// and waits until it is there. Without an error it must be released.
func (p *pool) acquire(ctx context.Context, client int, o originKey) (*sharedConn, error) {
	group := client / max(1, p.cfg.StreamsPerConnection)
	c, err := p.join(group, o) //nolint:contextcheck // the connection is not for this client alone
	if err != nil {
		return nil, err
	}
	select {
	case <-c.ready:
		err = c.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		if isOpenTimeout(ctx) {
			p.giveUp(c, true)
		}
		p.release(c)
		return nil, err
	}
	return c, nil
}

func (p *pool) join(group int, o originKey) (*sharedConn, error) {
	p.mu.Lock()
	var found *sharedConn
	var idle []*sharedConn
	p.groups[group] = slices.DeleteFunc(p.groups[group], func(c *sharedConn) bool {
		if c.origin == o && c.takes() {
			found = c
			return false
		}
		if c.users > 0 {
			return false
		}
		idle = append(idle, c)
		return true
	})
	defer func() {
		for _, c := range idle {
			c.end()
		}
	}()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errStopped
	}
	if found == nil {
		found = p.start(group, o)
	}
	found.users++
	return found, nil
}

func isOpenTimeout(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errOpenTimeout) }

// giveUp has others take another connection than c, which the time of one is up on,
// if it was silent all that time, or nobody else has a use for it. A server that has
// died would be tried again for ever.
func (p *pool) giveUp(c *sharedConn, silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.left = c.left || silent || c.users == 1
}

// start dials for as long as somebody waits for that, with p locked.
func (p *pool) start(group int, o originKey) *sharedConn {
	ctx, cancel := context.WithCancel(p.ctx)
	c := &sharedConn{origin: o, cancel: cancel, ready: make(chan struct{})}
	p.groups[group] = append(p.groups[group], c)
	p.work.Go(func() {
		defer cancel()
		c.trunk, c.at, c.err = p.dialer.dial(ctx, o, sourceFor(p.cfg.Sources, group))
		if n := p.cfg.Connections; n != nil && c.err == nil {
			n.Add(1)
		}
		close(c.ready)
	})
	return c
}

// release says that an attempt is done with c.
func (p *pool) release(c *sharedConn) {
	p.mu.Lock()
	c.users--
	if c.users == 0 {
		c.cancel() // nobody waits for it any more; without effect once it is there
	}
	p.mu.Unlock()
}

// close ends all connections. Requests must have ended.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	groups := p.groups
	p.groups = nil
	p.mu.Unlock()
	p.cancel()
	p.work.Wait()
	for _, group := range groups {
		for _, c := range group {
			c.end()
		}
	}
}

// takes reports whether c can be joined.
func (c *sharedConn) takes() bool {
	if c.left {
		return false
	}
	select {
	case <-c.ready:
		return c.err == nil && c.usable()
	default:
		return c.users > 0 // nobody waits for a dial that was given up
	}
}

// end closes c, for which nobody waits any more.
func (c *sharedConn) end() {
	c.cancel()
	<-c.ready
	if c.err == nil {
		c.trunk.close()
	}
}

// sharedBody is the body of a response on a shared connection.
type sharedBody struct {
	io.ReadCloser
	p    *pool
	c    *sharedConn
	req  *http.Request
	once sync.Once
}

// Read implements [io.Reader].
func (b *sharedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.c.explain(err)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *sharedBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() {
		b.c.done(b.req)
		b.p.release(b.c)
	})
	return err
}

// streamLimit is for a client that finds as many streams on its connection as the
// server allows.
func streamLimit(allowed int) *Failure {
	return failuref(StreamLimit, "the server allows %d concurrent streams on a connection; lower --streams-per-connection", allowed)
}

// at names the server in err.
func (o originKey) at(err error) error { return fmt.Errorf("%s: %w", o.hostPort, err) }
