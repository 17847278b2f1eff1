package testserver

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestRoomsGetTheirMessages(t *testing.T) {
	s := start(t, Config{})
	a1, a2 := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=a")
	b := subscribe(t, s.URL(), "room=b")
	lobby := subscribe(t, s.URL(), "")
	p := newPoster(t, s.URL())
	if got := p.post("a", "one\ntwo"); got != (answer{Receivers: 2}) {
		t.Errorf("answer %+v", got)
	}
	if got := p.post("b", "three"); got.Receivers != 1 {
		t.Errorf("answer %+v", got)
	}
	if got := p.post("nobody", "x"); got.Receivers != 0 {
		t.Errorf("answer %+v", got)
	}
	p.post(DefaultRoom, "")
	p.post("a", "four")
	a1.want("one\ntwo", "four")
	a2.want("one\ntwo", "four")
	b.want("three")
	lobby.want("")

	st := p.stats()
	if st.Clients != 4 || st.Rooms != 3 || st.Messages != 5 || st.Deliveries != 6 || st.Workers != 1 {
		t.Errorf("stats %+v", st)
	}
	if st.CPUNS == nil || st.RSSBytes == nil || *st.RSSBytes == 0 || st.UptimeNS <= 0 {
		t.Errorf("stats without cost: %+v", st)
	}
	a1.conn.Close()
	b.conn.Close()
	p.until("two have left", func(st Stats) bool { return st.Clients == 2 && st.Rooms == 2 })
	if got := p.post("a", "five"); got.Receivers != 1 {
		t.Errorf("answer %+v", got)
	}
	a2.want("five")
}

func TestResponseHead(t *testing.T) {
	s := start(t, Config{})
	c := subscribe(t, s.URL(), "room=a")
	for name, want := range map[string]string{"Cache-Control": "no-cache", "X-Accel-Buffering": "no"} {
		if got := c.resp.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := http.ParseTime(c.resp.Header.Get("Date")); err != nil {
		t.Errorf("date: %v", err)
	}
	if !slices.Equal(c.resp.TransferEncoding, []string{"chunked"}) {
		t.Errorf("transfer encoding %v", c.resp.TransferEncoding)
	}

	conn, resp := dial(t, s.URL(), "HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %s", resp.Status)
	}
	conn.Close()
	if st := newPoster(t, s.URL()).stats(); st.Clients != 1 {
		t.Errorf("HEAD subscribed: %+v", st)
	}
}

func TestHTTP10EndsWithTheConnection(t *testing.T) {
	s := start(t, Config{Retry: 2 * time.Second})
	conn, resp := dial(t, s.URL(), "GET /events?room=a HTTP/1.0\r\n\r\n")
	if len(resp.TransferEncoding) != 0 || resp.ContentLength >= 0 {
		t.Fatalf("framing: %v, %d", resp.TransferEncoding, resp.ContentLength)
	}
	c := &sub{t: t, conn: conn, resp: resp, in: bufio.NewReader(resp.Body)}
	newPoster(t, s.URL()).post("a", "x")
	if g := c.next(); g.retry != "2000" {
		t.Errorf("got %+v", g)
	}
	c.want("x")
}

func TestPages(t *testing.T) {
	s := start(t, Config{Pprof: true})
	p := newPoster(t, s.URL())
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/healthz", 200},
		{"HEAD", "/healthz", 200},
		{"HEAD", "/stats", 200},
		{"GET", "/debug/pprof/", 200},
		{"GET", "/debug/pprof/goroutine?debug=1", 200},
		{"GET", "/", 404},
		{"GET", "/nowhere", 404},
		{"POST", "/rooms/a/b/messages", 404},
		{"POST", "/rooms/a", 404},
		{"POST", "/rooms//messages", 400},
		{"POST", "/rooms/" + strings.Repeat("x", MaxRoomName+1) + "/messages", 400},
		{"POST", "/rooms/a/messages?event=x%0Ay", 400},
		{"GET", "/events?room=" + strings.Repeat("x", MaxRoomName+1), 400},
		{"GET", "/rooms/a/messages", 405},
		{"PUT", "/events", 405},
		{"DELETE", "/stats", 405},
		{"OPTIONS", "/events", 405},
		{"GE", "/stats", 405},
	} {
		status, text := p.do(tc.method, tc.path, "")
		if status != tc.status {
			t.Errorf("%s %.40s: %d, want %d", tc.method, tc.path, status, tc.status)
		}
		if status >= 400 && tc.method != "HEAD" && strings.Count(text, "\n") != 1 {
			t.Errorf("%s %.40s: not one line: %q", tc.method, tc.path, text)
		}
	}
	plain := start(t, Config{})
	if status, _ := newPoster(t, plain.URL()).do("GET", "/debug/pprof/", ""); status != 404 {
		t.Errorf("pprof off: %d", status)
	}
}

