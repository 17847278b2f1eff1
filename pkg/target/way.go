package target

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Way is how connections to an origin are made.
type Way struct {
	Unix     string         // path of a socket to connect to; empty: TCP
	Proxy    *url.URL       // what is connected to in the origin's place; nil: nothing
	Forward  bool           // the proxy takes requests in absolute form, RFC 9112 section 3.2.2; else it is asked for a tunnel
	HostPort string         // of the proxy, or else of the origin, by name
	Addr     netip.AddrPort // of HostPort; not valid while that is to be looked up
}

// Tunnels reports whether the proxy has to be asked for a connection to the origin
// first: by CONNECT (RFC 9110 section 9.3.6) or SOCKS5 (RFC 1928).
func (w Way) Tunnels() bool { return w.Proxy != nil && !w.Forward }

// String is what is connected to, for messages.
func (w Way) String() string {
	where := w.HostPort
	switch {
	case w.Unix != "":
		return "unix:" + w.Unix
	case w.Addr.IsValid():
		where = w.Addr.String()
	}
	if w.Proxy != nil {
		return "proxy " + where
	}
	return where
}

// ProxyAuthorization is the value of that header, RFC 9110 section 11.7.2; empty
// when the proxy's URL has no credentials.
func (w Way) ProxyAuthorization() string {
	if w.Proxy == nil || w.Proxy.User == nil {
		return ""
	}
	pass, _ := w.Proxy.User.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(w.Proxy.User.Username()+":"+pass))
}

// Way is how the origin at hostPort is reached, to which the endpoint's requests
// are redirected. Its own origin is reached by the same rules, and its Addr is known
// once the target is resolved. With a Unix socket everything goes there.
func (e *Endpoint) Way(scheme, hostPort string) (Way, error) {
	if e.Unix != "" {
		return Way{Unix: e.Unix, HostPort: hostPort}, nil
	}
	own := scheme == e.Scheme && hostPort == e.HostPort
	proxy := e.Proxy
	if !own {
		var err error
		if proxy, err = e.routes.proxyOf(scheme, hostPort); err != nil {
			return Way{}, err
		}
	}
	w := Way{Proxy: proxy, HostPort: hostPort}
	if proxy != nil {
		w.HostPort = proxyHostPort(proxy)
		w.Forward = e.routes.http == HTTP1 && scheme == "http" && proxy.Scheme == "http"
	}
	switch addr, ok := e.routes.resolved(w); {
	case own || w.HostPort == e.dialed():
		w.Addr = e.Addr
	case ok:
		w.Addr = addr
	}
	return w, nil
}

// Peer is what the endpoint's connections are made to, for messages.
func (e *Endpoint) Peer() string {
	w, err := e.Way(e.Scheme, e.HostPort)
	if err != nil {
		return e.HostPort // its own way was found before
	}
	return w.String()
}

// dialed is what is connected to, by name.
func (e *Endpoint) dialed() string {
	if e.Proxy != nil {
		return proxyHostPort(e.Proxy)
	}
	return e.HostPort
}

// Tunnels reports whether a proxy has to be asked for connections before requests
// can be written.
func (t *Target) Tunnels() bool {
	return slices.ContainsFunc(t.ways(), Way.Tunnels)
}

