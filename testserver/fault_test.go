package testserver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// faulty runs a server with one fault, a room of size members and n messages
// "1", "2", …, and returns what each member got until the server stopped.
func faulty(t *testing.T, size, n int, faults ...Fault) (got [][]string, copies int, injected map[FaultKind]int64) {
	t.Helper()
	cut := slices.ContainsFunc(faults, func(f Fault) bool { return f.Kind == FaultClose })
	s := start(t, Config{Faults: faults})
	subs := make([]*sub, size)
	for i := range subs {
		subs[i] = subscribe(t, s.URL(), "room=a")
	}
	p := newPoster(t, s.URL())
	for i := range n {
		if a := p.post("a", fmt.Sprint(i+1)); a.Receivers != size && !cut {
			t.Fatalf("the sender sees the fault: %+v", a)
		}
	}
	st := p.stats()
	if !maps.Equal(st.Faults, s.Injected()) {
		t.Errorf("stats say %v, Injected %v", st.Faults, s.Injected())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got = make([][]string, size)
	for i, c := range subs {
		for {
			g, err := c.read()
			if err != nil {
				break
			}
			got[i] = append(got[i], g.data)
			copies++
		}
	}
	if uint64(copies) != st.Deliveries {
		t.Errorf("members got %d copies, the server counts %d", copies, st.Deliveries)
	}
	return got, copies, st.Faults
}

// sequence is 1..n with each number repeated as often as times says.
func sequence(n int, times func(i int) int) []string {
	var s []string
	for i := 1; i <= n; i++ {
		for range times(i) {
			s = append(s, fmt.Sprint(i))
		}
	}
	return s
}

func TestFaultDrop(t *testing.T) {
	_, copies, injected := faulty(t, 6, 50, Fault{Kind: FaultDrop, Every: 7})
	if want := 300 / 7; injected[FaultDrop] != int64(want) || copies != 300-want {
		t.Errorf("%v, %d copies", injected, copies)
	}
	got, _, _ := faulty(t, 1, 10, Fault{Kind: FaultDrop, Every: 3})
	if want := sequence(10, func(i int) int { return min(i%3, 1) }); !slices.Equal(got[0], want) {
		t.Errorf("got %v, want %v", got[0], want)
	}
}

func TestFaultDuplicate(t *testing.T) {
	_, copies, injected := faulty(t, 6, 50, Fault{Kind: FaultDuplicate, Every: 7})
	if want := 300 / 7; injected[FaultDuplicate] != int64(want) || copies != 300+want {
		t.Errorf("%v, %d copies", injected, copies)
	}
	got, _, _ := faulty(t, 1, 10, Fault{Kind: FaultDuplicate, Every: 3})
	want := sequence(10, func(i int) int {
		if i%3 == 0 {
			return 2
		}
		return 1
	})
	if !slices.Equal(got[0], want) {
		t.Errorf("got %v, want %v", got[0], want)
	}
}

func TestFaultReorder(t *testing.T) {
	got, _, injected := faulty(t, 1, 10, Fault{Kind: FaultReorder, Every: 4})
	if want := strings.Fields("1 2 3 5 4 6 7 9 8 10"); !slices.Equal(got[0], want) || injected[FaultReorder] != 2 {
		t.Errorf("got %v, %v; want %v", got[0], injected, want)
	}
	// Every copy due: only each second one can be held.
	got, _, injected = faulty(t, 1, 6, Fault{Kind: FaultReorder, Every: 1})
	if want := strings.Fields("2 1 4 3 6 5"); !slices.Equal(got[0], want) || injected[FaultReorder] != 3 {
		t.Errorf("got %v, %v; want %v", got[0], injected, want)
	}
	// In a bigger room what is counted is what the members see.
	lists, _, injected := faulty(t, 6, 50, Fault{Kind: FaultReorder, Every: 5})
	seen := int64(0)
	for _, list := range lists {
		for i := 1; i < len(list); i++ {
			var a, b int
			if _, err := fmt.Sscan(list[i-1], &a); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Sscan(list[i], &b); err != nil {
				t.Fatal(err)
			}
			if b < a {
				seen++
			}
		}
	}
	if seen == 0 || injected[FaultReorder] != seen {
		t.Errorf("members saw %d, injected %v", seen, injected)
	}
}

func TestFaultReorderHeldAtTheEnd(t *testing.T) {
	s := start(t, Config{Faults: []Fault{{Kind: FaultReorder, Every: 2}}})
	c, gone := subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=b")
	p := newPoster(t, s.URL())
	p.post("a", "1")
	p.post("a", "2")
	c.want("1")
	p.post("b", "x")
	p.post("b", "y")
	if st := p.stats(); st.Held != 2 || st.Faults[FaultReorder] != 0 {
		t.Errorf("stats %+v", st)
	}
	gone.conn.Close()
	p.until("a held copy has gone with its client", func(st Stats) bool { return st.Held == 1 })
	p.post("a", "3")
	c.want("3", "2")
	if st := p.stats(); st.Held != 0 || st.Faults[FaultReorder] != 1 {
		t.Errorf("stats %+v", st)
	}
}

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
	if st := p.stats(); st.Faults[FaultMisroute] != 3 || st.Deliveries != 14 {
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
	p.until("all are delivered", func(st Stats) bool { return st.Deliveries == 20 && st.Faults[FaultDelay] == 20 })
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
	if st := p.stats(); st.Faults[FaultDelay] != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestFaultDelayIsCutShortByTheEnd(t *testing.T) {
	s, err := New(Config{Faults: []Fault{{Kind: FaultDelay, Every: 1, Delay: time.Hour}}})
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
	p.post("a", "1")
	p.post("a", "2")
	cancel()
	c.want("1", "2")
	c.wantEnd(true)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

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
	if refused != 3 || st.Refused != 3 || st.Faults[FaultRefuse] != 3 {
		t.Errorf("%d refused, stats %+v", refused, st)
	}
}

// Faults act in the order of the list, each on what the ones before let through.
func TestFaultsTogether(t *testing.T) {
	_, copies, injected := faulty(t, 6, 50,
		Fault{Kind: FaultDrop, Every: 10}, Fault{Kind: FaultDuplicate, Every: 9})
	if injected[FaultDrop] != 30 || injected[FaultDuplicate] != 30 || copies != 300 {
		t.Errorf("%v, %d copies", injected, copies)
	}
}
