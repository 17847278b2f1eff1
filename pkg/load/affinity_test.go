package load

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
)

func TestWhereabouts(t *testing.T) {
	for _, c := range []struct {
		name  string
		names []string // of one client's backend, one connection after the other
		last  string
		moved bool
	}{
		{"nothing shows", []string{""}, "", false},
		{"one", []string{"b1"}, "b1", false},
		{"back at it", []string{"b1", "b1"}, "b1", false},
		{"moved", []string{"b1", "b2"}, "b2", true},
		{"there and back", []string{"b1", "b2", "b1"}, "b1", true},
		{"shows late", []string{"", "b1"}, "b1", false},
		{"shows no more", []string{"b1", ""}, "b1", false},
		{"shows again elsewhere", []string{"b1", "", "b2"}, "b2", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := whereabouts{of: make([]place, 1)}
			for _, name := range c.names {
				w.locate(0, name)
			}
			got := ""
			if b := w.of[0].backend(); b != unknownPlace {
				got = w.names[b-1]
			}
			if moved := w.of[0]&movedMark != 0; got != c.last || moved != c.moved {
				t.Errorf("at %q, moved %v; want %q, %v", got, moved, c.last, c.moved)
			}
		})
	}
}

func TestBackendsAreBounded(t *testing.T) {
	w := whereabouts{of: make([]place, 2*mostBackends)}
	for id := range w.of {
		w.locate(id, fmt.Sprintf("b%d", id))
	}
	if len(w.names) != mostBackends || w.of[mostBackends-1].backend() == otherPlace || w.of[mostBackends].backend() != otherPlace {
		t.Errorf("%d names are kept", len(w.names))
	}
	w.locate(0, strings.Repeat("x", 1000)+"1")
	w.locate(1, "b1")
	if w.of[0] != otherPlace|movedMark || w.of[1].backend() != 2 {
		t.Errorf("client 0 is at %d, client 1 at %d", w.of[0], w.of[1])
	}
	w = whereabouts{of: make([]place, 1)}
	w.locate(0, strings.Repeat("x", 1000))
	if len(w.names[0]) != longestBackend {
		t.Errorf("a name of %d bytes is kept", len(w.names[0]))
	}

	all := Backends{Clients: map[string]int{}}
	for i := range mostBackends {
		all.Clients[strconv.Itoa(i)] = 1
	}
	all.merge(&Backends{Clients: map[string]int{"0": 2, "new": 3}, Other: 4, Unknown: 5, Rooms: 6, Split: 7, Moved: 8, LostInSplit: 9, LostElsewhere: 10})
	if len(all.Clients) != mostBackends || all.Clients["0"] != 3 || all.Other != 7 || all.Unknown != 5 || all.Rooms != 6 ||
		all.Split != 7 || all.Moved != 8 || all.LostInSplit != 9 || all.LostElsewhere != 10 {
		t.Errorf("merged: %+v", all)
	}
}

