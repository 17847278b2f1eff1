package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sseload/sseload/pkg/stream/http1"
)

// h3Dialer makes connections of HTTP/3, each over a UDP socket of its own. One for
// all would save a descriptor, two goroutines and a tenth of the memory of each. But
// to a server that spreads its load by address and port all clients would be one; what
// comes for one would find no room while the socket's buffer is full of the others';
// and only a connected socket is told that nothing listens over there.
type h3Dialer struct {
	cfg    Config
	dialer *dialer
	http   *http3.Transport
	quic   *quic.Config
}

const (
	// pingEvery is what Chrome does while it waits for an answer. An event stream on
	// which nothing happens would otherwise be over after the idle timeout of either
	// side, RFC 9000 section 10.1, and a client that only waits would not learn that
	// the server has gone.
	pingEvery = 15 * time.Second
	// idleFor is how long a connection lives without a sign from the server, Chrome's
	// time too. A server that answers pings gives one each pingEvery; one that has died,
	// or has been started anew, answers none, and nothing else tells.
	idleFor = 30 * time.Second
	// creditFor is how long a request may wait for the server to allow another
	// stream: what one that ended makes room for arrives after a round trip, RFC
	// 9000 section 4.6. How many it allows, quic-go does not tell.
	creditFor = time.Second
)

func newH3Dialer(cfg Config) *h3Dialer {
	h := &h3Dialer{cfg: cfg, dialer: newDialer(cfg.Target, cfg.Target.Subscribe)}
	h.dialer.tls.NextProtos = []string{http3.NextProtoH3}
	h.dialer.tls.MinVersion = tls.VersionTLS13 // RFC 9001 section 4.2
	h.http = &http3.Transport{DisableCompression: true, MaxResponseHeaderBytes: http1.MaxHeadBytes}
	h.quic = &quic.Config{
		Versions: []quic.Version{quic.Version1},
		// The context ends what takes longer than somebody waits for; who comes just
		// before the first one gives up waits as long again.
		HandshakeIdleTimeout: 2 * min(cfg.Timeout, idleFor),
		MaxIdleTimeout:       idleFor,
		KeepAlivePeriod:      pingEvery,
		MaxIncomingStreams:   -1, // RFC 9114 section 6.1
		// Requests are small, and the answers' size is the server's choice.
		DisablePathMTUDiscovery: true,
	}
	return h
}

func (h *h3Dialer) follows(scheme string) bool { return scheme == "https" }

