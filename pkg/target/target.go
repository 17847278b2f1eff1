package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Spec is what a user says about a server, as text.
type Spec struct {
	URL     string   // where to subscribe; may hold {room} and {client}; without a path, the reference server's
	Method  string   // of the subscribe request; empty: GET
	Headers []string // "Name: value", on the subscribe request; values may hold the same keys
	Body    *string  // of the subscribe request, with the same keys; nil: none

	SendURL     string   // where to send; empty: the target takes no messages
	SendMethod  string   // empty: POST
	SendHeaders []string // "Name: value", on the send request
	SendBody    *string  // nil: the payload alone

	// Credentials go with the subscribe request, and with the send request when
	// it has the same scheme, host and port. They may hold {room} and {client}.
	// Bearer, User, Token and JWT exclude each other.
	Bearer  string   // token of an Authorization header
	User    string   // USER:PASSWORD of an Authorization header
	Cookies []string // "NAME=VALUE"
	Origin  string   // taken as it is
	// Token is the token of an Authorization header for each client by its number;
	// nil: none. It is called for each request, from any goroutine.
	Token func(client int) string
	JWT   *JWT // signs the token of an Authorization header; nil: none
	// CookieJar has each client keep the cookies that it is sent, see [Jar].
	CookieJar bool

	// Literal takes a URL without a path as it is, not as short for the reference
	// server's.
	Literal bool

	UserAgent    string
	Insecure     bool              // do not verify the server's certificate
	RootCAs      *x509.CertPool    // nil: the system's
	Certificates []tls.Certificate // to present to a server that asks for one

	HTTP Version
	// Unix is the path of a socket to connect to, whatever the host of the URL;
	// empty: TCP, or UDP.
	Unix string
	// Resolve has the addresses of names that are not to be looked up, by
	// "host:port".
	Resolve map[string]netip.Addr
	// Proxy says through which proxy a URL is reached, or nil; nil itself: none are.
	Proxy func(*url.URL) (*url.URL, error)
}

// Target is a server and how to speak to it.
type Target struct {
	URL       string // as given, templates and all
	Subscribe *Endpoint
	Send      *Endpoint // nil when the target takes no messages
	TLS       *tls.Config
	HTTP      Version // of the subscriptions
	Jar       *Jar    // of the clients' cookies; nil: they keep none
}

// A SpecError is a mistake in what the user said: nothing was tried yet.
type SpecError struct {
	Text     string
	HintText string
	err      error
}

func (e *SpecError) Error() string { return e.Text }

// Hint is what to do about it, or empty.
func (e *SpecError) Hint() string { return e.HintText }

func (e *SpecError) Unwrap() error { return e.err }

func specErrorf(hint, format string, args ...any) *SpecError {
	return &SpecError{Text: fmt.Sprintf(format, args...), HintText: hint}
}

// A HeaderError is a mistake in one of the header lines that the user gave.
type HeaderError struct {
	Sends bool // it is one of SendHeaders, else of Headers
	Index int  // from 0
	Err   error
}

func (e *HeaderError) Error() string { return e.Err.Error() }

func (e *HeaderError) Unwrap() error { return e.Err }

// New reads spec. Its errors are a [*SpecError] or an [*UnknownKeyError], those of header
// lines in a [*HeaderError].
func New(spec Spec) (*Target, error) {
	subURL, sendURL := spec.URL, spec.SendURL
	base, err := parseURL(subURL, "URL")
	if err != nil {
		return nil, err
	}
	if p, ok := presetFor(base); ok && !spec.Literal {
		root := base.scheme + "://" + base.authority
		subURL = root + p.Subscribe
		if sendURL == "" {
			sendURL = root + p.Send
		}
	}
	auth, err := credentials(spec)
	if err != nil {
		return nil, err
	}
	t := &Target{URL: spec.URL, HTTP: spec.HTTP}
	if spec.CookieJar {
		t.Jar = NewJar()
	}
	if t.Subscribe, err = subscribeEndpoint(spec, subURL, t, auth); err != nil {
		return nil, err
	}
	if sendURL != "" {
		if t.Send, err = sendEndpoint(spec, sendURL, t, auth); err != nil {
			return nil, err
		}
	}
	t.TLS = &tls.Config{
		InsecureSkipVerify: spec.Insecure, //nolint:gosec // the user asked for it, and is warned
		RootCAs:            spec.RootCAs,
		MinVersion:         tls.VersionTLS12,
		NextProtos:         alpn(spec.HTTP),
		// No ClientSessionCache: the clients of a run are strangers to each other,
		// and each pays for a full handshake.
	}
	if certs := spec.Certificates; len(certs) > 0 {
		// Also to a server that names other authorities: it is for that to refuse it.
		t.TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs[0], nil }
	}
	if err := t.lead(spec); err != nil {
		return nil, err
	}
	return t, nil
}

