package stream

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/target"
)

func TestResetWhenOpen(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		seen := make(chan struct{})
		s := serve(t, func(c *peer) {
			if c.request() != nil && c.say(stream("data: a\n\n")) {
				c.hold(seen)
				c.reset()
			}
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")})})
		p.subscribe(0, "")
		p.expect("opened")
		p.expect(`message "a"`)
		close(seen)
		p.expect("closed: reset")
	})
}

// TestLongLine has a server send a line of 100 MB.
func TestLongLine(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		piece := bytes.Repeat([]byte("x"), 64<<10)
		done := make(chan int, 1)
		s := serve(t, func(c *peer) {
			c.request()
			c.say(stream("data: "))
			sent := 0
			for sent < 100_000_000 {
				n, err := c.Write(piece)
				sent += n
				if err != nil {
					break
				}
			}
			done <- sent
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")})})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p.subscribe(0, "")
		p.expect("opened")
		f := p.expect("closed: protocol")
		runtime.ReadMemStats(&after)
		if !strings.Contains(f.failure.Error(), fmt.Sprint(sse.DefaultLimit)) {
			t.Errorf("%q does not name the limit", f.failure)
		}
		if sent := await(t, done); sent >= 100_000_000 {
			t.Error("all of the line was taken")
		}
		// All that was allocated, not only what is left of it.
		most := uint64(10 << 20)
		if k == NetHTTP && overHTTP2(t) {
			most += 20 << 20 // package net/http keeps what fills its window, of 4 MiB, on either side
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > most {
			t.Errorf("%d bytes were allocated for an event of which %d are allowed", grown, sse.DefaultLimit)
		}
	})
}

func TestRedirects(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		requests := make(chan *http.Request, 100)
		other := serve(t, func(c *peer) {
			if r := c.request(); r != nil {
				requests <- r
				c.say(stream("data: elsewhere\n\n"))
			}
		})
		s := serve(t, func(c *peer) {
			r := c.request()
			if r == nil {
				t.Error("a connection without a request")
				return
			}
			requests <- r
			to := map[string]string{
				"/301": "301 Moved Permanently|here", "/302": "302 Found|/here", "/303": "303 See Other|/here?x=1",
				"/307": "307 Temporary Redirect|/302", "/308": "308 Permanent Redirect|" + other.url("/there"), "/loop": "302 Found|/loop",
			}[r.URL.Path]
			if code, location, ok := strings.Cut(to, "|"); ok {
				c.say("HTTP/1.1 " + code + "\r\nLocation: " + location + "\r\nContent-Length: 0\r\n\r\n")
				return
			}
			c.say(stream("data: " + r.URL.RequestURI() + "\n\n"))
		})
		for _, c := range []struct {
			path, end string
			requests  int
			elsewhere bool
		}{
			{"/301", `message "/here"`, 2, false},
			{"/302", `message "/here"`, 2, false},
			{"/303", `message "/here?x=1"`, 2, false},
			{"/307", `message "/here"`, 3, false},
			{"/308", `message "elsewhere"`, 2, true},
			{"/loop", "", maxRedirects + 1, false},
		} {
			t.Run(c.path[1:], func(t *testing.T) {
				p := start(t, k, Config{Target: at(t, target.Spec{
					URL: s.url(c.path), Bearer: "secret", Cookies: []string{"a=b"}, Headers: []string{"X-Client: {client}", "Host: virtual.test"},
				})})
				p.subscribe(0, "41")
				if c.end == "" {
					p.expect("closed: protocol")
				} else {
					opened := p.expect("opened")
					checkTiming(t, opened.timing)
					p.expect(c.end + " id 41")
					p.expect("closed: ended")
				}
				for i := range c.requests {
					r := await(t, requests)
					if got := r.Header.Get("Last-Event-ID"); got != "41" {
						t.Errorf("request %d resumes from %q, want 41", i, got)
					}
					if got := r.Header.Get("X-Client"); got != "0" {
						t.Errorf("request %d has X-Client %q, want 0", i, got)
					}
					if got := r.Header.Get("Referer"); got != "" {
						t.Errorf("request %d has a referrer, %q", i, got)
					}
					host := "virtual.test"
					if i > 0 {
						host = s.ln.Addr().String()
					}
					auth, cookie := "Bearer secret", "a=b"
					if i > 0 && c.elsewhere {
						host, auth, cookie = other.ln.Addr().String(), "", ""
					}
					if r.Header.Get("Authorization") != auth || r.Header.Get("Cookie") != cookie {
						t.Errorf("request %d to %s has credentials %q, %q; want %q, %q", i, r.Host,
							r.Header.Get("Authorization"), r.Header.Get("Cookie"), auth, cookie)
					}
					if r.Host != host {
						t.Errorf("request %d is for host %q, want %q", i, r.Host, host)
					}
				}
				if len(requests) > 0 {
					t.Errorf("%d requests too many", len(requests))
				}
			})
		}
	})
}

