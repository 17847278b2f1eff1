package testserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// oracle serves s by net/http alone, beside what serves it already.
func oracle(t testing.TB, s *Server) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := s.newWeb()
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(ln) }()
	t.Cleanup(func() {
		web.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// connect opens a connection that lasts for the test at most.
func connect(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// message is a plain post.
func message(room, body string) string {
	return fmt.Sprintf("POST /rooms/%s/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", room, len(body), body)
}

// What differs from one answer to the next.
var (
	dates    = regexp.MustCompile(`(?m)^Date: .*\r$`)
	sessions = regexp.MustCompile(`sid=[0-9a-f]{32}`)
)

// conversation sends all of text, in pieces, and then the end of it, and returns
// all that comes back.
func conversation(t testing.TB, addr, text string, piece int) string {
	t.Helper()
	conn := connect(t, addr)
	for part := range slices.Chunk([]byte(text), piece) {
		if _, err := conn.Write(part); err != nil {
			break // whoever answered early has closed
		}
	}
	_ = conn.CloseWrite() // the same
	all, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%.60q: %v", text, err)
	}
	return sessions.ReplaceAllString(dates.ReplaceAllString(string(all), "Date: then\r"), "sid=new")
}

// requests are what the front and net/http are compared on.
func requests() []string {
	post := func(target, fields, body string) string {
		return "POST " + target + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + body
	}
	get := func(target, fields string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n"
	}
	long := strings.Repeat("x", MaxRoomName+1)
	return []string{
		// Messages.
		message("a", "hello"), message("a", ""), message("nobody", "x"), message("a", "one\r\ntwo\n"),
		message("a", strings.Repeat("m", 3000)), message("a", strings.Repeat("m", 100_000)),
		message(long[1:], "x"), message(long, "x"), message("", "x"), message("a/b", "x"), message("a%20b", "x"),
		message("a%2", "x"), message("~!$&'()*+,;=:@", "x"), message("ä", "x"), message(".", "x"),
		post("/rooms/a/messages", "", ""),
		post("/rooms/a/messages?event=chat", "Content-Length: 1\r\n", "x"),
		post("/rooms/a/messages?event=a+b", "Content-Length: 1\r\n", "x"),
		post("/rooms/a/messages?event=x%0Ay", "Content-Length: 1\r\n", "x"),
		post("/rooms/a/messages?event=", "Content-Length: 1\r\n", "x"),
		post("/rooms/a/messages?event=a&event=b", "Content-Length: 1\r\n", "x"),
		post("/rooms/a/messages?", "Content-Length: 1\r\n", "x"),
		post("/rooms/a/messages/", "Content-Length: 1\r\n", "x"),
		post("/rooms/a", "Content-Length: 1\r\n", "x"),
		post("http://x/rooms/a/messages", "Content-Length: 1\r\n", "x"),
		// Their fields.
		post("/rooms/a/messages", "content-length:1\r\nuser-agent: \t y \t\r\nX-Empty:\r\nCookie: a=ä\r\n", "x"),
		post("/rooms/a/messages", "Connection: keep-alive\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "Connection: close\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "Connection: Keep-Alive, close\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "Expect: 100-continue\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "Expect: miracles\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"),
		post("/rooms/a/messages", "Transfer-Encoding: chunked\r\nTrailer: T\r\n", "3\r\nabc\r\n0\r\nT: u\r\n\r\n"),
		post("/rooms/a/messages", "Transfer-Encoding: chunked\r\n", "zz\r\n"),
		post("/rooms/a/messages", "Transfer-Encoding: gzip\r\n", "x"),
		post("/rooms/a/messages", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "3\r\nabc\r\n0\r\n\r\n"),
		post("/rooms/a/messages", "Content-Length: 1\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "Content-Length: 1\r\nContent-Length: 2\r\n", "xy"),
		post("/rooms/a/messages", "Content-Length: 001\r\n", "x"),
		post("/rooms/a/messages", "Content-Length: +1\r\n", "x"),
		post("/rooms/a/messages", "Content-Length: -1\r\n", "x"),
		post("/rooms/a/messages", "Content-Length:\r\n", "x"),
		post("/rooms/a/messages", "Content-Length: 99999999999999999999\r\n", "x"),
		post("/rooms/a/messages", "Content-Length: 1048577\r\n", ""),
		post("/rooms/a/messages", "Content-Length: 5\r\n", "cut"),
		post("/rooms/a/messages", "Host: y\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "Content-Length : 1\r\n", "x"),
		post("/rooms/a/messages", ": x\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "no colon\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", " folded: 1\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "X: 1\r\n folded\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "X: a\rb\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "X: a\x00b\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "X: a\x7fb\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "X{}: a\r\nContent-Length: 1\r\n", "x"),
		post("/rooms/a/messages", "X: "+strings.Repeat("y", 10_000)+"\r\nContent-Length: 1\r\n", "x"),
		// A head that is wrong or rare as a whole.
		"POST /rooms/a/messages HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
		"POST /rooms/a/messages HTTP/1.1\r\nHost:\r\nContent-Length: 1\r\n\r\nx",
		"POST /rooms/a/messages HTTP/1.1\r\nHost: a b\r\nContent-Length: 1\r\n\r\nx",
		"POST /rooms/a/messages HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 1\r\n\r\nx",
		"POST /rooms/a/messages HTTP/1.1\nHost: x\nContent-Length: 1\n\nx",
		"POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\nx",
		"POST /rooms/a/messages HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",
		"POST /rooms/a/messages HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
		"POST /rooms/a/messages HTTP/2.0\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		"POST  /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		"post /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\n", "garbage\r\n", "\r\n" + message("a", "x"), " \r\n", "\r\n\r\n", "POST", "P", "",
		"POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\n", "POST /rooms/a/messages HTTP/1.1\r\nHo",
		// Other pages and methods.
		get("/healthz", ""), get("/nowhere", ""), get("/rooms/a/messages", ""), get("*", ""),
		"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS /events HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		// Subscriptions.
		get("/events", ""), get("/events?room=b", ""), get("/events?room=", ""), get("/events?room=b&room=c", ""),
		get("/events?room=%41", ""), get("/events?room="+long, ""), get("/events?x=y", ""), get("/events/", ""),
		get("/events?room=b", "Last-Event-ID: 1\r\n"), get("/events?room=b", "Connection: close\r\n"),
		get("/events?room=b", "Accept: text/event-stream\r\nCache-Control: no-cache\r\n"),
		get("/events?room=b", "Content-Length: 2\r\n") + "xy", get("/events?room=b", "") + "more",
		post("/events?room=b", "", ""), post("/events", "Content-Length: 0\r\n", ""),
		post("/events?room=b", "Content-Type: application/json\r\nContent-Length: 8\r\n", "{\"a\":1}\n"),
		post("/events?room=b", "Content-Length: 8\r\n", "{\"a\""), post("/events?room=b", "Content-Length: 1\r\n", "xmore"),
		post("/events?room=b", "Content-Length: 100000\r\n", strings.Repeat("b", 100_000)),
		post("/events?room=b", fmt.Sprintf("Content-Length: %d\r\n", MaxBody+1), strings.Repeat("b", MaxBody+1)),
		post("/events?room=b", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
		post("/events?room=b", "Last-Event-ID: 1\r\nContent-Length: 1\r\n", "x"), post("/events/", "Content-Length: 1\r\n", "x"),
		"HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n", "GET /events HTTP/1.0\r\n\r\n",
		// More than one.
		message("a", "1") + message("a", "2") + message("b", "3"),
		message("a", "1") + get("/healthz", "") + message("a", "2"),
		message("a", "1") + get("/events?room=b", "") + message("a", "2"),
		message("a", "1") + "X", message("a", "1") + "POST", message("a", "1") + "POST /ro",
		message("a", "1") + "garbage\r\n\r\n", message("a", "1") + "\r\n" + message("a", "2"),
		message("a", "1") + "\r\n\r\n\n" + message("a", "2"), message("a", "1") + "\r\n\r\n",
		message("a", "1") + "\r\n" + get("/healthz", ""),
	}
}

// Whatever comes, the front and net/http answer the same and do the same, be it the
// first on its connection or a later one, and in whatever pieces it comes.
func TestFrontAnswersAsNetHTTPDoes(t *testing.T) {
	for name, cfg := range map[string]Config{
		"plain":   {ClientBuffer: 4 << 20},
		"dressed": {ClientBuffer: 4 << 20, Replay: 2, Greeting: true, Retry: time.Second},
		"asking":  {ClientBuffer: 4 << 20, MaxClients: 3, SessionCookie: "sid"},
	} {
		t.Run(name, func(t *testing.T) {
			s, want := start(t, cfg), start(t, cfg)
			ear, wantEar := subscribe(t, s.URL(), "room=a"), subscribe(t, want.URL(), "room=a")
			addr, wantAddr := s.Addr().String(), oracle(t, want)
			other := "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
			for _, request := range requests() {
				for _, before := range []string{"", message("c", "before"), message("c", "before") + other} {
					if strings.HasPrefix(request, "PRI ") {
						continue // how much of HTTP/2 comes hangs on when the end does
					}
					text := before + request
					for _, piece := range []int{len(text) + 1, len(text)/50 + 7} {
						expected := conversation(t, wantAddr, text, piece)
						if got := conversation(t, addr, text, piece); got != expected {
							t.Fatalf("%.200q in pieces of %d:\ngot  %.300q\nwant %.300q", text, piece, got, expected)
						}
						holdCounts(t, s, want, text)
					}
				}
			}
			newPoster(t, s.URL()).post("a", "the end")
			newPoster(t, want.URL()).post("a", "the end")
			for {
				got, want := ear.next(), wantEar.next()
				if got != want {
					t.Fatalf("a member got %+v, want %+v", got, want)
				}
				if got.data == "the end" {
					return
				}
			}
		})
	}
}

// holdCounts waits until those who subscribed have left both servers, but for one,
// and all counts are the same.
func holdCounts(t *testing.T, got, want *Server, after string) {
	t.Helper()
	counts := func(s *Server) [4]int64 {
		return [...]int64{s.clients.Load(), int64(s.messages.Load()), int64(s.deliveries.Load()), int64(s.refused.Load())}
	}
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		g, w := counts(got), counts(want)
		if g == w && g[0] == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %.200q: clients, messages, deliveries, refused %v, want %v", after, g, w)
		}
	}
}

// The comparison above means something only if the front does serve.
func TestFrontServesWhatIsPlain(t *testing.T) {
	s := start(t, Config{})
	atFront := func() int {
		s.life.Lock()
		f := s.front
		s.life.Unlock()
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.conns)
	}
	conn := connect(t, s.Addr().String())
	in := bufio.NewReader(conn)
	ask := func(text string) {
		t.Helper()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v", resp.Status, err)
		}
		resp.Body.Close()
	}
	ask(message("a", "x"))
	ask(strings.Replace(message("a", "x"), "\r\n\r\n", "\r\nUser-Agent: y\r\nAccept-Encoding: gzip\r\n\r\n", 1))
	if n := atFront(); n != 1 {
		t.Errorf("%d connections at the front after messages, want 1", n)
	}
	ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if n := atFront(); n != 0 {
		t.Errorf("%d connections at the front after another page, want 0", n)
	}
	ask(message("a", "x"))

	for _, cfg := range []Config{{Auth: &Auth{Bearer: "t"}}, {CORSOrigin: "*"}, {Faults: []Fault{{Kind: FaultDrop, Every: 2}}}} {
		other, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if other.frontable() {
			t.Errorf("a front would serve %+v", cfg)
		}
	}
}

// Messages that come as fast as they can, of all lengths, are answered in order.
func TestFrontPipelining(t *testing.T) {
	s := start(t, Config{IDs: true, ClientBuffer: 16 << 20})
	ear := subscribe(t, s.URL(), "room=a")
	var text strings.Builder
	var bodies []string
	for i := range 300 {
		body := strings.Repeat(string(rune('a'+i%26)), i*i%4999)
		if i%100 == 50 {
			body = strings.Repeat("L", 200_000)
		}
		bodies = append(bodies, body)
		text.WriteString(message("a", body))
	}
	conn := connect(t, s.Addr().String())
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, text.String())
		sent <- err
	}()
	in := bufio.NewReader(conn)
	for i, body := range bodies {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("{\"receivers\":1,\"id\":\"%d\"}\n", i+1); err != nil || string(answer) != want {
			t.Fatalf("answer %d: %q, %v", i, answer, err)
		}
		ear.want(body)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// brokenBus is a cluster that is gone.
type brokenBus struct{ bus }

func (brokenBus) publish(context.Context, []byte, string, []byte) (receipt, error) {
	return receipt{}, errors.New("the bus is broken")
}

func TestFrontTellsOfABrokenBus(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.bus = brokenBus{}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background()) }()
	text := message("a", "x") + message("a", "y")
	got := conversation(t, s.Addr().String(), text, len(text))
	want := conversation(t, oracle(t, s), text, len(text))
	if got != want || strings.Count(got, "503 Service Unavailable") != 2 {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	s.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// begin sends a whole message and the beginning of another request in one segment,
// and returns when the first is answered: then the server has the second.
func begin(t *testing.T, addr, beginning string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	conn := connect(t, addr)
	if _, err := io.WriteString(conn, message("a", "x")+beginning); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	wantAnswer(t, in, false)
	return conn, in
}

func wantAnswer(t *testing.T, in *bufio.Reader, last bool) {
	t.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || string(text) != "{\"receivers\":0}\n" || resp.Close != last {
		t.Fatalf("%s: %q, close %v, %v", resp.Status, text, resp.Close, err)
	}
}

func wantClosed(t *testing.T, in io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(in); len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v, want the end", rest, err)
	}
}

