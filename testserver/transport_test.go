package testserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// trusting trusts a server's made certificate, and nothing else.
func trusting(s *Server) *tls.Config {
	if s.Certificate() == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.Certificate())
	return &tls.Config{RootCAs: pool}
}

// clientOf reaches a server by a version of HTTP, whatever it listens on.
func clientOf(t testing.TB, s *Server, version int) *http.Client {
	t.Helper()
	return clientWith(t, s, version, trusting(s))
}

func clientWith(t testing.TB, s *Server, version int, trust *tls.Config) *http.Client {
	t.Helper()
	if version == 3 {
		tr := &http3.Transport{TLSClientConfig: trust}
		t.Cleanup(func() { tr.Close() })
		return &http.Client{Transport: tr, Timeout: patience}
	}
	tr := &http.Transport{TLSClientConfig: trust, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(version == 1)
	tr.Protocols.SetHTTP2(version == 2 && trust != nil)
	tr.Protocols.SetUnencryptedHTTP2(version == 2 && trust == nil)
	if path := s.Socket(); path != "" {
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// subscribeBy subscribes through a client; method is GET or POST.
func subscribeBy(t testing.TB, client *http.Client, method, url string) *sub {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(`{"what":"everything"}`)
	}
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %s: %s, %s", method, url, resp.Status, resp.Header.Get("Content-Type"))
	}
	return &sub{t: t, resp: response{resp}, in: bufio.NewReader(resp.Body)}
}

// transports are the ways to a server: what it serves, and the version of HTTP that
// the client speaks.
func transports() map[string]struct {
	cfg     Config
	version int
} {
	return map[string]struct {
		cfg     Config
		version int
	}{
		"h1":          {Config{}, 1},
		"h1-tls":      {Config{SelfSigned: true}, 1},
		"h1-ipv6":     {Config{Addr: "[::1]:0"}, 1},
		"h1-unix":     {Config{Addr: "unix:"}, 1},
		"h1-unix-tls": {Config{Addr: "unix:", SelfSigned: true}, 1},
		"h2c":         {Config{}, 2},
		"h2c-faulty":  {Config{Faults: []Fault{{Kind: FaultDrop, Every: 1 << 40}}}, 2},
		"h2c-unix":    {Config{Addr: "unix:"}, 2},
		"h2-tls":      {Config{SelfSigned: true}, 2},
		"h2-tls-unix": {Config{Addr: "unix:", SelfSigned: true}, 2},
		"h3":          {Config{SelfSigned: true, HTTP3: true}, 3},
		"h3-ipv6":     {Config{Addr: "[::1]:0", SelfSigned: true, HTTP3: true}, 3},
		"h1-beside-3": {Config{SelfSigned: true, HTTP3: true}, 1},
	}
}

// Over every transport clients are in their rooms once they have the head, get what
// is sent there at once, are missed when they leave, and are told of the end.
func TestEveryTransport(t *testing.T) {
	for name, tc := range transports() {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(tc.cfg.Addr, "[::1]") && !haveIPv6() {
				t.Skip("no IPv6 here")
			}
			s, stop := startStoppable(t, tc.cfg)
			client := clientOf(t, s, tc.version)
			p := &poster{t: t, base: s.URL(), client: client}
			var subs []*sub
			for i := range 6 {
				method := []string{"GET", "POST"}[i%2]
				c := subscribeBy(t, client, method, fmt.Sprintf("%s/events?room=%d", s.URL(), i/3))
				if c.resp.ProtoMajor != tc.version {
					t.Fatalf("by %s, want HTTP/%d", c.resp.Proto, tc.version)
				}
				if _, err := http.ParseTime(c.resp.Header.Get("Date")); err != nil {
					t.Errorf("date: %v", err)
				}
				if alt := c.resp.Header.Get("Alt-Svc"); (alt != "") != (tc.cfg.HTTP3 && tc.version < 3) {
					t.Errorf("Alt-Svc %q", alt)
				}
				subs = append(subs, c)
				// Who is open is in.
				if got := p.post(fmt.Sprint(i/3), "hello"); got.Receivers != i%3+1 {
					t.Fatalf("client %d: %+v", i, got)
				}
			}
			long := strings.Repeat("long ", 10_000)
			for i, c := range subs {
				for range 3 - i%3 {
					c.want("hello")
				}
			}
			for range 20 {
				p.post("0", "short")
				p.post("1", long)
				for i, c := range subs {
					c.want([]string{"short", long}[i/3])
				}
			}
			subs[0].resp.Body.Close()
			subs[4].resp.Body.Close()
			p.until("two have left", func(st Stats) bool { return st.Clients == 4 })
			if got := p.post("0", "fewer"); got.Receivers != 2 {
				t.Errorf("%+v", got)
			}
			subs[1].want("fewer")
			st, err := ReadStats(t.Context(), client, s.URL())
			if err != nil || st.Clients != 4 || st.Messages != 47 {
				t.Errorf("%+v, %v", st, err)
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				stop()
			}()
			subs[2].want("fewer")
			for _, c := range []*sub{subs[1], subs[2], subs[3], subs[5]} {
				c.wantEnd(true)
			}
			client.CloseIdleConnections()
			<-ended
		})
	}
}

