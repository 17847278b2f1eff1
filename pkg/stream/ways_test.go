package stream

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/pkg/target/proxytest"
)

// secureEngines are those that speak TLS.
func secureEngines() []Kind { return []Kind{Conn, NetHTTP, R3Labs} }

// tell answers a subscription with one event that says what it asked for, and a send
// with 200.
func tell(c *peer) {
	for r := c.request(); r != nil; r = c.request() {
		if strings.HasPrefix(r.URL.Path, "/send") {
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		c.say(chunked("data: "+r.Method+" "+r.RequestURI+" at "+r.Host+"\n\n", ""))
		c.gone()
		return
	}
}

// opensAndSends has a subscription and a send succeed, twice.
func opensAndSends(t *testing.T, p *probe, event string) {
	t.Helper()
	for range 2 {
		p.subscribe(0, "")
		checkTiming(t, p.expect("opened").timing)
		p.expect(event)
		p.expect("closed: ended")
		p.send(1, 2)
		p.expect("sent")
		p.expect("sent")
	}
	p.quiet()
}

// listenUnix listens at a socket in a folder of the test.
func listenUnix(t *testing.T) (net.Listener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return ln, path
}

func TestUnixSocket(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		ln, path := listenUnix(t)
		serveOn(t, ln, nil, tell)
		tg := at(t, target.Spec{URL: "http://sse.test/x", SendURL: "http://sse.test:80/send", Unix: path})
		opensAndSends(t, start(t, k, Config{Target: tg}), `message "GET /x at sse.test"`)
	})
}

func TestUnixSocketTLS(t *testing.T) {
	cfg, trust := certificate(t, "sse.test")
	theseEngines(t, secureEngines(), func(t *testing.T, k Kind) {
		ln, path := listenUnix(t)
		serveOn(t, ln, cfg, tell)
		tg := at(t, target.Spec{URL: "https://sse.test/x", SendURL: "https://sse.test/send", Unix: path, RootCAs: trust})
		opensAndSends(t, start(t, k, Config{Target: tg}), `message "GET /x at sse.test"`)
	})
}

// TestUnixSocketIsForItsOrigin: sends elsewhere go there by TCP.
func TestUnixSocketIsForItsOrigin(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		ln, path := listenUnix(t)
		serveOn(t, ln, nil, answer("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
		elsewhere := serve(t, tell)
		p := start(t, k, Config{Target: at(t, target.Spec{URL: "http://sse.test/", SendURL: elsewhere.url("/send"), Unix: path})})
		p.send(1)
		p.expect("sent")
		p.subscribe(0, "")
		p.expect("closed: status 500")
	})
}

// TestUnixSocketRedirects: wherever a redirect leads, it is that socket.
func TestUnixSocketRedirects(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		ln, path := listenUnix(t)
		serveOn(t, ln, nil, func(c *peer) {
			if r := c.request(); r.Host == "sse.test" {
				c.say("HTTP/1.1 302 Found\r\nLocation: http://other.test/there\r\n\r\n")
			} else {
				c.say(stream("data: " + r.URL.Path + " at " + r.Host + "\n\n"))
			}
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: "http://sse.test/", Unix: path})})
		p.subscribe(0, "")
		p.expect("opened")
		p.expect(`message "/there at other.test"`)
		p.expect("closed: ended")
	})
}

func TestUnixSocketThatIsNone(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		path := filepath.Join(t.TempDir(), "none")
		p := start(t, k, Config{Target: at(t, target.Spec{URL: "http://sse.test/", SendURL: "http://sse.test/", Unix: path})})
		for range 2 {
			p.subscribe(0, "")
			if f := p.expect("closed: refused"); !strings.Contains(f.failure.Error(), path) {
				t.Errorf("%q does not name the socket", f.failure)
			}
			p.send(1)
			if f := p.expect("sent: refused"); !strings.Contains(f.failure.Error(), path) {
				t.Errorf("%q does not name the socket", f.failure)
			}
		}
		p.quiet()
	})
}

// TestUnixSocketHasNoStamps: the kernel takes no times there.
func TestUnixSocketHasNoStamps(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		ln, path := listenUnix(t)
		serveOn(t, ln, nil, answer(stream("data: a\n\n")))
		p := start(t, k, Config{Target: at(t, target.Spec{URL: "http://sse.test/", Unix: path})})
		p.subscribe(0, "")
		p.expect("opened")
		if at := p.expect(`message "a"`).at; at.Kernel != 0 || at.Read == 0 {
			t.Errorf("stamps %+v", at)
		}
	})
}

