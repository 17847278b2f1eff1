package testserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

func TestFaultMisroute(t *testing.T) {
	s := start(t, Config{Faults: []Fault{{Kind: FaultMisroute, Every: 3}}})
	a, b := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=b")
	b2 := subscribe(t, s.URL(), "room=b")
	p := newPoster(t, s.URL())
	for i := range 7 {
		p.post("a", fmt.Sprint("a", i+1))
	}
	p.post("b", "b8")
	p.post("b", "b9") // the 9th message: after the last room comes the first
	a.want("a1", "a2", "a3", "a4", "a5", "a6", "a7", "b9")
	b.want("a3", "a6", "b8", "b9")
	b2.want("b8", "b9")
	if st := p.stats(); st.injected(FaultMisroute) != 3 || st.Deliveries != 14 {
		t.Errorf("stats %+v", st)
	}
	_, copies, injected := faulty(t, 2, 6, Fault{Kind: FaultMisroute, Every: 2})
	if copies != 12 || injected[FaultMisroute] != 0 {
		t.Errorf("without another room: %d copies, %v", copies, injected)
	}
}

func TestFaultDelay(t *testing.T) {
	const wait = 40 * time.Millisecond
	s := start(t, Config{Faults: []Fault{{Kind: FaultDelay, Every: 1, Delay: wait}}})
	subs := []*sub{subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=a")}
	p := newPoster(t, s.URL())
	begin := time.Now()
	for i := range 10 {
		p.post("a", fmt.Sprint(i+1))
	}
	for _, c := range subs {
		c.want("1")
		if d := time.Since(begin); d < wait {
			t.Errorf("first copy after %v", d)
		}
		c.want(sequence(10, func(int) int { return 1 })[1:]...)
	}
	p.until("all are delivered", func(st Stats) bool { return st.Deliveries == 20 && st.injected(FaultDelay) == 20 })
}

func TestFaultDelaySomeKeepsTheOrder(t *testing.T) {
	const wait = 20 * time.Millisecond
	s := start(t, Config{Faults: []Fault{{Kind: FaultDelay, Every: 5, Delay: wait}}})
	a, b := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=b")
	p := newPoster(t, s.URL())
	for i := range 4 {
		p.post("a", fmt.Sprint(i+1))
	}
	begin := time.Now()
	p.post("a", "5")
	p.post("a", "6")
	p.post("b", "not behind it")
	b.want("not behind it")
	a.want("1", "2", "3", "4", "5")
	if d := time.Since(begin); d < wait {
		t.Errorf("5 came after %v", d)
	}
	a.want("6")
	if st := p.stats(); st.injected(FaultDelay) != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestFaultDelayIsCutShortByTheEnd(t *testing.T) {
	s, stop := startStoppable(t, Config{Faults: []Fault{{Kind: FaultDelay, Every: 1, Delay: time.Hour}}})
	c := subscribe(t, s.URL(), "room=a")
	p := newPoster(t, s.URL())
	p.post("a", "1")
	p.post("a", "2")
	stop()
	c.want("1", "2")
	c.wantEnd(true)
}

func TestFaultDelayIsSummed(t *testing.T) {
	const low, high = 2 * time.Millisecond, 6 * time.Millisecond
	s := start(t, Config{Faults: wrongs(t, "delay=uniform:2ms-6ms,every=2", "delay=3ms,room=b")})
	a := []*sub{subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=a")}
	b := subscribe(t, s.URL(), "room=b")
	p := newPoster(t, s.URL())
	for i := range 10 {
		p.post("a", fmt.Sprint(i))
		for _, c := range a {
			c.want(fmt.Sprint(i))
		}
	}
	st := p.stats()
	if n := time.Duration(st.FaultDelayNS); st.Injected[0].Injected != 10 || n < 10*low || n > 10*high {
		t.Errorf("stats %+v", st)
	}
	p.post("b", "x") // the 11th
	b.want("x")
	if after := p.stats(); after.FaultDelayNS-st.FaultDelayNS != int64(3*time.Millisecond) || after.Injected[1].Injected != 1 {
		t.Errorf("stats %+v, then %+v", st, after)
	}
}

// TestReadIsCounted: who has read a copy, or the end of a stream, finds all counted
// that was done to it. The delay line sends after the sender has its answer.
func TestReadIsCounted(t *testing.T) {
	const n = 100
	s := start(t, Config{Faults: wrongs(t, "delay=100us", "comments=2", "duplicate,room=a", "misroute,room=a", "close,after=1,room=c", "reorder,every=2,room=d")})
	a, b := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=b")
	p := newPoster(t, s.URL())
	counted := func(deliveries uint64, want ...int64) {
		t.Helper()
		st, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if got := st.Injected[i]; got.Injected != w {
				t.Fatalf("%v: %d, want %d", got.Fault, got.Injected, w)
			}
		}
		if st.Deliveries != deliveries {
			t.Fatalf("%d deliveries, want %d", st.Deliveries, deliveries)
		}
	}
	for i := range int64(n) {
		p.post("a", "1")
		b.want("1")
		a.want("1", "1")
		counted(uint64(3*i+3), i+1, 2*i+2, i+1, i+1)
	}
	for i := range int64(n) {
		c := subscribe(t, s.URL(), "room=c")
		p.post("c", "1")
		c.want("1")
		c.wantEnd(false)
		counted(uint64(3*n+i+1), n+i+1, 2*n+2*i+2, n, n, i+1)
		p.until("it has left", func(st Stats) bool { return st.Clients == 2 })
	}
	d := subscribe(t, s.URL(), "room=d")
	for i := range int64(n) {
		p.post("d", "odd")
		p.post("d", "held")
		d.want("odd")
		if i > 0 {
			d.want("held") // since the round before
		}
		counted(uint64(4*n+2*i+1), 2*n+2*i+2, 4*n+4*i+2, n, n, n, i)
	}
}

func TestFaultFreeze(t *testing.T) {
	const wait = 60 * time.Millisecond
	s := start(t, Config{Faults: []Fault{{Kind: FaultFreeze, Every: 3, Delay: wait}}})
	a, b := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=b")
	p := newPoster(t, s.URL())
	for i := range 7 {
		begin := time.Now()
		p.post([]string{"a", "b"}[i%2], fmt.Sprint(i))
		if took := time.Since(begin); i%3 == 2 && took < wait {
			t.Errorf("message %d took %v", i, took)
		}
	}
	a.want("0", "2", "4", "6")
	b.want("1", "3", "5")
	if st := p.stats(); st.injected(FaultFreeze) != 2 || st.Deliveries != 7 {
		t.Errorf("stats %+v", st)
	}
}

// TestFaultFreezeStopsEverything looks at a server that is frozen for an hour,
// and then has it stop.
func TestFaultFreezeStopsEverything(t *testing.T) {
	s, stop := startStoppable(t, Config{
		Heartbeat: time.Millisecond,
		Faults:    wrongs(t, "delay=200ms,room=late", "freeze=1h,room=a"),
	})
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	late, a := subscribe(t, s.URL(), "room=late"), subscribe(t, s.URL(), "room=a")
	p := newPoster(t, s.URL())
	p.post("late", "due when all is frozen")
	send := func(request string) net.Conn {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	freezer := send("POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
	eventually(t, "it is frozen", func() bool {
		s.inject.ice.mu.Lock()
		defer s.inject.ice.mu.Unlock()
		return s.inject.ice.frozen
	})
	waiting := []net.Conn{
		freezer,
		send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
		send("GET /events?room=a HTTP/1.1\r\nHost: x\r\n\r\n"),
		send("POST /rooms/b/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
	}
	deadline := time.Now().Add(300 * time.Millisecond)
	for i, conn := range waiting {
		if err := conn.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d is answered, %d bytes, %v", i, n, err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	// What the members got before that is at hand; then there is nothing.
	for _, c := range []*sub{late, a} {
		if err := c.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		for {
			g, err := c.read()
			if err == nil && g.data == "" {
				continue // a heartbeat
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("a frozen server sends %+v, %v", g, err)
			}
			break
		}
	}
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > stopGrace {
		t.Errorf("stopping took %v", took)
	}
	for i, conn := range waiting {
		text, err := io.ReadAll(conn)
		if subscriber := i == 2; err != nil || !subscriber && !strings.HasPrefix(string(text), "HTTP/1.1 200 OK\r\n") {
			t.Errorf("connection %d gets %q, %v", i, text, err)
		}
	}
	if got := s.Injected()[FaultFreeze]; got != 1 {
		t.Errorf("injected %d", got)
	}
}

func TestFreezePostpones(t *testing.T) {
	var i ice
	var got []int
	over := make(chan struct{})
	thawed := make(chan struct{})
	i.orLater(func() { got = append(got, 0) })
	go func() {
		i.freeze(time.Hour, over)
		close(thawed)
	}()
	eventually(t, "it is frozen", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.frozen
	})
	for n := 1; n <= 3; n++ {
		i.orLater(func() {
			got = append(got, n)
			if n == 3 {
				i.orLater(func() { got = append(got, 4) })
			}
		})
	}
	select {
	case <-thawed:
		t.Fatal("thawed by itself")
	default:
	}
	close(over)
	<-thawed
	i.orLater(func() { got = append(got, 5) })
	if want := "[0 1 2 3 4 5]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
