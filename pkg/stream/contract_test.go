package stream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/target"
)

// deviation is where an engine does not do what the contract says, and why.
type deviation struct {
	why  string
	want []string
}

// behaviour is what a subscription must make of a server.
type behaviour struct {
	name     string
	serve    func(*peer)
	url      string // of the subscription, instead of the server's
	timeout  time.Duration
	maxEvent int
	tcp      bool // of TCP alone: a port where nobody listens, a reset
	want     []string
	deviates map[Kind]deviation
	framing  bool // is about the bytes of HTTP/1.1
}

func responds(name string, response string, want ...string) behaviour {
	return behaviour{name: name, serve: answer(response), want: want}
}

// but adds a deviation of the r3labs client.
func (b behaviour) but(why string, want ...string) behaviour { return b.and(R3Labs, why, want...) }

// and adds a deviation of an engine.
func (b behaviour) and(k Kind, why string, want ...string) behaviour {
	deviates := map[Kind]deviation{k: {why: why, want: want}}
	maps.Copy(deviates, b.deviates)
	b.deviates = deviates
	return b
}

// ofHTTP1 says that b is about the bytes of HTTP/1.1.
func (b behaviour) ofHTTP1() behaviour {
	b.framing = true
	return b
}

const netHTTPCut = "net/http takes a line that the end cuts off for a malformed one"

func stream(text string) string { return head + text }

func chunked(chunks ...string) string {
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	for _, c := range chunks {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(c), c)
	}
	return b.String()
}

func status(code int) behaviour {
	return responds(fmt.Sprintf("status %d", code),
		fmt.Sprintf("HTTP/1.1 %d Whatever\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n", code),
		fmt.Sprintf("closed: status %d", code))
}

func bytewise(s string) func(*peer) { return answer(strings.Split(s, "")...) }

const manyFields = ": c\r\nevent: greeting\r\nid: 7\r\ndata: one\r\ndata: two\r\n\r\ndata: three\r\n\r\n"

