package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCopies(t *testing.T) {
	for _, c := range []struct {
		s        shape
		messages int
		copies   int64
	}{
		{shape{Clients: 4000, RoomSize: 6, Iterations: 25}, 16675, 100_000},
		{shape{Clients: 4000, RoomSize: 6, Rate: 1667, Duration: 5 * time.Second}, 8335, 49_986},
		{shape{Clients: 600, RoomSize: 600, Rate: 16.67, Duration: 5 * time.Second}, 84, 50_400},
		{shape{Clients: 13, RoomSize: 6, Rate: 5, Duration: time.Second}, 5, 25}, // 6 + 6 + 1, 6 + 6
	} {
		if m, n := c.s.messages(), c.s.copies(); m != c.messages || n != c.copies {
			t.Errorf("%+v: %d messages and %d copies, want %d and %d", c.s, m, n, c.messages, c.copies)
		}
	}
}

// TestOrder: in as many rounds as there are contenders each has had each place.
func TestOrder(t *testing.T) {
	s := shape{Contenders: []string{"a", "b", "c"}}
	var got []string
	for round := range 4 {
		got = append(got, strings.Join(s.order(round+1), ""))
	}
	if want := []string{"abc", "bca", "cab", "abc"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !slices.Equal(s.Contenders, []string{"a", "b", "c"}) {
		t.Errorf("the contenders have become %v", s.Contenders)
	}
}

func TestArguments(t *testing.T) {
	by := map[string]shape{}
	for _, s := range shapes(false) {
		by[s.Name] = s
	}
	for name, want := range map[string][2]string{
		"connect-many": {"connect URL -c 15000 --engine conn -o json=- -q", "connect -addr ADDR -c 15000 -room-size 6"},
		"rooms-rate":   {"rooms URL -c 4000 --room-size 6 --rate 1667/s --duration 5s --engine conn -o json=- -q", "rooms -addr ADDR -c 4000 -room-size 6 -rate 1667 -duration 5s"},
		"rooms-full":   {"rooms URL -c 4000 --room-size 6 -n 25 --engine conn -o json=- -q", "rooms -addr ADDR -c 4000 -room-size 6 -messages 16675"},
		"wide-rate":    {"rooms URL -c 600 --room-size 600 --rate 16.67/s --duration 5s --engine conn -o json=- -q", "rooms -addr ADDR -c 600 -room-size 600 -rate 16.67 -duration 5s"},
	} {
		s := by[name]
		if got := strings.Join(s.sseload("URL", "--engine", "conn"), " "); got != want[0] {
			t.Errorf("%s: sseload %s, want %s", name, got, want[0])
		}
		if got := strings.Join(s.floor("ADDR"), " "); got != want[1] {
			t.Errorf("%s: floor %s, want %s", name, got, want[1])
		}
	}
}

// TestQuickIsTheSame: the quick shapes are the whole ones, only smaller.
func TestQuickIsTheSame(t *testing.T) {
	same := func(quick, whole []shape) {
		t.Helper()
		if len(quick) != len(whole) {
			t.Fatalf("%d quick shapes of %d", len(quick), len(whole))
		}
		for i := range whole {
			q, w := &quick[i], &whole[i]
			if q.Name != w.Name || q.Clients >= w.Clients || q.Budget != w.Budget || q.sends() != w.sends() || !slices.Equal(q.Contenders, w.Contenders) || len(q.Before) != len(w.Before) {
				t.Errorf("quick %+v, whole %+v", *q, *w)
			}
		}
	}
	same(shapes(true), shapes(false))
	for _, r := range contests() {
		same(r.shapes(true), r.shapes(false))
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 15000: "15,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
