package stream

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sseload/sseload/pkg/target"
)

// shared is a way to share a connection among clients.
type shared struct {
	name   string
	scheme string
	http   target.Version
}

var sharedWays = []shared{{"h2c", "http", target.HTTP2}, {"h2", "https", target.HTTP2}, {"h3", "https", target.HTTP3}}

// everyShared runs f for each way and each engine that has it.
func everyShared(t *testing.T, f func(*testing.T, Kind, shared)) {
	t.Helper()
	for _, way := range sharedWays {
		t.Run(way.name, func(t *testing.T) {
			kinds := []Kind{NetHTTP, R3Labs}
			if way.http == target.HTTP2 {
				kinds = append(kinds, Conn)
			}
			theseEngines(t, kinds, func(t *testing.T, k Kind) { f(t, k, way) })
		})
	}
}

// sharedServer is a server of HTTP/2 or 3.
type sharedServer struct {
	way   shared
	addr  string
	trust *x509.CertPool
	conns atomic.Int32
	// retire has the server end its connections once their streams have ended,
	// die ends them at once and listens no more.
	retire, die func()
	// silent is up to which connection, counted from 1, nothing comes through, and
	// seen how many there were.
	silent, seen atomic.Int32
	// crash, with HTTP/3, ends the server without a word.
	crash func()
}

// serveShared serves h, at most streams at once on a connection.
func serveShared(t *testing.T, way shared, streams int, h http.Handler) *sharedServer {
	t.Helper()
	s := &sharedServer{way: way}
	cfg, trust := certificate(t, "127.0.0.1")
	s.trust = trust
	if way.http == target.HTTP3 {
		s.serveH3(t, cfg, streams, h)
	} else {
		s.serveH2(t, cfg, streams, h)
	}
	return s
}

func (s *sharedServer) serveH2(t *testing.T, cfg *tls.Config, streams int, h http.Handler) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	srv := &http.Server{
		Handler: h, Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streams},
		ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.conns.Add(1)
			}
		},
	}
	run := srv.Serve
	if s.way.scheme == "https" {
		srv.Protocols.SetHTTP2(true)
		srv.TLSConfig = cfg
		run = func(ln net.Listener) error { return srv.ServeTLS(ln, "", "") }
	} else {
		srv.Protocols.SetUnencryptedHTTP2(true)
	}
	s.run(t, func() error { return run(quietListener{ln, s}) }, srv.Shutdown, srv.Close)
}

func (s *sharedServer) serveH3(t *testing.T, cfg *tls.Config, streams int, h http.Handler) {
	t.Helper()
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = udp.LocalAddr().String()
	transport := &quic.Transport{Conn: &datagramServer{UDPConn: udp, s: s, peers: map[string]int32{}}}
	ln, err := transport.ListenEarly(http3.ConfigureTLSConfig(cfg), &quic.Config{MaxIncomingStreams: int64(streams)})
	if err != nil {
		t.Fatal(err)
	}
	srv := &http3.Server{Handler: h, ConnContext: func(ctx context.Context, _ *quic.Conn) context.Context {
		s.conns.Add(1)
		return ctx
	}}
	s.crash = func() { _ = errors.Join(transport.Close(), udp.Close()) }
	s.run(t, func() error { return srv.ServeListener(ln) }, srv.Shutdown, func() error {
		return errors.Join(srv.Close(), ln.Close(), transport.Close(), udp.Close())
	})
}

// datagramServer keeps quic-go from warning of a small buffer.
type datagramServer struct {
	*net.UDPConn
	s     *sharedServer
	mu    sync.Mutex
	peers map[string]int32 // their numbers
}

func (d *datagramServer) hears(addr net.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.peers[addr.String()]
	if n == 0 {
		n = d.s.seen.Add(1)
		d.peers[addr.String()] = n
	}
	return n > d.s.silent.Load()
}

func (d *datagramServer) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, addr, err := d.UDPConn.ReadFrom(p)
		if err != nil || d.hears(addr) {
			return n, addr, err
		}
	}
}