// TestLargeRequestOverUnix: one that the socket does not take at once.
func TestLargeRequestOverUnix(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		ln, path := listenUnix(t)
		sizes := make(chan int, 2)
		serveOn(t, ln, nil, func(c *peer) {
			r := c.request()
			if r == nil {
				return
			}
			sizes <- int(r.ContentLength)
			c.say(stream("data: a\n\n"))
		})
		body := strings.Repeat("x", 4<<20)
		tg := at(t, target.Spec{URL: "http://sse.test/", Unix: path, Body: &body})
		p := start(t, k, Config{Target: tg})
		p.subscribe(0, "")
		p.expect("opened")
		p.expect(`message "a"`)
		p.expect("closed: ended")
		if got := await(t, sizes); got != len(body) {
			t.Errorf("the body has %d bytes, want %d", got, len(body))
		}
	})
}

func TestIPv6(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	everyEngine(t, func(t *testing.T, k Kind) {
		ln, err := net.Listen("tcp", "[::1]:0")
		if err != nil {
			t.Fatal(err)
		}
		s := serveOn(t, ln, nil, tell)
		tg := at(t, target.Spec{URL: s.url("/x"), SendURL: s.url("/send")})
		p := start(t, k, Config{Target: tg, Sources: []netip.Addr{netip.MustParseAddr("::1")}})
		opensAndSends(t, p, `message "GET /x at `+ln.Addr().String()+`"`)
	})
}

// TestResolvedByHand: nobody looks the name up, and TLS verifies it.
func TestResolvedByHand(t *testing.T) {
	cfg, trust := certificate(t, "sse.test")
	theseEngines(t, secureEngines(), func(t *testing.T, k Kind) {
		s := serveTLS(t, cfg, tell)
		hostPort := "sse.test:" + s.port(t)
		spec := target.Spec{
			URL: "https://" + hostPort + "/x", SendURL: "https://" + hostPort + "/send", RootCAs: trust,
			Resolve: map[string]netip.Addr{hostPort: netip.MustParseAddr("127.0.0.1")},
		}
		tg, err := target.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := tg.Resolve(t.Context(), patience); err != nil {
			t.Fatal(err)
		}
		opensAndSends(t, start(t, k, Config{Target: tg}), `message "GET /x at `+hostPort+`"`)
	})
}

// TestRedirectToResolved: a redirect to the host finds it too.
func TestRedirectToResolved(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		there := serve(t, answer(stream("data: there\n\n")))
		hostPort := "sends.test:" + there.port(t)
		s := serve(t, answer("HTTP/1.1 302 Found\r\nLocation: http://"+hostPort+"/\r\n\r\n"))
		spec := target.Spec{
			URL: s.url("/"), SendURL: "http://" + hostPort + "/",
			Resolve: map[string]netip.Addr{hostPort: netip.MustParseAddr("127.0.0.1")},
		}
		tg, err := target.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		tg.Subscribe.Addr = netip.MustParseAddrPort(s.ln.Addr().String())
		p := start(t, k, Config{Target: tg})
		p.subscribe(0, "")
		p.expect("opened")
		p.expect(`message "there"`)
	})
}

// proxied starts a proxy, and says that everything goes through it.
func proxied(t *testing.T, cfg proxytest.Config, scheme, credentials string) (*proxytest.Proxy, func(*url.URL) (*url.URL, error)) {
	t.Helper()
	p, err := proxytest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, func(*url.URL) (*url.URL, error) { return p.URL(scheme, credentials), nil }
}