func checkTiming(t *testing.T, got Timing) {
	t.Helper()
	if got.Dialed == 0 || got.Connected < got.Dialed || got.Requested < got.Connected || got.Opened < got.Dialed {
		t.Errorf("timing %+v is not in order", got)
	}
}

// TestRedirectKeepsTheDeadline: what a redirect takes counts.
func TestRedirectKeepsTheDeadline(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		s := serve(t, func(c *peer) {
			switch r := c.request(); {
			case r == nil:
			case r.URL.Path == "/silent":
				c.gone()
			default:
				c.say("HTTP/1.1 302 Found\r\nLocation: /silent\r\n\r\n")
			}
		})
		const timeout = 300 * time.Millisecond
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Timeout: timeout})
		begun := time.Now()
		p.subscribe(0, "")
		p.expect("closed: timed out")
		if took := time.Since(begun); took < timeout {
			t.Errorf("gave up after %s, want not before %s", took, timeout)
		}
	})
}

// TestOpenOutlivesTheTimeout: the timeout is for opening. A second subscription,
// which never opens, tells when it has passed.
func TestOpenOutlivesTheTimeout(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		passed := make(chan struct{})
		s := serve(t, func(c *peer) {
			if r := c.request(); r == nil || r.URL.Path == "/1" {
				c.gone()
				return
			}
			c.say(head)
			c.hold(passed)
			c.say("data: a\n\n")
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/{client}")}), Clients: 2, Timeout: 150 * time.Millisecond})
		p.subscribe(0, "")
		p.expect("opened")
		p.subscribe(1, "")
		if f := p.expect("closed: timed out"); f.id != 1 {
			t.Fatalf("subscription %d timed out, want 1", f.id)
		}
		close(passed)
		p.expect(`message "a"`)
		p.expect("closed: ended")
	})
}

func TestResume(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		ids := make(chan string, 3)
		s := serve(t, func(c *peer) {
			if r := c.request(); r != nil {
				ids <- r.Header.Get("Last-Event-ID")
				c.say(stream("data: a\n\nid: next\ndata: b\n\n"))
			}
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")})})
		for _, c := range []struct{ id, first string }{
			{"", `message "a"`}, {"urn:x", `message "a" id urn:x`}, {"", `message "a"`},
		} {
			p.subscribe(0, c.id)
			p.expect("opened")
			p.expect(c.first)
			p.expect(`message "b" id next`)
			p.expect("closed: ended")
			if got := await(t, ids); got != c.id {
				t.Errorf("resumed from %q, want %q", got, c.id)
			}
		}
	})
}

