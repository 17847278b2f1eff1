package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/target"
)

// builtOnTheMachine are the engines that parse responses themselves.
func builtOnTheMachine() []Kind {
	return slices.DeleteFunc(engines(), func(k Kind) bool { return k == NetHTTP || k == R3Labs })
}

// heads has p note each head that its engine tells of, with the fields that begin with
// X-.
func heads(cfg *Config, p func() *probe) {
	cfg.Head = func(v target.Vars, h ResponseHead) {
		what := "subscription"
		if h.Send {
			what = "send of " + string(v.Payload)
		}
		text := fmt.Sprintf("head: %d to the %s of client %d at %s:", h.Status, what, v.Client, h.URL.RequestURI())
		for name, value := range h.Fields {
			if strings.HasPrefix(strings.ToLower(string(name)), "x-") {
				text += fmt.Sprintf(" %s=%s", name, value)
			}
		}
		p().note(fact{text: text})
	}
}

func TestHeadOfSubscriptions(t *testing.T) {
	theseEngines(t, builtOnTheMachine(), func(t *testing.T, k Kind) {
		s := serve(t, func(c *peer) {
			switch r := c.request(); {
			case r == nil:
			case r.URL.Path == "/events":
				c.say("HTTP/1.1 307 Temporary Redirect\r\nLocation: /there?x=1\r\nX-A: 1\r\nx-b: 2\r\nX-A: 3\r\nContent-Length: 0\r\n\r\n")
			case r.URL.Path == "/there":
				c.say("HTTP/1.1 103 Early Hints\r\nX-C: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n", "X-C: 4\r\n\r\ndata: a\n\n")
			default:
				c.say("HTTP/1.1 503 Full\r\nX-D: 5\r\nContent-Length: 0\r\n\r\n")
			}
		})
		for path, want := range map[string][]string{
			"/events": {
				"head: 307 to the subscription of client 7 at /events: X-A=1 x-b=2 X-A=3",
				"head: 200 to the subscription of client 7 at /there?x=1: X-C=4",
				"opened", `message "a"`, "closed: ended",
			},
			"/full": {"head: 503 to the subscription of client 7 at /full: X-D=5", "closed: status 503"},
		} {
			var p *probe
			cfg := Config{Target: at(t, target.Spec{URL: s.url(path)})}
			heads(&cfg, func() *probe { return p })
			p = start(t, k, cfg)
			p.vars = func(int) target.Vars { return target.Vars{Client: 7} }
			p.subscribe(0, "")
			if got, _ := p.untilClosed(); !slices.Equal(got, want) {
				t.Errorf("%s:\n%s\nwant\n%s", path, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			p.eng.Close()
		}
	})
}

func TestHeadMayUnsubscribe(t *testing.T) {
	theseEngines(t, builtOnTheMachine(), func(t *testing.T, k Kind) {
		s := serve(t, answer(stream("data: a\n\n")))
		var p *probe
		cfg := Config{Target: at(t, target.Spec{URL: s.url("/x")}), Clients: 2}
		heads(&cfg, func() *probe { return p })
		tell := cfg.Head
		cfg.Head = func(v target.Vars, h ResponseHead) {
			tell(v, h)
			p.eng.Unsubscribe(v.Client)
		}
		p = start(t, k, cfg)
		p.subscribe(0, "")
		p.expect("head: 200 to the subscription of client 0 at /x:")
		p.subscribe(1, "")
		p.expect("head: 200 to the subscription of client 1 at /x:")
		p.quiet()
	})
}

func TestHeadOfSends(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		s := serve(t, func(c *peer) {
			for r := c.request(); r != nil; r = c.request() {
				switch client := r.URL.Query().Get("from"); client {
				case "1":
					c.say("HTTP/1.1 202 Accepted\r\nX-Of: 1\r\n", "Content-Length: 2\r\n\r\nok")
				case "2":
					c.say("HTTP/1.1 403 No\r\nX-Of: 2\r\nContent-Length: 0\r\n\r\n")
				case "3":
					c.say("HTTP/1.1 200 OK\r\nX-Of: 3\r\nContent-Length: 9\r\n\r\ncut")
					return
				default:
					return // without an answer
				}
			}
		})
		var p *probe
		cfg := Config{SendConnections: 1, Target: at(t, target.Spec{URL: s.url("/events"), SendURL: s.url("/say?from={client}&m={payload}")})}
		heads(&cfg, func() *probe { return p })
		p = start(t, k, cfg)
		p.msg = func(tag Tag) target.Vars {
			return target.Vars{Client: int(tag), Payload: fmt.Appendf(nil, "m%d", tag)}
		}
		for tag, want := range []string{
			1: "head: 202 to the send of m1 of client 1 at /say?from=1&m=m1: X-Of=1|sent",
			2: "head: 403 to the send of m2 of client 2 at /say?from=2&m=m2: X-Of=2|sent: status 403",
			3: "head: 200 to the send of m3 of client 3 at /say?from=3&m=m3: X-Of=3|sent: closed early",
			4: "sent: closed early",
		} {
			if want == "" {
				continue
			}
			p.send(Tag(tag))
			for text := range strings.SplitSeq(want, "|") {
				p.expect(text)
			}
		}
	})
}

