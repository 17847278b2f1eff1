package testserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what must come.
const patience = 15 * time.Second

// TestMain lets the test binary play the processes the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "run-worker":
			if err := RunWorker(context.Background(), nil); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "run-server":
			os.Exit(runServer(os.Args[2]))
		}
	}
	goleak.VerifyTestMain(m)
}

// runServer serves a Config given as JSON until stdin ends, and prints its URL.
func runServer(text string) int {
	var cfg Config
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if cfg.Workers > 1 {
		cfg.WorkerCommand = []string{os.Args[0], "run-worker"}
		cfg.WorkerOutput = os.Stderr
	}
	s, err := New(cfg)
	if err == nil {
		err = s.Listen()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, s.URL())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := s.Serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// start serves cfg until the test ends, and then demands a clean stop.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, _ := startStoppable(t, cfg)
	return s
}

// startStoppable is start with the graceful stop in the test's hands.
func startStoppable(t testing.TB, cfg Config) (s *Server, stop func()) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("Serve does not return")
		}
	})
	t.Cleanup(stop)
	return s, stop
}

// sub is a subscription, read in the plainest way that follows the standard.
type sub struct {
	t    testing.TB
	conn net.Conn
	resp response
	in   *bufio.Reader
}

type got struct {
	id, typ, data, comment, retry string
}

// dial sends one request to a server at an address or a URL, and returns the
// connection and the response.
// Both are closed when the test ends.
func dial(t testing.TB, base, request string) (net.Conn, response) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	network, addr := "tcp", u.Host
	if path, ok := SocketPath(base); ok {
		network, addr = "unix", path
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	closing := []io.Closer{conn}
	t.Cleanup(func() {
		for _, c := range closing {
			_ = c.Close() // a test may have closed it already
		}
	})
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // closed by the cleanup, after conn
	if err != nil {
		t.Fatal(err)
	}
	closing = append(closing, resp.Body) // after conn: it reads to the end
	return conn, response{resp}
}

// response is one whose body dial closes.
type response struct{ *http.Response }

func subscribe(t testing.TB, base, query string, headers ...string) *sub {
	t.Helper()
	request := "GET /events?" + query + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
	conn, resp := dial(t, base, request)
	s := &sub{t: t, conn: conn, resp: resp, in: bufio.NewReader(resp.Body)}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("subscribe %s: %s, %s", query, resp.Status, resp.Header.Get("Content-Type"))
	}
	return s
}

// read returns the next block: an event, a retry or a comment.
func (s *sub) read() (got, error) {
	var g got
	var data []string
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return g, err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			g.data = strings.Join(data, "\n")
			return g, nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "":
			g.comment = value
		case "id":
			g.id = value
		case "event":
			g.typ = value
		case "retry":
			g.retry = value
		case "data":
			data = append(data, value)
		default:
			return g, fmt.Errorf("line %q", line)
		}
	}
}

func (s *sub) next() got {
	s.t.Helper()
	g, err := s.read()
	if err != nil {
		s.t.Fatalf("no event: %v", err)
	}
	return g
}

func (s *sub) want(data ...string) {
	s.t.Helper()
	for _, d := range data {
		if g := s.next(); g.data != d {
			s.t.Fatalf("got %.60q, want %.60q", g.data, d)
		}
	}
}

// wantEnd demands that the stream ends, properly or cut off.
func (s *sub) wantEnd(proper bool) {
	s.t.Helper()
	g, err := s.read()
	if err == nil {
		s.t.Fatalf("got %+v, want the end", g)
	}
	if (err == io.EOF) != proper {
		s.t.Fatalf("stream ended with %v, want a proper end: %v", err, proper)
	}
}

type answer struct {
	Receivers int    `json:"receivers"`
	ID        string `json:"id"`
}

// poster posts on one kept connection.
type poster struct {
	t      testing.TB
	base   string
	client *http.Client
}

func newPoster(t testing.TB, base string) *poster {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &poster{t: t, base: base, client: &http.Client{Transport: transport, Timeout: patience}}
}

func (p *poster) post(room, body string) answer {
	p.t.Helper()
	var a answer
	status, text := p.do("POST", "/rooms/"+url.PathEscape(room)+"/messages", body)
	if status != http.StatusOK {
		p.t.Fatalf("post: %d %s", status, text)
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		p.t.Fatal(err)
	}
	return a
}

func (p *poster) do(method, path, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (p *poster) stats() Stats {
	p.t.Helper()
	status, text := p.do("GET", "/stats", "")
	if status != http.StatusOK {
		p.t.Fatalf("stats: %d %s", status, text)
	}
	var st Stats
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		p.t.Fatal(err)
	}
	return st
}

// until polls the server; every round is a request, so nothing sleeps.
func (p *poster) until(what string, ok func(Stats) bool) Stats {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		st := p.stats()
		if ok(st) {
			return st
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited too long until %s: %+v", what, st)
		}
	}
}

// lines collects what is written to it and hands out whole lines.
type lines struct {
	c    chan string
	rest bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest.Write(p)
	for {
		line, rest, ok := strings.Cut(l.rest.String(), "\n")
		if !ok {
			return len(p), nil
		}
		l.rest.Reset()
		l.rest.WriteString(rest)
		select {
		case l.c <- line:
		default:
		}
	}
}
