package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// everyEngine runs f with a service of its own for each engine.
func everyEngine(t *testing.T, f func(*testing.T, *harness)) {
	t.Helper()
	engines := []string{"conn", "nethttp"}
	if runtime.GOOS == "linux" {
		engines = append(engines, "epoll")
	}
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) { f(t, start(t, engine)) })
	}
}

// atOnce has the service reconnect without waiting.
var atOnce = map[string]any{"initialDelayMs": 0}

func with(params map[string]any, name string, value any) map[string]any {
	all := map[string]any{name: value}
	for n, v := range params {
		all[n] = v
	}
	return all
}

// inPieces cuts s into pieces of n bytes.
func inPieces(s string, n int) (pieces []string) {
	for piece := range slices.Chunk([]byte(s), n) {
		pieces = append(pieces, string(piece))
	}
	return pieces
}

const mark = "\xEF\xBB\xBF"

func TestEvents(t *testing.T) {
	many, manyTold := "", []string(nil)
	for i := range 100 {
		many += fmt.Sprintf("data: message %d\n\n", i)
		manyTold = append(manyTold, plain(fmt.Sprintf("message %d", i)))
	}
	cases := []struct {
		name   string
		pieces []string
		want   []string
	}{
		{"one", []string{"data: Hello\n\n"}, []string{plain("Hello")}},
		{"in two pieces", []string{"data: Hel", "lo\n\n"}, []string{plain("Hello")}},
		{"two in a piece", []string{"data: Hello\n\ndata: World\n\n"}, []string{plain("Hello"), plain("World")}},
		{"empty", []string{"data:\n\n"}, []string{plain("")}},
		{"without a colon", []string{"data\n\ndata\ndata\n\n"}, []string{plain(""), plain("\n")}},
		{"type and ID", []string{"event: greeting\nid: abc\ndata: Hello\n\n"}, []string{told("greeting", "Hello", "abc")}},
		{"in reverse", []string{"data: Hello\nid: abc\nevent: greeting\n\n"}, []string{told("greeting", "Hello", "abc")}},
		{"an unknown field", []string{"event: greeting\ncolor: blue\ndata: Hello\n\n"}, []string{told("greeting", "Hello", "")}},
		{"no space", []string{"event:greeting\ndata:Hello\n\n"}, []string{told("greeting", "Hello", "")}},
		{"two spaces", []string{"event:  greeting\ndata:  Hello\n\n"}, []string{told(" greeting", " Hello", "")}},
		{"a NUL in an ID", []string{"id: a\x00bc\ndata: Hello\n\n"}, []string{plain("Hello")}},
		{"an ID persists", []string{"id: abc\ndata: 1\n\n", "data: 2\n\n"}, []string{told("message", "1", "abc"), told("message", "2", "abc")}},
		{"an ID is reset", []string{"id: abc\ndata: 1\n\n", "id: \ndata: 2\n\n"}, []string{told("message", "1", "abc"), plain("2")}},
		{"UTF-8 byte by byte", inPieces("data: €豆腐\n\n", 1), []string{plain("€豆腐")}},
		{"many", []string{many}, manyTold},
		{"comments", []string{":Hello\n", ":World\n", "data: 1\n\n", ":\n"}, []string{`comment "Hello"`, `comment "World"`, plain("1"), `comment ""`}},
		{"a byte order mark", []string{mark + "event: greeting\nid: abc\ndata: 1\n\ndata: " + mark + "2\n\n"}, []string{told("greeting", "1", "abc"), told("message", "\ufeff2", "abc")}},
		{"a byte order mark in two pieces", []string{"\xEF\xBB", "\xBFdata: 1\n\n"}, []string{plain("1")}},
		{"a byte order mark byte by byte", append(inPieces(mark, 1), "data: 1\n\n"), []string{plain("1")}},
		{"a byte order mark and another", []string{mark + mark + "data: 1\n\ndata: 2\n\n"}, []string{plain("2")}},
		{"a byte order mark and a comment", []string{mark + ":hello\ndata:\n\n"}, []string{`comment "hello"`, plain("")}},
		{"a CRLF in two pieces", []string{"data: 1\r", "\ndata: 2\r", "\n\r\ndata: 3\r", "\n", "\r", "\n"}, []string{plain("1\n2"), plain("3")}},
	}
	everyEngine(t, func(t *testing.T, h *harness) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				s := h.open(t, nil)
				s.listen("greeting")
				s.listen(" greeting")
				s.await().say(c.pieces...)
				s.expect(c.want...)
			})
		}
	})
}