// TestCookiesComeBack: what a redirect, a refusal, a stream and a send set, the client
// sends with whatever it asks next, and no other client does.
func TestCookiesComeBack(t *testing.T) {
	theseEngines(t, builtOnTheMachine(), func(t *testing.T, k Kind) {
		asked := make(chan string, 1)
		s := serve(t, func(c *peer) {
			for r := c.request(); r != nil; r = c.request() {
				asked <- r.URL.Path + " " + r.Header.Get("Cookie")
				set := func(name string) string { return "Set-Cookie: " + name + "=1; path=/\r\n" }
				switch r.URL.Path {
				case "/events":
					c.say("HTTP/1.1 302 Found\r\nLocation: /full\r\n" + set("redirect") + "Content-Length: 0\r\n\r\n")
				case "/full":
					if strings.Contains(r.Header.Get("Cookie"), "refusal") {
						c.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + set("stream") + "\r\n")
						return
					}
					c.say("HTTP/1.1 503 Full\r\n" + set("refusal") + "Content-Length: 0\r\n\r\n")
				case "/say":
					c.say("HTTP/1.1 200 OK\r\n" + set("send") + "Content-Length: 0\r\n\r\n")
				}
			}
		})
		tg := at(t, target.Spec{URL: s.url("/events"), SendURL: s.url("/say"), Cookies: []string{"own={client}"}, CookieJar: true})
		p := start(t, k, Config{Clients: 2, Target: tg, Head: func(v target.Vars, h ResponseHead) { tg.Jar.Keep(v.Client, h.URL, h.Fields) }})
		expect := func(want ...string) {
			t.Helper()
			for _, w := range want {
				if got := await(t, asked); got != w {
					t.Fatalf("asked for %q, want %q", got, w)
				}
			}
		}
		p.subscribe(0, "")
		expect("/events own=0", "/full own=0; redirect=1")
		p.expect("closed: status 503")
		p.subscribe(0, "")
		expect("/events own=0; redirect=1; refusal=1", "/full own=0; redirect=1; refusal=1")
		p.expect("opened")
		p.expect("closed: ended")
		p.send(0)
		expect("/say own=0; redirect=1; refusal=1; stream=1")
		p.expect("sent")
		p.subscribe(0, "")
		expect("/events own=0; redirect=1; refusal=1; stream=1; send=1", "/full own=0; redirect=1; refusal=1; stream=1; send=1")
		p.expect("opened")
		p.expect("closed: ended")
		p.subscribe(1, "")
		expect("/events own=1", "/full own=1; redirect=1")
		p.expect("closed: status 503")
	})
}