// backendsOf runs clients against serve, in rooms of 2 of which the first sends once,
// and returns what became of them.
func backendsOf(t *testing.T, spec target.Spec, affinity Affinity, serve http.HandlerFunc) Totals {
	t.Helper()
	goroutines := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, goroutines) })
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	spec.URL, spec.SendURL = server.URL+"/events?room={room}&client={client}", server.URL+"/say?{client}"
	tg, err := target.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := tg.Resolve(ctx, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	kind, err := stream.Auto.For(tg)
	if err != nil {
		t.Fatal(err)
	}
	people, err := New(Config{
		Target: tg, Engine: kind, Clients: 8, RoomSize: 2, Ramp: Ramp{Concurrency: 4}, Timeout: 300 * time.Millisecond,
		SendConnections: 2, Affinity: affinity,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer people.Close()
	if err := people.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := people.Iterate(ctx, 0); err != nil {
		t.Fatal(err)
	}
	return people.Close()
}

// silent streams to every client and delivers nothing. mark says in the response which
// backend it is; client 7 is refused.
func silent(mark func(w http.ResponseWriter, r *http.Request, client int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" {
			mark(w, r, 0) // of a send it does not count
			return
		}
		client, err := strconv.Atoi(r.URL.Query().Get("client"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mark(w, r, client)
		if client == 7 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func TestBackends(t *testing.T) {
	// Clients 0 and 1 share a backend, 2 and 3 do not, of 4 it does not show, 6 is
	// alone.
	byClient := []string{"b0", "b0", "b0", "b1", "", "b1", "b2", "b3"}
	want := Backends{Clients: map[string]int{"b0": 3, "b1": 2, "b2": 1}, Unknown: 1, Rooms: 4, Split: 1, LostInSplit: 2, LostElsewhere: 5}
	set := func(w http.ResponseWriter, _ *http.Request, client int) {
		if b := byClient[client]; b != "" {
			w.Header().Set("X-Backend", b)
			http.SetCookie(w, &http.Cookie{Name: "SRV", Value: b, Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "other", Value: "1", Path: "/"})
		}
	}
	for _, c := range []struct {
		name     string
		spec     target.Spec
		affinity Affinity
		mark     func(w http.ResponseWriter, r *http.Request, client int)
	}{
		{"by a header in any case", target.Spec{}, Affinity{AffinityByHeader, "x-BACKEND"}, set},
		{"by a cookie", target.Spec{}, Affinity{AffinityByCookie, "SRV"}, set},
		{"by a cookie that is kept", target.Spec{CookieJar: true}, Affinity{AffinityByCookie, "SRV"}, set},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := backendsOf(t, c.spec, c.affinity, silent(c.mark)).Backends
			if !maps.Equal(got.Clients, want.Clients) || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%+v\nwant %+v", got, want)
			}
		})
	}
	t.Run("by a cookie that each client was given", func(t *testing.T) {
		got := backendsOf(t, target.Spec{Cookies: []string{"SRV=of{room}"}}, Affinity{AffinityByCookie, "SRV"},
			silent(func(http.ResponseWriter, *http.Request, int) {})).Backends
		want := Backends{Clients: map[string]int{"of0": 2, "of1": 2, "of2": 2, "of3": 1}, Rooms: 4, LostElsewhere: 7}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v\nwant %+v", got, want)
		}
	})
	t.Run("nobody asks", func(t *testing.T) {
		got := backendsOf(t, target.Spec{}, Affinity{}, silent(set)).Backends
		if want := (Backends{Clients: map[string]int{}}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v", got)
		}
	})
}

// TestEveryRunHasItsOwnCookies: the clients of a series are not those of the run before.
func TestEveryRunHasItsOwnCookies(t *testing.T) {
	cookies := make(chan string, 100)
	handler := silent(func(w http.ResponseWriter, r *http.Request, client int) {
		cookies <- r.URL.Path + r.Header.Get("Cookie")
		http.SetCookie(w, &http.Cookie{Name: "id", Value: strconv.Itoa(client), Path: "/"})
	})
	server := httptest.NewServer(handler)
	defer server.Close()
	tg, err := target.New(target.Spec{URL: server.URL + "/events?client={client}", SendURL: server.URL + "/say", CookieJar: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := tg.Resolve(ctx, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		people, err := New(Config{
			Target: tg, Engine: stream.Conn, Clients: 1, RoomSize: 1, Ramp: Ramp{Concurrency: 1}, Timeout: 300 * time.Millisecond, SendConnections: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := people.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := people.Iterate(ctx, 0); err != nil {
			t.Fatal(err)
		}
		people.Close()
		if first, second := <-cookies, <-cookies; first != "/events" || second != "/sayid=0" {
			t.Errorf("subscribed at %q, sent to %q", first, second)
		}
	}
}

// TestRoomsThatWereSplit: what counts is who is open at the same time.
func TestRoomsThatWereSplit(t *testing.T) {
	type step struct {
		id   int
		name string // of the backend that it opens on; empty: it leaves
	}
	for _, c := range []struct {
		name  string
		steps []step
		split bool
	}{
		{"together", []step{{0, "a"}, {1, "a"}}, false},
		{"apart", []step{{0, "a"}, {1, "b"}}, true},
		{"apart once", []step{{0, "a"}, {1, "b"}, {1, ""}, {1, "a"}}, true},
		{"all moved on together", []step{{0, "a"}, {1, "a"}, {0, ""}, {1, ""}, {0, "b"}, {1, "b"}}, false},
		{"in another room", []step{{0, "a"}, {2, "b"}}, false},
	} {
		s := &shard{
			p:       &Population{cfg: Config{Clients: 4, RoomSize: 2}},
			clients: make([]client, 4), rooms: make([]room, 2),
			where: whereabouts{of: make([]place, 4), split: make([]bool, 2)},
		}
		for _, at := range c.steps {
			if at.name == "" {
				s.clients[at.id].state = away
				continue
			}
			s.where.locate(at.id, at.name)
			s.compare(at.id)
			s.clients[at.id].state = isOpen
		}
		if s.where.split[0] != c.split {
			t.Errorf("%s: split %v", c.name, s.where.split)
		}
	}
	s := &shard{
		p: &Population{cfg: Config{Clients: 2, RoomSize: 2}}, clients: make([]client, 2), rooms: make([]room, 1),
		where: whereabouts{of: []place{otherPlace, otherPlace}, split: make([]bool, 1)},
	}
	s.clients[0].state = isOpen
	if s.compare(1); !s.where.split[0] {
		t.Error("backends without a name are taken for one")
	}
}
