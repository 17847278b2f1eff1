package cli

import (
	"net"
	"net/netip"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/testserver"
)

// bundledFlags say how the bundled server is reached.
type bundledFlags struct {
	addr string
	tls  bool
}

// bundledAddr is where the bundled server listens unless the user says.
const bundledAddr = "127.0.0.1:0"

func (f *bundledFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.addr, "serve-addr", bundledAddr, "where the bundled server listens: `HOST:PORT` or unix:PATH; unix: alone makes a socket of its own")
	flags.BoolVar(&f.tls, "serve-tls", false, "have the bundled server make a certificate and serve TLS; its clients trust it")
}

// check finds what is wrong with the flags. bundled tells whether there is a bundled
// server at all.
func (f *bundledFlags) check(bundled bool) error {
	if !bundled {
		switch {
		case f.addr != bundledAddr:
			return usagef("leave the URL out, or --serve-addr", "--serve-addr is for the bundled server, but a URL is given")
		case f.tls:
			return usagef("leave the URL out, or --serve-tls", "--serve-tls is for the bundled server, but a URL is given")
		}
		return nil
	}
	if err := checkAddr("serve-addr", f.addr); err != nil {
		return err
	}
	if host, _, err := net.SplitHostPort(f.addr); err == nil && !f.unix() {
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			return usagef("name one, such as 127.0.0.1:0 or [::1]:0", "--serve-addr=%s: clients need an address to connect to", f.addr)
		}
	}
	return nil
}

// unix tells whether the server listens on a Unix socket.
func (f *bundledFlags) unix() bool {
	_, ok := testserver.SocketPath(f.addr)
	return ok
}

// ip is the address that the server listens on, when that is known beforehand.
func (f *bundledFlags) ip() (addr netip.Addr, ok bool) {
	host, _, err := net.SplitHostPort(f.addr)
	if err != nil || f.unix() {
		return addr, false
	}
	addr, err = netip.ParseAddr(host)
	return addr.Unmap(), err == nil
}

// foresee completes what b is asked for, and finds what is wrong with it as far as
// that can be known before the server is there.
func (b *bundled) foresee(engine stream.Kind) error {
	spec, err := b.request.spec("http://localhost")
	if err != nil {
		return err
	}
	if b.http3 = spec.HTTP == target.HTTP3; b.http3 {
		switch {
		case b.at.unix():
			return usagef("leave one of them out", "--serve-addr: HTTP/3 needs a port, not a Unix socket")
		case b.workers > 1:
			return usagef("leave one of them out", "--workers: HTTP/3 is served by one process")
		}
		b.at.tls = true
	}
	at := ready{URL: "http://127.0.0.1"}
	if b.at.tls {
		at.URL = "https://127.0.0.1"
	}
	if b.at.unix() {
		at.Unix = b.at.addr
	}
	t, err := b.target(at)
	if err != nil {
		return err
	}
	if _, err := engine.For(t); err != nil {
		return &usageError{err: err}
	}
	return nil
}
