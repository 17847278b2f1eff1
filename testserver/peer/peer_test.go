package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what must come.
const patience = 15 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a peer as its user does, and returns its URL. The end of its input
// must end it.
func start(t *testing.T, name string) (base string, stop func()) {
	t.Helper()
	stdin, hold := io.Pipe()
	said, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(t.Context(), []string{name, "--addr", "127.0.0.1:0"}, stdin, stdout)
		stdout.CloseWithError(io.EOF)
		ended <- err
	}()
	stop = sync.OnceFunc(func() {
		hold.Close()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(patience):
			t.Errorf("%s does not end with its input", name)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	t.Cleanup(stop)
	line, err := bufio.NewReader(said).ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s says nothing: %v", name, err)
	}
	var ready struct{ URL string }
	if err := json.Unmarshal(line, &ready); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return ready.URL, stop
}

type subscription struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// subscribe returns once the head of the response has come.
func subscribe(t *testing.T, base, room string) *subscription {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /events?room=%s HTTP/1.1\r\nHost: x\r\n\r\n", url.QueryEscape(room))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // it ends with conn
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	return &subscription{t: t, conn: conn, in: bufio.NewReader(resp.Body)}
}

// next is the data of the next event, or the error that ends the stream.
func (s *subscription) next() (string, error) {
	var data []string
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return strings.Join(data, "\n"), nil
		}
		if text, ok := strings.CutPrefix(line, "data:"); ok {
			data = append(data, strings.TrimPrefix(text, " "))
		}
	}
}

func (s *subscription) want(data string) {
	s.t.Helper()
	if got, err := s.next(); err != nil || got != data {
		s.t.Fatalf("got %q, %v; want %q", got, err, data)
	}
}

func post(t *testing.T, base, room, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(base+"/rooms/"+url.PathEscape(room)+"/messages", "text/plain", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(text)
}

func eachPeer(t *testing.T, f func(t *testing.T, base string, stop func())) {
	for _, name := range []string{"nethttp", "r3labs"} {
		t.Run(name, func(t *testing.T) {
			base, stop := start(t, name)
			f(t, base, stop)
		})
	}
}

// TestNothingIsLost: every member gets every message of its room once, each sender's
// in order.
func TestNothingIsLost(t *testing.T) {
	eachPeer(t, func(t *testing.T, base string, stop func()) {
		const members, each = 4, 50
		rooms := []string{"a", "b c/d"}
		subs := make(map[string][]*subscription)
		for range members {
			for _, room := range rooms {
				subs[room] = append(subs[room], subscribe(t, base, room))
			}
		}
		var work sync.WaitGroup
		for _, room := range rooms {
			work.Go(func() {
				for i := range each {
					if status, text := post(t, base, room, fmt.Sprint(room, " ", i)); status != http.StatusOK {
						t.Errorf("message %d: %d %s", i, status, text)
					}
				}
			})
			for _, s := range subs[room] {
				work.Go(func() {
					for i := range each {
						want := fmt.Sprint(room, " ", i)
						if got, err := s.next(); err != nil || got != want {
							t.Errorf("got %q, %v; want %q", got, err, want)
							return
						}
					}
				})
			}
		}
		work.Wait()
		// The streams end with the server, which has no more for them.
		stop()
		for _, room := range rooms {
			for _, s := range subs[room] {
				if got, err := s.next(); err == nil {
					t.Errorf("got %q at the end", got)
				}
			}
		}
	})
}

func TestLinesSurvive(t *testing.T) {
	eachPeer(t, func(t *testing.T, base string, _ func()) {
		s := subscribe(t, base, "r")
		post(t, base, "r", "one\ntwo\r\nthree\rfour")
		s.want("one\ntwo\nthree\nfour")
		post(t, base, "r", ":not a comment")
		s.want(":not a comment")
	})
}

func TestOtherRoutes(t *testing.T) {
	eachPeer(t, func(t *testing.T, base string, _ func()) {
		for path, want := range map[string]int{
			"/healthz": 200, "/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/cmdline": 200, "/": 404,
		} {
			resp, err := http.Get(base + path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}
		if status, _ := post(t, base, "r", strings.Repeat("x", maxBody+1)); status != http.StatusBadRequest {
			t.Errorf("a message that is too long: %d", status)
		}
		if status, _ := post(t, base, "nobody", "hello"); status != http.StatusOK {
			t.Errorf("a message to nobody: %d", status)
		}
	})
}

// fill posts to a room, one of whose members does not read, until stuck says that
// its bound is reached.
func fill(t *testing.T, base string, stuck func(status int, text string) bool) (taken int) {
	t.Helper()
	body := strings.Repeat("x", 64<<10)
	deadline := time.Now().Add(patience)
	for {
		if time.Now().After(deadline) {
			t.Fatal("the bound is not reached")
		}
		status, text := post(t, base, "r", body)
		if stuck(status, text) {
			return taken
		}
		taken++
	}
}

// TestPlainDropsWhoDoesNotRead: and nobody else has to wait.
func TestPlainDropsWhoDoesNotRead(t *testing.T) {
	base, _ := start(t, "nethttp")
	asleep, awake := subscribe(t, base, "r"), subscribe(t, base, "r")
	fill(t, base, func(status int, text string) bool {
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		if _, err := awake.next(); err != nil {
			t.Fatalf("the other member: %v", err)
		}
		return text == "{\"receivers\":1}\n"
	})
	// What the kernel holds for it comes, and then the end.
	for {
		if _, err := asleep.next(); err != nil {
			break
		}
	}
}

// TestR3labsRefusesWhatItCannotHold: who sends to a room that is held up is told so,
// and the other rooms do not notice.
func TestR3labsRefusesWhatItCannotHold(t *testing.T) {
	base, stop := start(t, "r3labs")
	subscribe(t, base, "r")
	other := subscribe(t, base, "other")
	taken := fill(t, base, func(status int, _ string) bool { return status == http.StatusServiceUnavailable })
	if taken < 64 {
		t.Errorf("%d messages were taken", taken)
	}
	if status, _ := post(t, base, "other", "hello"); status != http.StatusOK {
		t.Errorf("another room: %d", status)
	}
	other.want("hello")
	if status, _ := post(t, base, "r", ""); status != http.StatusBadRequest {
		t.Errorf("an empty message: %d", status)
	}
	stop()
}

func TestBadCommandLines(t *testing.T) {
	for want, args := range map[string][]string{
		"usage":              {},
		"unknown command":    {"python"},
		"not defined":        {"nethttp", "--port", "1"},
		`argument "x"`:       {"r3labs", "x"},
		"listen on nonsense": {"nethttp", "--addr", "nonsense"},
	} {
		if err := run(t.Context(), args, strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}
