//go:build unix

package testserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startCluster serves cfg with n workers, which are this test binary again.
func startCluster(t *testing.T, n int, cfg Config) *Server {
	t.Helper()
	return start(t, clusterConfig(n, cfg))
}

func clusterConfig(n int, cfg Config) Config {
	cfg.Workers = n
	cfg.WorkerCommand = []string{os.Args[0], "run-worker"}
	cfg.WorkerOutput = os.Stderr
	return cfg
}

// spread subscribes to rooms until every worker has clients, which the kernel
// decides, and at least atLeast are there. It returns the subscriptions.
func spread(t *testing.T, s *Server, atLeast int, room func(i int) string) []*sub {
	t.Helper()
	var subs []*sub
	for len(subs) < atLeast {
		subs = append(subs, subscribe(t, s.URL(), "room="+room(len(subs))))
	}
	for covered := false; !covered; {
		covered = true
		for _, n := range clientsByWorker(t, hubOf(s)) {
			covered = covered && n > 0
		}
		if !covered {
			if len(subs) > 2000 {
				t.Fatal("a worker gets no connections")
			}
			subs = append(subs, subscribe(t, s.URL(), "room="+room(len(subs))))
		}
	}
	return subs
}

// clientsByWorker looks into the hub for what each worker has admitted; the
// cluster must run with MaxClients for that.
func clientsByWorker(t *testing.T, h *hub) []int {
	t.Helper()
	if h.s.cfg.MaxClients == 0 {
		t.Fatal("needs MaxClients")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var n []int
	for _, w := range h.workers {
		n = append(n, w.admitted)
	}
	return n
}

func TestClusterDeliversEverywhereInOneOrder(t *testing.T) {
	s := startCluster(t, 3, Config{MaxClients: 10000, IDs: true, Greeting: true, Retry: time.Second})
	p := newPoster(t, s.URL())
	subs := spread(t, s, 30, func(int) string { return "a" })
	other := subscribe(t, s.URL(), "room=b")

	// Four senders on connections of their own, whichever worker has them.
	const each = 25
	var wg sync.WaitGroup
	answers := make([][]answer, 4)
	for i := range answers {
		sender := newPoster(t, s.URL())
		wg.Go(func() {
			for k := range each {
				resp, err := sender.client.Post(s.URL()+"/rooms/a/messages", "", strings.NewReader(fmt.Sprintf("%d:%d", i, k)))
				if err != nil {
					t.Error(err)
					return
				}
				var a answer
				if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
					t.Error(err)
				}
				resp.Body.Close()
				answers[i] = append(answers[i], a)
			}
		})
	}
	wg.Wait()
	var first []got
	for i, c := range subs {
		if g := c.next(); g.retry != "1000" {
			t.Fatalf("client %d: %+v", i, g)
		}
		if g := c.next(); g.typ != "open" {
			t.Fatalf("client %d: %+v", i, g)
		}
		var list []got
		for range len(answers) * each {
			list = append(list, c.next())
		}
		if i == 0 {
			first = list
		} else if !slices.Equal(first, list) {
			t.Fatalf("client %d sees another order", i)
		}
	}
	byID := make(map[string]string)
	for i, g := range first {
		if g.id != strconv.Itoa(i+1) {
			t.Fatalf("event %d has id %s", i+1, g.id)
		}
		byID[g.id] = g.data
	}
	for i, list := range answers {
		for k, a := range list {
			if a.Receivers != len(subs) || byID[a.ID] != fmt.Sprintf("%d:%d", i, k) {
				t.Fatalf("sender %d, message %d: %+v, want %d receivers", i, k, a, len(subs))
			}
		}
	}
	if a := p.post("b", "only b"); a.Receivers != 1 {
		t.Errorf("answer %+v", a)
	}
	other.next()
	other.next()
	other.want("only b")

	st := p.stats()
	total := uint64(len(subs)*len(answers)*each + 1)
	if st.Workers != 3 || st.Clients != len(subs)+1 || st.Rooms != 2 || st.Messages != 101 || st.Deliveries != total {
		t.Errorf("stats %+v, want %d deliveries", st, total)
	}
	if len(st.PIDs) != 4 || st.PIDs[0] != os.Getpid() || st.CPUNS == nil || st.RSSBytes == nil {
		t.Errorf("stats %+v", st)
	}
}

func TestClusterReplaysTheSameEverywhere(t *testing.T) {
	s := startCluster(t, 2, Config{MaxClients: 10000, Replay: 5})
	p := newPoster(t, s.URL())
	for i := range 8 {
		p.post("a", fmt.Sprint("m", i+1))
	}
	want := []string{"m6", "m7", "m8"}
	spread(t, s, 10, func(int) string { return "other" })
	for range 20 {
		subscribe(t, s.URL(), "room=a", "Last-Event-ID: 5").want(want...)
	}
	// An id nobody has given yet asks the hub, and then gets what is new.
	ahead := subscribe(t, s.URL(), "room=a", "Last-Event-ID: 1000")
	p.post("a", "m9")
	ahead.want("m9")
}

