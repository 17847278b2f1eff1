package stream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/sseload/sseload/pkg/target"
)

// dialer makes connections to one endpoint, or to where that redirects.
type dialer struct {
	end *target.Endpoint
	tls *tls.Config // for the endpoint's host
	// control prepares a socket before it is bound or connected; it may be nil.
	control func(network, address string, c syscall.RawConn) error
}

func newDialer(t *target.Target, end *target.Endpoint) *dialer {
	return &dialer{end: end, tls: tlsFor(t.TLS, end.HostPort), control: lateBind}
}

// tlsFor is base for a server known by name as hostPort.
func tlsFor(base *tls.Config, hostPort string) *tls.Config {
	c := base.Clone()
	c.ServerName = hostPort
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		c.ServerName = host
	}
	return c
}

// connect makes a connection to the server known as hostPort, over which its
// requests can be written, with TLS where the scheme wants it: straight, or by way of
// a proxy. The local address is source, if that is valid. With a throttle the
// connection is a *slowConn.
func (d *dialer) connect(ctx context.Context, scheme, hostPort string, source netip.Addr, slow *throttle) (net.Conn, error) {
	w, err := d.end.Way(scheme, hostPort)
	if err != nil {
		return nil, err
	}
	nc, err := d.reach(ctx, w, source, slow)
	if err != nil || !w.Tunnels() {
		return nc, err
	}
	if err := tunnel(ctx, nc, w, hostPort); err != nil {
		_ = nc.Close() // nothing is wanted of it any more
		return nil, err
	}
	return nc, nil
}

// reach makes a connection to where w leads first. The endpoint's own host was
// looked up before.
func (d *dialer) reach(ctx context.Context, w target.Way, source netip.Addr, slow *throttle) (nc net.Conn, err error) {
	// Keep-alive probes of thousands of idle connections would be a load of their
	// own, and one that no other engine puts on the server.
	nd := net.Dialer{KeepAlive: -1, Control: d.control}
	if slow != nil {
		nd.Control = lateBindSmall
	}
	if w.Unix != "" {
		nc, err = target.DialUnix(ctx, &nd, w.Unix)
	} else {
		if source.IsValid() {
			nd.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		}
		hostPort := w.HostPort
		if w.Addr.IsValid() {
			hostPort = w.Addr.String()
		}
		nc, err = nd.DialContext(ctx, "tcp", hostPort)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", w, err)
	}
	if slow != nil {
		return slow.conn(nc), nil
	}
	return nc, nil
}

// lateBindSmall also has a small receive buffer.
func lateBindSmall(network, address string, c syscall.RawConn) error {
	var err error
	cerr := c.Control(func(fd uintptr) { err = shrink(fd) })
	if cerr != nil {
		return cerr
	}
	if err != nil {
		return err
	}
	return lateBind(network, address, c)
}

// secure performs the handshake over nc with the server known as hostPort. It
// leaves nc open when it fails. Whatever goes wrong without being a failure of
// the network is one of TLS, though only some of the errors have a type.
func (d *dialer) secure(ctx context.Context, nc net.Conn, hostPort string) (net.Conn, error) {
	cfg := d.tls
	if hostPort != d.end.HostPort {
		cfg = tlsFor(cfg, hostPort)
	}
	c := tls.Client(nc, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		f := classify(fmt.Errorf("TLS handshake with %s: %w", hostPort, err))
		if f.Class == Other {
			f.Class = TLS
		}
		return nil, f
	}
	return c, nil
}

// sourceFor is the local address for a client; the zero Addr leaves it to the
// system.
func sourceFor(sources []netip.Addr, client int) netip.Addr {
	if len(sources) == 0 {
		return netip.Addr{}
	}
	return sources[client%len(sources)]
}

// firstSource is the local address to send from.
func firstSource(sources []netip.Addr) netip.Addr { return sourceFor(sources, 0) }
