package stream

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/target"
)

// patience is for how long a test waits for what must happen.
const patience = 20 * time.Second

// head opens a stream that ends with the connection.
const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

// engines are those that run on this system.
func engines() []Kind {
	all := []Kind{Conn, NetHTTP, R3Labs}
	if epollAvailable {
		all = append([]Kind{Epoll}, all...)
	}
	return all
}

// everyEngine runs f as a subtest for each engine and checks that it leaves no
// goroutine and no descriptor.
func everyEngine(t *testing.T, f func(*testing.T, Kind)) {
	t.Helper()
	theseEngines(t, engines(), f)
}

func theseEngines(t *testing.T, kinds []Kind, f func(*testing.T, Kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			checkLeaks(t)
			f(t, k)
		})
	}
}

func checkLeaks(t *testing.T) {
	t.Helper()
	refusedURL(t) // the runtime's first socket costs it descriptors that stay
	goroutines, files := goleak.IgnoreCurrent(), openFiles(t)
	t.Cleanup(func() {
		goleak.VerifyNone(t, goroutines)
		if now := openFiles(t); now > files {
			t.Errorf("%d descriptors are open, %d were before", now, files)
		}
	})
}

// openFiles is the number of open descriptors; 0 where the system does not say.
func openFiles(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// server is a TCP server that says exactly what a test has it say.
type server struct {
	ln    net.Listener
	tls   *tls.Config
	work  sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]bool
	count int
	quit  chan struct{}
	over  sync.Once
}

// peer is a connection, seen from the server.
type peer struct {
	net.Conn
	in *bufio.Reader
	n  int // number of the connection, from 1
	s  *server
}

func serve(t *testing.T, handle func(*peer)) *server { t.Helper(); return serveTLS(t, nil, handle) }

func serveTLS(t *testing.T, cfg *tls.Config, handle func(*peer)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, cfg, handle)
}

// serveOn is serveTLS on a listener of the test's, which it closes.
func serveOn(t *testing.T, ln net.Listener, cfg *tls.Config, handle func(*peer)) *server {
	t.Helper()
	s := &server{ln: ln, tls: cfg, conns: map[net.Conn]bool{}, quit: make(chan struct{})}
	s.work.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.count++
			n := s.count
			s.conns[c] = true
			select {
			case <-s.quit:
				_ = c.Close()
			default:
			}
			s.mu.Unlock()
			s.work.Go(func() {
				defer s.forget(c)
				p := &peer{Conn: c, n: n, s: s}
				if cfg != nil {
					p.Conn = tls.Server(c, cfg)
				}
				p.in = bufio.NewReader(p.Conn)
				handle(p)
			})
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *server) forget(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	_ = c.Close()
}

// accepted is how many connections there were.
func (s *server) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