// The streams here stay open: that an event has ended must be seen from its bytes.
func TestLineEnds(t *testing.T) {
	shapes := []struct {
		text string // with LF
		want []string
	}{
		{"data: 1\n\n", []string{plain("1")}},
		{"data: 1\n\ndata: 2\ndata: 3\n\n", []string{plain("1"), plain("2\n3")}},
		{"data:\ndata: 2\ndata: 3\n\n", []string{plain("\n2\n3")}},
		{"data: 1\ndata:\ndata: 3\n\n", []string{plain("1\n\n3")}},
		{"data: 1\n\n\ndata: 2\n\n", []string{plain("1"), plain("2")}},
		{"data: 1\n\n\n\ndata: 2\n\n", []string{plain("1"), plain("2")}},
	}
	everyEngine(t, func(t *testing.T, h *harness) {
		for _, end := range []string{"\n", "\r\n", "\r"} {
			for _, shape := range shapes {
				text := strings.ReplaceAll(shape.text, "\n", end)
				for _, size := range []int{len(text), 1, 2} {
					t.Run(fmt.Sprintf("%q by %d", text, size), func(t *testing.T) {
						s := h.open(t, nil)
						s.await().say(inPieces(text, size)...)
						s.expect(shape.want...)
					})
				}
			}
		}
	})
}

func TestLargeEvents(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		data := strings.TrimSuffix(strings.Repeat(strings.Repeat("x", 1023)+"\n", 7<<10), "\n")
		s := h.open(t, nil)
		conn := s.await()
		conn.say("data: " + strings.ReplaceAll(data, "\n", "\ndata: ") + "\n\n")
		s.expect(plain(data))
		line := strings.Repeat("x", 14<<20)
		conn.say(inPieces("data: "+line+"\n\n", 1<<20)...)
		conn.say("data: after\n\n")
		s.expect(plain(line), plain("after"))
	})
}

func TestTypesAreListenedFor(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		s := h.open(t, nil)
		conn := s.await()
		conn.say("event: a\ndata: 1\n\ndata: 2\n\n")
		s.expect(plain("2"))
		s.listen("a")
		conn.say("event: a\ndata: 3\n\nevent: b\ndata: 4\n\nevent: message\ndata: 5\n\n")
		s.expect(told("a", "3", ""), plain("5"))
	})
}

func TestRequests(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		r := h.open(t, nil).await()
		if r.Method != "GET" || r.Header.Get("Accept") != "text/event-stream" || r.Header.Get("Cache-Control") != "no-cache" || r.Header.Values("Last-Event-Id") != nil {
			t.Errorf("%s with %v", r.Method, r.Header)
		}
		r = h.open(t, map[string]any{"headers": map[string]string{"header-name-1": "value-1", "header-name-2": "{client} {x}"}}).await()
		if r.Header.Get("Header-Name-1") != "value-1" || r.Header.Get("Header-Name-2") != "{client} {x}" {
			t.Errorf("headers %v", r.Header)
		}
		s := h.open(t, with(atOnce, "lastEventId", "abc"))
		r = s.await()
		if got := r.Header.Get("Last-Event-Id"); got != "abc" {
			t.Errorf("Last-Event-ID is %q", got)
		}
		r.say("data: 1\n\n")
		s.expect(told("message", "1", "abc"))
	})
}

func TestBodies(t *testing.T) {
	const body = `{"hello": "{client}"}`
	everyEngine(t, func(t *testing.T, h *harness) {
		for _, method := range []string{"POST", "REPORT"} {
			s := h.open(t, map[string]any{
				"initialDelayMs": 0, "method": method, "body": body,
				"headers": map[string]string{"content-type": "application/json; charset=utf-8"},
			})
			for range 3 { // also when it reconnects
				r := s.await()
				if r.Method != method || r.body != body || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
					t.Errorf("%s %q with %v", r.Method, r.body, r.Header)
				}
				close(r.write)
			}
		}
	})
}