func (d *datagramServer) WriteTo(p []byte, addr net.Addr) (int, error) {
	if !d.hears(addr) {
		return len(p), nil
	}
	return d.UDPConn.WriteTo(p, addr)
}

// quietListener makes connections that are silent when they shall be.
type quietListener struct {
	net.Listener
	s *sharedServer
}

func (l quietListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return &quietConn{nc, l.s, l.s.seen.Add(1)}, err
}

type quietConn struct {
	net.Conn
	s *sharedServer
	n int32
}

func (c *quietConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || c.n > c.s.silent.Load() {
			return n, err
		}
	}
}

func (c *quietConn) Write(p []byte) (int, error) {
	if c.n <= c.s.silent.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (*datagramServer) SetReadBuffer(int) error  { return nil }
func (*datagramServer) SetWriteBuffer(int) error { return nil }

// SyscallConn hides that of the socket.
func (*datagramServer) SyscallConn() {}

func (s *sharedServer) run(t *testing.T, serve func() error, shutdown func(context.Context) error, stop func() error) {
	var work sync.WaitGroup
	work.Go(func() { _ = serve() })
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	s.retire = func() { work.Go(func() { _ = shutdown(ctx) }) }
	s.die = func() { once.Do(func() { _ = stop() }) }
	t.Cleanup(func() {
		cancel()
		s.die()
		work.Wait()
	})
}

func (s *sharedServer) spec(path string) target.Spec {
	return target.Spec{URL: s.way.scheme + "://" + s.addr + path, RootCAs: s.trust, HTTP: s.way.http, Literal: true}
}

// says has a stream say texts, and last until the client is gone.
func says(texts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		begin(w)
		for _, text := range texts {
			io.WriteString(w, text)
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // an end of the connection is no end of the stream
	}
}

func begin(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	_ = http.NewResponseController(w).Flush()
}

// gateway serves what handle says by HTTP/1.1.
func gateway(t *testing.T, handle func(*peer)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		near, far := net.Pipe()
		var work sync.WaitGroup
		defer work.Wait()
		defer near.Close()
		defer context.AfterFunc(r.Context(), func() { near.Close() })()
		work.Go(func() {
			defer far.Close()
			handle(&peer{Conn: far, in: bufio.NewReader(far), n: 1, s: &server{quit: make(chan struct{})}})
		})
		if err := r.Write(near); err != nil {
			t.Error(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(near), r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		for _, name := range []string{"Content-Type", "Content-Encoding", "Location"} {
			if v := resp.Header.Get(name); v != "" {
				w.Header().Set(name, v)
			}
		}
		w.Header()["Date"] = nil
		if resp.Header.Get("Content-Type") == "" {
			w.Header()["Content-Type"] = nil
		}
		w.WriteHeader(resp.StatusCode)
		control := http.NewResponseController(w)
		for p := make([]byte, 4<<10); ; {
			_ = control.Flush()
			n, err := resp.Body.Read(p)
			if _, werr := w.Write(p[:n]); werr != nil || err == io.EOF {
				return
			}
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	})
}

// TestSharedBehaviours has all of the contract that is not about the bytes of
// HTTP/1.1.
func TestSharedBehaviours(t *testing.T) {
	others := []string{
		"a content encoding", "an event over the limit", "a redirect to nowhere", "a redirect to another scheme", "a redirect to nonsense",
		"no head within the timeout",
	}
	ran := 0
	for _, b := range behaviours(t) {
		end := b.want[len(b.want)-1]
		plain := end == "closed: ended" || end == "closed: content type" || strings.HasPrefix(end, "closed: status")
		if !plain && !slices.Contains(others, b.name) || b.name == "an interim response comes first" {
			continue
		}
		ran++
		t.Run(b.name, func(t *testing.T) {
			everyShared(t, func(t *testing.T, k Kind, way shared) {
				s := serveShared(t, way, 100, gateway(t, b.serve))
				want := b.want
				if d, ok := b.deviates[k]; ok {
					want = d.want
				}
				p := start(t, k, Config{Target: at(t, s.spec("/stream")), Timeout: b.timeout, MaxEventSize: b.maxEvent})
				for range 2 {
					p.subscribe(0, "")
					got, end := p.untilClosed()
					if !slices.Equal(got, want) {
						t.Errorf("%q\nwant %q\n(%v)", got, want, end.failure)
					}
				}
				p.quiet()
				conns := int32(1)
				if end == "closed: timed out" {
					conns = 2
				}
				if n := s.conns.Load(); n != conns {
					t.Errorf("%d connections, want %d", n, conns)
				}
			})
		})
	}
	if ran < 30 {
		t.Errorf("%d behaviours, want more of them", ran)
	}
}

// TestSharedConnections has each connection carry the streams that it shall, and no
// more connections than that takes, though all connect at once.
func TestSharedConnections(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		clients, each := 2000, 100
		if way.http == target.HTTP3 || k == R3Labs {
			clients = 300
		}
		var mu sync.Mutex
		peers := map[string][]string{}
		s := serveShared(t, way, each, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			peers[r.RemoteAddr] = append(peers[r.RemoteAddr], r.URL.Path)
			mu.Unlock()
			says("data: a\n\n")(w, r)
		}))
		var conns atomic.Int64
		p := start(t, k, Config{
			Target: at(t, s.spec("/{room}")), Clients: clients, StreamsPerConnection: each, Connections: &conns,
		})
		p.do(func() {
			p.vars = func(id int) target.Vars { return target.Vars{Client: id, Room: id / each} }
			for id := range clients {
				p.eng.Subscribe(id, nil)
			}
		})
		for range 2 * clients {
			f := p.next()
			switch f.text {
			case "opened":
				checkTiming(t, f.timing)
			case `message "a"`:
			default:
				t.Fatalf("%s: %v", f.text, f.failure)
			}
		}
		if n := int(s.conns.Load()); n != clients/each || conns.Load() != int64(n) {
			t.Errorf("%d connections, of which %d are counted, want %d", n, conns.Load(), clients/each)
		}
		mu.Lock()
		defer mu.Unlock()
		for addr, paths := range peers {
			slices.Sort(paths)
			if len(paths) != each || paths[0] != paths[each-1] {
				t.Errorf("%s carries %d streams, of %s to %s", addr, len(paths), paths[0], paths[len(paths)-1])
			}
		}
	})
}