// Proxies are the proxies in between, without their passwords.
func (t *Target) Proxies() []string {
	var all []string
	for _, w := range t.ways() {
		if w.Proxy == nil {
			continue
		}
		if p := Redacted(w.Proxy.String()); !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// ways are those of the endpoints.
func (t *Target) ways() []Way {
	var all []Way
	for _, e := range []*Endpoint{t.Subscribe, t.Send} {
		if e == nil {
			continue
		}
		if w, err := e.Way(e.Scheme, e.HostPort); err == nil { // its own was found before
			all = append(all, w)
		}
	}
	return all
}

// routes are what the user said about the ways to origins.
type routes struct {
	http    Version
	addrs   map[string]netip.Addr // by "host:port" in lower case
	proxies func(*url.URL) (*url.URL, error)
}

func newRoutes(spec Spec) *routes {
	r := &routes{http: spec.HTTP, proxies: spec.Proxy, addrs: map[string]netip.Addr{}}
	for hostPort, addr := range spec.Resolve {
		r.addrs[strings.ToLower(hostPort)] = addr
	}
	return r
}

// resolved is the address of an origin that is not to be looked up. That of a
// proxied one is the proxy's business.
func (r *routes) resolved(w Way) (netip.AddrPort, bool) {
	addr, ok := r.addrs[strings.ToLower(w.HostPort)]
	if !ok || w.Proxy != nil {
		return netip.AddrPort{}, false
	}
	_, digits, _ := net.SplitHostPort(w.HostPort)
	port, err := strconv.ParseUint(digits, 10, 16)
	return netip.AddrPortFrom(addr, uint16(port)), err == nil
}

// proxyOf is the proxy for an origin; nil: none. The error is a [*SpecError].
func (r *routes) proxyOf(scheme, hostPort string) (*url.URL, error) {
	if r.proxies == nil {
		return nil, nil
	}
	p, err := r.proxies(&url.URL{Scheme: scheme, Host: hostPort})
	const hint = "use a proxy at http:// or socks5://, or name the host in NO_PROXY"
	switch {
	case err != nil:
		return nil, specErrorf(hint, "the proxy for %s: %v", hostPort, err)
	case p == nil:
		return nil, nil
	case p.Hostname() == "" || !validPort(p.Port()):
		return nil, specErrorf(hint, "the proxy %q for %s has no valid host and port", Redacted(p.String()), hostPort)
	case p.Scheme == "https":
		return nil, specErrorf(hint, "the proxy %s for %s is to be spoken to over TLS, which is not supported", Redacted(p.String()), hostPort)
	case proxyPort(p.Scheme) == "":
		return nil, specErrorf(hint, "the proxy %s for %s has the unknown scheme %q", Redacted(p.String()), hostPort, p.Scheme)
	}
	return p, nil
}

// proxyPort is the port of a scheme of proxies; empty for one that is not known.
func proxyPort(scheme string) string {
	return map[string]string{"http": "80", "socks5": "1080", "socks5h": "1080"}[scheme]
}

func proxyHostPort(p *url.URL) string {
	port := p.Port()
	if port == "" {
		port = proxyPort(p.Scheme)
	}
	return net.JoinHostPort(p.Hostname(), port)
}

// mostUnixPath is how long the path of a socket may be, unix(7).
const mostUnixPath = 107

// lead gives the endpoints their ways.
func (t *Target) lead(spec Spec) error {
	r := newRoutes(spec)
	if len(spec.Unix) > mostUnixPath {
		return specErrorf("use a shorter path, or a relative one", "--unix-socket: %q is longer than the %d bytes that a socket's path may have", spec.Unix, mostUnixPath)
	}
	used := map[string]bool{}
	for _, e := range []*Endpoint{t.Subscribe, t.Send} {
		if e == nil {
			continue
		}
		e.routes = r
		used[strings.ToLower(e.HostPort)] = true
		if e.Scheme == t.Subscribe.Scheme && e.HostPort == t.Subscribe.HostPort {
			e.Unix = spec.Unix
		}
		if e.Unix != "" {
			continue
		}
		var err error
		if e.Proxy, err = r.proxyOf(e.Scheme, e.HostPort); err != nil {
			return err
		}
		if w, err := e.Way(e.Scheme, e.HostPort); err == nil && w.Forward {
			e.absolute = e.Scheme + "://" + e.authority()
			e.toProxy = proxyHeader(w)
		}
	}
	return t.checkResolve(spec, used)
}

// checkResolve finds addresses for names that nobody would ask for.
func (t *Target) checkResolve(spec Spec, used map[string]bool) error {
	for _, hostPort := range slices.Sorted(maps.Keys(spec.Resolve)) {
		if !used[strings.ToLower(hostPort)] {
			asked := t.Subscribe.HostPort
			if t.Send != nil && t.Send.HostPort != asked {
				asked += " and " + t.Send.HostPort
			}
			return specErrorf("write --resolve HOST:PORT:ADDR with the host and port of the URL", "--resolve: nothing is asked of %s, but of %s", hostPort, asked)
		}
		for _, e := range []*Endpoint{t.Subscribe, t.Send} {
			switch {
			case e == nil || !strings.EqualFold(e.HostPort, hostPort):
			case e.Unix != "":
				return specErrorf("leave one of them out", "--resolve: %s is reached by the socket %s, whatever its address", hostPort, e.Unix)
			case e.Proxy != nil:
				return specErrorf("name the host in NO_PROXY to go there without the proxy",
					"--resolve: %s is reached through the proxy %s, which looks names up itself", hostPort, Redacted(e.Proxy.String()))
			}
		}
	}
	return nil
}

// proxyHeader is the header line for the proxy of w, if there is anything to tell it.
func proxyHeader(w Way) string {
	if auth := w.ProxyAuthorization(); auth != "" {
		return "Proxy-Authorization: " + auth + "\r\n"
	}
	return ""
}

// DialUnix connects to the socket at path. The longest that a connect waits
// for a place in the listener's queue is until ctx is done: Linux says EAGAIN while
// that is full, unix(7). d may prepare the socket.
func DialUnix(ctx context.Context, d *net.Dialer, path string) (net.Conn, error) {
	const first, most = time.Millisecond, 32 * time.Millisecond
	for delay := first; ; delay = min(2*delay, most) {
		nc, err := d.DialContext(ctx, "unix", path)
		if !errors.Is(err, syscall.EAGAIN) {
			return nc, err
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("the listener's queue is full: %w", context.Cause(ctx))
		}
	}
}

// tryUnix finds out whether something listens at the socket.
func tryUnix(ctx context.Context, path string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nc, err := DialUnix(ctx, new(net.Dialer), path)
	if err != nil {
		return fmt.Errorf("connect to unix:%s: %w", path, unwrapDial(err))
	}
	return nc.Close()
}