// alpn is what to offer in a handshake over TCP, RFC 7301. A server of HTTP/3 takes
// sends over HTTP/1.1 there.
func alpn(v Version) []string {
	if v == HTTP2 {
		return []string{"h2"}
	}
	return []string{"http/1.1"}
}

func subscribeEndpoint(spec Spec, subURL string, t *Target, auth []header) (*Endpoint, error) {
	method, body := strings.ToUpper(spec.Method), ""
	if spec.Body != nil {
		body = *spec.Body
	}
	switch {
	case method == "" && spec.Body != nil:
		method = "POST"
	case method == "":
		method = "GET"
	case method == "HEAD" || method == "CONNECT":
		return nil, specErrorf("use for example GET or POST", "--method %s cannot open a stream", method)
	}
	defaults := []string{"Accept: text/event-stream", "Cache-Control: no-cache"}
	return newEndpoint(endpointSpec{
		what: "URL", method: method, url: subURL, headers: spec.Headers, keys: SubscribeKeys,
		credentials: auth, jar: t.Jar, userAgent: spec.UserAgent, defaults: append(defaults, contentType(body)...), body: body,
	})
}

// contentType is the header line for a body of which the user has not said what it
// is; none for an empty one.
func contentType(body string) []string {
	s := strings.TrimSpace(body)
	switch {
	case body == "":
		return nil
	case strings.HasPrefix(s, "{\""), strings.HasPrefix(s, "["):
		return []string{"Content-Type: application/json"}
	}
	return []string{"Content-Type: text/plain; charset=utf-8"}
}

func sendEndpoint(spec Spec, sendURL string, t *Target, auth []header) (*Endpoint, error) {
	method := strings.ToUpper(spec.SendMethod)
	if method == "" {
		method = "POST"
	}
	if method == "HEAD" || method == "CONNECT" {
		return nil, specErrorf("use for example POST, PUT or GET", "--send-method %s cannot send a message", method)
	}
	body := "{payload}"
	switch {
	case spec.SendBody != nil:
		body = *spec.SendBody
	case method == "GET": // RFC 9110 section 9.3.1 gives its content no meaning
		body = ""
	}
	send, err := parseURL(sendURL, "--send-url")
	if err != nil {
		return nil, err
	}
	if send.scheme != t.Subscribe.Scheme || send.hostPort() != t.Subscribe.HostPort {
		auth = nil
	}
	e, err := newEndpoint(endpointSpec{
		what: "--send-url", sends: true, method: method, url: sendURL, headers: spec.SendHeaders, keys: SendKeys,
		credentials: auth, jar: t.Jar, userAgent: spec.UserAgent, defaults: contentType(body), body: body,
	})
	if err != nil {
		return nil, err
	}
	if !e.Uses(Payload) {
		return nil, specErrorf("put {payload} into --send-body, --send-url or a --send-header",
			"the send request does not carry {payload}, so no message could be recognised")
	}
	return e, nil
}

// AddressesRooms reports whether subscribe requests of different rooms differ.
func (t *Target) AddressesRooms() bool {
	return t.Subscribe.Uses(Room) || t.Subscribe.Uses(Client)
}

// Plain reports whether every request goes over unencrypted HTTP.
func (t *Target) Plain() bool {
	return t.Subscribe.Scheme == "http" && (t.Send == nil || t.Send.Scheme == "http")
}

// Encrypted reports whether the subscriptions go over TLS.
func (t *Target) Encrypted() bool { return t.Subscribe.Scheme == "https" }

// Protocol says in the words of the tables over what the subscriptions go, such as
// "EventSource (h2)".
func (t *Target) Protocol() string {
	var over []string
	if t.Subscribe.Unix != "" {
		over = append(over, "Unix")
	}
	switch {
	case t.HTTP == HTTP3:
		over = append(over, "h3")
	case t.HTTP == HTTP2 && t.Encrypted():
		over = append(over, "h2")
	case t.HTTP == HTTP2:
		over = append(over, "h2c")
	case t.Encrypted():
		over = append(over, "TLS")
	}
	if len(over) == 0 {
		return "EventSource"
	}
	return "EventSource (" + strings.Join(over, ", ") + ")"
}