func TestProxy(t *testing.T) {
	cfg, trust := certificate(t, "sse.test")
	for _, c := range []struct {
		name, scheme, credentials, asked string
		tls                              bool
	}{
		{"plain through HTTP", "http", "", "GET http://HOST/x, POST http://HOST/send", false},
		{"plain through HTTP with a password", "http", "me:pa ss", "GET http://HOST/x, POST http://HOST/send", false},
		{"plain through SOCKS5", "socks5", "", "SOCKS5 HOST", false},
		{"TLS through HTTP", "http", "", "CONNECT HOST", true},
		{"TLS through HTTP with a password", "http", "me:pass", "CONNECT HOST", true},
		{"TLS through SOCKS5 with a password", "socks5h", "me:pass", "SOCKS5 HOST", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			kinds := secureEngines()
			if !c.tls && c.scheme == "http" {
				kinds = engines()
			}
			theseEngines(t, kinds, func(t *testing.T, k Kind) {
				seen := make(chan http.Header, 9)
				handle := func(p *peer) {
					for r := p.request(); r != nil; r = p.request() {
						seen <- r.Header
						if r.URL.Path == "/send" {
							p.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
							return
						}
						p.say(stream("data: " + r.RequestURI + " at " + r.Host + "\n\n"))
						return
					}
				}
				s, scheme := serve(t, handle), "http://"
				if c.tls {
					s, scheme = serveTLS(t, cfg, handle), "https://"
				}
				host := "sse.test:" + s.port(t)
				proxy, through := proxied(t, proxytest.Config{Credentials: c.credentials}, c.scheme, c.credentials)
				p := start(t, k, Config{Target: at(t, target.Spec{
					URL: scheme + host + "/x", SendURL: scheme + host + "/send", RootCAs: trust, Proxy: through,
				})})
				p.subscribe(0, "")
				p.expect("opened")
				p.expect(`message "/x at ` + host + `"`)
				p.expect("closed: ended")
				p.send(1)
				p.expect("sent")
				if got, want := strings.Join(proxy.Asked(), ", "), strings.ReplaceAll(c.asked, "HOST", host); got != want {
					t.Errorf("the proxy was asked for %s, want %s", got, want)
				}
				for range 2 {
					if got := await(t, seen).Get("Proxy-Authorization"); got != "" {
						t.Errorf("the server was told %q, which is for the proxy", got)
					}
				}
			})
		})
	}
}

// TestProxyRefuses: it is said that it was the proxy.
func TestProxyRefuses(t *testing.T) {
	for _, c := range []struct {
		name, url, scheme string
		cfg               proxytest.Config
		want, text        string
	}{
		{"a request", "http://sse.test/", "http", proxytest.Config{Refuse: 502}, "status 502", "the proxy ADDR answered 502"},
		{"a request without a password", "http://sse.test/", "http", proxytest.Config{Credentials: "me:pass"}, "status 407", "the proxy ADDR answered 407"},
		{"what may be the server's", "http://sse.test/", "http", proxytest.Config{Refuse: 503}, "status 503", "the server answered 503, through the proxy ADDR"},
		{"a tunnel", "https://sse.test/", "http", proxytest.Config{Refuse: 502}, "proxy", "the proxy ADDR answered 502 when asked for sse.test:443"},
		{"a tunnel without a password", "https://sse.test/", "http", proxytest.Config{Credentials: "me:pass"}, "proxy", "the proxy ADDR answered 407"},
		{"by SOCKS5", "https://sse.test/", "socks5", proxytest.Config{Refuse: 2}, "proxy", "proxy ADDR, asked for sse.test:443"},
		{"by SOCKS5 without a password", "http://sse.test/", "socks5", proxytest.Config{Credentials: "me:pass"}, "proxy", "proxy ADDR, asked for sse.test:80"},
		{"nothing, and says nothing", "https://sse.test/", "http", proxytest.Config{Silent: true}, "timed out", "no connection"},
		{"nothing, and says nothing by SOCKS5", "http://sse.test/", "socks5", proxytest.Config{Silent: true}, "timed out", "no connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kinds := secureEngines()
			if strings.HasPrefix(c.want, "status") {
				kinds = engines()
			}
			theseEngines(t, kinds, func(t *testing.T, k Kind) {
				timeout := patience
				if c.cfg.Silent {
					timeout = 150 * time.Millisecond
				}
				proxy, through := proxied(t, c.cfg, c.scheme, "")
				p := start(t, k, Config{Timeout: timeout, Target: at(t, target.Spec{URL: c.url, SendURL: c.url, Proxy: through})})
				want := strings.ReplaceAll(c.text, "ADDR", proxy.Addr())
				p.subscribe(0, "")
				if f := p.expect("closed: " + c.want).failure; !strings.Contains(f.Error(), want) && !(c.cfg.Silent && k != Conn) {
					t.Errorf("%q does not say %q", f, want)
				}
				p.send(1)
				if f := p.expect("sent: " + c.want).failure; !strings.Contains(f.Error(), want) {
					t.Errorf("%q does not say %q", f, want)
				}
				p.quiet()
			})
		})
	}
}

