package stream

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/target"
)

func addrs(texts ...string) (all []netip.Addr) {
	for _, s := range texts {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

// sending runs an engine that sends to s.
func sending(t *testing.T, k Kind, s *server, cfg Config) *probe {
	t.Helper()
	if cfg.Target == nil {
		cfg.Target = at(t, target.Spec{URL: s.url("/events"), SendURL: s.url("/rooms/{room}/messages")})
	}
	return start(t, k, cfg)
}

func (p *probe) send(tags ...Tag) {
	p.eng.Do(func() {
		for _, tag := range tags {
			p.eng.Send(tag, 0)
		}
	})
}

func TestSendRequest(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		requests := make(chan *http.Request, 1)
		s := serve(t, func(c *peer) {
			for r := c.request(); r != nil; r = c.request() {
				requests <- r
				c.say("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")
			}
		})
		body := `{"room":{room},"from":{client},"n":{iteration},"text":"{payload}"}`
		p := sending(t, k, s, Config{Target: at(t, target.Spec{
			URL: s.url("/events"), SendURL: s.url("/rooms/{room}?from={client}"), SendMethod: "PUT",
			SendHeaders: []string{"X-Iteration: {iteration}"}, SendBody: &body, Bearer: "secret", UserAgent: "sseload/test",
		})})
		p.msg = func(tag Tag) target.Vars {
			return target.Vars{Room: int(tag), Client: 6 * int(tag), Iteration: 3, Payload: []byte("hello")}
		}
		for tag := range Tag(3) {
			p.send(tag)
			f := p.expect("sent")
			if f.tag != tag || f.elapsed <= 0 {
				t.Errorf("tag %d was sent after %s, want %d", f.tag, f.elapsed, tag)
			}
			r := await(t, requests)
			text, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			n, m := string(rune('0'+tag)), []string{"0", "6", "12"}[tag]
			if got, want := r.Method+" "+r.RequestURI+" "+string(text),
				"PUT /rooms/"+n+"?from="+m+` {"room":`+n+`,"from":`+m+`,"n":3,"text":"hello"}`; got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
			for name, want := range map[string]string{
				"X-Iteration": "3", "Authorization": "Bearer secret", "Content-Type": "application/json", "User-Agent": "sseload/test",
				"Accept-Encoding": "", "Connection": "",
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		}
		if n := s.accepted(); n != 1 {
			t.Errorf("%d connections for sends one after another, want 1", n)
		}
	})
}

func TestSendFailures(t *testing.T) {
	for _, c := range []struct {
		name    string
		serve   func(*peer)
		want    string
		text    string // in the failure's
		timeout time.Duration
	}{
		{"taken", answer("HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), "sent", "", 0},
		{"taken, by an answer that the end of the connection ends", answer("HTTP/1.0 200 OK\r\n\r\nok"), "sent", "", 0},
		{"refused by a status", answer("HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 8\r\n\r\nno room\n"), "sent: status 500", `500: "no room\n"`, 0},
		{"a status with a long text", answer("HTTP/1.1 503 Busy\r\n\r\n" + strings.Repeat("x", 1e5)), "sent: status 503", strings.Repeat("x", 80) + `"`, 0},
		{"a redirect is not followed", answer("HTTP/1.1 303 See Other\r\nLocation: /\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), "sent: status 303", "303", 0},
		{"no answer", func(p *peer) { p.request(); p.gone() }, "sent: timed out", "within 150ms", 150 * time.Millisecond},
		{"half an answer", func(p *peer) {
			p.request()
			p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
			p.gone()
		}, "sent: timed out", "within 150ms", 150 * time.Millisecond},
		{"closed without an answer", answer(""), "sent: closed early", "", 0},
		{"closed within the answer", answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), "sent: closed early", "", 0},
		{"cut", func(p *peer) { p.request(); p.reset() }, "sent: reset", "", 0},
		{"no HTTP", answer("nonsense\r\n\r\n"), "sent: protocol", "", 0},
		{"nobody listens", nil, "sent: refused", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			transports := everyTransport
			if c.want == "sent: protocol" { // it is about the bytes of HTTP/1.1
				transports = everyEngine
			}
			transports(t, func(t *testing.T, k Kind) {
				cfg := Config{Timeout: c.timeout}
				var s *server
				if c.serve == nil {
					cfg.Target = at(t, target.Spec{URL: "http://127.0.0.1:1/", SendURL: refusedURL(t)})
				} else {
					s = serve(t, c.serve)
				}
				p := sending(t, k, s, cfg)
				for range 2 { // a failed send does not spoil the next
					begun := time.Now()
					p.send(5)
					f := p.expect(cutOff(t, c.want))
					if f.tag != 5 {
						t.Errorf("tag %d, want 5", f.tag)
					}
					if f.failure != nil && !strings.Contains(f.failure.Error(), c.text) {
						t.Errorf("%q does not say %q", f.failure, c.text)
					}
					if time.Since(begun) < c.timeout {
						t.Errorf("gave up before %s", c.timeout)
					}
				}
				p.quiet()
			})
		})
	}
}

// TestSendQueues has more sends than connections for them.
func TestSendQueues(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		const limit, sends = 4, 40
		var mu sync.Mutex
		now, most := 0, 0
		all := make(chan struct{})
		s := serve(t, func(c *peer) {
			for r := c.request(); r != nil; r = c.request() {
				mu.Lock()
				now++
				most = max(most, now)
				if now == limit && most == limit {
					select {
					case <-all:
					default:
						close(all)
					}
				}
				mu.Unlock()
				c.hold(all) // the first ones wait for each other
				mu.Lock()
				now--
				mu.Unlock()
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		p := sending(t, k, s, Config{SendConnections: limit})
		var tags []Tag
		for tag := range Tag(sends) {
			tags = append(tags, tag)
		}
		p.send(tags...)
		seen := map[Tag]int{}
		for range sends {
			seen[p.expect("sent").tag]++
		}
		for _, tag := range tags {
			if seen[tag] != 1 {
				t.Errorf("tag %d was sent %d times, want 1", tag, seen[tag])
			}
		}
		p.quiet()
		mu.Lock()
		defer mu.Unlock()
		if most != limit {
			t.Errorf("%d sends were under way at once, want %d", most, limit)
		}
		p.do(func() {
			if len(p.asked) != sends {
				t.Errorf("%d calls of Message for %d sends", len(p.asked), sends)
			}
		})
		if n := s.accepted(); n > limit {
			t.Errorf("%d connections, want at most %d", n, limit)
		}
	})
}

// TestSendsBeginInOrder of the calls, each with when it was due, whenever that is.
func TestSendsBeginInOrder(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		s := serve(t, func(c *peer) {
			for r := c.request(); r != nil; r = c.request() {
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		p := sending(t, k, s, Config{SendConnections: 3})
		var want []message
		for i := range 50 {
			want = append(want, message{tag: Tag(i * 7 % 50), due: p.now() + int64(i%5-2)*int64(time.Hour)})
		}
		for _, some := range [][]message{want[:1], want[1:30], want[30:]} {
			p.do(func() {
				for _, m := range some {
					p.eng.Send(m.tag, m.due)
				}
			})
			for range some {
				p.expect("sent")
			}
		}
		p.do(func() {
			if !slices.Equal(p.asked, want) {
				t.Errorf("sends began as %v\nwant %v", p.asked, want)
			}
		})
	})
}

// TestSendAfterKeepAliveEnds has the server close each connection after an
// answer that promised to keep it. A send that meets the close in time fails, for
// it may have been taken: the next one must not.
func TestSendAfterKeepAliveEnds(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		closed := make(chan struct{}, 100)
		s := serve(t, func(c *peer) {
			if c.request() != nil {
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			_ = c.Close()
			closed <- struct{}{}
		})
		p := sending(t, k, s, Config{SendConnections: 1})
		for round := range 5 {
			p.send(Tag(round))
			f := p.next()
			if f.failure != nil {
				if f.failure.Class != ClosedEarly && f.failure.Class != Reset || round == 0 {
					t.Fatalf("round %d: %v", round, f.failure)
				}
				p.send(Tag(round))
				p.expect("sent")
			}
			await(t, closed)
		}
		p.quiet()
	})
}

// TestSendAnsweredEarly has the server answer before it has read a large request:
// what is left of that must not be taken for the next.
func TestSendAnsweredEarly(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		s := serve(t, func(c *peer) {
			line, err := c.in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "POST ") {
				t.Errorf("a request begins with %.40q, %v", line, err)
			}
			c.say("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
			c.hold(nil) // the rest of the request stays where it is
		})
		p := sending(t, k, s, Config{SendConnections: 1})
		large := strings.Repeat("x", 16<<20)
		p.msg = func(Tag) target.Vars { return target.Vars{Payload: []byte(large)} }
		for range 3 {
			p.send(1)
			p.expect("sent: status 413")
		}
	})
}

// TestSendCalledOff: what Message calls off leaves no trace.
func TestSendCalledOff(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		bodies := make(chan string, 9)
		s := serve(t, func(c *peer) {
			for r := c.request(); r != nil; r = c.request() {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				bodies <- string(body)
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		p := &probe{t: t, facts: make(chan fact, 100)}
		p.off = func(tag Tag) bool { return tag%2 == 0 }
		tg := at(t, target.Spec{URL: s.url("/events"), SendURL: s.url("/send")})
		startWith(t, k, Config{Target: tg, SendConnections: 1}, p)
		p.send(2, 4) // over a new connection
		for _, tags := range [][]Tag{{6, 1, 8, 10}, {3}, {12, 14, 5}} {
			p.send(tags...)
			f := p.expect("sent")
			if got, want := await(t, bodies), fmt.Sprint("payload ", f.tag); f.tag%2 == 0 || got != want {
				t.Errorf("send %d sent %q, want %q", f.tag, got, want)
			}
		}
		p.quiet()
		if n := s.accepted(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
		p.do(func() {
			if len(p.asked) != 10 {
				t.Errorf("%d calls of Message, want 10", len(p.asked))
			}
		})
	})
}

// TestSendCalledOffUnconnected has no connection for what is called off.
func TestSendCalledOffUnconnected(t *testing.T) {
	everyTransport(t, func(t *testing.T, k Kind) {
		p := &probe{t: t, facts: make(chan fact, 100)}
		p.off = func(tag Tag) bool { return tag%2 == 0 }
		tg := at(t, target.Spec{URL: "http://127.0.0.1:1/", SendURL: refusedURL(t)})
		startWith(t, k, Config{Target: tg, SendConnections: 1}, p)
		p.send(2, 4, 1, 6, 3)
		for _, want := range []Tag{1, 3} {
			if f := p.expect("sent: refused"); f.tag != want {
				t.Errorf("send %d failed, want %d", f.tag, want)
			}
		}
		p.quiet()
	})
}

// TestSendAfterIdleEnd has the server end each connection while it is idle: that
// is noticed, and costs no send.
func TestSendAfterIdleEnd(t *testing.T) {
	cfg, trust := certificate(t, "127.0.0.1")
	run := func(cfg *tls.Config) func(*testing.T, Kind) {
		return func(t *testing.T, k Kind) {
			noticed := make(chan struct{}, 9)
			s := serveTLS(t, cfg, func(c *peer) {
				for range 2 {
					if c.request() == nil {
						t.Error("a connection ended before its second request")
						return
					}
					c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
				if half, ok := c.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
					t.Error("the connection cannot be half closed")
				}
				c.gone()
				noticed <- struct{}{}
			})
			p := sending(t, k, s, Config{SendConnections: 1, Target: at(t, target.Spec{
				URL: s.url("/events"), SendURL: s.url("/send"), RootCAs: trust,
			})})
			for round := range 3 {
				for tag := range Tag(2) {
					p.send(tag)
					p.expect("sent")
				}
				await(t, noticed)
				if n := s.accepted(); n != round+1 {
					t.Errorf("%d connections after round %d", n, round)
				}
			}
			p.quiet()
		}
	}
	t.Run("plain", func(t *testing.T) { everyEngine(t, run(nil)) })
	t.Run("TLS", func(t *testing.T) { theseEngines(t, []Kind{Conn, NetHTTP, R3Labs}, run(cfg)) })
}

// TestSendBeginsAfterHandshake: what it takes to connect is no part of a send.
func TestSendBeginsAfterHandshake(t *testing.T) {
	cfg, trust := certificate(t, "127.0.0.1")
	theseEngines(t, []Kind{Conn, NetHTTP, R3Labs}, func(t *testing.T, k Kind) {
		greeted, shake := make(chan struct{}), make(chan struct{})
		s := serve(t, func(c *peer) {
			if _, err := c.in.Peek(1); err != nil {
				t.Error(err)
			}
			close(greeted)
			c.hold(shake)
			secure := tls.Server(buffered{c.Conn, c.in}, cfg)
			c.Conn, c.in = secure, bufio.NewReader(secure)
			if c.request() != nil {
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			c.gone()
		})
		url := strings.Replace(s.url("/"), "http:", "https:", 1)
		p := sending(t, k, s, Config{Target: at(t, target.Spec{URL: url, SendURL: url, RootCAs: trust})})
		begun := time.Now()
		p.send(1)
		await(t, greeted)
		p.do(func() {
			if len(p.asked) != 0 {
				t.Error("Message was called before the handshake")
			}
		})
		before := time.Since(begun)
		close(shake)
		f := p.expect("sent")
		if all := time.Since(begun); f.elapsed > all-before {
			t.Errorf("the send took %s of %s, %s of which were before it began", f.elapsed, all, before)
		}
	})
}

// buffered is a connection of which something has been read ahead.
type buffered struct {
	net.Conn
	in io.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }
