package stream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sseload/sseload/pkg/stream/http1"
	"github.com/sseload/sseload/pkg/target"
)

// webClient is package net/http set up so that its requests and what it accepts
// differ as little as possible from the engines that are built on the machine:
// the version of HTTP that was asked for and no other, no proxy, no compression, the same dialling, the same bound on
// a head, and no header that nobody asked for.
type webClient struct {
	http.Client
	transport *http.Transport
	end       *target.Endpoint
	shared    *pool // with HTTP/2 and 3; nil otherwise

	mu     sync.Mutex
	conns  map[*ownedConn]struct{}
	closed bool
}

// trip is what goes with a subscribe request, in its context, and what is learned
// on the way. The times are on the engine's Clock.
type trip struct {
	source      netip.Addr
	slow        *throttle // nil unless it is a slow reader's
	vars        target.Vars
	lastEventID []byte
	moved       *redirects // nil unless redirected
	// cancel ends the attempt.
	cancel context.CancelCauseFunc
	// head takes the head of each response, unless it is nil. Its error ends the
	// attempt.
	head func(*http.Response, *url.URL) error

	clock     *Clock
	dialed    int64
	connected atomic.Int64
	requested atomic.Int64
	answered  atomic.Bool              // a byte of a response has arrived
	conn      atomic.Pointer[slowConn] // of a slow reader, the one dialled last
}

type tripKey struct{}

// in is ctx with t and what takes its times.
func (t *trip) in(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, tripKey{}, t)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { t.requested.Store(t.clock.Now()) },
		GotFirstResponseByte: func() { t.answered.Store(true) },
	})
}

// classify is the class of an error that net/http returned. Its errors about a
// response that is no HTTP have no type, but they are about a response.
func (t *trip) classify(err error) *Failure {
	f := classify(err)
	if f.Class == Other && t.answered.Load() {
		f.Class = Protocol
	}
	return f
}

func newWebClient(t *target.Target, end *target.Endpoint) *webClient {
	c := &webClient{end: end, conns: map[*ownedConn]struct{}{}}
	d := newDialer(t, end)
	c.transport = &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return c.dial(ctx, d, addr, false) },
		DialTLSContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return c.dial(ctx, d, addr, true)
		},
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
		DisableCompression:     true,
		MaxResponseHeaderBytes: http1.MaxHeadBytes,
		ReadBufferSize:         4 << 10,
		WriteBufferSize:        4 << 10,
	}
	c.Transport = &asWritten{RoundTripper: c.transport, end: end}
	c.CheckRedirect = c.redirect
	return c
}

// do is Do without the request's method and URL in the error, which are known,
// and without a User-Agent unless there is one to send.
func (c *webClient) do(req *http.Request) (*http.Response, error) {
	if req.Header["User-Agent"] == nil {
		req.Header["User-Agent"] = nil
	}
	resp, err := c.Do(req)
	return resp, bare(err)
}

// bare is an error of an http.Client without the request's method and URL, and without
// a location that is none.
func bare(err error) error {
	if about := new(url.Error); errors.As(err, &about) {
		err = about.Err
	}
	if err != nil && strings.HasPrefix(err.Error(), "failed to parse Location header") {
		return noURL()
	}
	return err
}

// asWritten makes each request's line, Host and body those that every engine sends.
// Package net/http would escape characters in a target that the user left as they
// are, and the client of r3labs can set neither a host nor a method.
type asWritten struct {
	http.RoundTripper
	end *target.Endpoint
}

// RoundTrip implements [http.RoundTripper].
func (w *asWritten) RoundTrip(req *http.Request) (*http.Response, error) {
	t, ok := req.Context().Value(tripKey{}).(*trip)
	if !ok {
		return w.RoundTripper.RoundTrip(req)
	}
	own, u := *req, *req.URL
	own.URL = &u
	if t.moved == nil {
		own.Host = w.end.Host
	}
	head, body, _ := bytes.Cut(t.request(w.end), []byte("\r\n\r\n"))
	line, _, _ := bytes.Cut(head, []byte(" HTTP/1.1\r\n"))
	method, path, _ := bytes.Cut(line, []byte(" "))
	own.Method = string(method)
	setBody(&own, body)
	absolute := u.Scheme + ":"
	switch {
	case bytes.HasPrefix(path, []byte(absolute)): // package net/url puts the scheme before it
		u.Opaque, u.RawQuery, u.ForceQuery = string(path[len(absolute):]), "", false
	case !bytes.HasPrefix(path, []byte("//")): // which it would take for an authority
		u.Opaque, u.RawQuery, u.ForceQuery = string(path), "", false
	}
	return w.RoundTripper.RoundTrip(&own)
}