func TestMessageBounds(t *testing.T) {
	s := start(t, Config{ClientBuffer: 4 << 20})
	c := subscribe(t, s.URL(), "room=a")
	p := newPoster(t, s.URL())
	most := strings.Repeat("m", MaxBody)
	p.post("a", most)
	c.want(most)
	if status, _ := p.do("POST", "/rooms/a/messages", most+"m"); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too long: %d", status)
	}
	// Without a Content-Length the length shows only while reading.
	resp, err := p.client.Post(s.URL()+"/rooms/a/messages", "text/plain", io.MultiReader(strings.NewReader(most), strings.NewReader("m")))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("too long, chunked: %s", resp.Status)
	}
	p.post("a", "after")
	c.want("after")
}

func TestEventTypeAndRoomNames(t *testing.T) {
	s := start(t, Config{})
	c := subscribe(t, s.URL(), "room=a%2Fb+%C3%A4")
	p := newPoster(t, s.URL())
	if status, text := p.do("POST", "/rooms/a%2Fb%20%C3%A4/messages?event=chat", "hi"); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if g := c.next(); g != (got{typ: "chat", data: "hi"}) {
		t.Errorf("got %+v", g)
	}
}

func TestOpening(t *testing.T) {
	s := start(t, Config{Retry: 1500 * time.Millisecond, Greeting: true, IDs: true, Heartbeat: 5 * time.Millisecond})
	c := subscribe(t, s.URL(), `room="q"`)
	if g := c.next(); g != (got{retry: "1500"}) {
		t.Errorf("first %+v", g)
	}
	if g := c.next(); g != (got{typ: "open", data: `{"room":"\"q\"","client":1}`}) {
		t.Errorf("then %+v", g)
	}
	for range 3 {
		if g := c.next(); g.comment == "" || g.data != "" {
			t.Errorf("no heartbeat: %+v", g)
		}
	}
}

func TestIDsGrow(t *testing.T) {
	s := start(t, Config{IDs: true})
	a, b := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=b")
	p := newPoster(t, s.URL())
	for i, room := range []string{"a", "b", "none", "a"} {
		if got := p.post(room, "x"); got.ID != strconv.Itoa(i+1) {
			t.Errorf("message %d: %+v", i, got)
		}
	}
	if x, y, z := a.next().id, b.next().id, a.next().id; x != "1" || y != "2" || z != "4" {
		t.Errorf("ids %s %s %s", x, y, z)
	}
}