// TestSharedStreamLimit: who finds no room on its connection fails, soon and for a
// reason that says what to do; nobody gets a connection more.
func TestSharedStreamLimit(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		const limit, clients = 7, 10
		s := serveShared(t, way, limit, says())
		p := start(t, k, Config{Target: at(t, s.spec("/")), Clients: clients, StreamsPerConnection: clients})
		p.do(func() {
			for id := range clients {
				p.eng.Subscribe(id, nil)
			}
		})
		var open []int
		for range clients {
			f := p.next()
			if f.text == "opened" {
				open = append(open, f.id)
				continue
			}
			if f.text != "closed: stream limit" {
				t.Fatalf("%s: %v", f.text, f.failure)
			}
			if text := f.failure.Error(); !strings.Contains(text, fmt.Sprint(limit)) || !strings.Contains(text, "--streams-per-connection") {
				t.Errorf("%q names neither limit nor flag", text)
			}
		}
		if len(open) != limit || s.conns.Load() != 1 {
			t.Fatalf("%d are open on %d connections, want %d on 1", len(open), s.conns.Load(), limit)
		}
		// Who leaves makes room.
		for _, id := range open {
			p.do(func() { p.eng.Unsubscribe(id) })
			p.subscribe(id, "")
			if f := p.expect("opened"); f.id != id {
				t.Errorf("%d opened, want %d", f.id, id)
			}
		}
		p.quiet()
	})
}

