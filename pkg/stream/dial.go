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

// tcp connects to hostPort from the local address source, if that is valid. The
// endpoint's own host was looked up before. With a throttle the connection is a
// *slowConn.
func (d *dialer) tcp(ctx context.Context, hostPort string, source netip.Addr, slow *throttle) (net.Conn, error) {
	// Keep-alive probes of thousands of idle connections would be a load of their
	// own, and one that no other engine puts on the server.
	nd := net.Dialer{KeepAlive: -1, Control: d.control}
	if slow != nil {
		nd.Control = lateBindSmall
	}
	if source.IsValid() {
		nd.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	if hostPort == d.end.HostPort {
		hostPort = d.end.Addr.String()
	}
	nc, err := nd.DialContext(ctx, "tcp", hostPort)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", hostPort, err)
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
