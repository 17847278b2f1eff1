package target

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// through sends everything but *.direct.test through a proxy.
func through(proxy string) func(*url.URL) (*url.URL, error) {
	return func(u *url.URL) (*url.URL, error) {
		if strings.HasSuffix(u.Hostname(), ".direct.test") {
			return nil, nil
		}
		return url.Parse(proxy)
	}
}

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestWays(t *testing.T) {
	given := map[string]netip.Addr{"SSE.test:80": netip.MustParseAddr("192.0.2.7")}
	for _, c := range []struct {
		name             string
		spec             Spec
		to               string // where it is redirected; empty: nowhere
		want             string
		tunnels, forward bool
	}{
		{"straight", Spec{}, "", "sse.test:80", false, false},
		{"a socket", Spec{Unix: "/run/s"}, "", "unix:/run/s", false, false},
		{"a socket, whatever the host", Spec{Unix: "/run/s"}, "https://other.test/", "unix:/run/s", false, false},
		{"a socket, not a proxy", Spec{Unix: "/run/s", Proxy: through("http://p:3128")}, "", "unix:/run/s", false, false},
		{"a given address", Spec{Resolve: given}, "http://sse.TEST/there", "192.0.2.7:80", false, false},
		{"no given address", Spec{Resolve: given}, "http://sse.test:81/", "sse.test:81", false, false},
		{"a proxy", Spec{Proxy: through("http://p")}, "", "proxy p:80", false, true},
		{"a tunnel", Spec{Proxy: through("http://p:3128")}, "https://other.test/", "proxy p:3128", true, false},
		{"a tunnel of HTTP/2", Spec{Proxy: through("http://p:3128"), HTTP: HTTP2}, "", "proxy p:3128", true, false},
		{"SOCKS", Spec{Proxy: through("socks5://p")}, "", "proxy p:1080", true, false},
		{"around the proxy", Spec{Proxy: through("socks5://p")}, "http://a.direct.test/", "a.direct.test:80", false, false},
	} {
		c.spec.URL = "http://sse.test/x"
		tg, err := New(c.spec)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		scheme, hostPort := tg.Subscribe.Scheme, tg.Subscribe.HostPort
		if c.to != "" {
			u := mustURL(t, c.to)
			scheme, hostPort = u.Scheme, HostPort(u)
		}
		w, err := tg.Subscribe.Way(scheme, hostPort)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if w.String() != c.want || w.Tunnels() != c.tunnels || w.Forward != c.forward {
			t.Errorf("%s: %s, tunnels %v, forwards %v; want %s, %v, %v", c.name, w, w.Tunnels(), w.Forward, c.want, c.tunnels, c.forward)
		}
	}
}

