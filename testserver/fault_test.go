package testserver

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// injected sums the counts of one kind.
func (a Stats) injected(kind FaultKind) int64 {
	sum := int64(0)
	for _, f := range a.Injected {
		if f.Fault.Kind == kind {
			sum += f.Injected
		}
	}
	return sum
}

// wrongs reads faults as users write them.
func wrongs(t testing.TB, texts ...string) []Fault {
	t.Helper()
	list := make([]Fault, len(texts))
	for i, text := range texts {
		var err error
		if list[i], err = ParseFault(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return list
}

// faulty runs a server with faults, a room of size members and n messages
// "1", "2", …, and returns what each member got until the server stopped.
func faulty(t *testing.T, size, n int, faults ...Fault) (got [][]string, copies int, injected map[FaultKind]int64) {
	t.Helper()
	s := start(t, Config{Faults: faults})
	subs := make([]*sub, size)
	for i := range subs {
		subs[i] = subscribe(t, s.URL(), "room=a")
	}
	p := newPoster(t, s.URL())
	for i := range n {
		if a := p.post("a", fmt.Sprint(i+1)); a.Receivers != size {
			t.Fatalf("the sender sees the fault: %+v", a)
		}
	}
	st := p.stats()
	injected = s.Injected()
	sums := make(map[FaultKind]int64)
	for i, f := range st.Injected {
		if f.Fault != faults[i] {
			t.Errorf("count %d is of %v, want %v", i, f.Fault, faults[i])
		}
		sums[f.Fault.Kind] += f.Injected
	}
	if !maps.Equal(sums, injected) {
		t.Errorf("stats say %v, Injected %v", sums, injected)
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
	return got, copies, injected
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

// overHTTP2 adds TLS to cfg and makes a client that speaks HTTP/2 to its server.
func overHTTP2(t *testing.T, cfg *Config) *http.Client {
	t.Helper()
	certFile, keyFile, pool := certificate(t)
	cfg.CertFile, cfg.KeyFile = certFile, keyFile
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// subscribeHTTP2 subscribes to room a and waits until the client is a member.
func subscribeHTTP2(t *testing.T, s *Server, client *http.Client) *sub {
	t.Helper()
	before := members(s, "a")
	resp, err := client.Get(s.URL() + "/events?room=a")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	eventually(t, "the client is a member", func() bool { return members(s, "a") == before+1 })
	return &sub{t: t, resp: response{resp}, in: bufio.NewReader(resp.Body)}
}

func members(s *Server, room string) int {
	r := s.lookup([]byte(room))
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// eventually watches this process until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// TestFaultsOfOneRoom gives each kind a server on which it is for room a alone,
// with two subscriptions to each of a and b and two messages to each. It counts
// what concerns a, and b sees nothing of it.
func TestFaultsOfOneRoom(t *testing.T) {
	for text, want := range map[string]int64{
		"drop": 4, "drop,every=2": 2, "duplicate": 4, "reorder": 2, "misroute": 2, "delay=1ms": 4,
		"stall": 4, "stall,after=1": 2, "close": 2, "half": 2, "half,after=1,every=2": 1, "garbage": 2,
		"comments=3": 12, "refuse": 2, "headers=1ms": 2, "freeze=1ms": 2,
	} {
		t.Run(text, func(t *testing.T) {
			s := start(t, Config{Faults: wrongs(t, text+",room=a")})
			var well []*sub
			for range 2 {
				well = append(well, subscribe(t, s.URL(), "room=b"))
				dial(t, s.URL(), "GET /events?room=a HTTP/1.1\r\nHost: x\r\n\r\n")
			}
			p := newPoster(t, s.URL())
			for _, body := range []string{"1", "2"} {
				p.post("b", body)
				p.post("a", "stray")
			}
			st := p.stats()
			if len(st.Injected) != 1 || st.Injected[0].Injected != want {
				t.Errorf("injected %v, want %d", st.Injected, want)
			}
			if text != "misroute" {
				well[0].want("1", "2")
			}
			well[1].want("1", "2")
		})
	}
}

// TestFaultsOfOneKind have counts of their own.
func TestFaultsOfOneKind(t *testing.T) {
	s := start(t, Config{Faults: wrongs(t, "drop,every=2,room=a", "drop,every=3,room=b", "close,after=9")})
	subscribe(t, s.URL(), "room=a")
	subscribe(t, s.URL(), "room=b")
	p := newPoster(t, s.URL())
	for range 6 {
		p.post("a", "")
		p.post("b", "")
	}
	_, page := p.do("GET", "/stats", "")
	want := `"injected":[{"fault":"drop,every=2,room=a","injected":3},{"fault":"drop,every=3,room=b","injected":2},{"fault":"close,after=9","injected":0}]`
	if !strings.Contains(page, want) {
		t.Errorf("stats are %s, want %s in them", page, want)
	}
	st, err := ReadStats(t.Context(), nil, s.URL())
	if err != nil {
		t.Fatal(err)
	}
	if st.Injected[0].Injected != 3 || st.Injected[1].Injected != 2 || st.injected(FaultDrop) != 5 {
		t.Errorf("stats %+v", st)
	}
	if got := s.Injected(); got[FaultDrop] != 5 || len(got) != 2 {
		t.Errorf("by kind: %v", got)
	}
	if _, err := ReadStats(t.Context(), nil, s.URL()+"/nowhere"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("stats of a page that is not there: %v", err)
	}
}

func TestNoFaultsNoCounts(t *testing.T) {
	s := start(t, Config{})
	if _, page := newPoster(t, s.URL()).do("GET", "/stats", ""); strings.Contains(page, "injected") {
		t.Errorf("stats: %s", page)
	}
	if s.Injected() != nil {
		t.Errorf("injected %v", s.Injected())
	}
}

// TestFaultsTravelAsJSON is how they reach the workers of a cluster.
func TestFaultsTravelAsJSON(t *testing.T) {
	var cfg, back Config
	for _, c := range parsed {
		cfg.Faults = append(cfg.Faults, c.fault)
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(cfg.Faults, back.Faults) {
		t.Errorf("got %v, want %v", back.Faults, cfg.Faults)
	}
	if err := json.Unmarshal([]byte(`{"Faults":["dorp"]}`), &back); err == nil || !strings.Contains(err.Error(), `fault "dorp": unknown kind`) {
		t.Errorf("a wrong one: %v", err)
	}
}

// rest reads what a stream still holds, and how it ends.
func rest(c *sub) (string, error) {
	text, err := io.ReadAll(c.in)
	return string(text), err
}