func TestReplay(t *testing.T) {
	s := start(t, Config{Replay: 3, RememberedRooms: 2})
	p := newPoster(t, s.URL())
	for i := range 5 {
		p.post("a", fmt.Sprint("m", i+1))
	}
	// The backlog holds 3, 4 and 5.
	c := subscribe(t, s.URL(), "room=a", "Last-Event-ID: 3")
	c.want("m4", "m5")
	subscribe(t, s.URL(), "room=a&lastEventId=4").want("m5")
	subscribe(t, s.URL(), "room=a&lastEventId=1", "Last-Event-ID: 4").want("m5")
	subscribe(t, s.URL(), "room=a", "Last-Event-ID: 1").want("m3", "m4", "m5")
	fresh, odd := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=a", "Last-Event-ID: abc")
	huge := subscribe(t, s.URL(), "room=a", "Last-Event-ID: 18446744073709551615")
	p.post("a", "m6")
	for _, c := range []*sub{c, fresh, odd, huge} {
		if g := c.next(); g.data != "m6" || g.id != "6" {
			t.Errorf("live after replay: %+v", g)
		}
	}

	// Rooms without members are remembered up to the bound, oldest out first.
	for _, room := range []string{"r1", "r2", "r3"} {
		p.post(room, "in "+room)
	}
	subscribe(t, s.URL(), "room=r3", "Last-Event-ID: 1").want("in r3")
	subscribe(t, s.URL(), "room=r2", "Last-Event-ID: 1").want("in r2")
	forgotten := subscribe(t, s.URL(), "room=r1", "Last-Event-ID: 1")
	p.post("r1", "live")
	forgotten.want("live")
}

func TestBacklogIsBoundedInBytes(t *testing.T) {
	var b backlog
	text := make([]byte, 1<<20)
	for i := range 10 {
		b.add(uint64(i+1), text, 100)
	}
	if b.bytes > maxBacklogBytes || len(b.events) != maxBacklogBytes>>20 || b.events[0].id != 7 {
		t.Errorf("%d events, %d bytes", len(b.events), b.bytes)
	}
	if got := len(b.appendAfter(nil, 9)); got != 1<<20 {
		t.Errorf("after 9: %d bytes", got)
	}
}

