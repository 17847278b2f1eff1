package target

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Endpoint is one kind of request to one server.
type Endpoint struct {
	Method   string
	Scheme   string // "http" or "https"
	Host     string // as it stands in the Host header
	HostPort string // host:port to dial, by name
	Addr     netip.AddrPort
	Unix     string   // path of the socket to connect to instead of Addr; empty: none
	Proxy    *url.URL // to go through, by way of Addr; nil: none

	path    Template
	headers []header
	head    Template // all header lines but Host, Content-Length and Last-Event-ID
	body    Template
	hasBody bool

	jar    *Jar     // of the clients' cookies; nil: they keep none
	cookie Template // with a jar, the Cookie header that the user gave; it is not in headers

	routes   *routes
	absolute string // scheme and authority, when a proxy is given requests in absolute form
	toProxy  string // header line for that proxy alone; may be empty
}

type header struct {
	name  string
	value Template
	// private headers are not shown to another origin after a redirect.
	private bool
}

type endpointSpec struct {
	sends       bool   // what it is for, else a subscription
	what        string // what the user calls it
	method      string
	url         string
	headers     []string
	credentials []header
	jar         *Jar
	defaults    []string // header lines that the user's replace
	userAgent   string
	keys        []Key
	body        string
}

func newEndpoint(s endpointSpec) (*Endpoint, error) {
	loc, err := parseURL(s.url, s.what)
	if err != nil {
		return nil, err
	}
	if !isToken(s.method) {
		return nil, specErrorf("", "%q is not a request method", s.method)
	}
	e := &Endpoint{Method: s.method, Scheme: loc.scheme, Host: withoutZone(loc.authority), HostPort: loc.hostPort(), hasBody: s.body != ""}
	if e.path, err = ParseTemplate(loc.path, s.keys); err != nil {
		return nil, err
	}
	if e.body, err = ParseTemplate(s.body, s.keys); err != nil {
		return nil, err
	}
	if _, err := e.URL(Vars{}); err != nil {
		return nil, specErrorf("percent-encode what is special, as %25 for a percent sign", "%s %q is not a valid URL", s.what, Redacted(s.url))
	}
	if loc.user != nil {
		pass, _ := loc.user.Password()
		s.credentials = append([]header{basic(literal(loc.user.Username() + ":" + pass))}, s.credentials...)
	}
	defaults := s.defaults
	if s.userAgent != "" {
		defaults = append([]string{"User-Agent: " + s.userAgent}, defaults...)
	}
	for _, line := range defaults {
		if err := e.addHeader(line, nil, false); err != nil {
			return nil, err
		}
	}
	for _, h := range s.credentials {
		e.setHeader(h)
	}
	for i, line := range s.headers {
		if err := e.addHeader(line, s.keys, false); err != nil {
			return nil, &HeaderError{s.sends, i, err}
		}
	}
	e.keepCookies(s.jar)
	for _, h := range e.headers {
		e.head = concat(e.head, literal(h.name+": "), h.value, literal("\r\n"))
	}
	return e, nil
}

// addHeader takes "Name: value" over one of the same name. With keys nil the
// value is taken literally.
func (e *Endpoint) addHeader(line string, keys []Key, private bool) error {
	name, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	hint := "write it as 'Name: value', on one line"
	switch {
	case !ok || !isToken(name):
		return specErrorf(hint, "a header is not valid: it does not begin with a name and a colon") // what it says may be a secret
	case strings.ContainsAny(value, "\r\n\x00"):
		return specErrorf(hint, "header %q is not valid", name)
	}
	switch http.CanonicalHeaderKey(name) {
	case "Host":
		e.Host = value
		return nil
	case "Content-Length", "Transfer-Encoding", "Connection", "Last-Event-Id":
		return specErrorf("", "header %q is set by sseload itself", name)
	case "Authorization", "Cookie":
		private = true
	}
	h := header{name: name, value: literal(value), private: private}
	if keys != nil {
		t, err := ParseTemplate(value, keys)
		if IsSecret(name) {
			err = keepSecret(err, fmt.Sprintf("header %q", name))
		}
		if err != nil {
			return err
		}
		h.value = t
	}
	e.setHeader(h)
	return nil
}

// setHeader puts h in the place of one of the same name, if there is one.
func (e *Endpoint) setHeader(h header) {
	for i := range e.headers {
		if strings.EqualFold(e.headers[i].name, h.name) {
			e.headers[i] = h
			return
		}
	}
	e.headers = append(e.headers, h)
}