// A stop ends at once what waits, and lets a message under way be told.
func TestFrontStopsGracefully(t *testing.T) {
	s, stop := startStoppable(t, Config{})
	addr := s.Addr().String()
	fresh := connect(t, addr)
	_, idle := begin(t, addr, "")
	_, head := begin(t, addr, "POST /rooms/a/mess")
	busy, body := begin(t, addr, "POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nha")
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	for _, in := range []io.Reader{fresh, idle, head} {
		wantClosed(t, in)
	}
	if _, err := io.WriteString(busy, "lf"); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, body, true)
	wantClosed(t, body)
	<-stopped
	if n := s.messages.Load(); n != 4 {
		t.Errorf("%d messages, want 4", n)
	}
}

// A message that never comes whole holds up neither kind of stop.
func TestFrontCutsWhatHangs(t *testing.T) {
	const hanging = "POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nha"
	s, stop := startStoppable(t, Config{})
	_, in := begin(t, s.Addr().String(), hanging)
	stop()
	wantClosed(t, in)

	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background()) }()
	_, in = begin(t, s.Addr().String(), hanging)
	s.Close()
	wantClosed(t, in)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// serveTimed serves with timeouts for a test.
func serveTimed(t *testing.T, head, idle time.Duration) (addr string) {
	t.Helper()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.headTimeout, s.idleTimeout = head, idle
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

func TestFrontTimeouts(t *testing.T) {
	const short, long = 20 * time.Millisecond, time.Hour
	t.Run("a head has its time", func(t *testing.T) {
		addr := serveTimed(t, short, long)
		for _, text := range []string{"", "P", "POST /rooms/a", "OPTIONS * HTTP/1.1\r\n"} {
			conn := connect(t, addr)
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			wantClosed(t, conn)
		}
	})
	t.Run("a later head too", func(t *testing.T) {
		_, in := begin(t, serveTimed(t, short, long), "POST /")
		wantClosed(t, in)
	})
	t.Run("idle is another time", func(t *testing.T) {
		conn, in := begin(t, serveTimed(t, short, long), "POS")
		wantSilence(t, conn, in, 5*short)
		_, in = begin(t, serveTimed(t, long, short), "")
		wantClosed(t, in)
	})
	t.Run("a body has none", func(t *testing.T) {
		conn, in := begin(t, serveTimed(t, short, short), "POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nha")
		wantSilence(t, conn, in, 5*short)
		if _, err := io.WriteString(conn, "lf"); err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, in, false)
		wantClosed(t, in)
	})
	t.Run("a subscription has none", func(t *testing.T) {
		addr := serveTimed(t, short, short)
		c := subscribe(t, "http://"+addr, "room=a")
		wantSilence(t, c.conn, c.conn, 5*short)
		conn := connect(t, addr)
		if _, err := io.WriteString(conn, message("a", "still here")); err != nil {
			t.Fatal(err)
		}
		if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		c.want("still here")
	})
}