// request is the request that every engine would write at this point of t.
func (t *trip) request(e *target.Endpoint) []byte {
	var raw []byte
	if t.moved != nil {
		raw, _ = e.AppendRedirected(nil, nil, t.moved.Redirect, t.vars, t.lastEventID)
	} else {
		raw, _ = e.Append(nil, nil, t.vars, t.lastEventID)
	}
	return raw
}

// setBody gives req a body of known size.
func setBody(req *http.Request, body []byte) {
	req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, int64(len(body))
	if len(body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
}

// redirect makes the next request the one that every engine would make.
func (c *webClient) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return tooManyRedirects()
	}
	t, ok := req.Context().Value(tripKey{}).(*trip)
	if !ok {
		return errors.New("redirected a request that has no trip")
	}
	moved := &redirects{Redirect: target.Redirect{GET: c.end.BecomesGET(req.Response.StatusCode)}}
	if t.moved != nil {
		moved.GET, moved.Crossed = moved.GET || t.moved.GET, t.moved.Crossed
	}
	moved.Move(c.end, req.URL)
	t.moved = moved
	same, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(t.request(c.end))))
	if err != nil {
		return fmt.Errorf("redirect to %s: %w", target.Redacted(req.URL.String()), err)
	}
	req.Header, req.Host = same.Header, same.Host
	if req.Header["User-Agent"] == nil {
		req.Header["User-Agent"] = nil
	}
	return nil
}

func (c *webClient) dial(ctx context.Context, d *dialer, hostPort string, secure bool) (net.Conn, error) {
	t, ok := ctx.Value(tripKey{}).(*trip)
	if !ok {
		return nil, fmt.Errorf("connect to %s: no trip", hostPort)
	}
	way, err := d.end.Way(map[bool]string{false: "http", true: "https"}[secure], hostPort)
	if err != nil {
		return nil, err
	}
	tcp, err := d.reach(ctx, way, t.source, t.slow)
	if err != nil {
		return nil, err
	}
	if slow, ok := tcp.(*slowConn); ok {
		t.conn.Store(slow)
	}
	owned := &ownedConn{Conn: tcp, c: c}
	if err := c.own(owned); err != nil {
		return nil, err
	}
	if way.Tunnels() {
		if err := tunnel(ctx, owned, way, hostPort); err != nil {
			return nil, errors.Join(err, owned.Close())
		}
	}
	t.connected.Store(t.clock.Now())
	if !secure {
		return owned, nil
	}
	nc, err := d.secure(ctx, owned, hostPort)
	if err != nil {
		return nil, errors.Join(err, owned.Close())
	}
	return nc, nil
}

// ownedConn is a connection that the client closes if the transport has not done
// so yet: the transport does it in goroutines that nobody can wait for.
type ownedConn struct {
	net.Conn
	c *webClient
}

func (c *webClient) own(nc *ownedConn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errors.Join(net.ErrClosed, nc.Conn.Close())
	}
	c.conns[nc] = struct{}{}
	return nil
}

// Close implements [net.Conn].
func (nc *ownedConn) Close() error {
	nc.c.mu.Lock()
	delete(nc.c.conns, nc)
	nc.c.mu.Unlock()
	return nc.Conn.Close()
}

// close closes all connections. Requests must have ended.
func (c *webClient) close() {
	if c.shared != nil {
		c.shared.close()
	}
	c.mu.Lock()
	c.closed = true
	for nc := range c.conns {
		_ = nc.Conn.Close()
	}
	clear(c.conns)
	c.mu.Unlock()
	c.transport.CloseIdleConnections()
}