// TestSharedServerDies: all streams of a connection end with it, and each connection
// is replaced once.
func TestSharedServerDies(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		const clients, each = 6, 3
		s := serveShared(t, way, 100, says())
		next := serveShared(t, way, 100, says("data: here\n\n"))
		tg := at(t, s.spec("/"))
		tg.TLS.InsecureSkipVerify = true // it has another certificate
		p := start(t, k, Config{Target: tg, Clients: clients, StreamsPerConnection: each})
		p.do(func() {
			for id := range clients {
				p.eng.Subscribe(id, nil)
			}
		})
		for range clients {
			p.expect("opened")
		}
		s.die()
		for range clients {
			f := p.next()
			if f.failure == nil || f.failure.Class != ClosedEarly && f.failure.Class != Reset {
				t.Errorf("%s: %v", f.text, f.failure)
			}
		}
		p.subscribe(0, "")
		if f := p.expect("closed: refused"); !strings.Contains(f.failure.Error(), s.addr) {
			t.Errorf("%q does not name the server", f.failure)
		}
		p.do(func() {
			tg.Subscribe.Addr = at(t, next.spec("/")).Subscribe.Addr
			for id := range clients {
				p.eng.Subscribe(id, nil)
			}
		})
		for range 2 * clients {
			if f := p.next(); f.failure != nil {
				t.Errorf("%s: %v", f.text, f.failure)
			}
		}
		if n := next.conns.Load(); n != clients/each {
			t.Errorf("%d connections, want %d", n, clients/each)
		}
	})
}

// untilOpened subscribes id again and again, and says how often that timed out.
func (p *probe) untilOpened(id int) (timedOut int) {
	p.t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; timedOut++ {
		p.subscribe(id, "")
		f := p.next()
		if f.text == "opened" && f.id == id {
			return timedOut
		}
		if f.text != "closed: timed out" || f.id != id {
			p.t.Fatalf("%d: %s (%v)", f.id, f.text, f.failure)
		}
	}
	p.t.Fatalf("%d timed out %d times", id, timedOut)
	return 0
}

// TestSharedSilence: a connection that has died without a word is replaced for those
// who come, and left to those who have a stream.
func TestSharedSilence(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		s := serveShared(t, way, 100, says())
		p := start(t, k, Config{Target: at(t, s.spec("/")), Clients: 3, StreamsPerConnection: 3, Timeout: 300 * time.Millisecond})
		s.silent.Store(1) // the first does not even begin
		if p.untilOpened(0) == 0 {
			t.Error("a silent connection opened a stream")
		}
		s.silent.Store(s.seen.Load())
		if p.untilOpened(1) == 0 {
			t.Error("a silent connection opened a stream")
		}
		conns := s.seen.Load()
		if p.untilOpened(2) == 0 && s.seen.Load() != conns {
			t.Error("two connections were needed where one does")
		}
		p.quiet() // the first one is still there
	})
}

// TestSharedDial: who waits for a connection that another client began to make has as
// long for it as that one.
func TestSharedDial(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		const timeout = 400 * time.Millisecond
		s := serveShared(t, way, 100, says())
		s.silent.Store(1)
		p := &probe{t: t, facts: make(chan fact, 10)}
		var failed [2]int64
		p.on = func(f fact) { failed[f.id] = p.now() }
		startWith(t, k, Config{Target: at(t, s.spec("/")), Clients: 2, StreamsPerConnection: 2, Timeout: timeout}, p)
		var begun int64
		p.do(func() {
			p.eng.Subscribe(0, nil)
			p.eng.Alarm(p.now()+int64(timeout/2), func() {
				begun = p.now()
				p.eng.Subscribe(1, nil)
			})
		})
		p.expect("closed: timed out")
		p.expect("closed: timed out")
		p.do(func() {
			if d := time.Duration(failed[1] - begun); d < timeout || failed[1] < failed[0] {
				t.Errorf("the second one waited for %s", d)
			}
		})
		p.quiet()
	})
}

