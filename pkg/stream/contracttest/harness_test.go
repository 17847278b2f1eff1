package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is for how long a test waits for what must happen.
const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is the other side of the protocol: it has one service, runs servers of
// streams, and takes callbacks.
type harness struct {
	t       *testing.T
	service string // its URL
	server  *httptest.Server
	client  *http.Client
	ended   chan int // the service's exit code

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc // by the first part of the path
}

// start runs a service as its command line does, and the servers that it will meet.
func start(t *testing.T, engine string) *harness {
	t.Helper()
	h := &harness{t: t, client: &http.Client{Transport: &http.Transport{}}, ended: make(chan int, 1), handlers: map[string]http.HandlerFunc{}}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.SplitN(r.URL.Path, "/", 3)[1]
		h.mu.Lock()
		handler := h.handlers[name]
		h.mu.Unlock()
		if handler == nil {
			http.NotFound(w, r)
			return
		}
		handler(w, r)
	}))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stdout, out := io.Pipe()
	go func() {
		h.ended <- run(ctx, []string{"-port", "0", "-engine", engine}, out, os.Stderr)
		out.Close()
	}()
	var text [100]byte
	n, err := stdout.Read(text[:])
	if err != nil {
		t.Fatal(err)
	}
	h.service = strings.TrimSpace(strings.TrimPrefix(string(text[:n]), "listening on "))
	t.Cleanup(func() {
		cancel()
		if code := <-h.ended; code != 0 {
			t.Errorf("the service ended with %d", code)
		}
		h.server.Close()
		h.client.CloseIdleConnections()
	})
	return h
}

// handle makes f the server under a new path, and returns its URL.
func (h *harness) handle(f http.HandlerFunc) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := strconv.Itoa(len(h.handlers))
	h.handlers[name] = f
	return h.server.URL + "/" + name
}

// reply is the service's answer.
type reply struct {
	code     int
	location string
	body     []byte
}

// ask makes a request of the service.
func (h *harness) ask(t *testing.T, method, url string, body any) reply {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if body == nil {
		text = nil
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, url, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header.Get("Location"), content}
}

// connection is a request for a stream that is being answered.
type connection struct {
	*http.Request
	body  string
	write chan string // what to send next; closed: the end
	abort chan struct{}
	gone  <-chan struct{} // the client has left
}

// say sends each piece with a flush of its own.
func (c *connection) say(pieces ...string) {
	for _, piece := range pieces {
		select {
		case c.write <- piece:
		case <-c.gone:
			return
		}
	}
}

// client is a stream that the service opened.
type client struct {
	t           *testing.T
	h           *harness
	location    string
	connections chan *connection
	told        chan string
	mu          sync.Mutex
	count       int // of callbacks
}

// open asks for a stream from a server of the test's own. params are further ones.
func (h *harness) open(t *testing.T, params map[string]any) *client {
	t.Helper()
	c := &client{t: t, h: h, connections: make(chan *connection, 100)}
	return c.from(h.handle(c.serve), params)
}

// openAt asks for a stream from url.
func (h *harness) openAt(t *testing.T, url string, params map[string]any) *client {
	t.Helper()
	return (&client{t: t, h: h, connections: make(chan *connection, 100)}).from(url, params)
}

func (c *client) from(url string, params map[string]any) *client {
	c.t.Helper()
	c.told = make(chan string, 1000)
	order := map[string]any{"streamUrl": url, "callbackUrl": c.h.handle(c.takeCallback), "tag": c.t.Name()}
	for name, value := range params {
		order[name] = value
	}
	r := c.h.ask(c.t, http.MethodPost, c.h.service, order)
	c.location = r.location
	if r.code/100 != 2 || !strings.HasPrefix(c.location, c.h.service+"/") {
		c.t.Fatalf("opened with %d %s, Location %q", r.code, r.body, c.location)
	}
	c.t.Cleanup(func() {
		if code := c.h.ask(c.t, http.MethodDelete, c.location, nil).code; code != 204 && code != 404 {
			c.t.Errorf("closed with %d", code)
		}
	})
	return c
}

// serve answers as its connection is told to.
func (c *client) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	conn := &connection{Request: r, body: string(body), write: make(chan string), abort: make(chan struct{}), gone: r.Context().Done()}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	flush := w.(http.Flusher).Flush
	flush()
	c.connections <- conn
	for {
		select {
		case piece, more := <-conn.write:
			if !more {
				return
			}
			_, _ = io.WriteString(w, piece)
			flush()
		case <-conn.abort:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

// takeCallback holds the service to the order of its callbacks.
func (c *client) takeCallback(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.count++
	want := strconv.Itoa(c.count)
	c.mu.Unlock()
	if number := strings.SplitN(r.URL.Path, "/", 3)[2]; number != want {
		c.told <- fmt.Sprintf("callback %s in place of %s", number, want)
	}
	w.WriteHeader(http.StatusAccepted)
	c.told <- described(body)
}

// described is a callback's body in one line.
func described(body []byte) string {
	var m struct {
		Kind           string
		Comment, Error *string
		Event          *struct{ Type, Data, ID *string }
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return fmt.Sprintf("%s: %v", body, err)
	}
	switch {
	case m.Kind == "event" && m.Event != nil && m.Event.Type != nil && m.Event.Data != nil && m.Event.ID != nil:
		return told(*m.Event.Type, *m.Event.Data, *m.Event.ID)
	case m.Kind == "comment" && m.Comment != nil:
		return fmt.Sprintf("comment %q", *m.Comment)
	case m.Kind == "error" && m.Error != nil && *m.Error != "":
		return "error"
	}
	return "not a callback: " + string(body)
}

// told is an event as described. Its text may be large: it is not quoted.
func told(typ, data, id string) string { return typ + "|" + id + "|" + data }

// plain is an event of the default type with data alone.
func plain(data string) string { return told("message", data, "") }

// await waits for the next connection.
func (c *client) await() *connection {
	c.t.Helper()
	select {
	case conn := <-c.connections:
		return conn
	case <-time.After(patience):
		c.t.Fatal("no connection came")
		return nil
	}
}

// expect waits for callbacks.
func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		select {
		case got := <-c.told:
			if got != w {
				c.t.Fatalf("told %.200q\nwant %.200q", got, w)
			}
		case <-time.After(patience):
			c.t.Fatalf("nothing was told, want %.200q", w)
		}
	}
}

func (c *client) command(body any) int {
	c.t.Helper()
	return c.h.ask(c.t, http.MethodPost, c.location, body).code
}

func (c *client) listen(typ string) {
	c.t.Helper()
	if code := c.command(map[string]any{"command": "listen", "listen": map[string]any{"type": typ}}); code/100 != 2 {
		c.t.Fatalf("listen was answered %d", code)
	}
}