func TestClusterLimitsClientsTogether(t *testing.T) {
	s := startCluster(t, 2, Config{MaxClients: 20})
	var subs []*sub
	for range 20 {
		subs = append(subs, subscribe(t, s.URL(), "room=a"))
	}
	for range 5 {
		if _, resp := dial(t, s.URL(), "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != 503 {
			t.Fatal(resp.Status)
		}
	}
	subs[0].conn.Close()
	p := newPoster(t, s.URL())
	if st := p.until("one has left", func(st Stats) bool { return st.Clients == 19 }); st.Refused != 5 {
		t.Errorf("stats %+v", st)
	}
	subscribe(t, s.URL(), "room=a")
}

func TestClusterSurvivesAWorker(t *testing.T) {
	s := startCluster(t, 3, Config{MaxClients: 10000})
	p := newPoster(t, s.URL())
	subs := spread(t, s, 20, func(int) string { return "a" })
	st := p.stats()
	if err := syscall.Kill(st.PIDs[len(st.PIDs)-1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// The poster's connection may have been the dead worker's.
	var after Stats
	deadline := time.Now().Add(patience)
	for after.WorkersDied == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("not noticed: %+v", after)
		}
		var err error
		if after, err = s.Stats(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after.Workers != 2 || after.WorkersDied != 1 || after.Clients >= st.Clients {
		t.Errorf("before %+v, after %+v", st, after)
	}
	p = newPoster(t, s.URL())
	if a := p.post("a", "still here"); a.Receivers != after.Clients {
		t.Errorf("answer %+v, want %d receivers", a, after.Clients)
	}
	alive := 0
	for _, c := range subs {
		if g, err := c.read(); err == nil && g.data == "still here" {
			alive++
		}
	}
	if alive != after.Clients {
		t.Errorf("%d members got the message, %d are there", alive, after.Clients)
	}
}

// TestClusterFaults: they reach the workers as they are, and what all workers did
// is summed, each fault's by itself.
func TestClusterFaults(t *testing.T) {
	faults := wrongs(t, "drop,room=a%2Cb", "drop,every=1000000", "delay=uniform:1ms-2ms,room=b", "comments=7,room=b", "stall,room=c")
	s := startCluster(t, 2, Config{MaxClients: 10000, Faults: faults})
	rooms := []string{"a%2Cb", "b", "c"}
	subs := spread(t, s, 12, func(i int) string { return rooms[i%3] })
	size := make(map[string]int64)
	for i := range subs {
		size[rooms[i%3]]++
	}
	p := newPoster(t, s.URL())
	for range 5 {
		p.post("a,b", "to a")
		p.post("b", "to b")
		p.post("c", "to c")
	}
	for i, c := range subs {
		if i%3 == 1 {
			for range 5 {
				if g := c.next(); g.data != "to b" || g.comment != "noise" {
					t.Fatalf("got %+v", g)
				}
			}
		}
	}
	st := p.stats()
	b := 5 * size["b"]
	for i, want := range []int64{5 * size["a%2Cb"], 0, b, 7 * b, 5 * size["c"]} {
		if got := st.Injected[i]; got.Fault != faults[i] || got.Injected != want {
			t.Errorf("%v, want %v %d", got, faults[i], want)
		}
	}
	if ns := st.FaultDelayNS; ns < b*int64(time.Millisecond) || ns > 2*b*int64(time.Millisecond) {
		t.Errorf("%d ns over %d copies", ns, b)
	}
}

// TestClusterFreeze: a worker that is frozen for an hour, with messages on their
// way to it, stops as any other.
func TestClusterFreeze(t *testing.T) {
	s, stop := startStoppable(t, clusterConfig(2, Config{MaxClients: 10000, Faults: wrongs(t, "freeze=1h,room=freeze")}))
	subs := spread(t, s, 10, func(int) string { return "a" })
	var posts sync.WaitGroup
	post := func(room string) {
		p := newPoster(t, s.URL())
		posts.Go(func() {
			// What it is answered hangs on how far the server was when it stopped.
			if resp, err := p.client.Post(s.URL()+"/rooms/"+room+"/messages", "", strings.NewReader("x")); err == nil {
				resp.Body.Close()
			}
		})
	}
	stats := func() Stats {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		st, err := s.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	post("freeze")
	eventually(t, "one worker is frozen", func() bool { return stats().injected(FaultFreeze) == 1 })
	before := stats().Deliveries
	eventually(t, "the other one delivers", func() bool {
		post("a")
		return stats().Deliveries > before
	})
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > stopGrace+time.Second {
		t.Errorf("stopping took %v", took)
	}
	posts.Wait()
	for _, c := range subs {
		for {
			if _, err := c.read(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("a stream ends with %v", err)
			}
		}
	}
}

func TestClusterWithABadWorkerCommand(t *testing.T) {
	for _, argv := range [][]string{{"/nowhere/at-all"}, {"/bin/sh", "-c", "exit 3"}} {
		s, err := New(Config{Workers: 2, WorkerCommand: argv})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), argv[0]) {
			t.Errorf("%v: %v", argv, err)
		}
	}
}

func TestClusterStopsGracefully(t *testing.T) {
	child := startChild(t, Config{Workers: 2, MaxClients: 100})
	p := newPoster(t, child.url)
	c := subscribe(t, child.url, "room=a")
	p.post("a", "bye")
	pids := p.stats().PIDs
	if err := child.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	c.want("bye")
	c.wantEnd(true)
	if err := child.wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
	demandGone(t, pids)
}

func TestClusterDiesWithItsParent(t *testing.T) {
	child := startChild(t, Config{Workers: 2})
	c := subscribe(t, child.url, "room=a")
	pids := newPoster(t, child.url).stats().PIDs
	if len(pids) != 3 || pids[0] != child.cmd.Process.Pid {
		t.Fatalf("pids %v", pids)
	}
	if err := child.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.wait() // killed, as it should be
	if _, err := c.read(); err == nil {
		t.Error("an event of a dead cluster")
	}
	demandGone(t, pids)
}

func TestRunWorkerByHand(t *testing.T) {
	cmd := exec.Command(os.Args[0], "run-worker")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), ErrNotWorker.Error()) {
		t.Errorf("%v: %s", err, out)
	}
}

