package stream

import (
	"io"
	"net/http"
	"net/netip"
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
			p.eng.Send(tag)
		}
	})
}

func TestSendRequest(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
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
			everyEngine(t, func(t *testing.T, k Kind) {
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
					f := p.expect(c.want)
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
	everyEngine(t, func(t *testing.T, k Kind) {
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
		if n := s.accepted(); n > limit {
			t.Errorf("%d connections, want at most %d", n, limit)
		}
	})
}

// TestSendAfterKeepAliveEnds has the server close each connection after an
// answer that promised to keep it. A send that meets the close in time fails, for
// it may have been taken: the next one must not.
func TestSendAfterKeepAliveEnds(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
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
	everyEngine(t, func(t *testing.T, k Kind) {
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