// TestResumeFromNil: an ID counts without data, and without an Event.
func TestResumeFromNil(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		ids := make(chan string, 3)
		s := serve(t, func(c *peer) {
			if r := c.request(); r != nil {
				id := r.Header.Get("Last-Event-ID")
				ids <- id
				if id == "" {
					c.say(stream("id: 98\ndata: a\n\nid: 99\n\n"))
				} else {
					c.say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
				}
			}
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Clients: 2})
		for _, c := range []struct {
			resume []byte
			want   string
		}{
			{nil, ""}, {nil, "99"}, {nil, "99"}, {[]byte{}, ""}, {nil, "99"}, {[]byte("7"), "7"}, {nil, "7"},
		} {
			p.do(func() { p.eng.Subscribe(1, c.resume) })
			p.untilClosed()
			if got := await(t, ids); got != c.want {
				t.Fatalf("after %q: resumed from %q, want %q", c.resume, got, c.want)
			}
		}
	})
}

// TestResumeFromWithin: what the Handler has not been told of when it unsubscribes
// did not happen, though it was read.
func TestResumeFromWithin(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		ids := make(chan string, 3)
		s := serve(t, func(c *peer) {
			if r := c.request(); r != nil {
				ids <- r.Header.Get("Last-Event-ID")
				c.say(stream("id: 1\ndata: a\n\nid: 2\ndata: b\n\n"))
				c.gone()
			}
		})
		p := &probe{t: t, facts: make(chan fact, 100)}
		p.on = func(f fact) {
			if strings.HasPrefix(f.text, "message") {
				p.eng.Unsubscribe(0)
			}
		}
		startWith(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")})}, p)
		for _, want := range []string{"", "1"} {
			p.do(func() { p.eng.Subscribe(0, nil) })
			p.expect("opened")
			p.expect(`message "a" id 1`)
			if got := await(t, ids); got != want {
				t.Errorf("resumed from %q, want %q", got, want)
			}
		}
		p.quiet()
	})
}

// TestRequestTarget: every engine asks for what the user wrote.
func TestRequestTarget(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		lines := make(chan string, 1)
		s := serve(t, func(c *peer) {
			line, err := c.in.ReadString('\n')
			if err != nil {
				t.Error(err)
			}
			lines <- strings.TrimSpace(line)
			c.say("HTTP/1.1 204 No Content\r\n\r\n")
		})
		for path, want := range map[string]string{
			"/a|b%2Fc~d;e{{f}/{client}?q=|{{x}&%7e;'\"": "/a|b%2Fc~d;e{f}/0?q=|{x}&%7e;'%22",
			"//a/../b?": "//a/../b?",
			"?x=1":      "/?x=1",
		} {
			tg := at(t, target.Spec{URL: s.url(path), SendURL: s.url(path), SendHeaders: []string{"X: {payload}"}, Literal: true})
			p := start(t, k, Config{Target: tg})
			p.subscribe(0, "")
			p.expect("closed: status 204")
			if got := await(t, lines); got != "GET "+want+" HTTP/1.1" {
				t.Errorf("subscribed by %s, want %s", got, want)
			}
			p.send(0)
			p.expect("sent")
			if got := await(t, lines); got != "POST "+want+" HTTP/1.1" {
				t.Errorf("sent by %s, want %s", got, want)
			}
		}
	})
}

// TestRedirectConnectsOnce: nobody tries whether the destination is there.
func TestRedirectConnectsOnce(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		const clients = 20
		there := serve(t, answer(stream("data: there\n\n")))
		_, port, err := net.SplitHostPort(there.ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s := serve(t, func(c *peer) {
			switch r := c.request(); {
			case r == nil:
			case r.URL.Path == "/0":
				c.say("HTTP/1.1 302 Found\r\nLocation: /1\r\n\r\n")
			default:
				// A name, of whose addresses perhaps not every one is served.
				c.say("HTTP/1.1 302 Found\r\nLocation: http://localhost:" + port + "/\r\n\r\n")
			}
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/0")}), Clients: clients})
		p.do(func() {
			for id := range clients {
				p.eng.Subscribe(id, nil)
			}
		})
		for opened := 0; opened < clients; {
			switch f := p.next(); f.text {
			case "opened":
				opened++
			case `message "there"`, "closed: ended":
			default:
				t.Fatalf("%s: %v", f.text, f.failure)
			}
		}
		if here, there := s.accepted(), there.accepted(); here != 2*clients || there != clients {
			t.Errorf("%d and %d connections, want %d and %d", here, there, 2*clients, clients)
		}
	})
}

// TestRedirectUnsubscribed: who does not wait for a look-up any more is not
// connected, and not told of it.
func TestRedirectUnsubscribed(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		there := serve(t, answer(stream("data: there\n\n")))
		location := strings.Replace(there.url("/"), "127.0.0.1", "localhost", 1)
		answered := make(chan struct{}, 9)
		s := serve(t, func(c *peer) {
			c.request()
			c.say("HTTP/1.1 302 Found\r\nLocation: " + location + "\r\n\r\n")
			answered <- struct{}{}
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Clients: 2})
		p.subscribe(0, "")
		await(t, answered)
		p.do(func() { p.eng.Unsubscribe(0) })
		for len(p.facts) > 0 { // it may have been quicker
			p.next()
		}
		p.subscribe(1, "")
		for _, want := range []string{"opened", `message "there"`, "closed: ended"} {
			if f := p.expect(want); f.id != 1 {
				t.Errorf("%q is about %d, which was unsubscribed", f.text, f.id)
			}
		}
		p.quiet()
	})
}

func TestRedirectWithoutHost(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		label := strings.Repeat("x", 64) // is too long, so nobody has to be asked, RFC 1035 section 2.3.4
		s := serve(t, answer("HTTP/1.1 302 Found\r\nLocation: http://"+label+".invalid/\r\n\r\n"))
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")})})
		for range 2 {
			p.subscribe(0, "")
			if f := p.expect("closed: dns"); !strings.Contains(f.failure.Error(), label) {
				t.Errorf("%q does not name the host", f.failure)
			}
		}
	})
}

// TestFailureAfterRedirect names the server that failed.
func TestFailureAfterRedirect(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		seen := make(chan struct{})
		there := serve(t, func(c *peer) {
			if c.request() != nil && c.say(stream("data: a\n\n")) {
				c.hold(seen)
				c.reset()
			}
		})
		s := serve(t, answer("HTTP/1.1 302 Found\r\nLocation: "+there.url("/")+"\r\n\r\n"))
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")})})
		p.subscribe(0, "")
		p.expect("opened")
		p.expect(`message "a"`)
		close(seen)
		text := p.expect("closed: reset").failure.Error()
		if !strings.Contains(text, there.ln.Addr().String()) || strings.Contains(text, s.ln.Addr().String()) {
			t.Errorf("%q does not name %s", text, there.ln.Addr())
		}
	})
}

// TestLongestTimeout has nothing time out at once.
func TestLongestTimeout(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		quiet := make(chan struct{}, 1)
		s := serve(t, func(c *peer) {
			for r := c.request(); r != nil; r = c.request() {
				switch r.URL.Path {
				case "/0":
					c.say("HTTP/1.1 302 Found\r\nLocation: /2\r\n\r\n")
					return
				case "/1":
					quiet <- struct{}{}
					c.gone()
				case "/2":
					c.say(stream("data: a\n\n"))
					return
				default:
					c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}
		})
		p := start(t, k, Config{
			Target: at(t, target.Spec{URL: s.url("/{client}"), SendURL: s.url("/send")}), Clients: 2, Timeout: math.MaxInt64,
		})
		p.subscribe(1, "")
		await(t, quiet)
		p.subscribe(0, "")
		p.expect("opened")
		p.expect(`message "a"`)
		p.expect("closed: ended")
		for tag := range Tag(2) {
			p.send(tag)
			p.expect("sent")
		}
		p.quiet()
	})
}