// isToken checks s against the token rule, RFC 9110 section 5.6.2.
func isToken(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// Uses reports whether the request differs by k.
func (e *Endpoint) Uses(k Key) bool {
	if e.path.Uses(k) || e.body.Uses(k) || e.cookie.Uses(k) {
		return true
	}
	for _, h := range e.headers {
		if h.value.Uses(k) {
			return true
		}
	}
	return false
}

// String is the endpoint's URL with its keys in braces.
func (e *Endpoint) String() string {
	var b strings.Builder
	b.WriteString(e.Scheme + "://" + e.Host)
	for _, p := range e.path.parts {
		if p.key != "" {
			b.WriteString("{" + string(p.key) + "}")
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// Append writes the request for v onto dst as HTTP/1.1, RFC 9112 section 3.
// lastEventID, when not empty, goes into a Last-Event-ID header, HTML section
// 9.2.4. scratch is memory for the body, used and returned grown.
func (e *Endpoint) Append(dst, scratch []byte, v Vars, lastEventID []byte) (request, grown []byte) {
	dst = append(dst, e.Method...)
	dst = append(dst, ' ')
	dst = append(dst, e.absolute...)
	dst = e.path.Append(dst, v)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, e.Host...)
	dst = append(dst, "\r\n"...)
	dst = append(dst, e.toProxy...)
	dst = e.head.Append(dst, v)
	if e.jar != nil {
		dst = e.appendCookie(dst, v, nil)
	}
	dst = appendLastEventID(dst, lastEventID)
	return e.appendBody(dst, scratch, e.Method, v)
}

// appendBody ends the head of a request of that method, and writes the body.
func (e *Endpoint) appendBody(dst, scratch []byte, method string, v Vars) (request, grown []byte) {
	if e.hasBody {
		scratch = e.body.Append(scratch[:0], v)
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(scratch)), 10)
		dst = append(dst, "\r\n\r\n"...)
		return append(dst, scratch...), scratch
	}
	if method != "GET" && method != "HEAD" {
		dst = append(dst, "Content-Length: 0\r\n"...) // RFC 9110 section 8.6
	}
	return append(dst, "\r\n"...), scratch
}

func appendLastEventID(dst, id []byte) []byte {
	if len(id) == 0 {
		return dst
	}
	dst = append(dst, "Last-Event-ID: "...)
	dst = append(dst, id...)
	return append(dst, "\r\n"...)
}

// Redirect is where a server has sent a request.
type Redirect struct {
	To *url.URL
	// GET says that the request has become a GET without a body on its way, see
	// [Endpoint.BecomesGET].
	GET bool
	// Crossed says that it has been sent to another origin on its way, even if it is
	// back by now.
	Crossed bool
}

// Move is the next step, of e's request, to another URL.
func (r *Redirect) Move(e *Endpoint, to *url.URL) {
	r.To = to
	r.Crossed = r.Crossed || !e.sameOrigin(to)
}

// BecomesGET reports whether a redirect of that status makes the endpoint's request
// a GET without a body. Others keep both. Fetch standard, HTTP-redirect fetch, step 12.
func (e *Endpoint) BecomesGET(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound:
		return e.Method == http.MethodPost
	case http.StatusSeeOther:
		return e.Method != http.MethodGet && e.Method != http.MethodHead
	}
	return false
}

// aboutBody tells the headers that go when the body does: the Fetch standard's
// request-body-header names.
func aboutBody(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Encoding", "Content-Language", "Content-Location", "Content-Type":
		return true
	}
	return false
}