// Resolve finds the addresses of the target's hosts, or of the proxies before them,
// by name look-up and one trial connection each, and stores them in the endpoints. Of
// Unix sockets it only tries whether something listens there, and with HTTP/3 see
// [LookupQUIC]. The error is a [*net.DNSError] or a dial error, wrapped with the host and port it concerns.
func (t *Target) Resolve(ctx context.Context, timeout time.Duration) error {
	look := Lookup
	if t.HTTP == HTTP3 {
		look = LookupQUIC
	}
	if err := t.Subscribe.resolve(ctx, timeout, look); err != nil {
		return err
	}
	if t.Send == nil {
		return nil
	}
	if t.Send.Unix == t.Subscribe.Unix && t.Send.dialed() == t.Subscribe.dialed() {
		t.Send.Addr = t.Subscribe.Addr
		return nil
	}
	return t.Send.resolve(ctx, timeout, Lookup)
}

// lookup is [Lookup] or [LookupQUIC].
type lookup func(ctx context.Context, hostPort string, timeout time.Duration) (netip.AddrPort, error)

func (e *Endpoint) resolve(ctx context.Context, timeout time.Duration, look lookup) error {
	w, err := e.Way(e.Scheme, e.HostPort)
	if err != nil {
		return err
	}
	if w.Unix != "" {
		return tryUnix(ctx, w.Unix, timeout)
	}
	hostPort := w.HostPort
	if given, ok := e.routes.resolved(w); ok {
		hostPort = given.String()
	}
	addr, err := look(ctx, hostPort, timeout)
	if err != nil && w.Proxy != nil {
		return fmt.Errorf("the proxy %s: %w", Redacted(w.Proxy.String()), err)
	}
	e.Addr = addr
	return err
}

// Lookup returns an address of hostPort ("host:port", as in [net.Dial]) that
// accepts TCP connections. All addresses of the name are tried in the
// resolver's order, each within timeout.
func Lookup(ctx context.Context, hostPort string, timeout time.Duration) (netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", hostPort)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) {
			return netip.AddrPort{}, &lookUpError{dns}
		}
		return netip.AddrPort{}, fmt.Errorf("connect to %s: %w", hostPort, unwrapDial(err))
	}
	addr, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if cerr := conn.Close(); err == nil {
		err = cerr
	}
	return addr, err
}

// lookUpError is a [*net.DNSError] without the name server's address, which tells
// a user nothing.
type lookUpError struct{ dns *net.DNSError }

func (e *lookUpError) Error() string { return fmt.Sprintf("look up %q: %s", e.dns.Name, e.dns.Err) }
func (e *lookUpError) Unwrap() error { return e.dns }

// unwrapDial takes the repetition of address and system call off a dial error,
// keeping what errors.Is can recognise.
func unwrapDial(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// Local reports whether addr is this machine: a loopback address or one of its
// interfaces'.
func Local(addr netip.Addr) bool {
	if addr.Unmap().IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == addr.Unmap() {
			return true
		}
	}
	return false
}

// location is a URL taken apart, its braces still in it.
type location struct {
	scheme    string
	authority string // host[:port], without user information
	user      *url.Userinfo
	path      string // path and query, from the first slash on; never empty
	bare      bool   // the URL had no path of its own
}

func (l location) hostPort() string {
	host, port := l.authority, ""
	if h, p, err := net.SplitHostPort(l.authority); err == nil {
		host, port = h, p
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[l.scheme]
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

func parseURL(raw, what string) (location, error) {
	const form = "write it as http://HOST:PORT/PATH"
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return location{}, specErrorf(form, "%s %q has no scheme", what, Redacted(raw))
	}
	scheme = strings.ToLower(scheme)
	if scheme != "http" && scheme != "https" {
		return location{}, specErrorf("use http:// or https://", "%s %q has the unknown scheme %q", what, Redacted(raw), scheme)
	}
	rest, _, _ = strings.Cut(rest, "#")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	u, err := url.Parse(scheme + "://" + rest[:end])
	if err != nil || u.Hostname() == "" || strings.ContainsAny(u.Host, "{}") || !validPort(u.Port()) {
		return location{}, specErrorf(form, "%s %q has no valid host and port", what, Redacted(raw))
	}
	l := location{scheme: scheme, authority: u.Host, user: u.User, path: escape(rest[end:]), bare: end == len(rest)}
	if !strings.HasPrefix(l.path, "/") {
		l.path = "/" + l.path
	}
	return l, nil
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// escape percent-encodes what may not stand in a request target, RFC 9112
// section 3.2, and leaves braces to the template.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>\^`+"`", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
