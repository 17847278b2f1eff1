//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// floor runs this program as a process and gives what it printed on stdout and stderr.
func floor(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, said strings.Builder
	cmd := exec.CommandContext(ctx, os.Args[0], append([]string{asFloor}, args...)...)
	cmd.Env = append(cmd.Environ(), "GORACE=atexit_sleep_ms=0") // the race detector's second at the end
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	return out.String(), said.String(), err
}

func floorReport(t *testing.T, args ...string) report {
	t.Helper()
	stdout, stderr, err := floor(t, args...)
	if err != nil {
		t.Fatalf("floor %s: %v: %s", strings.Join(args, " "), err, stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("floor %s printed %q: %v", strings.Join(args, " "), stdout, err)
	}
	return r
}

// sseload builds the program once and gives its path.
func sseload(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sseload")
	if said, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/sseload/sseload/cmd/sseload").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, said)
	}
	return program
}

// serve starts a reference server for the test and gives its address.
func serve(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, append([]string{"serve", "--managed", "--addr", "127.0.0.1:0", "--status-interval", "0s", "--heartbeat", "0s"}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("sseload serve: %v", err)
		}
	})
	var ready struct{ URL string }
	if err := json.NewDecoder(stdout).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(ready.URL, "http://")
}

// stats asks the server what it has counted.
func stats(t *testing.T, addr string) (s struct{ Messages, Deliveries int }) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAgainstTheReferenceServer(t *testing.T) {
	program := sseload(t)
	t.Run("connect", func(t *testing.T) {
		r := floorReport(t, "connect", "-addr", serve(t, program), "-c", "300")
		if r.Clients != 300 || r.Messages != 0 || r.Events != 0 || r.ElapsedNS <= 0 || r.CPUNS <= 0 || r.CPUNS > 10*r.ElapsedNS {
			t.Errorf("got %+v", r)
		}
		if r.RSSBeforeBytes <= 0 || r.RSSConnectedBytes <= 0 {
			t.Errorf("resident %d bytes before and %d after", r.RSSBeforeBytes, r.RSSConnectedBytes)
		}
	})
	for _, c := range []struct {
		name, args              string
		clients, messages, want int
	}{
		{"rounds", "-c 13 -messages 80", 13, 80, 26*13 + 12},
		{"a rate", "-c 13 -rate 400 -duration 205ms", 13, 82, 27*13 + 6},
		{"one room", "-c 100 -room-size 100 -messages 20", 100, 20, 2000},
		{"one connection", "-c 12 -messages 10 -send-connections 1", 12, 10, 60},
		{"a long event", "-c 12 -messages 4 -payload-size 100000", 12, 4, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := serve(t, program)
			r := floorReport(t, append([]string{"rooms", "-addr", addr}, strings.Fields(c.args)...)...)
			if r.Clients != c.clients || r.Messages != c.messages || r.Events != c.want || r.ElapsedNS <= 0 || r.CPUNS <= 0 {
				t.Errorf("got %+v, want %d clients, %d messages and %d events", r, c.clients, c.messages, c.want)
			}
			if s := stats(t, addr); s.Messages != c.messages || s.Deliveries != c.want {
				t.Errorf("the server counted %d messages and %d copies, want %d and %d", s.Messages, s.Deliveries, c.messages, c.want)
			}
		})
	}
	t.Run("a rate takes its time", func(t *testing.T) {
		r := floorReport(t, "rooms", "-addr", serve(t, program), "-c", "6", "-rate", "50", "-duration", "200ms")
		if last := 180 * time.Millisecond; r.Messages != 10 || time.Duration(r.ElapsedNS) < last {
			t.Errorf("%d messages in %v, want 10 of which the last is due after %v", r.Messages, time.Duration(r.ElapsedNS), last)
		}
	})
	t.Run("lost copies", func(t *testing.T) {
		addr := serve(t, program, "--fault", "drop,every=2")
		stdout, stderr, err := floor(t, "rooms", "-addr", addr, "-c", "6", "-messages", "1", "-timeout", "100ms")
		if want := "186 bytes of 372 came: no more came in 100ms"; err == nil || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("got %v, %q on stdout and %q on stderr, want an error with %q", err, stdout, stderr, want)
		}
	})
}

func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, stderr, err := floor(t, "connect", "-addr", addr, "-c", "1")
	if want := "floor: error: connect to " + addr + ": client 0: connection refused\n"; err == nil || stderr != want {
		t.Errorf("got %v and %q, want an error and %q", err, stderr, want)
	}
}

// TestDialFrom: many clients come from several addresses.
func TestDialFrom(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := &client{to: sockaddr(l.Addr().(*net.TCPAddr).AddrPort())}
	for after, want := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		fd, err := c.dial(0, byte(after))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if from := conn.RemoteAddr().(*net.TCPAddr).IP.String(); from != want {
			t.Errorf("address %d: from %s, want %s", after, from, want)
		}
		conn.Close()
		if err := unix.Close(int(fd)); err != nil {
			t.Error(err)
		}
	}
}

// TestExcess: a server that sends other bytes than the reference server is not taken
// for it.
func TestExcess(t *testing.T) {
	var mu sync.Mutex
	var stream net.Conn
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path != "/events" {
			fmt.Fprint(stream, strings.Repeat("x", 1000))
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		stream = conn
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	}))
	defer server.Close()
	_, stderr, err := floor(t, "rooms", "-addr", server.Listener.Addr().String(), "-c", "1", "-messages", "1")
	if want := "1000 bytes of 62 came: more than"; err == nil || !strings.Contains(stderr, want) {
		t.Errorf("got %v and %q, want an error with %q", err, stderr, want)
	}
	stream.Close()
}

// TestEnded: a stream that the server ends is an error.
func TestEnded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = http.ReadRequest(bufio.NewReader(conn)) // it hangs up only then
		conn.Close()
	})
	_, stderr, err := floor(t, "connect", "-addr", l.Addr().String(), "-c", "1")
	if want := "client 0: unexpected EOF"; err == nil || !strings.Contains(stderr, want) {
		t.Errorf("got %v and %q, want an error with %q", err, stderr, want)
	}
	served.Wait()
	l.Close()
}
