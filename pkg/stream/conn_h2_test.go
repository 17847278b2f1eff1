package stream

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sseload/sseload/pkg/target"
)

// web is package net/http's server in the form that t is about, for what a handler
// of HTTP/1.1 text cannot say. set may change it.
func web(t *testing.T, h http.HandlerFunc, set func(*http.Server)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{ln: ln, quit: make(chan struct{})}
	server := s.webServer(t, h)
	if set != nil {
		set(server)
	}
	s.run(t, server)
	return s
}

// streaming opens a stream that says text, and stays until the client goes.
func streaming(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush() // whoever is not there any more hears nothing
	<-r.Context().Done()
}

// TestStreamsShareConnections has as many connections as were asked for.
func TestStreamsShareConnections(t *testing.T) {
	everyHTTP2(t, func(t *testing.T, k Kind) {
		const clients, share = 2000, 100
		s := web(t, func(w http.ResponseWriter, r *http.Request) { streaming(w, r, "data: "+r.URL.Path+"\n\n") }, nil)
		var connections atomic.Int64
		p := start(t, k, Config{
			Target: at(t, target.Spec{URL: s.url("/{client}")}), Clients: clients, StreamsPerConnection: share, Connections: &connections,
		})
		p.do(func() {
			for id := range clients {
				p.eng.Subscribe(id, nil)
			}
		})
		opened := map[int]Timing{}
		for events := 0; events < clients; {
			switch f := p.next(); f.text {
			case "opened":
				checkTiming(t, f.timing)
				opened[f.id] = f.timing
			case fmt.Sprintf(`message "/%d"`, f.id):
				events++
			default:
				t.Fatalf("%s: %v", f.text, f.failure)
			}
		}
		if len(opened) != clients {
			t.Errorf("%d opened, want %d", len(opened), clients)
		}
		if n := s.accepted(); n != clients/share || connections.Load() != clients/share {
			t.Errorf("%d connections, %d counted, want %d", n, connections.Load(), clients/share)
		}
		// Who comes later finds the connection there.
		p.do(func() { p.eng.Unsubscribe(150) })
		p.subscribe(150, "")
		again := p.expect("opened").timing
		if again.Connected != again.Dialed || again.Requested < again.Dialed {
			t.Errorf("on a connection that is there: %+v", again)
		}
		p.expect(`message "/150"`)
		p.quiet()
		if n := s.accepted(); n != clients/share {
			t.Errorf("%d connections after another subscription", n)
		}
	})
}