// wantSilence demands that a connection stays open and says nothing for a time.
func wantSilence(t *testing.T, conn net.Conn, in io.Reader, span time.Duration) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(span)); err != nil {
		t.Fatal(err)
	}
	if n, err := in.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes, %v, want silence", n, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
}

// A head begun at the front has no more time with net/http than it had left.
func TestPassedConnKeepsItsDeadline(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client := connect(t, ln.Addr().String())
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	passed := &passedConn{socket: conn.(*net.TCPConn), begun: []byte("abc"), headBy: time.Now().Add(-time.Second)}
	if err := passed.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var first [2]byte
	if n, err := io.ReadFull(passed, first[:]); err != nil || string(first[:n]) != "ab" {
		t.Fatalf("%q, %v", first[:n], err)
	}
	rest, err := io.ReadAll(passed)
	if string(rest) != "c" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q, %v", rest, err)
	}
	for _, deadline := range []time.Time{{}, time.Now().Add(time.Hour)} {
		if err := passed.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(client, "d"); err != nil {
		t.Fatal(err)
	}
	if n, err := passed.Read(first[:]); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
}

// sickListener fails before it accepts.
type sickListener struct {
	net.Listener
	left atomic.Int32
	why  error
}

func (l *sickListener) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", l.why)}
	}
	return l.Listener.Accept()
}