// TestH3ServerCrashes: the next datagram is answered by the system, and all streams
// of the connection end.
func TestH3ServerCrashes(t *testing.T) {
	theseEngines(t, []Kind{NetHTTP, R3Labs}, func(t *testing.T, k Kind) {
		s := serveShared(t, sharedWays[2], 100, says())
		p := start(t, k, Config{Target: at(t, s.spec("/")), Clients: 2, StreamsPerConnection: 2})
		p.subscribe(0, "")
		p.expect("opened")
		s.crash()
		p.subscribe(1, "")
		ids := 0
		for range 2 {
			f := p.expect("closed: reset")
			ids += 1 << f.id
		}
		if ids != 3 {
			t.Errorf("the same one ended twice")
		}
	})
}

// TestSharedGoAway: a connection that the server retires keeps its streams and gets
// no more, who subscribes then gets another one.
func TestSharedGoAway(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		goOn := make(chan struct{})
		s := serveShared(t, way, 100, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begin(w)
			select {
			case <-goOn:
			case <-r.Context().Done():
			}
			io.WriteString(w, "data: last\n\n")
		}))
		next := serveShared(t, way, 100, says("data: here\n\n"))
		tg := at(t, s.spec("/"))
		tg.TLS.InsecureSkipVerify = true // it has another certificate
		p := start(t, k, Config{Target: tg, Clients: 3, StreamsPerConnection: 3})
		p.subscribe(0, "")
		p.expect("opened")
		s.retire()
		p.do(func() { tg.Subscribe.Addr = at(t, next.spec("/")).Subscribe.Addr })
		// Until the news has come the old one may be asked, and says no.
		for begun := time.Now(); next.conns.Load() == 0 && time.Since(begun) < patience; {
			p.subscribe(1, "")
			if f := p.next(); f.failure == nil {
				if next.conns.Load() > 0 {
					p.expect(`message "here"`)
				} else {
					p.do(func() { p.eng.Unsubscribe(1) })
				}
			}
		}
		p.subscribe(2, "")
		p.expect("opened")
		p.expect(`message "here"`)
		close(goOn)
		p.expect(`message "last"`)
		p.expect("closed: ended")
		if s.conns.Load() != 1 || next.conns.Load() != 1 {
			t.Errorf("%d and %d connections, want 1 and 1", s.conns.Load(), next.conns.Load())
		}
	})
}

// TestSharedRedirects leads to another path on the same connection, and to another
// server on one of its own.
func TestSharedRedirects(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		got := make(chan *http.Request, 9)
		there := serveShared(t, way, 100, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got <- r
			says("data: there\n\n")(w, r)
		}))
		s := serveShared(t, way, 100, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got <- r
			to := map[string]string{"/a": "/b?x", "/b": there.way.scheme + "://" + there.addr + "/c"}[r.URL.Path]
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}))
		spec := s.spec("/a")
		spec.Insecure, spec.Bearer, spec.Headers = true, "secret", []string{"Host: virtual.test"}
		type seen struct {
			status int
			url    string
		}
		heads := make(chan seen, 9)
		p := start(t, k, Config{Target: at(t, spec), Clients: 2, StreamsPerConnection: 2, Head: func(_ target.Vars, h ResponseHead) {
			heads <- seen{h.Status, h.URL.String()}
		}})
		for id := range 2 {
			p.subscribe(id, "7")
			checkTiming(t, p.expect("opened").timing)
			p.expect(`message "there" id 7`)
			for i, want := range []string{"/a", "/b?x", "/c"} {
				r := await(t, got)
				host, auth, status := s.addr, "Bearer secret", http.StatusTemporaryRedirect
				switch i {
				case 0:
					host = "virtual.test"
				case 2:
					host, auth, status = there.addr, "", http.StatusOK
				}
				if r.RequestURI != want || r.Host != host || r.Header.Get("Authorization") != auth || r.Header.Get("Last-Event-ID") != "7" {
					t.Errorf("request %d: %s of %s, %v", i, r.RequestURI, r.Host, r.Header)
				}
				h := await(t, heads)
				if h.status != status || !strings.HasSuffix(h.url, want) {
					t.Errorf("head %d: %+v", i, h)
				}
			}
		}
		if s.conns.Load() != 2 || there.conns.Load() != 1 {
			// The first client's departure leaves the first connection without use, and
			// it is closed before there is a second one of the group.
			t.Errorf("%d and %d connections, want 2 and 1", s.conns.Load(), there.conns.Load())
		}
	})
}

