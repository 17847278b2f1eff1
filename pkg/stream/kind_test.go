package stream

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/target"
)

// TestKindForHTTP3: what leads to the server must be able to carry it.
func TestKindForHTTP3(t *testing.T) {
	proxy := func(*url.URL) (*url.URL, error) { return url.Parse("http://me:secret@proxy.test:3128") }
	for _, c := range []struct {
		spec target.Spec
		err  string
	}{
		{target.Spec{Unix: "app.sock"}, "HTTP/3 needs UDP, which the Unix socket app.sock is not"},
		{target.Spec{Proxy: proxy}, "HTTP/3 cannot pass the proxy http://***@proxy.test:3128; name the host in NO_PROXY"},
	} {
		c.spec.URL = "https://x"
		for _, k := range []Kind{Auto, NetHTTP, R3Labs} {
			for _, c.spec.HTTP = range []target.Version{target.HTTP2, target.HTTP3} {
				tg, err := target.New(c.spec)
				if err != nil {
					t.Fatal(err)
				}
				if _, err = k.For(tg); (err != nil) != (c.spec.HTTP == target.HTTP3) || err != nil && err.Error() != c.err {
					t.Errorf("%s over HTTP/%s: %v, want %s with HTTP/3", k, c.spec.HTTP, err, c.err)
				}
			}
		}
	}
}

// TestKindFor: which engine serves which version of HTTP, or which one to take.
func TestKindFor(t *testing.T) {
	best := Conn
	if epollAvailable {
		best = Epoll
	}
	for _, c := range []struct {
		kind Kind
		http target.Version
		url  string
		want Kind
		err  string
	}{
		{Auto, target.HTTP1, "http://x", best, ""},
		{Auto, target.HTTP1, "https://x", Conn, ""},
		{Auto, target.HTTP2, "http://x", Conn, ""},
		{Auto, target.HTTP2, "https://x", Conn, ""},
		{Auto, target.HTTP3, "https://x", NetHTTP, ""},
		{Conn, target.HTTP2, "http://x", Conn, ""},
		{NetHTTP, target.HTTP1, "http://x", NetHTTP, ""},
		{NetHTTP, target.HTTP2, "http://x", NetHTTP, ""},
		{NetHTTP, target.HTTP3, "https://x", NetHTTP, ""},
		{R3Labs, target.HTTP2, "https://x", R3Labs, ""},
		{R3Labs, target.HTTP3, "https://x", R3Labs, ""},

		{Epoll, target.HTTP2, "http://x", "", "use conn"},
		{Epoll, target.HTTP3, "https://x", "", "use nethttp"},
		{Conn, target.HTTP3, "https://x", "", "use nethttp"},
		{Auto, target.HTTP3, "http://x", "", "needs https"},
		{NetHTTP, target.HTTP3, "http://x", "", "needs https"},
	} {
		tg, err := target.New(target.Spec{URL: c.url, HTTP: c.http})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.kind.For(tg)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s for %s over HTTP/%s: %q, %v; want %q, %q", c.kind, c.url, c.http, got, err, c.want, c.err)
		}
	}
}