func TestFrontOutlivesAPassingFailure(t *testing.T) {
	for _, tc := range []struct {
		why   error
		fatal bool
	}{{syscall.EMFILE, false}, {syscall.EINVAL, true}} {
		s, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		sick := &sickListener{Listener: s.listener, why: tc.why}
		sick.left.Store(3)
		s.listener = sick
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(context.Background()) }()
		if tc.fatal {
			if err := <-ended; !errors.Is(err, tc.why) {
				t.Errorf("Serve: %v", err)
			}
			continue
		}
		if got := newPoster(t, s.URL()).post("a", "x"); got.Receivers != 0 {
			t.Errorf("%+v", got)
		}
		s.Close()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

// silent is a connection on which no more comes.
type silent struct{}

var errSilent = errors.New("nothing more has come")

func (silent) Read([]byte) (int, error) { return 0, errSilent }

// FuzzFrontRequest holds the front's parser against net/http's: what it takes,
// net/http reads the same way, and where it waits, net/http would wait too.
func FuzzFrontRequest(f *testing.F) {
	for _, request := range requests() {
		f.Add([]byte(request))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, is := parseFrontRequest(text)
		if is == incomplete {
			// The end of what has come is no end of a line, for which net/http,
			// reading to an end, would take it.
			text = text[:bytes.LastIndexByte(text, '\n')+1]
		}
		in := bufio.NewReader(io.MultiReader(bytes.NewReader(text), silent{}))
		want, err := http.ReadRequest(in)
		switch is {
		case foreign:
		case incomplete:
			if !errors.Is(err, errSilent) {
				t.Fatalf("the front waits, net/http has read %v, %v", want, err)
			}
		case ours:
			if err != nil {
				t.Fatalf("the front takes what net/http refuses: %v", err)
			}
			holdAgainst(t, got, text, want, in)
		}
	})
}