func TestSharedLargeEvent(t *testing.T) {
	const size = 14 << 20
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		s := serveShared(t, way, 100, says("data: "+strings.Repeat("x", size)+"\n\n", "data: a\n\n"))
		p := start(t, k, Config{Target: at(t, s.spec("/")), MaxEventSize: size + 100})
		p.subscribe(0, "")
		p.expect("opened")
		if f := p.next(); len(f.text) != size+len(`message ""`) {
			t.Errorf("%d bytes, want %d (%v)", len(f.text), size, f.failure)
		}
		p.expect(`message "a"`)
	})
}

// TestSharedUnsubscribe in the middle of an endless stream ends that one alone.
func TestSharedUnsubscribe(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		ended := make(chan string, 2)
		s := serveShared(t, way, 100, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begin(w)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, "data: a\n\n"); err != nil || http.NewResponseController(w).Flush() != nil {
					break
				}
			}
			ended <- r.URL.Path
		}))
		left := false
		again := make(chan struct{})
		p := &probe{t: t}
		p.on = func(f fact) {
			switch {
			case f.failure != nil || left && f.id == 0:
				t.Errorf("%d: %s (%v)", f.id, f.text, f.failure)
			case f.id == 0 && f.text != "opened":
				left = true
				p.eng.Unsubscribe(0)
			case f.id == 1 && left && again != nil:
				close(again)
				again = nil
			}
		}
		wait := again
		startWith(t, k, Config{Target: at(t, s.spec("/{client}")), Clients: 2, StreamsPerConnection: 2}, p)
		p.subscribe(1, "")
		p.subscribe(0, "")
		if path := await(t, ended); path != "/0" {
			t.Errorf("%s ended, want /0", path)
		}
		await(t, wait)
		if n := s.conns.Load(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// TestSharedClose ends what connects, what waits for an answer and what is open.
func TestSharedClose(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		arrived := make(chan struct{}, 100)
		s := serveShared(t, way, 100, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			if r.URL.Path == "/0" {
				says("data: a\n\n")(w, r)
			}
			<-r.Context().Done()
		}))
		p := &probe{t: t}
		p.on = func(f fact) {
			if f.failure != nil {
				t.Errorf("%s: %v", f.text, f.failure)
			}
		}
		startWith(t, k, Config{Target: at(t, s.spec("/{room}")), Clients: 20, StreamsPerConnection: 4}, p)
		p.do(func() {
			for id := range 20 {
				p.eng.Subscribe(id, nil)
			}
		})
		for range 20 {
			await(t, arrived)
		}
		p.do(func() {
			p.eng.Unsubscribe(19)
			p.eng.Subscribe(19, nil)
		})
		p.eng.Close()
		calls := p.calls
		s.die()
		if p.calls != calls {
			t.Error("the Handler was called after Close")
		}
	})
}

// TestSharedFailures to connect are those of all who wait for the connection.
func TestSharedFailures(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		tcp := serve(t, func(p *peer) { p.gone() }) // takes connections and says nothing
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.ln.Addr().(*net.TCPAddr).Port})
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		nobody := strings.TrimSuffix(strings.TrimPrefix(refusedURL(t), "http://"), "/")
		s := serveShared(t, way, 100, says())
		for _, c := range []struct {
			name, addr, want string
			untrusted        bool
		}{
			{"nobody listens", nobody, "closed: refused", false},
			{"no answer", tcp.ln.Addr().String(), "closed: timed out", false},
			{"not to be trusted", s.addr, "closed: tls", true},
		} {
			if c.untrusted && way.scheme == "http" {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				spec := s.spec("/")
				spec.URL = way.scheme + "://" + c.addr + "/"
				cfg := Config{Clients: 3, StreamsPerConnection: 3, Timeout: patience}
				if c.untrusted {
					spec.RootCAs = nil
				}
				if c.want == "closed: timed out" {
					cfg.Timeout = 200 * time.Millisecond
				}
				cfg.Target = at(t, spec)
				p := start(t, k, cfg)
				for range 2 {
					p.do(func() {
						for id := range 3 {
							p.eng.Subscribe(id, nil)
						}
					})
					for range 3 {
						p.expect(c.want)
					}
				}
				p.quiet()
			})
		}
	})
}