// TestForeignSource dials from an address that is not this machine's.
func TestForeignSource(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		s := serve(t, func(*peer) { t.Error("connected") })
		p := start(t, k, Config{
			Target: at(t, target.Spec{URL: s.url("/"), SendURL: s.url("/")}), Sources: addrs("192.0.2.1"), SendConnections: 2,
		})
		named := func(f *Failure) {
			if text := f.Error(); !strings.Contains(text, "bind") || !strings.Contains(text, "192.0.2.1") {
				t.Errorf("%q does not say what could not be bound", text)
			}
		}
		p.subscribe(0, "")
		named(p.expect("closed: no ports").failure)
		p.send(1, 2, 3, 4, 5)
		seen := map[Tag]bool{}
		for range 5 {
			f := p.expect("sent: no ports")
			named(f.failure)
			seen[f.tag] = true
		}
		if len(seen) != 5 {
			t.Errorf("%d sends failed, want 5", len(seen))
		}
		p.quiet()
	})
}

func TestUnsubscribeWhileOpening(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		asked, gone := make(chan struct{}, 2), make(chan struct{}, 2)
		s := serve(t, func(c *peer) {
			if c.request() == nil {
				return
			}
			asked <- struct{}{}
			if c.n == 1 {
				c.gone()
				gone <- struct{}{}
				return
			}
			c.say(stream("data: a\n\n"))
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")})})
		p.subscribe(0, "")
		await(t, asked)
		p.do(func() { p.eng.Unsubscribe(0); p.eng.Unsubscribe(0) })
		await(t, gone)
		p.quiet()
		p.subscribe(0, "")
		p.expect("opened")
		p.expect(`message "a"`)
		p.expect("closed: ended")
		p.do(func() { p.eng.Unsubscribe(0) })
		p.quiet()
	})
}

func TestUnsubscribeAtOnce(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		s := serve(t, answer(stream("data: a\n\n")))
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Clients: 50})
		p.do(func() {
			for id := range 50 {
				p.eng.Subscribe(id, nil)
				p.eng.Unsubscribe(id)
			}
		})
		p.quiet()
		p.subscribe(7, "")
		if f := p.expect("opened"); f.id != 7 {
			t.Errorf("%d opened, want 7", f.id)
		}
		p.expect(`message "a"`)
		p.expect("closed: ended")
	})
}

func TestUnsubscribeWhenOpen(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		gone := make(chan struct{})
		s := serve(t, func(c *peer) {
			c.request()
			c.say(stream("data: a\n\n"))
			c.gone()
			close(gone)
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")})})
		p.subscribe(0, "")
		p.expect("opened")
		p.expect(`message "a"`)
		p.do(func() { p.eng.Unsubscribe(0) })
		await(t, gone)
		p.quiet()
	})
}

// TestUnsubscribeFromWithin does it in the Handler call about the subscription
// itself, where its protocol machine is at work.
func TestUnsubscribeFromWithin(t *testing.T) {
	for _, when := range []string{"opened", `message "1"`} {
		for _, again := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v", when, again), func(t *testing.T) {
				everyTransport(t, func(t *testing.T, k Kind) {
					gone := make(chan int, 9)
					s := serve(t, func(c *peer) {
						r := c.request()
						if r == nil {
							return
						}
						switch id := r.Header.Get("Last-Event-ID"); id {
						case "", "seven":
						case "none": // it was called off, but not before it was sent
							c.gone()
							return
						default:
							t.Errorf("resumed from %q, want seven", id)
						}
						c.say(stream("id: one\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"))
						c.gone()
						gone <- c.n
					})
					p := &probe{t: t, facts: make(chan fact, 100)}
					first := true
					p.on = func(f fact) {
						if !strings.HasPrefix(f.text, when) || !first {
							return
						}
						first = false
						p.eng.Unsubscribe(0)
						if again { // also when it is called off and asked for once more
							id := []byte("none")
							p.eng.Subscribe(0, id)
							p.eng.Unsubscribe(0)
							copy(id, "sev")
							p.eng.Subscribe(0, []byte("seven"))
						}
					}
					startWith(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")})}, p)
					p.subscribe(0, "")
					p.expect("opened")
					if when != "opened" {
						p.expect(`message "1" id one`)
					}
					await(t, gone)
					if again {
						p.expect("opened")
						for i := range 3 {
							p.expect(fmt.Sprintf(`message "%d" id one`, i+1))
						}
					}
					p.quiet()
				})
			})
		}
	}
}