func (s *server) stop() {
	s.mu.Lock()
	s.over.Do(func() { close(s.quit) })
	_ = s.ln.Close()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

func (s *server) url(path string) string {
	scheme := "http"
	if s.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + s.ln.Addr().String() + path
}

// port is where it listens.
func (s *server) port(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(s.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// request reads one with its body; nil at the end of the connection.
func (p *peer) request() *http.Request {
	r, err := http.ReadRequest(p.in)
	if err != nil {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return r
}

// say writes, and reports whether the peer was still there.
func (p *peer) say(parts ...string) bool {
	for _, s := range parts {
		if _, err := io.WriteString(p, s); err != nil {
			return false
		}
	}
	return true
}

// gone waits for the other side to close.
func (p *peer) gone() {
	_, _ = io.Copy(io.Discard, p.in)
}

// hold waits for c, and no longer than until the server stops.
func (p *peer) hold(c <-chan struct{}) {
	select {
	case <-c:
	case <-p.s.quit:
	}
}

// reset cuts the connection with an RST.
func (p *peer) reset() {
	if tcp, ok := p.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
	}
}

// answer is a server that reads a request and says s.
func answer(s ...string) func(*peer) {
	return func(p *peer) {
		if p.request() != nil {
			p.say(s...)
		}
	}
}

// fact is one call of a Handler.
type fact struct {
	text    string // what a test compares
	id      int
	tag     Tag
	at      Stamp
	timing  Timing
	elapsed time.Duration
	failure *Failure
}

// probe is a Handler that notes what it is told.
type probe struct {
	t      *testing.T
	eng    Engine
	clock  *Clock
	facts  chan fact
	on     func(fact)            // called in the Handler call, may be nil
	vars   func(int) target.Vars // may be nil
	msg    func(Tag) target.Vars // may be nil
	off    func(Tag) bool        // which sends are called off; may be nil
	begun  map[Tag]int           // sends that Message has begun, and Sent not ended
	asked  []message             // what Message was called with
	calls  int                   // unsynchronised on purpose: the race detector watches it
	inside atomic.Int32
}

func (p *probe) note(f fact) {
	if p.inside.Add(1) != 1 {
		p.t.Error("Handler calls overlap")
	}
	p.calls++
	if p.on != nil {
		p.on(f)
	}
	p.inside.Add(-1)
	if p.facts != nil {
		p.facts <- f
	}
}

func (p *probe) Vars(id int) target.Vars {
	p.calls++
	if p.vars != nil {
		return p.vars(id)
	}
	return target.Vars{Client: id, Room: id / 6}
}

func (p *probe) Message(tag Tag, due int64) (target.Vars, bool) {
	p.calls++
	p.asked = append(p.asked, message{tag, due})
	if p.off != nil && p.off(tag) {
		return target.Vars{}, false
	}
	if p.begun == nil {
		p.begun = map[Tag]int{}
	}
	p.begun[tag]++
	if p.msg != nil {
		return p.msg(tag), true
	}
	return target.Vars{Client: int(tag), Payload: fmt.Appendf(nil, "payload %d", tag)}, true
}

func (p *probe) Opened(id int, t Timing) { p.note(fact{text: "opened", id: id, timing: t}) }

func (p *probe) Event(id int, at Stamp, ev sse.Event) {
	text := fmt.Sprintf("%s %q", ev.Type, ev.Data)
	if len(ev.ID) > 0 {
		text += " id " + string(ev.ID)
	}
	p.note(fact{text: text, id: id, at: at})
}

func (p *probe) Comment(id int, at Stamp, text []byte) {
	p.note(fact{text: fmt.Sprintf("comment %q", text), id: id, at: at})
}

func (p *probe) Retry(id int, d time.Duration) {
	p.note(fact{text: "retry " + d.String(), id: id})
}

func (p *probe) Closed(id int, f *Failure) {
	p.note(fact{text: "closed: " + f.Key(), id: id, failure: f})
}

func (p *probe) Sent(tag Tag, elapsed time.Duration, f *Failure) {
	if p.begun[tag] == 0 {
		p.t.Errorf("send %d ended without having begun", tag)
	} else {
		p.begun[tag]--
	}
	text := "sent"
	if f != nil {
		text += ": " + f.Key()
	}
	p.note(fact{text: text, tag: tag, elapsed: elapsed, failure: f})
}

// next waits for the next fact.
func (p *probe) next() fact {
	p.t.Helper()
	select {
	case f := <-p.facts:
		return f
	case <-time.After(patience):
		p.t.Fatal("nothing happened")
		return fact{}
	}
}

// expect waits for the next fact, which must be the one given.
func (p *probe) expect(text string) fact {
	p.t.Helper()
	f := p.next()
	if f.text != text {
		p.t.Fatalf("%q happened (%v), want %q", f.text, f.failure, text)
	}
	return f
}

// untilClosed collects what happens up to the end of a subscription.
func (p *probe) untilClosed() (texts []string, end fact) {
	p.t.Helper()
	for {
		f := p.next()
		texts = append(texts, f.text)
		if f.failure != nil {
			return texts, f
		}
	}
}

// quiet checks that nothing more has happened once all that was asked of the
// engine before is done.
func (p *probe) quiet() {
	p.t.Helper()
	p.do(func() {})
	select {
	case f := <-p.facts:
		p.t.Errorf("%q happened (%v), want nothing", f.text, f.failure)
	default:
	}
}

// do has f called in the engine's context and waits for that.
func (p *probe) do(f func()) {
	p.t.Helper()
	done := make(chan struct{})
	p.eng.Do(func() {
		defer close(done)
		f()
	})
	await(p.t, done)
}

// now is the time on the engine's Clock.
func (p *probe) now() int64 { return p.clock.Now() }

func (p *probe) subscribe(id int, lastEventID string) {
	p.eng.Do(func() { p.eng.Subscribe(id, []byte(lastEventID)) })
}

// await waits for c to be closed or to say something.
func await[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("nothing happened")
	}
	return v
}

// at is a target without the trial connections of Resolve, which a scripted
// server would take for clients.
func at(t *testing.T, spec target.Spec) *target.Target {
	t.Helper()
	tg, err := target.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []*target.Endpoint{tg.Subscribe, tg.Send} {
		if e == nil {
			continue
		}
		way, err := e.Way(e.Scheme, e.HostPort)
		if err != nil {
			t.Fatal(err)
		}
		if way.Unix != "" {
			continue
		}
		addr, err := net.ResolveTCPAddr("tcp", way.HostPort)
		if err != nil {
			t.Fatal(err)
		}
		e.Addr = netip.AddrPortFrom(addr.AddrPort().Addr().Unmap(), addr.AddrPort().Port())
	}
	return tg
}

// start runs an engine with a probe until the test ends.
func start(t *testing.T, k Kind, cfg Config) *probe {
	t.Helper()
	p := &probe{t: t, facts: make(chan fact, 1<<16)}
	startWith(t, k, cfg, p)
	return p
}

func startWith(t *testing.T, k Kind, cfg Config, p *probe) {
	t.Helper()
	cfg.Handler = p
	cfg.Clients = max(1, cfg.Clients)
	if cfg.Clock == nil {
		cfg.Clock = NewClock()
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = patience
	}
	if got, err := k.For(cfg.Target); err != nil || got != k {
		t.Fatalf("%s is %s, %v", k, got, err)
	}
	eng, err := New(k, cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.eng, p.clock = eng, cfg.Clock
	var once sync.Once
	t.Cleanup(func() { once.Do(eng.Close) })
}

// refusedURL is one on which nothing listens.
func refusedURL(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return "http://" + ln.Addr().String() + "/"
}