func TestAuth(t *testing.T) {
	for _, tc := range []struct {
		auth, challenge, good string
		bad                   []string
	}{
		{"bearer:s3cret", "Bearer", "Authorization: bearer s3cret",
			[]string{"X: y", "Authorization: Bearer wrong", "Authorization: Basic s3cret", "Authorization: Bearer"}},
		{"basic:me:p:w", "Basic", "Authorization: Basic bWU6cDp3",
			[]string{"X: y", "Authorization: Basic bWU6cDpX", "Authorization: Bearer bWU6cDp3"}},
	} {
		auth, err := ParseAuth(tc.auth)
		if err != nil {
			t.Fatal(err)
		}
		s := start(t, Config{Auth: auth})
		subscribe(t, s.URL(), "room=a", tc.good)
		for _, bad := range tc.bad {
			for _, page := range []string{"GET /events", "POST /rooms/a/messages", "GET /stats"} {
				_, resp := dial(t, s.URL(), page+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"+bad+"\r\n\r\n")
				if resp.StatusCode != 401 || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), tc.challenge) {
					t.Errorf("%s with %q: %s, %q", page, bad, resp.Status, resp.Header.Get("WWW-Authenticate"))
				}
			}
		}
		if status, _ := newPoster(t, s.URL()).do("GET", "/healthz", ""); status != 200 {
			t.Errorf("healthz: %d", status)
		}
	}
	for _, bad := range []string{"", "bearer", "bearer:", "basic:me", "basic::x", "digest:x"} {
		if _, err := ParseAuth(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestCORS(t *testing.T) {
	for _, origin := range []string{"*", "https://app.example"} {
		s := start(t, Config{CORSOrigin: origin, Auth: &Auth{Bearer: "t"}})
		ok := subscribe(t, s.URL(), "room=a", "Authorization: Bearer t").resp.Header
		_, refused := dial(t, s.URL(), "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
		_, asked := dial(t, s.URL(), "OPTIONS /rooms/a/messages HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n\r\n")
		if refused.StatusCode != 401 || asked.StatusCode != 204 {
			t.Errorf("status %s, %s", refused.Status, asked.Status)
		}
		if got := asked.Header.Get("Access-Control-Allow-Methods"); got != "POST" {
			t.Errorf("methods %q", got)
		}
		if got := asked.Header.Get("Access-Control-Allow-Headers"); !strings.Contains(got, "Last-Event-ID") {
			t.Errorf("headers %q", got)
		}
		for _, h := range []http.Header{ok, refused.Header, asked.Header} {
			credentials := ""
			if origin != "*" {
				credentials = "true"
			}
			if h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Credentials") != credentials {
				t.Errorf("origin %s: %v", origin, h)
			}
		}
	}
}

func TestSessionCookie(t *testing.T) {
	s := start(t, Config{SessionCookie: "sid"})
	first := subscribe(t, s.URL(), "room=a").resp.Cookies()
	second := subscribe(t, s.URL(), "room=a").resp.Cookies()
	if len(first) != 1 || len(second) != 1 || first[0].Name != "sid" || first[0].Value == "" || first[0].Value == second[0].Value {
		t.Errorf("cookies %v, %v", first, second)
	}
	if again := subscribe(t, s.URL(), "room=a", "Cookie: sid=mine").resp.Cookies(); len(again) != 0 {
		t.Errorf("set again: %v", again)
	}
}

func TestMaxClients(t *testing.T) {
	s := start(t, Config{MaxClients: 2})
	a := subscribe(t, s.URL(), "room=a")
	subscribe(t, s.URL(), "room=b")
	_, resp := dial(t, s.URL(), "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("third: %s, %v", resp.Status, resp.Header)
	}
	a.conn.Close()
	p := newPoster(t, s.URL())
	if st := p.until("one has left", func(st Stats) bool { return st.Clients == 1 }); st.Refused != 1 {
		t.Errorf("stats %+v", st)
	}
	subscribe(t, s.URL(), "room=a")
}

func TestStatusLines(t *testing.T) {
	out := &lines{c: make(chan string, 100)}
	s := start(t, Config{StatusInterval: 5 * time.Millisecond, Status: out})
	subscribe(t, s.URL(), "room=a")
	deadline := time.After(patience)
	for {
		select {
		case line := <-out.c:
			if !strings.Contains(line, "clients 1  rooms 1  ") {
				continue
			}
			for _, word := range []string{"msgs/s 0", "deliveries/s 0", "cpu ", "rss ", "machine", "memory free"} {
				if !strings.Contains(line, word) {
					t.Errorf("%q lacks %q", line, word)
				}
			}
			return
		case <-deadline:
			t.Fatal("no line shows the client")
		}
	}
}

// A client that does not read is dropped; the others get all, in time.
func TestSlowClientIsDropped(t *testing.T) {
	s := start(t, Config{ClientBuffer: 128 << 10, IDs: true})
	slow := subscribe(t, s.URL(), "room=a")
	if err := slow.conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	fast := []*sub{subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=a")}
	p := newPoster(t, s.URL())
	body := strings.Repeat("s", 60<<10)
	sent := 0
	for ; s.dropped.Load() == 0; sent++ {
		if sent == 1000 {
			t.Fatal("60 MB unread and still not dropped")
		}
		p.post("a", body)
		for _, c := range fast {
			if g := c.next(); g.id != strconv.Itoa(sent+1) || g.data != body {
				t.Fatalf("message %d: got %s", sent+1, g.id)
			}
		}
	}
	if sent < 3 {
		t.Errorf("dropped after %d messages, before its buffer was full", sent)
	}
	st := p.until("it is gone", func(st Stats) bool { return st.Clients == 2 })
	if st.DroppedSlow != 1 {
		t.Errorf("stats %+v", st)
	}
	// What it did get is a clean prefix, and then the stream is cut.
	for i := 1; ; i++ {
		g, err := slow.read()
		if err == io.EOF {
			t.Fatal("the cut looks like a proper end")
		}
		if err != nil {
			break
		}
		if g.id != strconv.Itoa(i) || g.data != body {
			t.Fatalf("event %d is torn or out of order: id %s, %d bytes", i, g.id, len(g.data))
		}
	}
	if got := p.post("a", "after"); got.Receivers != 2 {
		t.Errorf("answer %+v", got)
	}
}

// A client that reads late, but within its bound, gets all and in order.
func TestLateReaderLosesNothing(t *testing.T) {
	s := start(t, Config{ClientBuffer: 32 << 20, IDs: true, Heartbeat: time.Millisecond})
	late := subscribe(t, s.URL(), "room=a")
	p := newPoster(t, s.URL())
	const n = 250
	for i := range n {
		p.post("a", strings.Repeat(string(rune('a'+i%26)), 40<<10))
	}
	r := s.lookup([]byte("a"))
	r.mu.Lock()
	c := r.members[0]
	c.mu.Lock()
	if c.out == nil {
		t.Error("the kernel took all: the outbox is not tested")
	}
	c.mu.Unlock()
	r.mu.Unlock()
	for i := range n {
		g := late.next()
		for g.comment != "" {
			g = late.next()
		}
		if g.id != strconv.Itoa(i+1) || g.data != strings.Repeat(string(rune('a'+i%26)), 40<<10) {
			t.Fatalf("event %d: id %s, %d bytes", i+1, g.id, len(g.data))
		}
	}
	if st := p.stats(); st.DroppedSlow != 0 {
		t.Errorf("stats %+v", st)
	}
	p.post("a", "then")
	for g := late.next(); g.data != "then"; g = late.next() {
		if g.comment == "" {
			t.Fatalf("got %+v", g)
		}
	}
}

// 200 rooms of 6: every member gets every message of its room once, in order,
// while rooms are written to in parallel.
func TestManyRoomsExact(t *testing.T) {
	s := start(t, Config{})
	const rooms, size, n = 200, 6, 10
	subs := make([]*sub, rooms*size)
	for i := range subs {
		subs[i] = subscribe(t, s.URL(), fmt.Sprint("room=r", i/size))
	}
	var wg sync.WaitGroup
	fail := make(chan string, len(subs)+rooms)
	for i, c := range subs {
		wg.Go(func() {
			for k := range n {
				g, err := c.read()
				if want := fmt.Sprintf("r%d:%d", i/size, k); err != nil || g.data != want {
					fail <- fmt.Sprintf("client %d: %q, %v; want %q", i, g.data, err, want)
					return
				}
			}
		})
	}
	p := newPoster(t, s.URL())
	for part := range 4 {
		wg.Go(func() {
			for k := range n {
				for room := part; room < rooms; room += 4 {
					req := strings.NewReader(fmt.Sprintf("r%d:%d", room, k))
					resp, err := p.client.Post(fmt.Sprintf("%s/rooms/r%d/messages", s.URL(), room), "", req)
					if err != nil {
						fail <- err.Error()
						return
					}
					text, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || string(text) != "{\"receivers\":6}\n" {
						fail <- fmt.Sprintf("post: %s, %v", text, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	close(fail)
	for line := range fail {
		t.Error(line)
	}
	if st := p.stats(); st.Messages != rooms*n || st.Deliveries != rooms*size*n || st.Rooms != rooms {
		t.Errorf("stats %+v", st)
	}
}

// Members come and go while messages are sent.
func TestChurn(t *testing.T) {
	s := start(t, Config{Replay: 2, RememberedRooms: 4, Heartbeat: time.Millisecond})
	p := newPoster(t, s.URL())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 20 {
				room := fmt.Sprint("r", (i+k)%6)
				conn, err := net.Dial("tcp", s.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprintf(conn, "GET /events?room=%s HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n\r\n", room)
				if k%2 == 0 {
					if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
						t.Error(err)
					}
				}
				conn.Close()
				resp, err := p.client.Post(s.URL()+"/rooms/"+room+"/messages", "", strings.NewReader("x"))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	p.until("all have left", func(st Stats) bool { return st.Clients == 0 && st.Rooms == 0 })
	s.mu.RLock()
	left := len(s.rooms)
	s.mu.RUnlock()
	if left > 4 {
		t.Errorf("%d rooms remembered, 4 allowed", left)
	}
}

func TestStopEndsStreamsProperly(t *testing.T) {
	s, err := New(Config{Replay: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	c := subscribe(t, s.URL(), "room=a")
	p := newPoster(t, s.URL())
	p.post("a", "last")
	cancel()
	c.want("last")
	c.wantEnd(true)
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := s.Serve(context.Background()); err == nil {
		t.Error("served twice")
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

func TestCloseCutsStreams(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background()) }()
	c := subscribe(t, s.URL(), "room=a")
	newPoster(t, s.URL()).post("a", "last")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	c.want("last")
	c.wantEnd(false)
}

func TestAddressInUse(t *testing.T) {
	s := start(t, Config{})
	second, err := New(Config{Addr: s.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	err = second.Serve(context.Background())
	if !errors.Is(err, syscall.EADDRINUSE) || strings.Count(err.Error(), s.Addr().String()) != 1 {
		t.Errorf("error %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestListenBacklog(t *testing.T) {
	if !canSetBacklog {
		if _, err := New(Config{ListenBacklog: 5}); err == nil || !strings.Contains(err.Error(), runtime.GOOS) {
			t.Fatalf("error %v", err)
		}
		return
	}
	s, err := New(Config{ListenBacklog: 5})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	checkBacklog(t, s.listener, 5)
}

func TestBadConfig(t *testing.T) {
	for _, cfg := range []Config{
		{Replay: -1}, {Heartbeat: -1}, {ClientBuffer: -1}, {MaxClients: -1}, {Workers: -1},
		{Auth: &Auth{}}, {Auth: &Auth{Bearer: "x", User: "y"}},
		{CORSOrigin: "app.example"}, {CORSOrigin: "https://app.example/"},
		{SessionCookie: "a b"}, {CertFile: "x"}, {CertFile: "/nowhere", KeyFile: "/nowhere"},
		{Workers: 2}, {Workers: MaxWorkers + 1, WorkerCommand: []string{"x"}},
		{Faults: []Fault{{Kind: "nonsense", Every: 1}}}, {Faults: []Fault{{Kind: FaultDrop}}},
		{Faults: []Fault{{Kind: FaultDelay, Every: 1}}}, {Faults: []Fault{{Kind: FaultClose, Every: 1}}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("taken: %+v", cfg)
		}
	}
}

func TestTLSAndHTTP2(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	s := start(t, Config{CertFile: certFile, KeyFile: keyFile, IDs: true, SessionCookie: "sid", ClientBuffer: 4 << 20})
	newClient := func(h2 bool) *http.Client {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: h2, Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!h2)
		tr.Protocols.SetHTTP2(h2)
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, Timeout: patience}
	}
	var subs []*sub
	for _, h2 := range []bool{false, true} {
		client := newClient(h2)
		for range 3 {
			resp, err := client.Get(s.URL() + "/events?room=a")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
			if (resp.ProtoMajor == 2) != h2 || resp.StatusCode != 200 || len(resp.Cookies()) != 1 {
				t.Fatalf("%s %s %v", resp.Proto, resp.Status, resp.Cookies())
			}
			subs = append(subs, &sub{t: t, resp: response{resp}, in: bufio.NewReader(resp.Body)})
		}
	}
	p := newPoster(t, s.URL())
	p.client = newClient(true)
	// An HTTP/2 member is in its room a moment after its head.
	p.until("all are in", func(st Stats) bool { return st.Clients == 6 && st.Rooms == 1 })
	joined := func() int {
		r := s.lookup([]byte("a"))
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.members)
	}
	for joined() < 6 {
		runtime.Gosched()
	}
	const n = 50
	for i := range n {
		if got := p.post("a", strings.Repeat("t", 1000*i)); got.Receivers != 6 {
			t.Fatalf("answer %+v", got)
		}
	}
	for _, c := range subs {
		for i := range n {
			if g := c.next(); g.id != strconv.Itoa(i+1) || len(g.data) != 1000*i {
				t.Fatalf("%s: event %d: id %s, %d bytes", c.resp.Proto, i+1, g.id, len(g.data))
			}
		}
	}
	subs[0].resp.Body.Close()
	subs[5].resp.Body.Close()
	p.until("two have left", func(st Stats) bool { return st.Clients == 4 })
}

func certificate(t testing.TB) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "testserver"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(certFile, certPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}