// dial implements [trunkDialer]. A host that redirects lead to may have several
// addresses: the first that answers is taken.
func (h *h3Dialer) dial(ctx context.Context, o originKey, source netip.Addr) (trunk, int64, error) {
	addrs, err := h.addrs(ctx, o)
	if err != nil {
		return nil, 0, err
	}
	for _, addr := range addrs {
		var c *h3Conn
		if c, err = h.connect(ctx, o, addr, source); err == nil {
			return c, h.cfg.Clock.Now(), nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, 0, err
}

// addrs are the addresses of o as [net.Dial] takes them. The target's own was
// looked up before. A proxy has no part in it: those that there are speak TCP.
func (h *h3Dialer) addrs(ctx context.Context, o originKey) ([]string, error) {
	way, err := h.dialer.end.Way(o.scheme, o.hostPort)
	if err != nil {
		return nil, err
	}
	if way.Proxy == nil && way.Addr.IsValid() {
		return []string{way.Addr.String()}, nil
	}
	host, port, err := net.SplitHostPort(o.hostPort)
	if err != nil {
		return nil, o.at(err)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, o.at(err)
	}
	var addrs []string
	for _, ip := range ips {
		addrs = append(addrs, net.JoinHostPort(ip.Unmap().String(), port))
	}
	return addrs, nil
}

func (h *h3Dialer) connect(ctx context.Context, o originKey, addr string, source netip.Addr) (*h3Conn, error) {
	nd := net.Dialer{Control: h.dialer.control}
	if source.IsValid() {
		nd.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	nc, err := nd.DialContext(ctx, "udp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	udp, ok := nc.(*net.UDPConn)
	if !ok {
		_ = nc.Close()
		return nil, fmt.Errorf("connect to %s: not by UDP", addr)
	}
	cfg := h.dialer.tls
	if o.hostPort != h.dialer.end.HostPort {
		cfg = tlsFor(cfg, o.hostPort)
	}
	c := &h3Conn{origin: o, udp: udp, over: make(chan struct{})}
	c.transport = &quic.Transport{Conn: datagrams{udp}}
	if c.quic, err = c.transport.Dial(ctx, udp.RemoteAddr(), cfg, h.quic); err != nil {
		c.free()
		return nil, quicFailure(fmt.Errorf("connect to %s: %w", addr, err), false)
	}
	context.AfterFunc(c.quic.Context(), c.free) //nolint:contextcheck // it is what says that the connection has ended
	c.ClientConn = h.http.NewClientConn(c.quic)
	return c, nil
}

// h3Conn is a trunk.
type h3Conn struct {
	*http3.ClientConn
	origin    originKey
	udp       *net.UDPConn
	transport *quic.Transport
	quic      *quic.Conn
	over      chan struct{} // closed when all is freed
	streams   atomic.Int32
	goAway    atomic.Bool
}

// free gives back what the connection had, once it has ended.
func (c *h3Conn) free() {
	_ = c.transport.Close() // there is nothing that could go wrong
	_ = c.udp.Close()
	close(c.over)
}

func (c *h3Conn) usable() bool { return c.quic.Context().Err() == nil && !c.goAway.Load() }

func (c *h3Conn) heard() uint64 { return c.quic.ConnectionStats().PacketsReceived }

func (c *h3Conn) done(*http.Request) { c.streams.Add(-1) }

func (c *h3Conn) close() {
	_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") // it has ended, whatever that says
	<-c.over
}

func (c *h3Conn) roundTrip(req *http.Request, t *trip) (*http.Response, error) {
	const waiting, opened, gaveUp = 0, 1, 2
	var state atomic.Int32
	timer := time.AfterFunc(creditFor, func() {
		if state.CompareAndSwap(waiting, gaveUp) {
			t.cancel(streamLimit(int(c.streams.Load())))
		}
	})
	defer timer.Stop()
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteHeaders: func() {
		if state.CompareAndSwap(waiting, opened) {
			c.streams.Add(1)
		}
	}})
	req = req.WithContext(ctx)
	if req.Body == http.NoBody {
		req.Body = nil // else it takes a goroutine to find that out
	}
	resp, err := c.RoundTrip(req)
	if err == nil {
		return resp, nil
	}
	switch {
	case state.Load() == opened:
		c.done(req)
	case req.Context().Err() == nil && c.usable():
		// Nothing was sent, and nothing has failed.
		c.goAway.Store(true)
		return nil, errUnsent
	}
	return nil, c.explain(err)
}

// explain implements [trunk].
func (c *h3Conn) explain(err error) error { return quicFailure(c.origin.at(err), true) }

// quicFailure gives errors of QUIC and HTTP/3 that have a class of their own that
// class. established: there was a connection.
func quicFailure(err error, established bool) error {
	var (
		app       *http3.Error
		transport *quic.TransportError
		version   *quic.VersionNegotiationError
		stateless *quic.StatelessResetError
	)
	class := Other
	switch {
	case errors.As(err, &app) && !app.Remote:
		class = Protocol
	case errors.As(err, &app) && app.ErrorCode == http3.ErrCodeNoError:
		class = ClosedEarly
	case errors.As(err, &app), errors.As(err, &stateless):
		class = Reset
	case errors.As(err, &version):
		class = Protocol
	case errors.As(err, &transport):
		class = transportClass(transport)
	case established && errors.Is(err, syscall.ECONNREFUSED):
		class = Reset // nothing listens there any more
	}
	if class == Other {
		return err
	}
	return &Failure{Class: class, Err: err}
}

// transportClass is the class of an error of QUIC, RFC 9000 section 20.1.
func transportClass(err *quic.TransportError) Class {
	switch {
	case err.ErrorCode.IsCryptoError():
		return TLS
	case err.ErrorCode == quic.ConnectionRefused:
		return Refused
	}
	return Protocol
}

// datagrams is a connected UDP socket as the packet connection that quic-go wants.
// It has no more than that needs: with a *net.UDPConn it would hold buffers for
// eight datagrams a connection, which rarely come at once here, and print a warning
// about the size of the socket's buffer, which the socket of one connection does
// not need.
type datagrams struct{ udp *net.UDPConn }

// ReadFrom implements [net.PacketConn].
func (d datagrams) ReadFrom(p []byte) (int, net.Addr, error) {
	n, err := d.udp.Read(p)
	return n, d.udp.RemoteAddr(), err
}

// WriteTo implements [net.PacketConn].
func (d datagrams) WriteTo(p []byte, _ net.Addr) (int, error) { return d.udp.Write(p) }

// Close implements [net.PacketConn].
func (d datagrams) Close() error { return d.udp.Close() }

// LocalAddr implements [net.PacketConn].
func (d datagrams) LocalAddr() net.Addr { return d.udp.LocalAddr() }

// SetDeadline implements [net.PacketConn].
func (d datagrams) SetDeadline(t time.Time) error { return d.udp.SetDeadline(t) }

// SetReadDeadline implements [net.PacketConn].
func (d datagrams) SetReadDeadline(t time.Time) error { return d.udp.SetReadDeadline(t) }

// SetWriteDeadline implements [net.PacketConn].
func (d datagrams) SetWriteDeadline(t time.Time) error { return d.udp.SetWriteDeadline(t) }

// SetReadBuffer asks for as much as the system gives, which may be less than n.
func (d datagrams) SetReadBuffer(n int) error {
	_ = d.udp.SetReadBuffer(n)
	return nil
}

// SetWriteBuffer leaves the system's: what a client sends is small.
func (d datagrams) SetWriteBuffer(int) error { return nil }