func TestRedirects(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		for _, status := range []int{301, 307} {
			s := &client{t: t, h: h, connections: make(chan *connection, 100)}
			to := h.handle(s.serve)
			s.from(h.handle(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			}), nil)
			s.await().say("data: hello\n\n")
			s.expect(plain("hello"))

			for _, location := range [][]string{{""}, nil} { // empty, missing
				s := h.openAt(t, h.handle(func(w http.ResponseWriter, _ *http.Request) {
					if location != nil {
						w.Header()["Location"] = location
					}
					w.WriteHeader(status)
				}), atOnce)
				s.expect("error")
			}
		}
	})
}

func TestRefusalIsForGood(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		requests := make(chan struct{}, 100)
		refused := h.openAt(t, h.handle(func(w http.ResponseWriter, _ *http.Request) {
			requests <- struct{}{}
			w.WriteHeader(http.StatusNoContent)
		}), atOnce)
		refused.expect("error")
		// Another one reconnects meanwhile, time and again.
		other := h.open(t, atOnce)
		for range 20 {
			close(other.await().write)
		}
		if n := len(requests); n != 1 {
			t.Errorf("%d requests after a 204, want 1", n)
		}
		// Unless it is told to.
		if code := refused.command(map[string]any{"command": "restart"}); code/100 != 2 {
			t.Errorf("restart was answered %d", code)
		}
		refused.expect("error")
		if n := len(requests); n != 2 {
			t.Errorf("%d requests after a restart, want 2", n)
		}
	})
}

func TestReconnections(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		s := h.open(t, atOnce)
		first := s.await()
		first.say("id: abc\ndata: Hello\n\ndata: World\n\nid: def\ndata: Good")
		s.expect(told("message", "Hello", "abc"), told("message", "World", "abc"))
		close(first.write) // a clean end is no error

		second := s.await()
		if got := second.Header.Get("Last-Event-Id"); got != "abc" {
			t.Errorf("Last-Event-ID is %q after a partial event, want abc", got)
		}
		second.say("bye\n\ndata: again\n\nid: ghi\ndata: x\n\nid: jkl\n")
		s.expect(told("message", "again", "abc"), told("message", "x", "ghi"))
		close(second.abort)
		s.expect("error")

		third := s.await()
		if got := third.Header.Get("Last-Event-Id"); got != "ghi" {
			t.Errorf("Last-Event-ID is %q after an abort, want ghi", got)
		}
		third.say("id\ndata: y\n\n")
		s.expect(plain("y"))
		close(third.write)

		if got, ok := s.await().Header["Last-Event-Id"]; ok {
			t.Errorf("Last-Event-ID is %q after it was reset", got)
		}
	})
}

func TestRestart(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		s := h.open(t, nil) // it would wait for seconds by itself
		first := s.await()
		first.say("id: 1\ndata: Hello\n\n")
		s.expect(told("message", "Hello", "1"))
		if code := s.command(map[string]any{"command": "restart"}); code/100 != 2 {
			t.Fatalf("restart was answered %d", code)
		}
		second := s.await()
		if got := second.Header.Get("Last-Event-Id"); got != "1" {
			t.Errorf("Last-Event-ID is %q, want 1", got)
		}
		second.say("data: Thanks\n\n")
		s.expect(told("message", "Thanks", "1"))
		select {
		case <-first.gone:
		case <-time.After(patience):
			t.Error("the first connection is still open")
		}
	})
}

func TestReadTimeout(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		s := h.open(t, with(atOnce, "readTimeoutMs", 300))
		begun := time.Now()
		s.await().say("data: Hello\n\n")
		s.expect(plain("Hello"), "error")
		if waited := time.Since(begun); waited < 300*time.Millisecond {
			t.Errorf("gave up after %s, want not before 300ms", waited)
		}
		s.await().say("data: again\n\n")
		s.expect(plain("again"))
	})
}