// TestProxySeesTheWholeURL holds RFC 9112 section 3.2.2.
func TestProxySeesTheWholeURL(t *testing.T) {
	tg, err := New(Spec{
		URL: "http://sse.test:8080/{room}?a=b", SendURL: "http://a.direct.test/{payload}", Headers: []string{"Host: virtual.test"},
		Proxy: through("http://me:pass@p:3128"),
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, r := request(t, tg.Subscribe, Vars{Room: 3}, "")
	if !strings.HasPrefix(raw, "GET http://sse.test:8080/3?a=b HTTP/1.1\r\nHost: virtual.test\r\n") || r.Header.Get("Proxy-Authorization") != "Basic bWU6cGFzcw==" {
		t.Errorf("request %q", raw)
	}
	if raw, _ := request(t, tg.Send, Vars{Payload: []byte("p")}, ""); !strings.HasPrefix(raw, "POST /p HTTP/1.1\r\n") || strings.Contains(raw, "Proxy-") {
		t.Errorf("around the proxy: %q", raw)
	}
	std, err := tg.Subscribe.Request(context.Background(), Vars{Room: 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := std.Header.Get("Proxy-Authorization"); got != "Basic bWU6cGFzcw==" {
		t.Errorf("net/http tells the proxy %q", got)
	}
	for to, line := range map[string]string{
		"http://other.test/b c": "GET http://other.test/b%20c HTTP/1.1\r\nHost: other.test\r\nProxy-Authorization: Basic bWU6cGFzcw==\r\n",
		"http://b.direct.test/": "GET / HTTP/1.1\r\nHost: b.direct.test\r\nAccept",
		"https://other.test/":   "GET / HTTP/1.1\r\nHost: other.test\r\nAccept",
	} {
		raw, _ := tg.Subscribe.AppendRedirected(nil, nil, Redirect{To: mustURL(t, to)}, Vars{}, nil)
		if !strings.HasPrefix(string(raw), line) {
			t.Errorf("redirected to %s: %q, want %q", to, raw, line)
		}
	}
	if got := strings.Join(tg.Proxies(), " "); got != "http://***@p:3128" {
		t.Errorf("the proxies are %s", got)
	}
}

func TestSubscribeBody(t *testing.T) {
	body, empty := `{"client":{client}}`, ""
	for _, c := range []struct {
		spec                              Spec
		method, body, contentType, length string
	}{
		{Spec{}, "GET", "", "", ""},
		{Spec{Body: &body}, "POST", `{"client":7}`, "application/json", "12"},
		{Spec{Body: &empty}, "POST", "", "", "0"},
		{Spec{Method: "report"}, "REPORT", "", "", "0"},
		{Spec{Method: "GET", Body: &body}, "GET", `{"client":7}`, "application/json", "12"},
		{Spec{Body: &body, Headers: []string{"content-type: text/x"}}, "POST", `{"client":7}`, "text/x", "12"},
	} {
		c.spec.URL = "http://h/x"
		tg, err := New(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		_, r := request(t, tg.Subscribe, Vars{Client: 7}, "")
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if r.Method != c.method || string(sent) != c.body || r.Header.Get("Content-Type") != c.contentType || r.Header.Get("Content-Length") != c.length {
			t.Errorf("%s of %q with %v, want %s of %q, %q of length %q", r.Method, sent, r.Header, c.method, c.body, c.contentType, c.length)
		}
	}
}

func TestBecomesGET(t *testing.T) {
	for method, statuses := range map[string]map[int]bool{
		"GET":    {301: false, 302: false, 303: false, 307: false, 308: false},
		"POST":   {301: true, 302: true, 303: true, 307: false, 308: false},
		"REPORT": {301: false, 302: false, 303: true, 307: false, 308: false},
	} {
		tg, err := New(Spec{URL: "http://h/x", Method: method})
		if err != nil {
			t.Fatal(err)
		}
		for status, want := range statuses {
			if got := tg.Subscribe.BecomesGET(status); got != want {
				t.Errorf("%s becomes GET by %d: %v", method, status, got)
			}
		}
	}
}

func TestMistakesAboutWays(t *testing.T) {
	given := map[string]netip.Addr{"sse.test:80": netip.MustParseAddr("192.0.2.7")}
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{Method: "head"}, "HEAD cannot open a stream"},
		{Spec{Method: "CONNECT"}, "CONNECT cannot open a stream"},
		{Spec{Method: "A B"}, "request method"},
		{Spec{Unix: strings.Repeat("x", 108)}, "107 bytes"},
		{Spec{Unix: "s", Resolve: given}, "reached by the socket s"},
		{Spec{Proxy: through("http://p"), Resolve: given}, "through the proxy http://p"},
		{Spec{Resolve: map[string]netip.Addr{"see.test:80": {}}, SendURL: "https://a.test/{payload}"}, "see.test:80, but of sse.test:80 and a.test:443"},
		{Spec{Proxy: through("https://me:S3CRET@p")}, "over TLS"},
		{Spec{Proxy: through("ftp://me:S3CRET@p")}, `unknown scheme "ftp"`},
		{Spec{Proxy: through("http://:80")}, "no valid host"},
		{Spec{Proxy: func(*url.URL) (*url.URL, error) { return nil, errors.New("as told") }}, "as told"},
		{Spec{Proxy: through("http://p"), SendURL: "https://a.test/{payload}", Unix: "s", Resolve: map[string]netip.Addr{"a.test:443": {}}}, "a.test:443 is reached through"},
	} {
		c.spec.URL = "http://sse.test/x"
		_, err := New(c.spec)
		var spec *SpecError
		if !errors.As(err, &spec) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

func TestResolveUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	tg, err := New(Spec{URL: "http://sse.test", Unix: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Resolve(t.Context(), time.Minute); !errors.Is(err, syscall.ENOENT) || !strings.Contains(err.Error(), path) {
		t.Errorf("nobody listens: %v", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := tg.Resolve(t.Context(), time.Minute); err != nil || tg.Subscribe.Addr.IsValid() || tg.Send.Unix != path {
		t.Errorf("somebody listens: %v, at %s, sends by %q", err, tg.Subscribe.Addr, tg.Send.Unix)
	}
}

// TestResolveByWay: what is looked up is where connections go.
func TestResolveByWay(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	hostPort := "sse.test:" + port
	for _, spec := range []Spec{
		{Proxy: through("http://" + ln.Addr().String())},
		{Resolve: map[string]netip.Addr{hostPort: netip.MustParseAddr("127.0.0.1")}},
	} {
		spec.URL = "http://" + hostPort
		tg, err := New(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := tg.Resolve(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := tg.Subscribe.Addr.String(); got != ln.Addr().String() || tg.Send.Addr != tg.Subscribe.Addr {
			t.Errorf("resolved to %s and %s, want %s", got, tg.Send.Addr, ln.Addr())
		}
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	gone, err := New(Spec{URL: "http://sse.test", Proxy: through("http://me:S3CRET@" + ln.Addr().String())})
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Resolve(t.Context(), time.Minute); !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "the proxy http://***@"+ln.Addr().String()) {
		t.Errorf("no proxy there: %v", err)
	}
}

// TestZonesStayHere: they are for this machine to dial, and no server's business.
func TestZonesStayHere(t *testing.T) {
	tg, err := New(Spec{URL: "http://[fe80::1%25eth0]:8123/x"})
	if err != nil {
		t.Fatal(err)
	}
	_, r := request(t, tg.Subscribe, Vars{}, "")
	raw, _ := tg.Subscribe.AppendRedirected(nil, nil, Redirect{To: mustURL(t, "http://[fe80::2%25eth1]/y")}, Vars{}, nil)
	if moved := parse(t, string(raw)); r.Host != "[fe80::1]:8123" || moved.Host != "[fe80::2]" {
		t.Errorf("hosts %s and %s", r.Host, moved.Host)
	}
}
