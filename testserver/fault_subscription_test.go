package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestFaultClose(t *testing.T) {
	s := start(t, Config{Faults: []Fault{{Kind: FaultClose, Every: 2, After: 3}}})
	kept, closed := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=a")
	p := newPoster(t, s.URL())
	for i := range 5 {
		want := 2
		if i >= 3 {
			want = 1
		}
		if a := p.post("a", fmt.Sprint(i+1)); a.Receivers != want {
			t.Errorf("message %d: %+v", i+1, a)
		}
	}
	closed.want("1", "2", "3")
	closed.wantEnd(false)
	kept.want("1", "2", "3", "4", "5")
	// The next one subscribed is odd, the one after it even: it sticks.
	odd, even := subscribe(t, s.URL(), "room=b"), subscribe(t, s.URL(), "room=b")
	for i := range 4 {
		p.post("b", fmt.Sprint(i))
	}
	odd.want("0", "1", "2", "3")
	even.want("0", "1", "2")
	even.wantEnd(false)
	if got := s.Injected()[FaultClose]; got != 2 {
		t.Errorf("injected %d", got)
	}
}

func TestFaultRefuse(t *testing.T) {
	s := start(t, Config{Faults: []Fault{{Kind: FaultRefuse, Every: 3}}})
	refused := 0
	for range 10 {
		conn, resp := dial(t, s.URL(), "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
		switch resp.StatusCode {
		case 503:
			refused++
		case 200:
		default:
			t.Fatal(resp.Status)
		}
		conn.Close()
	}
	st := newPoster(t, s.URL()).stats()
	if refused != 3 || st.Refused != 3 || st.injected(FaultRefuse) != 3 {
		t.Errorf("%d refused, stats %+v", refused, st)
	}
}

func TestFaultStall(t *testing.T) {
	for _, after := range []int{0, 2} {
		t.Run(fmt.Sprint("after=", after), func(t *testing.T) {
			const n = 6
			s := start(t, Config{
				Heartbeat: time.Millisecond, Greeting: true, Retry: time.Second,
				Faults: []Fault{{Kind: FaultStall, Every: 2, After: after}},
			})
			well, ill := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=a")
			p := newPoster(t, s.URL())
			for i := range n {
				if a := p.post("a", fmt.Sprint(i+1)); a.Receivers != 2 {
					t.Errorf("message %d: %+v", i+1, a)
				}
			}
			for beats := 0; beats < 3; { // three in all after the last message
				g := well.next()
				switch {
				case g.data == fmt.Sprint(n):
					beats = 0
				case g.comment != "":
					beats++
				}
			}
			st := p.stats()
			if want := int64(n - after); st.injected(FaultStall) != want || st.Clients != 2 {
				t.Errorf("stats %+v, want %d and both clients there", st, want)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if g := ill.next(); g.retry != "1000" {
				t.Errorf("got %+v, want what goes out with the head", g)
			}
			if g := ill.next(); g.typ != "open" {
				t.Errorf("got %+v, want what goes out with the head", g)
			}
			seen := 0
			for {
				g, err := ill.read()
				if err != nil {
					break
				}
				switch {
				case g.data != "":
					seen++
				case seen == after:
					t.Fatalf("got %+v, stalled", g)
				}
			}
			if seen != after {
				t.Errorf("got %d copies, want %d", seen, after)
			}
		})
	}
}

// TestFaultStallMisses all that other faults do: they do not count it.
func TestFaultStallMisses(t *testing.T) {
	s := start(t, Config{Faults: wrongs(t, "drop,every=2", "stall,after=1,every=2", "misroute,room=a")})
	b, stalled := subscribe(t, s.URL(), "room=b"), subscribe(t, s.URL(), "room=c")
	p := newPoster(t, s.URL())
	p.post("c", "1") // copy 1
	p.post("c", "2") // withheld
	p.post("c", "3")
	p.post("b", "4") // copy 2
	p.post("b", "5") // copy 3
	subscribe(t, s.URL(), "room=a").conn.Close()
	p.until("room a is empty", func(st Stats) bool { return st.Clients == 2 })
	p.post("a", "stray, to b")
	b.want("5", "stray, to b")
	stalled.want("1")
	if st := p.stats(); st.injected(FaultStall) != 2 || st.injected(FaultDrop) != 1 || st.injected(FaultMisroute) != 1 {
		t.Errorf("stats %+v", st.Injected)
	}
}

func TestMisrouteFindsWhoIsNotStalled(t *testing.T) {
	s := start(t, Config{Faults: wrongs(t, "stall,every=2,room=b", "misroute,room=a")})
	p := newPoster(t, s.URL())
	first, stalled := subscribe(t, s.URL(), "room=b"), subscribe(t, s.URL(), "room=b")
	p.post("a", "1")
	first.want("1")
	first.conn.Close()
	p.until("the first has left", func(st Stats) bool { return st.Clients == 1 })
	p.post("a", "2")
	if st := p.stats(); st.injected(FaultMisroute) != 1 || st.injected(FaultStall) != 0 {
		t.Errorf("stats %+v", st.Injected)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if text, _ := rest(stalled); text != "" {
		t.Errorf("got %q, stalled", text)
	}
}

// TestFaultsThatCut are those that end a connection: what each member's body
// holds, and how it ends, in each framing.
func TestFaultsThatCut(t *testing.T) {
	const event = "data: a message\n\n"
	half := func(text string) bool { return text == event[:len(event)/2] }
	for _, c := range []struct {
		fault Fault
		tail  func(text string) bool // of the body behind After events
	}{
		{Fault{Kind: FaultClose, After: 2}, func(text string) bool { return text == "" }},
		{Fault{Kind: FaultHalf}, half},
		{Fault{Kind: FaultHalf, After: 2}, half},
		{Fault{Kind: FaultGarbage}, nil},
		{Fault{Kind: FaultGarbage, After: 2}, nil},
	} {
		t.Run(fmt.Sprint(c.fault.Kind, c.fault.After), func(t *testing.T) {
			c.fault.Every = 2
			check := func(t *testing.T, p *poster, well, ill *sub, chunked bool) {
				for i := range 4 {
					want := 2
					if i > c.fault.After || i == c.fault.After && c.fault.Kind == FaultClose {
						want = 1
					}
					if a := p.post("a", "a message"); a.Receivers != want {
						t.Errorf("message %d: %+v, want %d receivers", i+1, a, want)
					}
				}
				well.want("a message", "a message", "a message", "a message")
				text, err := rest(ill)
				whole := strings.Repeat(event, c.fault.After)
				tail, ok := strings.CutPrefix(text, whole)
				switch {
				case !ok:
					t.Errorf("body %q does not begin with %q", text, whole)
				case c.tail != nil && !c.tail(tail):
					t.Errorf("body ends with %q", tail)
				case c.tail == nil && chunked && tail != "":
					t.Errorf("chunks with %q", tail)
				case c.tail == nil && !chunked && (len(tail) < 64 || strings.ContainsAny(tail, "\r\n")):
					t.Errorf("garbage %q", tail)
				}
				// HTTP/1.0 knows no other end.
				if bare := ill.resp.ProtoMajor == 1 && !chunked; (err == nil) != bare {
					t.Errorf("the body ends with %v", err)
				}
				if chunked && c.fault.Kind == FaultGarbage && errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the body ends with %v, want a chunk that is none", err)
				}
				if st := p.stats(); st.injected(c.fault.Kind) != 1 || st.Deliveries != uint64(4+c.fault.After) {
					t.Errorf("stats %+v", st)
				}
			}
			cfg := Config{Faults: []Fault{c.fault}}
			t.Run("chunked", func(t *testing.T) {
				s := start(t, cfg)
				check(t, newPoster(t, s.URL()), subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=a"), true)
			})
			t.Run("bare", func(t *testing.T) {
				s := start(t, cfg)
				well := subscribe(t, s.URL(), "room=a")
				conn, resp := dial(t, s.URL(), "GET /events?room=a HTTP/1.0\r\n\r\n")
				check(t, newPoster(t, s.URL()), well, &sub{t: t, conn: conn, resp: resp, in: bufio.NewReader(resp.Body)}, false)
			})
			t.Run("http2", func(t *testing.T) {
				h2 := overHTTP2(t, &cfg)
				s := start(t, cfg)
				p := &poster{t: t, base: s.URL(), client: h2}
				check(t, p, subscribeHTTP2(t, s, h2), subscribeHTTP2(t, s, h2), false)
				s.Close() // at once: HTTP/2 takes a second to end politely
			})
		})
	}
}

// TestOneFate: of several faults that befall a subscription the earliest does, of
// equals the first.
func TestOneFate(t *testing.T) {
	s := start(t, Config{Faults: wrongs(t, "close,after=3", "half,after=2", "garbage,after=2", "close,after=1,every=2")})
	half, closed := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=a")
	p := newPoster(t, s.URL())
	for i := range 4 {
		p.post("a", fmt.Sprint(i+1))
	}
	half.want("1", "2")
	half.wantEnd(false)
	closed.want("1")
	closed.wantEnd(false)
	for i, want := range []int64{0, 1, 0, 1} {
		if got := p.stats().Injected[i]; got.Injected != want {
			t.Errorf("%v: %d, want %d", got.Fault, got.Injected, want)
		}
	}
}

func TestFaultHeaders(t *testing.T) {
	const wait = 60 * time.Millisecond
	s := start(t, Config{Faults: []Fault{{Kind: FaultHeaders, Every: 2, Delay: wait}}})
	p := newPoster(t, s.URL())
	for i := range 4 {
		begin := time.Now()
		c := subscribe(t, s.URL(), "room=a")
		if took := time.Since(begin); i%2 == 1 && took < wait {
			t.Errorf("subscription %d took %v", i+1, took)
		}
		p.post("a", "hello")
		c.want("hello")
	}
	if st := p.stats(); st.injected(FaultHeaders) != 2 || st.Clients != 4 {
		t.Errorf("stats %+v", st)
	}
}

// holding reports whether a response head is being held back.
func holding() bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "holdHead(")
}

// TestFaultHeadersEnds holds heads back for an hour, from which only the client's
// leaving and the server's stop save.
func TestFaultHeadersEnds(t *testing.T) {
	cfg := Config{Faults: []Fault{{Kind: FaultHeaders, Every: 1, Delay: time.Hour, Room: "a"}}}
	held := func(t *testing.T, s *Server, n int64) {
		t.Helper()
		eventually(t, "the head is held back", func() bool { return s.Injected()[FaultHeaders] == n && holding() })
		if n := s.clients.Load(); n != 0 || members(s, "a") != 0 {
			t.Errorf("%d clients, %d members", n, members(s, "a"))
		}
	}
	t.Run("http1", func(t *testing.T) {
		s, stop := startStoppable(t, cfg)
		u, err := url.Parse(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		ask := func() net.Conn {
			conn, err := net.Dial("tcp", u.Host)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, "GET /events?room=a HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			return conn
		}
		gone := ask()
		held(t, s, 1)
		gone.Close()
		eventually(t, "the server has let go of a client that left", func() bool { return !holding() })
		kept := ask()
		held(t, s, 2)
		stop()
		resp, err := http.ReadResponse(bufio.NewReader(kept), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("answered %s", resp.Status)
		}
	})
	t.Run("http2", func(t *testing.T) {
		h2 := overHTTP2(t, &cfg)
		s, stop := startStoppable(t, cfg)
		ask := func(ctx context.Context) <-chan int {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/events?room=a", nil)
			if err != nil {
				t.Fatal(err)
			}
			status := make(chan int, 1)
			go func() {
				resp, err := h2.Do(req)
				if err != nil {
					status <- 0
					return
				}
				resp.Body.Close()
				status <- resp.StatusCode
			}()
			return status
		}
		ctx, leave := context.WithCancel(t.Context())
		status := ask(ctx)
		held(t, s, 1)
		leave()
		eventually(t, "the server has let go of a client that left", func() bool { return !holding() })
		if got := <-status; got != 0 {
			t.Errorf("a client that left got %d", got)
		}
		status = ask(t.Context())
		held(t, s, 2)
		stop()
		if got := <-status; got != http.StatusServiceUnavailable {
			t.Errorf("answered %d", got)
		}
	})
}

// TestFaultBlock: one member that does not read holds up its room and the sender,
// until it reads, leaves or the server stops.
func TestFaultBlock(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(s *Server, idle *sub)
	}{
		{"it reads", func(_ *Server, idle *sub) {
			go func() { _, _ = io.Copy(io.Discard, idle.conn) }() // ends with the connection
		}},
		{"it leaves", func(_ *Server, idle *sub) { idle.conn.Close() }},
		{"the server stops", func(s *Server, _ *sub) { _ = s.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, Config{Faults: wrongs(t, "block,every=2")})
			subscribe(t, s.URL(), "room=b") // odd
			idle := subscribe(t, s.URL(), "room=a")
			text := strings.Repeat("x", 1<<20)
			posted := make(chan error, 1)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			go func() {
				for range 16 { // more than the kernel holds on both sides
					if err := post(ctx, s.URL(), "a", text); err != nil {
						posted <- err
						return
					}
				}
				posted <- nil
			}()
			p := newPoster(t, s.URL())
			p.until("a copy waits", func(st Stats) bool { return st.injected(FaultBlock) > 0 })
			if a := p.post("b", "not held up"); a.Receivers != 1 {
				t.Errorf("room b: %+v", a)
			}
			select {
			case err := <-posted:
				t.Fatalf("16 MiB were posted to who does not read (%v)", err)
			default:
			}
			c.end(s, idle)
			if err := <-posted; err != nil && c.name != "the server stops" {
				t.Error(err)
			}
		})
	}
}

// post sends text to a room.
func post(ctx context.Context, url, room, text string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/rooms/"+room+"/messages", strings.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