// Any byte counts, not only those that complete something.
func TestReadTimeoutCountsBytes(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		s := h.open(t, with(atOnce, "readTimeoutMs", 1500))
		conn := s.await()
		every := time.NewTicker(200 * time.Millisecond)
		defer every.Stop()
		for _, piece := range inPieces("data: 123\n", 1) {
			conn.say(piece)
			<-every.C
		}
		conn.say("\n")
		s.expect(plain("123"))
	})
}

func TestService(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		r := h.ask(t, http.MethodGet, h.service, nil)
		var status struct{ Capabilities []string }
		if err := json.Unmarshal(r.body, &status); err != nil || r.code != 200 {
			t.Fatalf("status %d, %v", r.code, err)
		}
		for _, want := range []string{"bom", "comments", "headers", "last-event-id", "post", "report", "read-timeout", "restart", "event-type-listeners", "server-directed-shutdown-request"} {
			if !slices.Contains(status.Capabilities, want) {
				t.Errorf("%s is not offered", want)
			}
		}
		s := h.open(t, nil)
		conn := s.await()
		for name, c := range map[string]struct {
			method, url string
			body        any
			want        int
		}{
			"not JSON":          {"POST", h.service, "no object", 400},
			"no URL":            {"POST", h.service, map[string]any{"callbackUrl": "http://x"}, 400},
			"a URL that is bad": {"POST", h.service, map[string]any{"callbackUrl": "http://x", "streamUrl": "ftp://x"}, 400},
			"unknown command":   {"POST", s.location, map[string]any{"command": "dance"}, 400},
			"listen to what":    {"POST", s.location, map[string]any{"command": "listen"}, 400},
			"unknown stream":    {"POST", h.service + "/streams/77", map[string]any{"command": "restart"}, 404},
			"no number":         {"DELETE", h.service + "/streams/x", nil, 404},
		} {
			if r := h.ask(t, c.method, c.url, c.body); r.code != c.want {
				t.Errorf("%s is answered %d %s, want %d", name, r.code, r.body, c.want)
			}
		}
		if code := h.ask(t, http.MethodDelete, s.location, nil).code; code != 204 {
			t.Errorf("closed with %d", code)
		}
		select {
		case <-conn.gone:
		case <-time.After(patience):
			t.Error("the connection of a closed stream is still open")
		}
		if code := h.ask(t, http.MethodDelete, s.location, nil).code; code != 404 {
			t.Errorf("closed again with %d", code)
		}
	})
}

func TestTheHarnessEndsTheService(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *harness) {
		order := map[string]any{"streamUrl": h.server.URL, "callbackUrl": h.server.URL}
		if code := h.ask(t, http.MethodPost, h.service, order).code; code/100 != 2 {
			t.Errorf("opened with %d", code)
		}
		if code := h.ask(t, http.MethodDelete, h.service, nil).code; code/100 != 2 {
			t.Errorf("ended with %d", code)
		}
		select {
		case code := <-h.ended:
			h.ended <- code // the clean-up looks at it
		case <-time.After(patience):
			t.Error("it goes on")
		}
	})
}

func TestCallbacksAreRepeated(t *testing.T) {
	h := start(t, "conn")
	s := &client{t: t, h: h, connections: make(chan *connection, 1)}
	failures := make(chan struct{}, 2)
	failures <- struct{}{}
	failures <- struct{}{}
	callback := h.handle(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-failures:
			http.Error(w, "not now", http.StatusInternalServerError)
		default:
			s.takeCallback(w, r)
		}
	})
	s.from(h.handle(s.serve), map[string]any{"callbackUrl": callback})
	s.await().say("data: 1\n\ndata: 2\n\n")
	s.expect(plain("1"), plain("2"))
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{{"-engine", "r3labs"}, {"-engine", "none"}, {"x"}, {"-unknown"}} {
		if code := run(t.Context(), args, io.Discard, io.Discard); code != usage {
			t.Errorf("%q ends with %d, want %d", args, code, usage)
		}
	}
	if code := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); code != good {
		t.Errorf("-h ends with %d", code)
	}
	if code := run(t.Context(), []string{"-addr", "256.0.0.1"}, io.Discard, io.Discard); code != failed {
		t.Errorf("an address that is none ends with %d, want %d", code, failed)
	}
}