// TestNotHTTP2: a server that speaks HTTP/1.1 alone is named as one.
func TestNotHTTP2(t *testing.T) {
	theseEngines(t, []Kind{NetHTTP, R3Labs}, func(t *testing.T, k Kind) {
		cfg, trust := certificate(t, "127.0.0.1")
		for name, s := range map[string]*server{
			"h2c": serve(t, func(p *peer) { p.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"); p.gone() }),
			"h2":  serveTLS(t, cfg, func(p *peer) { p.gone() }),
		} {
			t.Run(name, func(t *testing.T) {
				p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/"), RootCAs: trust, HTTP: target.HTTP2})})
				p.subscribe(0, "")
				if f := p.expect("closed: protocol"); !strings.Contains(f.failure.Error(), "HTTP/2") {
					t.Errorf("%q does not say what is wrong", f.failure)
				}
			})
		}
	})
}

// TestSharedSources spreads connections, not clients.
func TestSharedSources(t *testing.T) {
	everyShared(t, func(t *testing.T, k Kind, way shared) {
		from := make(chan string, 9)
		s := serveShared(t, way, 100, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			from <- r.URL.Path + " from " + host
			w.WriteHeader(http.StatusNoContent)
		}))
		p := start(t, k, Config{
			Target: at(t, s.spec("/{client}")), Clients: 4, StreamsPerConnection: 2, Sources: addrs("127.0.0.2", "127.0.0.3"),
		})
		for id, want := range []string{"/0 from 127.0.0.2", "/1 from 127.0.0.2", "/2 from 127.0.0.3", "/3 from 127.0.0.3"} {
			p.subscribe(id, "")
			p.expect("closed: status 204")
			if got := await(t, from); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}

// TestHeadOfHTTP1 has Config.Head see all heads, and none of what is over.
func TestHeadOfHTTP1(t *testing.T) {
	theseEngines(t, []Kind{NetHTTP, R3Labs}, func(t *testing.T, k Kind) {
		s := serve(t, func(c *peer) {
			switch r := c.request(); {
			case r == nil:
			case r.URL.Path == "/":
				c.say("HTTP/1.1 302 Found\r\nLocation: /x\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 0\r\n\r\n")
			default:
				c.say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
			}
		})
		var got []string
		p := &probe{t: t, facts: make(chan fact, 9)}
		p.on = func(f fact) { got = append(got, f.text) }
		startWith(t, k, Config{Target: at(t, target.Spec{URL: s.url("/"), Literal: true}), Head: func(v target.Vars, h ResponseHead) {
			p.calls++ // for the race detector
			text := fmt.Sprintf("%d %s", h.Status, h.URL.Path)
			for name, value := range h.Fields {
				if strings.EqualFold(string(name), "set-cookie") {
					text += " " + string(value)
				}
			}
			got = append(got, text)
			if v.Client == 0 && h.Status == 503 {
				p.eng.Unsubscribe(0)
			}
		}}, p)
		p.vars = func(id int) target.Vars { return target.Vars{Client: 1 - len(got)/3} }
		p.subscribe(0, "")
		p.expect("closed: status 503")
		p.subscribe(0, "")
		want := []string{"302 / a=1 b=2", "503 /x", "closed: status 503", "302 / a=1 b=2", "503 /x"}
		for begun := time.Now(); time.Since(begun) < patience; {
			var n int
			p.do(func() { n = len(got) })
			if n >= len(want) {
				break
			}
		}
		p.quiet()
		p.do(func() {
			if !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	})
}