// AppendRedirected writes the request for v as it goes on behind a redirect.
// Credentials go along only to the origin that they were given for. scratch is as
// with Append.
func (e *Endpoint) AppendRedirected(dst, scratch []byte, r Redirect, v Vars, lastEventID []byte) (request, grown []byte) {
	method, u := e.Method, r.To
	if r.GET {
		method = http.MethodGet
	}
	way, err := e.Way(u.Scheme, HostPort(u))
	forward := err == nil && way.Forward // with an error there is nobody to write to
	dst = append(dst, method...)
	dst = append(dst, ' ')
	if forward {
		dst = append(dst, u.Scheme+"://"+u.Host...)
	}
	dst = append(dst, escape(u.RequestURI())...) // a Location may hold a space, which browsers encode
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, withoutZone(u.Host)...)
	dst = append(dst, "\r\n"...)
	if forward {
		dst = append(dst, proxyHeader(way)...)
	}
	for _, h := range e.headers {
		if e.withholds(h, r) {
			continue
		}
		dst = append(dst, h.name...)
		dst = append(dst, ": "...)
		if r.Crossed && e.taints(h) {
			dst = append(dst, "null"...)
		} else {
			dst = h.value.Append(dst, v)
		}
		dst = append(dst, "\r\n"...)
	}
	if e.jar != nil {
		dst = e.appendCookie(dst, v, u)
	}
	dst = appendLastEventID(dst, lastEventID)
	if r.GET {
		return append(dst, "\r\n"...), scratch
	}
	return e.appendBody(dst, scratch, method, v)
}

// withholds reports whether h does not go with the request once it was redirected.
// Authorization is gone for good with the first step to another origin: Fetch standard,
// HTTP-redirect fetch, step 13.
func (e *Endpoint) withholds(h header, r Redirect) bool {
	switch {
	case r.GET && aboutBody(h.name):
		return true
	case strings.EqualFold(h.name, "Authorization"):
		return r.Crossed || !e.sameOrigin(r.To)
	}
	return h.private && !e.sameOrigin(r.To)
}

// taints reports whether h is the origin of a page other than e's, of which the servers
// behind a redirect to yet another origin hear as null: Fetch standard, HTTP-redirect
// fetch, step 11, and the serialization of a request's origin.
func (e *Endpoint) taints(h header) bool {
	if !strings.EqualFold(h.name, "Origin") {
		return false
	}
	page, err := url.Parse(string(h.value.Append(nil, Vars{})))
	return err != nil || !e.sameOrigin(page)
}

func (e *Endpoint) sameOrigin(u *url.URL) bool {
	return u.Scheme == e.Scheme && HostPort(u) == e.HostPort
}

// HostPort is the address to dial for u, by name.
func HostPort(u *url.URL) string {
	return location{scheme: u.Scheme, authority: u.Host}.hostPort()
}

// URL is the request's URL for v.
func (e *Endpoint) URL(v Vars) (*url.URL, error) {
	raw := e.Scheme + "://" + e.authority() + string(e.path.Append(nil, v))
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("request URL: %w", err)
	}
	return u, nil
}

// authority is the host and port to dial, without the scheme's default port, as it
// stands in a URL.
func (e *Endpoint) authority() string {
	const zone = "%25" // RFC 6874 section 2
	host, port, err := net.SplitHostPort(e.HostPort)
	switch {
	case err != nil || port != map[string]string{"http": "80", "https": "443"}[e.Scheme]:
		return strings.Replace(e.HostPort, "%", zone, 1)
	case strings.Contains(host, ":"):
		return "[" + strings.Replace(host, "%", zone, 1) + "]"
	}
	return host
}

// withoutZone is an authority without the zone of an IPv6 address, which means
// nothing to anybody else, RFC 6874 section 4.
func withoutZone(authority string) string {
	at, end := strings.IndexByte(authority, '%'), strings.IndexByte(authority, ']')
	if at < 0 || end < at {
		return authority
	}
	return authority[:at] + authority[end:]
}

// Request is the request for v in the form of package net/http.
func (e *Endpoint) Request(ctx context.Context, v Vars, lastEventID []byte) (*http.Request, error) {
	u, err := e.URL(v)
	if err != nil {
		return nil, err
	}
	var body *bytes.Reader
	if e.hasBody {
		body = bytes.NewReader(e.body.Append(nil, v))
	}
	var req *http.Request
	if body != nil {
		req, err = http.NewRequestWithContext(ctx, e.Method, u.String(), body)
	} else {
		req, err = http.NewRequestWithContext(ctx, e.Method, u.String(), nil)
	}
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	req.Host = e.Host
	if name, value, ok := strings.Cut(strings.TrimSpace(e.toProxy), ": "); ok {
		req.Header.Set(name, value)
	}
	for _, h := range e.headers {
		req.Header[http.CanonicalHeaderKey(h.name)] = []string{string(h.value.Append(nil, v))}
	}
	if e.jar != nil {
		if cookie := e.Cookie(v, nil); cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
	}
	if len(lastEventID) > 0 {
		req.Header.Set("Last-Event-ID", string(lastEventID))
	}
	return req, nil
}