// TestLargeEvent is one of 14 MB, for which the windows must be given back, beside
// small ones on the same connection.
func TestLargeEvent(t *testing.T) {
	everyHTTP2(t, func(t *testing.T, k Kind) {
		large := strings.Repeat("x", 14<<20)
		s := web(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/0" {
				streaming(w, r, "data: "+large+"\n\n")
			} else {
				streaming(w, r, "data: small\n\n")
			}
		}, nil)
		p := &probe{t: t, facts: make(chan fact, 100)}
		p.on = func(f fact) {
			if f.id == 0 && strings.HasPrefix(f.text, "message") && f.text != `message "`+large+`"` {
				t.Errorf("%.40s is not the event that was sent", f.text)
			}
		}
		startWith(t, k, Config{
			Target: at(t, target.Spec{URL: s.url("/{client}")}), Clients: 2, StreamsPerConnection: 2, MaxEventSize: 16 << 20,
		}, p)
		p.subscribe(0, "")
		p.subscribe(1, "")
		got := map[string]int{}
		for range 4 {
			f := p.next()
			got[f.text[:min(len(f.text), 12)]]++
		}
		if got["opened"] != 2 || got[`message "xxx`] != 1 || got[`message "sma`] != 1 {
			t.Errorf("%v happened", got)
		}
		if n := s.accepted(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// TestStreamLimit: who is beyond it fails at once, and no connection is opened for
// them; whoever comes when there is room opens.
func TestStreamLimit(t *testing.T) {
	everyHTTP2(t, func(t *testing.T, k Kind) {
		const clients, limit = 10, 3
		s := web(t, func(w http.ResponseWriter, r *http.Request) { streaming(w, r, "") },
			func(web *http.Server) { web.HTTP2.MaxConcurrentStreams = limit })
		p := start(t, k, Config{
			Target: at(t, target.Spec{URL: s.url("/{client}")}), Clients: clients, StreamsPerConnection: clients,
		})
		p.subscribe(0, "")
		p.expect("opened") // and with it have come the settings
		p.do(func() {
			for id := 1; id < clients; id++ {
				p.eng.Subscribe(id, nil)
			}
		})
		got := map[string]int{}
		for range clients - 1 {
			f := p.next()
			got[f.text]++
			if f.failure != nil && (!strings.Contains(f.failure.Error(), "allows 3 concurrent streams") || !strings.Contains(f.failure.Error(), "--streams-per-connection")) {
				t.Errorf("%q does not say which limit", f.failure)
			}
		}
		if got["opened"] != limit-1 || got["closed: stream limit"] != clients-limit {
			t.Errorf("%v happened", got)
		}
		p.do(func() { p.eng.Unsubscribe(0) })
		p.subscribe(clients-1, "")
		p.expect("opened")
		p.quiet()
		if n := s.accepted(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// TestStreamLimitUnknown has all subscribe before the server says how many it takes.
func TestStreamLimitUnknown(t *testing.T) {
	everyHTTP2(t, func(t *testing.T, k Kind) {
		const clients, limit = 300, 150
		s := web(t, func(w http.ResponseWriter, r *http.Request) { streaming(w, r, "") },
			func(web *http.Server) { web.HTTP2.MaxConcurrentStreams = limit })
		p := start(t, k, Config{
			Target: at(t, target.Spec{URL: s.url("/{client}")}), Clients: clients, StreamsPerConnection: clients,
		})
		p.do(func() {
			for id := range clients {
				p.eng.Subscribe(id, nil)
			}
		})
		got := map[string]int{}
		for range clients {
			got[p.next().text]++
		}
		if got["opened"] != limit || got["closed: stream limit"] != clients-limit {
			t.Errorf("%v happened", got)
		}
		if n := s.accepted(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// framed is a server that says frames: what package net/http's would not.
type framed struct {
	*peer
	*http2.Framer
}

// serveFrames has handle called for each connection, its preface and settings read.
func serveFrames(t *testing.T, handle func(*framed)) *server {
	t.Helper()
	return serve(t, func(p *peer) {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(p.in, preface); err != nil || string(preface) != http2.ClientPreface {
			t.Errorf("a connection begins with %q, %v", preface, err)
			return
		}
		f := &framed{peer: p, Framer: http2.NewFramer(p, p.in)}
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		if err := f.WriteSettings(); err != nil {
			t.Error(err)
		}
		handle(f)
	})
}

// next is the next frame of type f, or nil at the end.
func nextFrame[F http2.Frame](f *framed) (frame F, ok bool) {
	for {
		any, err := f.ReadFrame()
		if err != nil {
			return frame, false
		}
		if frame, ok = any.(F); ok {
			return frame, true
		}
	}
}

func (f *framed) open(id uint32) {
	// Both are in the static table, RFC 7541 appendix A: :status 200, and content-type.
	block := append([]byte{0x88, 0x0f, 0x10, byte(len("text/event-stream"))}, "text/event-stream"...)
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true})
}

// TestSettingsAndSilence: a server that greets and then does nothing is tried anew.
func TestSettingsAndSilence(t *testing.T) {
	theseEngines(t, []Kind{Conn, NetHTTP, R3Labs}, func(t *testing.T, k Kind) {
		s := serveFrames(t, func(f *framed) {
			for {
				h, ok := nextFrame[*http2.MetaHeadersFrame](f)
				if !ok {
					return
				}
				if f.n > 1 {
					f.open(h.StreamID)
				}
			}
		})
		spec := target.Spec{URL: s.url("/"), HTTP: target.HTTP2}
		p := start(t, k, Config{Target: at(t, spec), Timeout: 300 * time.Millisecond})
		if p.untilOpened(0) == 0 {
			t.Error("a silent connection opened a stream")
		}
	})
}

// useUp leaves the connections of an engine one number each for a stream.
func useUp(p *probe) {
	p.t.Helper()
	c, ok := p.eng.(*conn)
	if !ok {
		p.t.Fatal("it is not engine conn that counts")
	}
	for m := range c.muxes {
		next := reflect.ValueOf(&m.http).Elem().FieldByName("next")
		*(*uint32)(next.Addr().UnsafePointer()) = 1<<31 - 1
	}
}

// TestLastNumber: who comes once the numbers of a connection are used up has another.
func TestLastNumber(t *testing.T) {
	everyHTTP2(t, func(t *testing.T, k Kind) {
		if k != Conn {
			t.Skip("it has the numbers from package net/http")
		}
		s := web(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				streaming(w, r, "")
			}
		}, nil)
		p := start(t, k, Config{
			Target: at(t, target.Spec{URL: s.url("/"), SendURL: s.url("/send")}), Clients: 3, StreamsPerConnection: 3,
		})
		for id := range 3 {
			p.subscribe(id, "")
			if f := p.expect("opened"); f.id != id {
				t.Errorf("%d opened, want %d", f.id, id)
			}
			if id == 0 {
				p.do(func() { useUp(p) })
			}
		}
		for n := range 3 {
			p.send(1)
			p.expect("sent")
			if n == 0 {
				p.do(func() { useUp(p) })
			}
		}
		if n := s.accepted(); n != 4 {
			t.Errorf("%d connections, want 2 for streams and 2 for sends", n)
		}
		p.do(func() {
			for id := range 3 {
				p.eng.Unsubscribe(id)
			}
		})
	})
}

// TestRefusedStream: a server may refuse a stream for reasons of its own. It is one of
// the limit only if that is known to be too low.
func TestRefusedStream(t *testing.T) {
	theseEngines(t, []Kind{Conn, NetHTTP}, func(t *testing.T, k Kind) {
		for limit, want := range map[uint32]string{
			2: "the server refused the stream (REFUSED_STREAM) and did not process the request",
			1: "the server allows 1 concurrent streams on a connection; lower --streams-per-connection",
		} {
			s := serveFrames(t, func(f *framed) {
				_ = f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: limit})
				for {
					h, ok := nextFrame[*http2.MetaHeadersFrame](f)
					if !ok {
						return
					}
					_ = f.WriteRSTStream(h.StreamID, http2.ErrCodeRefusedStream)
				}
			})
			spec := target.Spec{URL: s.url("/"), HTTP: target.HTTP2}
			p := start(t, k, Config{Target: at(t, spec), Clients: 2, StreamsPerConnection: 2})
			p.subscribe(0, "")
			if f := p.next(); f.failure == nil || !strings.Contains(f.failure.Error(), want) || (f.failure.Class == Reset) != (limit == 2) {
				t.Errorf("with a limit of %d: %s: %v, want %s", limit, f.text, f.failure, want)
			}
			p.eng.Close()
		}
	})
}

// TestRequestsThatWait: more than can be made ready at once is written in turn, and who
// comes and goes while nothing is written leaves nothing behind.
func TestRequestsThatWait(t *testing.T) {
	everyHTTP2(t, func(t *testing.T, k Kind) {
		const clients, most = 100, 1 << 20
		s := web(t, func(w http.ResponseWriter, r *http.Request) { streaming(w, r, "") }, nil)
		spec := target.Spec{URL: s.url("/"), Headers: []string{"X: " + strings.Repeat("x", 20_000)}}
		p := start(t, k, Config{Target: at(t, spec), Clients: clients + 1, StreamsPerConnection: clients + 1})
		for range 2 { // dialling, and connected
			p.do(func() {
				for id := range clients {
					p.eng.Subscribe(id, nil)
				}
			})
			for range clients {
				p.expect("opened")
			}
			p.do(func() {
				for id := range clients {
					p.eng.Unsubscribe(id)
				}
			})
		}
		if n := s.accepted(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
		if k != Conn {
			return
		}
		p.do(func() {
			for range clients {
				p.eng.Subscribe(clients, nil)
				p.eng.Unsubscribe(clients)
			}
			for m := range p.eng.(*conn).muxes {
				if n := len(m.http.Take(nil)); n == 0 || n > most {
					t.Errorf("%d bytes wait to be written", n)
				}
			}
		})
	})
}

// TestGoAway: who was processed goes on, the others fail, and who subscribes then
// has another connection.
func TestGoAway(t *testing.T) {
	checkLeaks(t)
	finish, closed := make(chan struct{}), make(chan struct{})
	s := serveFrames(t, func(f *framed) {
		for n := 1; n <= 3; n++ {
			h, ok := nextFrame[*http2.MetaHeadersFrame](f)
			if !ok {
				return
			}
			if f.n == 1 && n == 3 {
				_ = f.WriteGoAway(3, http2.ErrCodeNo, []byte("deploying"))
				break
			}
			f.open(h.StreamID)
			_ = f.WriteData(h.StreamID, false, fmt.Appendf(nil, "data: %d\n\n", f.n))
			if f.n == 2 {
				if tcp, ok := f.Conn.(*net.TCPConn); !ok || tcp.CloseWrite() != nil {
					t.Error("the connection cannot be half closed")
				}
				f.peer.gone()
				return
			}
		}
		_ = f.WriteData(1, false, []byte("data: still here\n\n"))
		_ = f.WriteData(1, true, nil)
		f.hold(finish)
		_ = f.WriteData(3, true, nil)
		f.peer.gone() // the client closes what has no stream any more
		close(closed)
	})
	spec := target.Spec{URL: s.url("/{client}"), HTTP: target.HTTP2}
	var connections atomic.Int64
	p := start(t, Conn, Config{Target: at(t, spec), Clients: 3, StreamsPerConnection: 3, Connections: &connections})
	for id := range 2 {
		p.subscribe(id, "")
		p.expect("opened")
		p.expect(`message "1"`)
	}
	p.subscribe(2, "")
	f := p.expect("closed: closed early")
	if text := f.failure.Error(); f.id != 2 || !strings.Contains(text, `"deploying"`) || !strings.Contains(text, "did not process") {
		t.Errorf("%d failed, %q", f.id, text)
	}
	p.expect(`message "still here"`)
	p.expect("closed: ended")
	p.subscribe(2, "")
	p.expect("opened")
	p.expect(`message "2"`)
	p.expect("closed: closed early") // the second connection ends without ending its stream
	close(finish)
	if f := p.expect("closed: ended"); f.id != 1 {
		t.Errorf("%d ended, want 1", f.id)
	}
	await(t, closed)
	p.quiet()
	if connections.Load() != 2 || s.accepted() != 2 {
		t.Errorf("%d connections, %d accepted, want 2", connections.Load(), s.accepted())
	}
}

// TestBrokenConnection fails all of its streams, and whoever subscribes again from
// within shares the next one.
func TestBrokenConnection(t *testing.T) {
	everyHTTP2(t, func(t *testing.T, k Kind) {
		const clients = 50
		var mu sync.Mutex
		var first []net.Conn
		s := web(t, func(w http.ResponseWriter, r *http.Request) {
			if tcp, ok := r.Context().Value(connKey{}).(net.Conn); ok {
				mu.Lock()
				first = append(first, tcp)
				mu.Unlock()
			}
			streaming(w, r, "")
		}, nil)
		p := &probe{t: t, facts: make(chan fact, 1000)}
		p.on = func(f fact) {
			if f.failure != nil {
				p.eng.Subscribe(f.id, nil)
			}
		}
		startWith(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Clients: clients, StreamsPerConnection: clients}, p)
		p.do(func() {
			for id := range clients {
				p.eng.Subscribe(id, nil)
			}
		})
		for range clients {
			p.expect("opened")
		}
		mu.Lock()
		if tcp, ok := first[0].(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
			_ = tcp.Close()
		}
		mu.Unlock()
		got := map[string]int{}
		for range 2 * clients {
			got[p.next().text]++
		}
		if got["closed: reset"] != clients || got["opened"] != clients {
			t.Errorf("%v happened", got)
		}
		p.quiet()
		if n := s.accepted(); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
	})
}

// TestConnMeetsStrangers: a server that speaks something else is called by its name.
func TestConnMeetsStrangers(t *testing.T) {
	good, trust := certificate(t, "127.0.0.1")
	for _, c := range []struct {
		name  string
		tls   *tls.Config
		https bool
		say   string
		want  string
		text  string
	}{
		{"HTTP/1.1", nil, false, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "protocol", "the server speaks HTTP/1.1, not HTTP/2"},
		{"TLS", nil, false, "\x15\x03\x01\x00\x02\x02\x46", "protocol", "the server speaks TLS"},
		{"HTTP/1.1 over TLS", good, true, "", "protocol", "the server does not take HTTP/2"},
		{"no protocol in common", func() *tls.Config {
			c := good.Clone()
			c.NextProtos = []string{"http/1.1"}
			return c
		}(), true, "", "tls", "no application protocol"},
		{"a frame that is none", nil, false, "\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x07\x06\x00\x00\x00\x00\x00", "protocol", "PING of 7 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkLeaks(t)
			s := serveTLS(t, c.tls, func(p *peer) {
				if _, err := p.in.Peek(1); err == nil {
					p.say(c.say)
				}
				p.gone()
			})
			url := "http://" + s.ln.Addr().String() + "/"
			if c.https {
				url = strings.Replace(url, "http", "https", 1)
			}
			p := start(t, Conn, Config{Target: at(t, target.Spec{URL: url, SendURL: url, HTTP: target.HTTP2, RootCAs: trust, SendHeaders: []string{"X: {payload}"}})})
			p.subscribe(0, "")
			if f := p.expect("closed: " + c.want); !strings.Contains(f.failure.Error(), c.text) {
				t.Errorf("%q does not say %q", f.failure, c.text)
			}
			p.send(1)
			if f := p.expect("sent: " + c.want); !strings.Contains(f.failure.Error(), c.text) {
				t.Errorf("the send: %q does not say %q", f.failure, c.text)
			}
			p.quiet()
		})
	}
}

// TestClosedUngreeted: a server that says nothing to HTTP/2 may not know it.
func TestClosedUngreeted(t *testing.T) {
	theseEngines(t, []Kind{Conn, NetHTTP}, func(t *testing.T, k Kind) {
		for want, end := range map[string]func(*peer){
			"closed early": func(p *peer) {
				if tcp, ok := p.Conn.(*net.TCPConn); !ok || tcp.CloseWrite() != nil {
					t.Error("the connection cannot be half closed")
				}
				p.gone()
			},
			"reset": func(p *peer) { _, _ = p.in.Peek(1); p.reset() },
		} {
			s := serve(t, end)
			p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/"), SendURL: s.url("/"), HTTP: target.HTTP2, SendHeaders: []string{"X: {payload}"}})})
			p.subscribe(0, "")
			subscribed := p.expect("closed: " + want).failure
			p.send(1)
			for _, f := range []*Failure{subscribed, p.expect("sent: " + want).failure} {
				if !strings.HasSuffix(f.Error(), "; does it speak HTTP/2 without TLS?") || strings.Contains(f.Error(), "EOF") {
					t.Errorf("%q does not say what may be wrong", f)
				}
			}
			p.eng.Close()
		}
	})
}

// TestServerThatDoesNotRead holds up who writes to it, and nobody else.
func TestServerThatDoesNotRead(t *testing.T) {
	checkLeaks(t)
	s := serveFrames(t, func(f *framed) {
		h, ok := nextFrame[*http2.MetaHeadersFrame](f)
		if !ok {
			return
		}
		f.open(h.StreamID)
		// The windows are never looked at, and so never overstepped in vain.
		for f.WritePing(false, [8]byte{}) == nil {
			if f.WriteData(h.StreamID, false, []byte("data: a\n\n")) != nil {
				return
			}
		}
	})
	p := start(t, Conn, Config{Target: at(t, target.Spec{URL: s.url("/"), HTTP: target.HTTP2})})
	p.facts = make(chan fact, 1)
	done := make(chan *Failure, 1)
	p.on = func(f fact) {
		select {
		case <-p.facts:
		default:
		}
		if f.failure != nil {
			done <- f.failure
		}
	}
	p.subscribe(0, "")
	if f := await(t, done); f.Class != Protocol || !strings.Contains(f.Error(), "asks for more than it reads") {
		t.Errorf("it ended by %s: %v", f.Class, f)
	}
}

// TestSendsShareAConnection: sends have one of their own, and another only where the
// server allows fewer streams than there may be sends.
func TestSendsShareAConnection(t *testing.T) {
	everyHTTP2(t, func(t *testing.T, k Kind) {
		for limit, want := range map[int]int{1000: 1, 5: 4} {
			const most = 20
			all := make(chan struct{})
			var now, seen atomic.Int64
			s := web(t, func(_ http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err != nil || !strings.HasPrefix(string(body), "payload ") {
					t.Errorf("sent %q, %v", body, err)
				}
				if n := now.Add(1); n == most && seen.CompareAndSwap(0, 1) {
					close(all)
				} else if n > most {
					t.Errorf("%d sends are under way, %d are allowed", n, most)
				}
				<-all
				now.Add(-1)
			}, func(web *http.Server) { web.HTTP2.MaxConcurrentStreams = limit })
			p := sending(t, k, s, Config{SendConnections: most})
			p.do(func() { p.eng.Send(1000, 0) }) // the settings come with its connection
			for tag := range Tag(2*most - 1) {
				p.send(tag)
			}
			for range 2 * most {
				p.expect("sent")
			}
			p.quiet()
			if n := s.accepted(); n < want || limit == 1000 && n != 1 {
				t.Errorf("%d connections with %d streams each, want %d", n, limit, want)
			}
			p.eng.Close()
		}
	})
}

// nodeServer is an HTTP/2 server of Node's: each path its own event, and what is
// posted answered by its length.
const nodeServer = `
const s = require('http2').createServer()
s.on('stream', (stream, headers) => {
  if (headers[':method'] === 'POST') {
    let n = 0
    stream.on('data', d => n += d.length)
    stream.on('end', () => { stream.respond({':status': n > 100000 ? 200 : 400}); stream.end() })
    return
  }
  stream.respond({':status': 200, 'content-type': 'text/event-stream'})
  stream.write('data: ' + headers[':path'] + ' ' + headers['last-event-id'] + '\n\n')
  stream.on('error', () => {})
})
s.listen(0, '127.0.0.1', () => console.log(s.address().port))
process.stdin.on('end', () => process.exit(0)).resume()
`

func TestNodeHTTP2(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	checkLeaks(t)
	cmd := exec.Command(node, "-e", nodeServer)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // how it ended does not matter any more
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	const clients = 200
	url := "http://127.0.0.1:" + strings.TrimSpace(port)
	var connections atomic.Int64
	p := start(t, Conn, Config{
		Target: at(t, target.Spec{URL: url + "/{client}", SendURL: url + "/send", HTTP: target.HTTP2}), Clients: clients,
		StreamsPerConnection: 50, SendConnections: 4, Connections: &connections,
	})
	p.msg = func(Tag) target.Vars { return target.Vars{Payload: make([]byte, 200_000)} }
	p.do(func() {
		for id := range clients {
			p.eng.Subscribe(id, []byte("urn:x"))
		}
	})
	for events := 0; events < clients; {
		switch f := p.next(); f.text {
		case "opened":
		case fmt.Sprintf(`message "/%d urn:x" id urn:x`, f.id):
			events++
		default:
			t.Fatalf("%s: %v", f.text, f.failure)
		}
	}
	p.send(1, 2, 3, 4, 5, 6, 7, 8)
	for range 8 {
		p.expect("sent")
	}
	p.do(func() {
		for id := range clients {
			p.eng.Unsubscribe(id)
		}
	})
	p.quiet()
	if n := connections.Load(); n != clients/50 {
		t.Errorf("%d connections, want %d", n, clients/50)
	}
}