func haveIPv6() bool {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

// A Unix socket has a descriptor to write to past everything, as TCP has.
func TestUnixIsAtTheFront(t *testing.T) {
	if descriptorless() {
		t.Skip("no raw writes here")
	}
	s := start(t, Config{Addr: "unix:"})
	c := subscribe(t, "unix:"+s.Socket(), "room=a")
	r := s.lookup([]byte("a"))
	r.mu.Lock()
	fd := r.members[0].fd
	r.mu.Unlock()
	if fd == noDescriptor || s.front == nil {
		t.Errorf("descriptor %d, front %v", fd, s.front)
	}
	s.apply([]byte("a"), "", []byte("x"), 0)
	c.want("x")
}

func descriptorless() bool { return runtime.GOOS == "windows" }

// A client that does not read is dropped, by whatever way it came, and holds up
// nobody.
func TestSlowClientOfUnix(t *testing.T) {
	s := start(t, Config{Addr: "unix:", ClientBuffer: 64 << 10})
	slow := subscribe(t, "unix:"+s.Socket(), "room=a")
	quick := subscribe(t, "unix:"+s.Socket(), "room=b")
	p := &poster{t: t, base: s.URL(), client: clientOf(t, s, 1)}
	message := strings.Repeat("x", 32<<10)
	for dropped := uint64(0); dropped == 0; dropped = p.stats().DroppedSlow {
		p.post("a", message)
		p.post("b", "tick")
		quick.want("tick")
	}
	p.until("it has left", func(st Stats) bool { return st.Clients == 1 })
	for {
		if _, err := slow.read(); err != nil {
			if err == io.EOF {
				t.Error("the stream of a client that was dropped has a proper end")
			}
			break
		}
	}
}

func TestFaultsOfUnix(t *testing.T) {
	s := start(t, Config{Addr: "unix:", Faults: []Fault{
		{Kind: FaultClose, Every: 1, After: 2, Room: "cut"}, {Kind: FaultBlock, Every: 1, Room: "block"},
	}})
	p := &poster{t: t, base: s.URL(), client: clientOf(t, s, 1)}
	cut := subscribe(t, "unix:"+s.Socket(), "room=cut")
	p.post("cut", "one")
	p.post("cut", "two")
	cut.want("one", "two")
	cut.wantEnd(false)

	blocked := subscribe(t, "unix:"+s.Socket(), "room=block")
	message := strings.Repeat("x", 512<<10)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		p.post("block", message)
	}()
	awaitInjected(t, s, FaultBlock, 1)
	select {
	case <-answered:
		t.Error("the sender was answered before the client has read")
	default:
	}
	blocked.want(message)
	<-answered
}

// awaitInjected waits until a fault has been counted so often.
func awaitInjected(t *testing.T, s *Server, kind FaultKind, n int64) {
	t.Helper()
	for deadline := time.Now().Add(patience); s.Injected()[kind] < n; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d, want %d", kind, s.Injected()[kind], n)
		}
	}
}

func TestSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	addr := "unix:" + path
	s, stop := startStoppable(t, Config{Addr: addr})
	if s.Socket() != path || s.URL() != "http://localhost" {
		t.Errorf("%q, %q", s.Socket(), s.URL())
	}
	subscribe(t, addr, "room=a").conn.Close()

	// Somebody listens.
	second, err := New(Config{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Listen(); err == nil || !strings.Contains(err.Error(), "listen on "+addr+": ") {
		t.Errorf("a second server: %v", err)
	}
	subscribe(t, addr, "room=a").conn.Close()
	stop()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}

	// Nobody does any more.
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	_, stop = startStoppable(t, Config{Addr: addr})
	subscribe(t, addr, "room=a").conn.Close()
	stop()

	// What is no socket stays.
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := second.Listen(); err == nil {
		t.Error("a file was replaced")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestSocketInAFolderOfItsOwn(t *testing.T) {
	for _, served := range []bool{true, false} {
		s, err := New(Config{Addr: "unix:"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		folder := filepath.Dir(s.Socket())
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
			t.Errorf("%v, %v", info, err)
		}
		if served {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Serve(ctx); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("served %t: %v", served, err)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	ours, err := makeCertificate("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, pool := certificate(t)
	s := start(t, Config{CertFile: certFile, KeyFile: keyFile, ClientCAFile: certFile, HTTP3: true})
	known, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := tls.X509KeyPair(ours.Cert, ours.Key)
	if err != nil {
		t.Fatal(err)
	}
	for version := 1; version <= 3; version++ {
		for name, shown := range map[string][]tls.Certificate{"none": nil, "a stranger's": {stranger}} {
			resp, err := clientWith(t, s, version, &tls.Config{RootCAs: pool, Certificates: shown}).Get(s.URL() + "/healthz")
			if err == nil {
				resp.Body.Close()
				t.Errorf("HTTP/%d, %s: %s", version, name, resp.Status)
			}
		}
		client := clientWith(t, s, version, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{known}})
		c := subscribeBy(t, client, "GET", s.URL()+"/events?room=a")
		s.apply([]byte("a"), "", []byte("x"), 0)
		c.want("x")
		c.resp.Body.Close()
	}
}

func TestMadeCertificateNames(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:0": "localhost 127.0.0.1 ::1", "[::1]:0": "localhost 127.0.0.1 ::1", "unix:": "localhost 127.0.0.1 ::1",
		"localhost:0": "localhost 127.0.0.1 ::1", "box.test:0": "localhost box.test 127.0.0.1 ::1",
		"127.0.0.2:0": "localhost 127.0.0.1 ::1 127.0.0.2",
	} {
		names, ips := certificateNames(addr)
		for _, ip := range ips {
			names = append(names, ip.String())
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	// All addresses.
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		_, ips := certificateNames(addr)
		for _, a := range own {
			if n, ok := a.(*net.IPNet); ok && !slices.ContainsFunc(ips, n.IP.Equal) && !n.IP.IsLoopback() {
				t.Errorf("%s: %s is missing", addr, n.IP)
			}
		}
	}
}

// rawHTTP2 is a connection of HTTP/2 without encryption, on which nothing happens by
// itself: no window grows.
type rawHTTP2 struct {
	*http2.Framer
	t    *testing.T
	conn net.Conn
	head *hpack.Encoder
	text *strings.Builder
}

func newRawHTTP2(t *testing.T, addr string) *rawHTTP2 {
	t.Helper()
	conn := connect(t, addr)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	c := &rawHTTP2{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, text: &strings.Builder{}}
	c.head = hpack.NewEncoder(c.text)
	c.must(c.WriteSettings())
	return c
}

func (c *rawHTTP2) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawHTTP2) subscribe(stream uint32, room string) {
	c.t.Helper()
	c.text.Reset()
	for _, f := range [][2]string{
		{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/events?room=" + room},
	} {
		c.must(c.head.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte(c.text.String()), EndStream: true, EndHeaders: true}))
}

// until reads frames until one is the right one. Settings are acknowledged.
func (c *rawHTTP2) until(what string, right func(http2.Frame) bool) {
	c.t.Helper()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			c.t.Fatalf("until %s: %v", what, err)
		}
		if s, ok := f.(*http2.SettingsFrame); ok && !s.IsAck() {
			c.must(c.WriteSettingsAck())
		}
		if right(f) {
			return
		}
	}
}

func isHead(stream uint32) func(http2.Frame) bool {
	return func(f http2.Frame) bool {
		return f.Header().Type == http2.FrameHeaders && f.Header().StreamID == stream
	}
}

// A stream whose client grants it no room is dropped when its buffer is full; the
// others of its connection get their events as they come.
func TestStalledStreamHoldsUpNoOther(t *testing.T) {
	s := start(t, Config{ClientBuffer: 256 << 10})
	c := newRawHTTP2(t, s.Addr().String())
	c.must(c.WriteWindowUpdate(0, 1<<30)) // of the connection
	c.subscribe(1, "stalled")
	c.until("the head", isHead(1))
	c.subscribe(3, "lively")
	c.until("the head", isHead(3))
	message := []byte(strings.Repeat("x", 32<<10))
	reset := false
	for i := 0; !reset; i++ { // the connection has a deadline
		s.apply([]byte("stalled"), "", message, 0)
		tick := fmt.Sprint("tick ", i)
		if got := s.apply([]byte("lively"), "", []byte(tick), 0); got.receivers != 1 {
			t.Fatalf("%+v", got)
		}
		c.must(c.WriteWindowUpdate(3, 100))
		c.until(tick, func(f http2.Frame) bool {
			switch f := f.(type) {
			case *http2.DataFrame:
				return f.StreamID == 3 && string(f.Data()) == "data: "+tick+"\n\n"
			case *http2.RSTStreamFrame:
				reset = reset || f.StreamID == 1
			}
			return false
		})
	}
	if n := s.dropped.Load(); n != 1 {
		t.Errorf("%d dropped", n)
	}
}

func TestMaxStreams(t *testing.T) {
	for configured, want := range map[int]uint32{0: DefaultMaxStreams, 3: 3} {
		s := start(t, Config{MaxStreams: configured})
		c := newRawHTTP2(t, s.Addr().String())
		c.until("the settings", func(f http2.Frame) bool {
			settings, ok := f.(*http2.SettingsFrame)
			if !ok || settings.IsAck() {
				return false
			}
			if got, ok := settings.Value(http2.SettingMaxConcurrentStreams); !ok || got != want {
				t.Errorf("%d streams, want %d", got, want)
			}
			return true
		})
		c.conn.Close()
	}
	s := start(t, Config{SelfSigned: true, HTTP3: true, MaxStreams: 3})
	trust := trusting(s)
	trust.NextProtos = []string{http3.NextProtoH3}
	conn, err := quic.DialAddr(t.Context(), s.Addr().String(), trust, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := conn.OpenStream(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.OpenStream(); !errors.As(err, new(*quic.StreamLimitReachedError)) {
		t.Errorf("a fourth stream: %v", err)
	}
	if err := conn.CloseWithError(0, ""); err != nil {
		t.Error(err)
	}
}

func TestTransportsRefused(t *testing.T) {
	for want, cfg := range map[string]Config{
		"http/3 needs tls":                          {HTTP3: true},
		"http/3 needs a port, not a unix socket":    {HTTP3: true, SelfSigned: true, Addr: "unix:/s"},
		"not by several workers":                    {HTTP3: true, SelfSigned: true, Workers: 2},
		"certificates of clients need tls":          {ClientCAFile: "x"},
		"from its file or makes one, not both":      {SelfSigned: true, CertFile: "x", KeyFile: "y"},
		"max streams must not be negative":          {MaxStreams: -1},
		"socket path":                               {Addr: "unix:/" + strings.Repeat("x", 200)},
		"authorities of clients: open /nowhere/ca:": {SelfSigned: true, ClientCAFile: "/nowhere/ca"},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", cfg, err, want)
		}
	}
}

// A stream that is cut ends with a reset, which is no proper end. Over HTTP/3 that may
// overtake the copy before it.
func TestCutStreams(t *testing.T) {
	for _, version := range []int{2, 3} {
		s := start(t, Config{SelfSigned: true, HTTP3: true, Faults: []Fault{{Kind: FaultClose, Every: 1, After: 1}}})
		client := clientOf(t, s, version)
		c := subscribeBy(t, client, "GET", s.URL()+"/events?room=a")
		s.apply([]byte("a"), "", []byte("x"), 0)
		if g, err := c.read(); err == nil && g.data != "x" {
			t.Errorf("%+v", g)
		} else if err == nil {
			c.wantEnd(false)
		} else if err == io.EOF {
			t.Errorf("HTTP/%d: a proper end", version)
		}
	}
}