func holdAgainst(t *testing.T, got frontRequest, text []byte, want *http.Request, in *bufio.Reader) {
	t.Helper()
	path, query := "/rooms/"+string(got.room)+"/messages", "event"
	method, value := "POST", got.event
	if got.subscribe {
		path, query, method, value = "/events", "room", "GET", got.room
	}
	if got.bodied {
		method = "POST"
	}
	switch {
	case want.Method != method || want.Proto != "HTTP/1.1" || want.Close || want.Host == "":
		t.Errorf("%s %s from %q, close %v", want.Method, want.Proto, want.Host, want.Close)
	case want.URL.EscapedPath() != path || want.URL.Path != path:
		t.Errorf("path %q, want %q", path, want.URL.EscapedPath())
	case want.URL.Query().Get(query) != string(value) || len(want.URL.Query()) > 1 || want.URL.IsAbs():
		t.Errorf("%s %q of %q", query, value, want.URL.RawQuery)
	case want.ContentLength != int64(got.length) || len(want.TransferEncoding) > 0 || len(want.Trailer) > 0:
		t.Errorf("length %d, want %d, %v", got.length, want.ContentLength, want.TransferEncoding)
	case got.resumes != (want.Header["Last-Event-Id"] != nil):
		t.Errorf("resumes %v", got.resumes)
	}
	for _, name := range []string{"Expect", "Upgrade", "Transfer-Encoding", "Trailer"} {
		if want.Header[name] != nil {
			t.Errorf("the front passes over %s: %q", name, want.Header[name])
		}
	}
	// What is behind the head is where both begin to read the body.
	behind, err := io.ReadAll(in)
	if !errors.Is(err, errSilent) || !bytes.Equal(behind, text[got.size:]) {
		t.Errorf("behind the head %.50q, want %.50q (%v)", text[got.size:], behind, err)
	}
}