func behaviours(t *testing.T) []behaviour {
	t.Helper()
	return []behaviour{
		// Opening.
		responds("a content type with parameters, in any case",
			"HTTP/1.1 200 OK\r\ncontent-TYPE:  Text/Event-Stream ; charset=UTF-8\r\n\r\ndata: a\n\n",
			"opened", `message "a"`, "closed: ended"),
		responds("another 2xx", "HTTP/1.1 201 Created\r\nContent-Type: text/event-stream\r\n\r\n", "closed: status 201"),
		responds("an interim response comes first", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"+stream("data: a\n\n"),
			"opened", `message "a"`, "closed: ended"),
		responds("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n",
			"opened", `message "a"`, "closed: ended"),
		responds("another content type", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "closed: content type"),
		responds("a content type that begins alike", "HTTP/1.1 200 OK\r\nContent-Type: text/event-streams\r\n\r\n", "closed: content type"),
		responds("no content type", "HTTP/1.1 200 OK\r\n\r\ndata: a\n\n", "closed: content type"),
		responds("a content encoding", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n", "closed: protocol"),
		status(204), status(304), status(401), status(404), status(500), status(503),

		// Bodies.
		responds("ended by the connection", stream("data: a\n\ndata: b\n\n"), "opened", `message "a"`, `message "b"`, "closed: ended"),
		responds("of a length", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata: a\n\n",
			"opened", `message "a"`, "closed: ended"),
		responds("of no length", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n", "opened", "closed: ended"),
		responds("chunked", chunked("data: a\n", "\ndat", "a: b\n\n", ""), "opened", `message "a"`, `message "b"`, "closed: ended"),
		behaviour{
			name: "everything split byte by byte", serve: bytewise(chunked(manyFields, "data: a\n\n", "")),
			want: []string{"opened", `comment " c"`, `greeting "one\ntwo" id 7`, `message "three" id 7`, `message "a" id 7`, "closed: ended"},
		}.but("offers no comments", "opened", `greeting "one\ntwo" id 7`, `message "three" id 7`, `message "a" id 7`, "closed: ended"),

		// The event stream.
		responds("types, ids, several lines", stream("event: x\nid: 1\ndata: a\ndata\ndata:b\n\ndata: c\n\nevent:\ndata: d\n\n"),
			"opened", `x "a\n\nb" id 1`, `message "c" id 1`, `message "d" id 1`, "closed: ended"),
		responds("CRLF", stream("id: 1\r\ndata: a\r\n\r\ndata: b\r\n\r\n"), "opened", `message "a" id 1`, `message "b" id 1`, "closed: ended"),
		responds("CR", stream("data: a\r\rdata: b\r\r"), "opened", `message "a"`, `message "b"`, "closed: ended"),
		responds("mixed line ends", stream("data: a\r\n\rdata: b\n\n"), "opened", `message "a"`, `message "b"`, "closed: ended").
			but("does not see CR LF CR as the end of an event", "opened", `message "a\nb"`, "closed: ended"),
		responds("comments and a reconnection time", stream(": hi\nretry: 1500\n\ndata: a\n\n:\n"),
			"opened", `comment " hi"`, "retry 1.5s", `message "a"`, `comment ""`, "closed: ended").
			but("offers no comments, and dispatches a block without data", "opened", "retry 1.5s", `message ""`, `message "a"`, "closed: ended"),
		responds("a reconnection time that is none", stream("retry: 1s\ndata: a\n\n"), "opened", `message "a"`, "closed: ended"),
		responds("a byte order mark", stream("\xef\xbb\xbfdata: a\n\ndata: b\n\n"),
			"opened", `message "a"`, `message "b"`, "closed: ended").
			but("a byte order mark hides the first field", "opened", `message "b"`, "closed: ended"),
		responds("an event that is not finished", stream("data: a\n\ndata: b\n"), "opened", `message "a"`, "closed: ended").
			but("dispatches what the end cuts off", "opened", `message "a"`, `message "b"`, "closed: ended"),
		responds("a block without data", stream("event: x\n\ndata: a\n\n"), "opened", `message "a"`, "closed: ended").
			but("dispatches a block without data", "opened", `x ""`, `message "a"`, "closed: ended"),
		responds("empty data", stream("event: x\ndata\n\n"), "opened", `x ""`, "closed: ended"),
		responds("empty data alone", stream("data:\n\n"), "opened", `message ""`, "closed: ended").
			but("does not dispatch empty data alone", "opened", "closed: ended"),
		responds("an id is reset", stream("id: 1\ndata: a\n\nid\ndata: b\n\n"), "opened", `message "a" id 1`, `message "b"`, "closed: ended").
			but("an empty id does not reset", "opened", `message "a" id 1`, `message "b" id 1`, "closed: ended"),

		// Servers and networks that misbehave.
		{name: "nobody listens", tcp: true, url: refusedURL(t), want: []string{"closed: refused"}},
		{name: "reset before a response", tcp: true, serve: func(p *peer) { p.request(); p.reset() }, want: []string{"closed: reset"}},
		responds("closed before a response", "", "closed: closed early"),
		responds("closed within the head", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n", "closed: closed early"),
		responds("closed within a header line", "HTTP/1.1 200 OK\r\nContent-", "closed: closed early").
			and(NetHTTP, netHTTPCut, "closed: protocol").and(R3Labs, netHTTPCut, "closed: protocol"),
		responds("closed within a chunk", chunked("data: a\n\n")+"20\r\ndata: b", "opened", `message "a"`, "closed: closed early").
			but("dispatches what the end cuts off", "opened", `message "a"`, `message "b"`, "closed: closed early"),
		responds("closed between chunks", chunked("data: a\n\n"), "opened", `message "a"`, "closed: closed early"),
		responds("closed short of its length", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 20\r\n\r\ndata: a\n\n",
			"opened", `message "a"`, "closed: closed early"),
		{
			name: "no head within the timeout", serve: func(p *peer) { p.request(); p.gone() }, timeout: 150 * time.Millisecond,
			want: []string{"closed: timed out"},
		},
		{
			name: "half a head within the timeout", serve: func(p *peer) { p.request(); p.say("HTTP/1.1 200 OK\r\n"); p.gone() },
			timeout: 150 * time.Millisecond, want: []string{"closed: timed out"},
		},
		responds("no HTTP", "SSH-2.0-OpenSSH_9.6\r\n\r\n", "closed: protocol").ofHTTP1(),
		responds("a head that is none", "HTTP/1.1 200 OK\r\nwithout a colon\r\n\r\n", "closed: protocol").ofHTTP1(),
		responds("a chunk that is none", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
			"opened", "closed: protocol").ofHTTP1(),
		responds("a head of 1 MB", "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n", "closed: protocol"),
		{
			name: "an event over the limit", serve: answer(stream("data: a\n\ndata: " + strings.Repeat("b", 2000) + "\n\n")), maxEvent: 1000,
			want: []string{"opened", `message "a"`, "closed: protocol"},
		},
		responds("a redirect to nowhere", "HTTP/1.1 302 Found\r\n\r\n", "closed: status 302"),
		responds("a redirect to nothing", "HTTP/1.1 301 Moved\r\nLocation:\r\n\r\n", "closed: status 301"),
		responds("a redirect to a blank", "HTTP/1.1 307 Moved\r\nLocation: \t \r\n\r\n", "closed: status 307"),
		responds("a redirect to another scheme", "HTTP/1.1 302 Found\r\nLocation: gopher://localhost/\r\n\r\n", "closed: protocol"),
		responds("a redirect to nonsense", "HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\n\r\n", "closed: protocol"),
		{
			name: "a redirect where nobody listens", tcp: true, want: []string{"closed: refused"},
			serve: answer("HTTP/1.1 302 Found\r\nLocation: " + refusedURL(t) + "\r\n\r\n"),
		},
	}
}

func TestBehaviours(t *testing.T) {
	for _, b := range behaviours(t) {
		t.Run(b.name, func(t *testing.T) {
			transports := everyTransport
			if b.framing {
				transports = everyEngine
			}
			transports(t, func(t *testing.T, k Kind) {
				url := b.url
				if url == "" {
					url = serve(t, b.serve).url("/stream")
				}
				b.hold(t, k, target.Spec{URL: url})
			})
		})
	}
}

// hold has engine k behave as b says against a server that does.
func (b behaviour) hold(t *testing.T, k Kind, spec target.Spec) {
	t.Helper()
	want := b.want
	// HTTP/2 has no lines that could be cut off.
	if d, ok := b.deviates[k]; ok && (d.why != netHTTPCut || !overHTTP2(t)) {
		if slices.Equal(d.want, b.want) {
			t.Fatalf("%s is no deviation", d.why)
		}
		want = d.want
	}
	want = slices.Clone(want)
	for i := range want {
		want[i] = cutOff(t, want[i])
	}
	p := start(t, k, Config{Target: at(t, spec), Timeout: b.timeout, MaxEventSize: b.maxEvent})
	begun := time.Now()
	p.subscribe(0, "")
	got, end := p.untilClosed()
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q\n(%v)", got, want, end.failure)
	}
	if b.timeout > 0 && time.Since(begun) < b.timeout {
		t.Errorf("gave up after %s, want not before %s", time.Since(begun), b.timeout)
	}
	p.quiet()
	// A subscription that is over can be opened anew.
	p.subscribe(0, "")
	if again, end := p.untilClosed(); !slices.Equal(again, want) {
		t.Errorf("the second time %q\nwant %q\n(%v)", again, want, end.failure)
	}
}

func TestDeviationsAreNamed(t *testing.T) {
	n := 0
	for _, b := range behaviours(t) {
		for k, d := range b.deviates {
			n++
			if d.why == "" || k != R3Labs && k != NetHTTP {
				t.Errorf("%s: %s deviates without a reason", b.name, k)
			}
		}
	}
	if n == 0 {
		t.Error("no deviation of r3labs is listed")
	}
}