// TestUnsubscribeAnother has each subscription's event end the other one.
func TestUnsubscribeAnother(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		ready := make(chan struct{})
		s := serve(t, func(c *peer) {
			c.request()
			c.say(head)
			c.hold(ready)
			c.say("data: a\n\n")
			c.gone()
		})
		p := &probe{t: t, facts: make(chan fact, 100)}
		p.on = func(f fact) {
			if f.text == `message "a"` {
				p.eng.Unsubscribe(1 - f.id)
			}
		}
		startWith(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Clients: 2}, p)
		p.subscribe(0, "")
		p.subscribe(1, "")
		p.expect("opened")
		p.expect("opened")
		close(ready)
		p.expect(`message "a"`)
		p.quiet()
	})
}

// TestSubscribeFromClosed is what reconnecting does.
func TestSubscribeFromClosed(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		s := serve(t, answer(stream("data: a\n\n")))
		const times = 20
		left := times
		p := &probe{t: t, facts: make(chan fact, 1000)}
		p.on = func(f fact) {
			if f.failure != nil && left > 0 {
				left--
				p.eng.Subscribe(f.id, nil)
			}
		}
		startWith(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")})}, p)
		p.subscribe(0, "")
		for range times + 1 {
			p.expect("opened")
			p.expect(`message "a"`)
			p.expect("closed: ended")
		}
		p.quiet()
	})
}

// TestDoKeepsOrder: calls from one goroutine are carried out in their order.
func TestDoKeepsOrder(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		p := start(t, k, Config{Target: at(t, target.Spec{URL: refusedURL(t)})})
		var got []int
		for i := range 1000 {
			p.eng.Do(func() { got = append(got, i) })
		}
		p.do(func() {})
		if len(got) != 1000 || !slices.IsSorted(got) {
			t.Errorf("%d calls, in order: %v", len(got), slices.IsSorted(got))
		}
	})
}

func TestTimingAndStamps(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		const events = 20
		stamped := runtime.GOOS == "linux" && (k == Epoll || k == Conn) && !inForm(t, "h2")
		again := make(chan struct{}, 1)
		s := serve(t, func(c *peer) {
			c.request()
			c.say(head)
			// Until the kernel has begun to take times, one event after the other.
			for range again {
				c.say("data: warming up\n\n")
			}
			for i := range events {
				c.say(fmt.Sprintf("data: %d\n\n", i))
			}
		})
		clock := NewClock()
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Clock: clock})
		before := clock.Now()
		p.subscribe(0, "")
		opened := p.expect("opened")
		checkTiming(t, opened.timing)
		for begun := time.Now(); stamped; {
			again <- struct{}{}
			if p.expect(`message "warming up"`).at.Kernel != 0 {
				break
			}
			if time.Since(begun) > patience {
				t.Fatal("no kernel stamps")
			}
		}
		close(again)
		last := before
		for i := range events {
			f := p.expect(fmt.Sprintf(`message "%d"`, i))
			if f.at.Read < last || f.at.Read > clock.Now() {
				t.Errorf("event %d was read at %d, not between %d and now", i, f.at.Read, last)
			}
			last = f.at.Read
			if stamped != (f.at.Kernel != 0) {
				t.Errorf("event %d has kernel stamp %d", i, f.at.Kernel)
			}
			// The wall clock may be set between the two: allow for what slewing does.
			if f.at.Kernel > f.at.Read || stamped && f.at.Kernel < opened.timing.Dialed-int64(time.Second) {
				t.Errorf("event %d: received at %d, read at %d", i, f.at.Kernel, f.at.Read)
			}
		}
		if opened.timing.Dialed < before {
			t.Errorf("dialled at %d, before it was asked for at %d", opened.timing.Dialed, before)
		}
	})
}

