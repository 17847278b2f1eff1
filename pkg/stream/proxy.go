package stream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/proxy"

	"github.com/sseload/sseload/pkg/stream/http1"
	"github.com/sseload/sseload/pkg/target"
)

// tunnel asks the proxy at the other end of nc for a connection to hostPort. What
// comes of nc afterwards is from there.
func tunnel(ctx context.Context, nc net.Conn, w target.Way, hostPort string) error {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(longAgo) }) // it can only fail on a closed connection
	defer stop()
	if deadline, ok := ctx.Deadline(); ok {
		if err := nc.SetDeadline(deadline); err != nil {
			return fmt.Errorf("connect to %s: %w", w, err)
		}
	}
	ask := connectThrough
	if w.Proxy.Scheme != "http" {
		ask = socksThrough
	}
	err := ask(ctx, nc, w, hostPort)
	if err == nil && stop() {
		err = nc.SetDeadline(time.Time{})
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == nil {
		return nil
	}
	f := classify(fmt.Errorf("%s, asked for %s: %w", w, hostPort, err))
	if f.Class == Other {
		f.Class = Proxy
	}
	return f
}

// connectThrough asks by CONNECT, RFC 9110 section 9.3.6.
func connectThrough(_ context.Context, nc net.Conn, w target.Way, hostPort string) error {
	request := "CONNECT " + hostPort + " HTTP/1.1\r\nHost: " + hostPort + "\r\n"
	if auth := w.ProxyAuthorization(); auth != "" {
		request += "Proxy-Authorization: " + auth + "\r\n"
	}
	if _, err := nc.Write([]byte(request + "\r\n")); err != nil {
		return err
	}
	head, err := readHead(nc)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return failuref(Protocol, "%s, asked for %s, speaks no HTTP: %w", w, hostPort, err)
	}
	_ = resp.Body.Close() // there is none: what follows is the server's
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return failuref(Proxy, "the %s answered %d when asked for %s", w, resp.StatusCode, hostPort)
	}
	return nil
}

// readHead reads the head of a response, and not a byte more, as the next is the
// server's already.
func readHead(nc net.Conn) ([]byte, error) {
	var head []byte
	var p [1]byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) && !bytes.HasSuffix(head, []byte("\n\n")) {
		if len(head) == http1.MaxHeadBytes {
			return nil, http1.ErrHeadTooLarge
		}
		if _, err := nc.Read(p[:]); err != nil {
			return nil, err
		}
		head = append(head, p[0])
	}
	return head, nil
}

// socksThrough asks by SOCKS5, RFC 1928. The name goes to the proxy as it is.
func socksThrough(ctx context.Context, nc net.Conn, w target.Way, hostPort string) error {
	var auth *proxy.Auth
	if user := w.Proxy.User; user != nil {
		password, _ := user.Password()
		auth = &proxy.Auth{User: user.Username(), Password: password}
	}
	d, err := proxy.SOCKS5("tcp", w.HostPort, auth, already{nc})
	if err != nil {
		return err
	}
	dialer, ok := d.(proxy.ContextDialer)
	if !ok {
		return errors.New("the dialer takes no context")
	}
	_, err = dialer.DialContext(ctx, "tcp", hostPort)
	var reply *net.OpError
	if errors.As(err, &reply) && reply.Op == "socks connect" {
		err = reply.Err // without addresses that are named anyway
	}
	return err
}

// already is a dialer whose connection is there.
type already struct{ net.Conn }

// Dial implements [proxy.Dialer].
func (a already) Dial(_, _ string) (net.Conn, error) { return a.Conn, nil }

// DialContext implements [proxy.ContextDialer].
func (a already) DialContext(context.Context, string, string) (net.Conn, error) { return a.Conn, nil }

// throughProxy is f, with which a response over w was refused, with the proxy's part
// in it: a status may be its own. f may be nil.
func throughProxy(f *Failure, w target.Way) *Failure {
	if f == nil || f.Class != Status || !w.Forward {
		return f
	}
	about := *f
	about.Proxied = true
	switch f.Status {
	case http.StatusProxyAuthRequired, http.StatusBadGateway, http.StatusGatewayTimeout: // which only a gateway says
		about.Err = errors.New(strings.Replace(f.Error(), "the server", "the "+w.String(), 1))
	default:
		about.Err = fmt.Errorf("%w, through the %s", f.Err, w)
	}
	return &about
}
