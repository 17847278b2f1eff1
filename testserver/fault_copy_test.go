package testserver

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

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
	if st := p.stats(); st.Held != 2 || st.injected(FaultReorder) != 0 {
		t.Errorf("stats %+v", st)
	}
	gone.conn.Close()
	p.until("a held copy has gone with its client", func(st Stats) bool { return st.Held == 1 })
	p.post("a", "3")
	c.want("3", "2")
	if st := p.stats(); st.Held != 0 || st.injected(FaultReorder) != 1 {
		t.Errorf("stats %+v", st)
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

// TestSwallowedDeedsDoNotCount: what was done to a copy that a later fault
// swallows has not happened; what was done to one held back has when it goes out.
func TestSwallowedDeedsDoNotCount(t *testing.T) {
	_, copies, injected := faulty(t, 2, 10, wrongs(t, "duplicate", "comments=2", "drop,every=4")...)
	if injected[FaultDrop] != 5 || injected[FaultDuplicate] != 15 || injected[FaultComments] != 30 || copies != 30 {
		t.Errorf("%v, %d copies", injected, copies)
	}
	got, _, injected := faulty(t, 1, 3, wrongs(t, "duplicate,every=3", "reorder,every=3")...)
	if injected[FaultDuplicate] != 0 || injected[FaultReorder] != 0 || !slices.Equal(got[0], []string{"1", "2"}) {
		t.Errorf("held back: %v, %v", got, injected)
	}
	got, _, injected = faulty(t, 1, 4, wrongs(t, "duplicate,every=3", "reorder,every=3")...)
	if injected[FaultDuplicate] != 1 || injected[FaultReorder] != 1 || !slices.Equal(got[0], []string{"1", "2", "4", "3", "3"}) {
		t.Errorf("gone out: %v, %v", got, injected)
	}
}

func TestFaultComments(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		lines [4]int // before each of four events at one of two members
	}{
		{Fault{Kind: FaultComments, Every: 4, Count: 3}, [4]int{0, 3, 0, 3}},
		{Fault{Kind: FaultComments, Every: 2, Count: 1}, [4]int{1, 1, 1, 1}},
		{wrongs(t, "comments,every=8")[0], [4]int{0, 0, 0, DefaultComments}},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			s := start(t, Config{Faults: []Fault{c.fault}})
			members := []*sub{subscribe(t, s.URL(), "room=a"), subscribe(t, s.URL(), "room=a")}
			p := newPoster(t, s.URL())
			total := int64(0)
			for i, want := range c.lines {
				p.post("a", fmt.Sprint(i))
				for k, m := range members {
					lines := 0
					line := ""
					for line != "\n" {
						var err error
						if line, err = m.in.ReadString('\n'); err != nil {
							t.Fatal(err)
						}
						switch {
						case strings.HasPrefix(line, ":"):
							lines++
						case line != "\n" && line != fmt.Sprintf("data: %d\n", i):
							t.Fatalf("line %q", line)
						}
					}
					if k == 1 && lines != want || k == 0 && lines != 0 {
						t.Errorf("event %d at member %d has %d comments", i, k, lines)
					}
					total += int64(lines)
				}
			}
			if st := p.stats(); st.injected(FaultComments) != total || total == 0 || st.Deliveries != 8 {
				t.Errorf("%d comments came, stats %+v", total, st)
			}
		})
	}
}

// TestFaultCommentsBare has no chunks around it.
func TestFaultCommentsBare(t *testing.T) {
	s, stop := startStoppable(t, Config{Faults: wrongs(t, "comments=2")})
	_, resp := dial(t, s.URL(), "GET /events?room=a HTTP/1.0\r\n\r\n")
	newPoster(t, s.URL()).post("a", "x")
	stop()
	text, err := io.ReadAll(resp.Body)
	if want := ": noise\n: noise\ndata: x\n\n"; err != nil || string(text) != want {
		t.Errorf("got %q, %v; want %q", text, err, want)
	}
}