func TestSources(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8 as local addresses")
	}
	everyTransport(t, func(t *testing.T, k Kind) {
		from := make(chan string, 9)
		s := serve(t, func(c *peer) {
			if r := c.request(); r != nil {
				host, _, err := net.SplitHostPort(c.RemoteAddr().String())
				if err != nil {
					t.Error(err)
				}
				from <- r.URL.Path + " from " + host
				c.say("HTTP/1.1 204 No Content\r\n\r\n")
			}
		})
		p := start(t, k, Config{
			Target:  at(t, target.Spec{URL: s.url("/{client}"), SendURL: s.url("/send")}),
			Clients: 3, Sources: addrs("127.0.0.2", "127.0.0.3"),
		})
		var got []string
		for id := range 3 {
			p.subscribe(id, "")
			p.expect("closed: status 204")
			got = append(got, await(t, from))
		}
		p.eng.Do(func() { p.eng.Send(1, 0) })
		p.expect("sent")
		got = append(got, await(t, from))
		want := []string{"/0 from 127.0.0.2", "/1 from 127.0.0.3", "/2 from 127.0.0.2", "/send from 127.0.0.2"}
		if !slices.Equal(got, want) {
			t.Errorf("%q\nwant %q", got, want)
		}
	})
}

// TestManyConnections opens and closes 2,000.
func TestManyConnections(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		n := 2000
		if inForm(t, "h2") {
			n = 300 // the server gives a client ten seconds to begin, which a slow machine needs for so many handshakes
		}
		s := serve(t, func(c *peer) {
			c.request()
			c.say(stream("data: a\n\n"))
			c.gone()
		})
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Clients: n})
		p.do(func() {
			for id := range n {
				p.eng.Subscribe(id, nil)
			}
		})
		opened, events := make([]int, n), make([]int, n)
		for range 2 * n {
			switch f := p.next(); f.text {
			case "opened":
				opened[f.id]++
			case `message "a"`:
				events[f.id]++
			default:
				t.Fatalf("%s: %v", f.text, f.failure)
			}
		}
		for id := range n {
			if opened[id] != 1 || events[id] != 1 {
				t.Fatalf("subscription %d opened %d times and had %d events, want 1 and 1", id, opened[id], events[id])
			}
		}
		p.do(func() {
			for id := range n / 2 {
				p.eng.Unsubscribe(id)
			}
		})
		p.quiet()
		p.eng.Close() // the other half
	})
}

// TestCloseWithEverythingUnderWay: no Handler call comes after Close, and none
// says what Close ended.
func TestCloseWithEverythingUnderWay(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		arrived := make(chan struct{}, 100)
		s := serve(t, func(c *peer) {
			r := c.request()
			if r == nil {
				return
			}
			arrived <- struct{}{}
			switch {
			case r.URL.Path == "/0":
				c.say(head)
				for c.say("data: a\n\n") {
					continue
				}
			default:
				c.gone()
			}
		})
		p := &probe{t: t}
		p.on = func(f fact) {
			if f.failure != nil || f.text == "sent" {
				t.Errorf("%q: %v", f.text, f.failure)
			}
		}
		tg := at(t, target.Spec{URL: s.url("/{room}"), SendURL: s.url("/send")})
		startWith(t, k, Config{Target: tg, Clients: 20, SendConnections: 3}, p)
		p.do(func() {
			for id := range 20 {
				p.eng.Subscribe(id, nil)
			}
			for tag := range 10 {
				p.eng.Send(Tag(tag), 0)
			}
		})
		for range 20 + 3 {
			await(t, arrived)
		}
		p.eng.Close()
		calls := p.calls
		p.eng.Close() // twice does no harm
		s.stop()
		if p.calls != calls {
			t.Error("the Handler was called after Close")
		}
	})
}