// child is a server in a process of its own.
type child struct {
	cmd   *exec.Cmd
	url   string
	stdin io.WriteCloser
	wait  func() error
}

func startChild(t testing.TB, cfg Config) *child {
	t.Helper()
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(os.Args[0], "run-server", string(text))}
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.wait = sync.OnceValue(func() error { return c.cmd.Wait() })
	t.Cleanup(func() {
		_ = c.stdin.Close() // the child may have ended long ago
		_ = c.wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c.url = strings.TrimSpace(line)
	return c
}

// demandGone waits until no process of the list is left.
func demandGone(t *testing.T, pids []int) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for _, pid := range pids {
		for running(pid) {
			select {
			case <-deadline:
				t.Fatalf("process %d of %v is still there", pid, pids)
			case <-tick.C:
			}
		}
	}
}

// running tells a process from none and from one that only waits to be reaped.
func running(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || !hasProc()
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func hasProc() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}

func TestPipeFrames(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	back, unused, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unused.Close()
	sender, reader := newPipe(back, w, nil), &pipe{in: r, r: bufio.NewReader(r)}
	defer r.Close()
	defer back.Close()
	go func() {
		for i := range 1000 {
			sender.commit(append(sender.begin(frameAck), strings.Repeat("x", i*7)...))
		}
		sender.finish()
	}()
	for i := range 1000 {
		kind, payload, err := reader.read()
		if err != nil || kind != frameAck || len(payload) != i*7 {
			t.Fatalf("frame %d: kind %d, %d bytes, %v", i, kind, len(payload), err)
		}
	}
	if _, _, err := reader.read(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	var f fields
	f.rest = []byte{5, 'a'}
	if f.text(); !f.bad {
		t.Error("a text cut short is taken")
	}
}

func TestPipeStuck(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() // never read
	stuck := make(chan struct{})
	p := newPipe(r, w, func() { close(stuck) })
	chunk := make([]byte, 1<<20)
	for range maxQueued>>20 + 4 {
		p.commit(append(p.begin(frameDeliver), chunk...))
	}
	select {
	case <-stuck:
	case <-time.After(patience):
		t.Fatal("not noticed")
	}
	<-p.written
}

// The workers of a cluster share a Unix socket as they do a port, and one made
// certificate.
func TestClusterOverOtherTransports(t *testing.T) {
	for name, cfg := range map[string]Config{
		"unix": {Addr: "unix:"}, "tls": {SelfSigned: true}, "unix-tls": {Addr: "unix:", SelfSigned: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.MaxClients = 1000
			s := startCluster(t, 2, cfg)
			p := &poster{t: t, base: s.URL(), client: clientOf(t, s, 1)}
			var subs []*sub
			for version, seen := 1, false; !seen || len(subs) < 6; version = 3 - version {
				// A client of HTTP/2 of its own each, so that each connects.
				subs = append(subs, subscribeBy(t, clientOf(t, s, version), "GET", s.URL()+"/events?room=a"))
				seen = !slices.Contains(clientsByWorker(t, hubOf(s)), 0)
				if len(subs) > 500 {
					t.Fatal("a worker gets no connections")
				}
			}
			if got := p.post("a", "everywhere"); got.Receivers != len(subs) {
				t.Errorf("%+v, want %d", got, len(subs))
			}
			for _, c := range subs {
				c.want("everywhere")
				c.resp.Body.Close()
			}
		})
	}
}

func hubOf(s *Server) *hub {
	s.life.Lock()
	defer s.life.Unlock()
	return s.hub
}