func TestProxyThatIsNotThere(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		proxy, err := url.Parse(refusedURL(t))
		if err != nil {
			t.Fatal(err)
		}
		tg := at(t, target.Spec{URL: "http://sse.test/", Proxy: func(*url.URL) (*url.URL, error) { return proxy, nil }})
		p := start(t, k, Config{Target: tg})
		p.subscribe(0, "")
		if f := p.expect("closed: refused").failure; !strings.Contains(f.Error(), "proxy "+proxy.Host) {
			t.Errorf("%q does not name the proxy", f)
		}
	})
}

// TestProxyRedirects: each origin has a way of its own.
func TestProxyRedirects(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		there := serve(t, answer(stream("data: straight\n\n")))
		s := serve(t, func(c *peer) {
			switch r := c.request(); {
			case r == nil:
			case r.URL.Path == "/straight":
				c.say("HTTP/1.1 302 Found\r\nLocation: " + there.url("/") + "\r\n\r\n")
			case r.URL.Path == "/there":
				c.say(stream("data: " + r.Host + "\n\n"))
			default:
				c.say("HTTP/1.1 302 Found\r\nLocation: http://other.test:" + c.s.port(t) + "/there\r\n\r\n")
			}
		})
		proxy, through := proxied(t, proxytest.Config{}, "http", "")
		some := func(u *url.URL) (*url.URL, error) {
			if u.Hostname() == "127.0.0.1" {
				return nil, nil
			}
			return through(u)
		}
		port := s.port(t)
		for path, event := range map[string]string{"/straight": "straight", "/": "other.test:" + port} {
			p := start(t, k, Config{Target: at(t, target.Spec{URL: "http://sse.test:" + port + path, Proxy: some, Literal: true})})
			p.subscribe(0, "")
			p.expect("opened")
			p.expect(`message "` + event + `"`)
			p.expect("closed: ended")
		}
		want := []string{"GET http://other.test:" + port + "/there", "GET http://sse.test:" + port + "/", "GET http://sse.test:" + port + "/straight"}
		if got := proxy.Asked(); !slices.Equal(got, want) {
			t.Errorf("the proxy was asked for %q, want %q", got, want)
		}
	})
}

func TestEpollTakesNoTunnels(t *testing.T) {
	if !epollAvailable {
		t.Skip("engine epoll needs Linux")
	}
	proxy := &url.URL{Scheme: "socks5", Host: "p:1", User: url.UserPassword("me", "S3CRET")}
	tg, err := target.New(target.Spec{URL: "http://h/", Proxy: func(*url.URL) (*url.URL, error) { return proxy, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if k, err := Auto.For(tg); k != Conn || err != nil {
		t.Errorf("auto is %s, %v; want conn", k, err)
	}
	if _, err := Epoll.For(tg); err == nil || !strings.Contains(err.Error(), "conn") || strings.Contains(err.Error(), "S3CRET") {
		t.Errorf("epoll: %v", err)
	}
}

// TestClientCertificate: with TLS 1.3 the server's verdict comes after the handshake.
func TestClientCertificate(t *testing.T) {
	cfg, trust := certificate(t, "127.0.0.1")
	own, known := certificate(t, "client.test")
	stranger, _ := certificate(t, "stranger.test")
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, known
	for _, c := range []struct {
		name  string
		spec  target.Spec
		opens bool
	}{
		{"the one that it knows", target.Spec{Certificates: own.Certificates}, true},
		{"none", target.Spec{}, false},
		{"a stranger's", target.Spec{Certificates: stranger.Certificates}, false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			cfg := cfg.Clone()
			cfg.MinVersion, cfg.MaxVersion = version, version
			t.Run(c.name, func(t *testing.T) {
				theseEngines(t, secureEngines(), func(t *testing.T, k Kind) {
					s := serveTLS(t, cfg, tell)
					spec := c.spec
					spec.URL, spec.SendURL, spec.RootCAs = s.url("/x"), s.url("/send"), trust
					p := start(t, k, Config{Target: at(t, spec)})
					if c.opens {
						opensAndSends(t, p, `message "GET /x at `+s.ln.Addr().String()+`"`)
						return
					}
					p.subscribe(0, "")
					if f := p.expect("closed: tls").failure; !f.Peer() {
						t.Errorf("%q is not known for the server's verdict", f)
					}
					p.send(1)
					p.expect("sent: tls")
				})
			})
		}
	}
}

// TestRequestBody: method and body go with each request, as templates.
func TestRequestBody(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		type asked struct{ line, contentType, lastEventID, body string }
		requests := make(chan asked, 9)
		s := serve(t, func(c *peer) {
			r := c.request()
			if r == nil {
				return
			}
			body := make([]byte, 1000)
			n, _ := r.Body.Read(body)
			requests <- asked{r.Method + " " + r.RequestURI, r.Header.Get("Content-Type"), r.Header.Get("Last-Event-ID"), string(body[:n])}
			c.say(stream("id: 7\ndata: a\n\n"))
		})
		body := `{"room":{room},"client":{client}}`
		p := start(t, k, Config{Clients: 8, Target: at(t, target.Spec{URL: s.url("/x"), Method: "report", Body: &body})})
		for _, id := range []string{"", "7"} {
			p.eng.Do(func() { p.eng.Subscribe(7, nil) })
			p.expect("opened")
			p.expect(`message "a" id 7`)
			p.expect("closed: ended")
			want := asked{"REPORT /x", "application/json", id, `{"room":1,"client":7}`}
			if got := await(t, requests); got != want {
				t.Errorf("asked by %+v, want %+v", got, want)
			}
		}
	})
}

// TestRedirectedBody holds the HTTP-redirect fetch of the Fetch standard, step 12.
func TestRedirectedBody(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		type asked struct{ method, contentType, body string }
		for _, c := range []struct {
			method string
			path   string // each element is the status of a redirect
			becomes
		}{
			{"POST", "/301", becomesGET}, {"POST", "/302", becomesGET}, {"POST", "/303", becomesGET},
			{"POST", "/307", stays}, {"POST", "/308", stays}, {"POST", "/307/303/307", becomesGET},
			{"REPORT", "/301", stays}, {"REPORT", "/302", stays}, {"REPORT", "/303", becomesGET}, {"REPORT", "/308", stays},
			{"GET", "/303", stays}, {"PUT", "/302/307", stays},
		} {
			requests := make(chan asked, 9)
			s := serve(t, func(p *peer) {
				r := p.request()
				if r == nil {
					return
				}
				if status, rest, _ := strings.Cut(r.URL.Path[1:], "/"); status != "" {
					p.say("HTTP/1.1 " + status + " Elsewhere\r\nLocation: /" + rest + "\r\nContent-Length: 0\r\n\r\n")
					return
				}
				body := make([]byte, 1000)
				n, _ := r.Body.Read(body)
				requests <- asked{r.Method, r.Header.Get("Content-Type") + r.Header.Get("Content-Language"), string(body[:n])}
				p.say(stream("data: a\n\n"))
			})
			body := "hello {client}"
			p := start(t, k, Config{Target: at(t, target.Spec{
				URL: s.url(c.path), Method: c.method, Body: &body, Headers: []string{"Content-Language: de"},
			})})
			p.subscribe(0, "")
			p.expect("opened")
			p.expect(`message "a"`)
			p.expect("closed: ended")
			want := asked{c.method, "text/plain; charset=utf-8de", "hello 0"}
			if c.becomes == becomesGET {
				want = asked{method: "GET"}
			}
			if got := await(t, requests); got != want {
				t.Errorf("%s redirected by %s arrives as %+v, want %+v", c.method, c.path, got, want)
			}
		}
	})
}

type becomes bool

const (
	becomesGET becomes = true
	stays      becomes = false
)

// TestBehavioursOverUnix holds the contract over a Unix socket too.
func TestBehavioursOverUnix(t *testing.T) {
	for _, b := range behaviours(t) {
		if b.tcp {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			everyEngine(t, func(t *testing.T, k Kind) {
				ln, path := listenUnix(t)
				serveOn(t, ln, nil, b.serve)
				b.hold(t, k, target.Spec{URL: "http://sse.test/stream", Unix: path})
			})
		})
	}
}
