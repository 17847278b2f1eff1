package observe

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func cpuOf(t *testing.T, u Usage) time.Duration {
	t.Helper()
	if u.CPU == nil {
		t.Fatal("CPU time unknown")
	}
	return *u.CPU
}

func TestTreeCPU(t *testing.T) {
	s := start(t)
	tree := s.tree(t)
	for _, command := range []string{"burn 30", "burn 200"} {
		before := cpuOf(t, tree.Read())
		want := time.Duration(s.number(t, command))
		if got := cpuOf(t, tree.Read()) - before; !closeEnough(got, want) {
			t.Errorf("%s: saw %v, the process itself %v", command, got, want)
		}
	}
}

func TestTreeCountsDescendants(t *testing.T) {
	s := start(t)
	tree := s.tree(t)
	if n := tree.Read().Processes; n != 1 {
		t.Fatalf("%d processes before any child, want 1", n)
	}
	s.number(t, "spawn")
	s.number(t, "tell spawn")
	before := tree.Read()
	if before.Processes != 3 {
		t.Fatalf("%d processes with child and grandchild, want 3", before.Processes)
	}
	want := time.Duration(s.number(t, "tell tell burn 150"))
	if got := cpuOf(t, tree.Read()) - cpuOf(t, before); !closeEnough(got, want) {
		t.Errorf("saw %v of the grandchild, itself %v", got, want)
	}
}

func TestTreeKeepsCPUOfChildrenThatEnded(t *testing.T) {
	s := start(t)
	tree := s.tree(t)
	begin := cpuOf(t, tree.Read())
	last, want := begin, time.Duration(0)
	look := func() {
		t.Helper()
		now := cpuOf(t, tree.Read())
		if now < last {
			t.Errorf("CPU time went back from %v to %v", last, now)
		}
		last = now
	}
	for range 3 {
		s.number(t, "spawn")
		want += time.Duration(s.number(t, "tell burn 100"))
		look()
		s.tell("reap")
		look()
		look()
	}
	// The start of each child costs some CPU time beside the burning.
	if got := last - begin; got < want*8/10-50*time.Millisecond || got > 2*want+100*time.Millisecond {
		t.Errorf("saw %v of three children, themselves %v", got, want)
	}
}

func TestTreeMemoryAndFiles(t *testing.T) {
	s := start(t)
	s.tell("open 1") // the first makes the runtime open files of its own
	tree := s.tree(t)
	before := tree.Read()
	want := s.number(t, "allocate 64")
	if answer := s.tell("open 100"); answer != "done" {
		t.Fatal(answer)
	}
	fresh := s.tree(t) // a count of files may be a second old
	after := fresh.Read()
	if before.RSSBytes == nil || after.RSSBytes == nil {
		t.Fatal("resident set unknown")
	}
	// More than asked for where the race detector shadows memory.
	if grown := *after.RSSBytes - *before.RSSBytes; grown < 64<<20 || grown < want-8<<20 || grown > want+8<<20 {
		t.Errorf("resident set grew by %d bytes for 64 MiB, in its own eyes by %d", grown, want)
	}
	if before.OpenFiles == nil || after.OpenFiles == nil {
		if runtime.GOOS == "linux" {
			t.Fatal("open files unknown")
		}
		t.Skip("open files of other processes are not known here")
	}
	if grown := *after.OpenFiles - *before.OpenFiles; grown != 100 {
		t.Errorf("%d more files, want 100", grown)
	}
}

func TestTreeGone(t *testing.T) {
	s := start(t)
	tree := s.tree(t)
	s.number(t, "burn 50")
	before := tree.Read()
	if before.Gone || tree.Gone() {
		t.Fatal("gone while alive")
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait() // tells of the kill
	after := tree.Read()
	if !after.Gone || !tree.Gone() || after.Processes != 0 {
		t.Errorf("after its end: gone %v, %d processes", after.Gone, after.Processes)
	}
	if cpuOf(t, after) < cpuOf(t, before) || after.RSSBytes == nil || *after.RSSBytes != *before.RSSBytes {
		t.Errorf("last figures not kept: %+v, before %+v", after, before)
	}
	if again := tree.Read(); *again.CPU != *after.CPU || !again.At.Equal(after.At) {
		t.Errorf("figures move after the end: %+v, %+v", again, after)
	}
	if _, err := NewTree(s.cmd.Process.Pid); !errors.Is(err, ErrNoProcess) {
		t.Errorf("new tree of an ended process: %v", err)
	}
	if _, err := NewTree(0); !errors.Is(err, ErrNoProcess) {
		t.Errorf("new tree of process 0: %v", err)
	}
}

func TestReadSelf(t *testing.T) {
	before := ReadSelf()
	used := burn(50 * time.Millisecond)
	var files []*os.File
	for range 50 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	after := ReadSelf()
	for _, f := range files {
		f.Close()
	}
	if got := cpuOf(t, after) - cpuOf(t, before); got < used || !closeEnough(got, used) {
		t.Errorf("saw %v of CPU time, used %v", got, used)
	}
	if after.RSSBytes == nil || *after.RSSBytes < 1<<20 {
		t.Errorf("resident set: %v", after.RSSBytes)
	}
	if before.OpenFiles != nil && *after.OpenFiles-*before.OpenFiles != 50 {
		t.Errorf("%d files, then %d, want 50 more", *before.OpenFiles, *after.OpenFiles)
	}
}

func percent(t *testing.T, what string, p *float64) float64 {
	t.Helper()
	if p == nil {
		t.Fatalf("%s unknown", what)
	}
	return *p
}

func TestWatcherPhases(t *testing.T) {
	s := start(t)
	w := New(Config{Target: s.tree(t), Interval: time.Hour})
	w.Phase("target")
	targetUsed := time.Duration(s.number(t, "burn 150"))
	w.Phase("generator")
	burn(150 * time.Millisecond)
	w.Phase("short")
	r := w.Stop()

	if len(r.Phases) != 3 {
		t.Fatalf("%d phases, want 3", len(r.Phases))
	}
	var at int64
	for _, p := range r.Phases {
		if p.StartNS != at {
			t.Errorf("phase %s starts at %d, the one before ends at %d", p.Name, p.StartNS, at)
		}
		at += p.ElapsedNS
	}
	if at != r.ElapsedNS {
		t.Errorf("the phases last %d ns, the report %d", at, r.ElapsedNS)
	}

	p, ok := r.Phase("target")
	if !ok {
		t.Fatal("no phase target")
	}
	target, generator := percent(t, "target", p.TargetCPUPercent), percent(t, "generator", p.GeneratorCPUPercent)
	if target < 3*generator {
		t.Errorf("while the target burns: target %.0f %%, generator %.0f %%", target, generator)
	}
	saw := time.Duration(target / 100 * float64(p.ElapsedNS))
	if !closeEnough(saw, targetUsed) {
		t.Errorf("%.1f %% of %v is %v, the target used %v", target, time.Duration(p.ElapsedNS), saw, targetUsed)
	}
	if machine := percent(t, "machine", p.MachineCPUPercent); machine < target/2 {
		t.Errorf("machine %.0f %%, target alone %.0f %%", machine, target)
	}

	p, _ = r.Phase("generator")
	target, generator = percent(t, "target", p.TargetCPUPercent), percent(t, "generator", p.GeneratorCPUPercent)
	if generator < 3*target {
		t.Errorf("while the generator burns: target %.0f %%, generator %.0f %%", target, generator)
	}
	if p, _ = r.Phase("short"); p.ElapsedNS < int64(shortestCoarse) && p.MachineCPUPercent != nil {
		t.Errorf("machine's share of %v is %v, want unknown", time.Duration(p.ElapsedNS), *p.MachineCPUPercent)
	}
	if _, ok := r.Phase("none"); ok {
		t.Error("found a phase that never was")
	}

	if r.Target == nil || r.Target.PID != s.cmd.Process.Pid || r.Target.Gone || r.Target.Processes != 1 || r.Target.RSSBytes == nil || r.Target.Name == nil {
		t.Errorf("target: %+v", r.Target)
	}
	if r.Generator.PID != os.Getpid() || r.Generator.RSSBytes == nil {
		t.Errorf("generator: %+v", r.Generator)
	}
	if m := r.Machine; m.MemoryTotalBytes == nil || m.MemoryUsedBytes == nil || *m.MemoryUsedBytes <= 0 || *m.MemoryUsedBytes >= *m.MemoryTotalBytes {
		t.Errorf("machine: %+v", m)
	}
}

func TestWatcherSamples(t *testing.T) {
	s := start(t)
	tree := s.tree(t)
	synctest.Test(t, func(t *testing.T) {
		var calls int64
		w := New(Config{Target: tree, Counters: func() Counters {
			calls++ // under the Watcher's lock
			return Counters{Open: 10 * calls, Failed: calls, Received: 100 * calls}
		}})
		w.Phase("connect")
		time.Sleep(1500 * time.Millisecond) //nolint:forbidigo // in a bubble
		w.Phase("send")
		time.Sleep(2 * time.Second) //nolint:forbidigo // in a bubble
		r := w.Stop()

		var at []time.Duration
		var phases []string
		for i, s := range r.Samples {
			at = append(at, time.Duration(s.AtNS))
			phases = append(phases, s.Phase)
			if s.Open != 10*s.Failed || s.Received != 100*s.Failed || s.Failed == 0 {
				t.Errorf("sample %d: counters %d, %d, %d", i, s.Open, s.Failed, s.Received)
			}
			if s.TargetRSSBytes == nil || s.GeneratorRSSBytes == nil {
				t.Errorf("sample %d: memory unknown", i)
			}
			if unknown := s.TargetCPUPercent == nil; unknown != (i == 0) {
				t.Errorf("sample %d: CPU of the target unknown: %v", i, unknown)
			}
			if unknown := s.GeneratorCPUPercent == nil; unknown != (i == 0) {
				t.Errorf("sample %d: CPU of the generator unknown: %v", i, unknown)
			}
		}
		second := time.Second
		if want := []time.Duration{0, second, 2 * second, 3 * second, 3500 * time.Millisecond}; !slices.Equal(at, want) {
			t.Errorf("samples at %v, want %v", at, want)
		}
		if want := []string{"connect", "connect", "send", "send", "send"}; !slices.Equal(phases, want) {
			t.Errorf("samples in phases %v, want %v", phases, want)
		}
		if again := w.Stop(); again.ElapsedNS != r.ElapsedNS || len(again.Samples) != len(r.Samples) {
			t.Error("a second Stop gives another report")
		}
		w.Phase("late")
		if again := w.Stop(); len(again.Phases) != 2 {
			t.Errorf("a phase after Stop counts: %+v", again.Phases)
		}
	})
}

func TestWatcherThinsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Config{})
		w.maxSamples = 8
		w.Phase("soak")
		time.Sleep(100 * time.Second) //nolint:forbidigo // in a bubble
		r := w.Stop()
		if len(r.Samples) > 8+1 || len(r.Samples) < 4 {
			t.Errorf("%d samples, want 4 to 9", len(r.Samples))
		}
		if r.SampleInterval < 16*time.Second {
			t.Errorf("interval %v after 100 s with room for 8", r.SampleInterval)
		}
		if first, last := r.Samples[0].AtNS, r.Samples[len(r.Samples)-1].AtNS; first != 0 || last != int64(100*time.Second) {
			t.Errorf("samples from %v to %v", time.Duration(first), time.Duration(last))
		}
		for i := 1; i < len(r.Samples)-1; i++ {
			if step := r.Samples[i].AtNS - r.Samples[i-1].AtNS; step != int64(r.SampleInterval) {
				t.Errorf("sample %d after %v, interval %v", i, time.Duration(step), r.SampleInterval)
			}
		}
	})
}

func TestWatcherTargetEnds(t *testing.T) {
	s := start(t)
	w := New(Config{Target: s.tree(t), Interval: time.Hour})
	w.Phase("send")
	if m := w.Held(); m.Target == nil || *m.Target <= 0 {
		t.Errorf("resident set of the target: %v", m.Target)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait() // tells of the kill
	if m := w.Held(); m.Target != nil || m.Generator == nil {
		t.Errorf("resident sets after the target's end: %v, %v", m.Generator, m.Target)
	}
	w.Phase("after")
	r := w.Stop()
	if !r.Target.Gone {
		t.Error("target not gone")
	}
	last := r.Samples[len(r.Samples)-1]
	if last.TargetRSSBytes != nil || last.TargetOpenFiles != nil {
		t.Errorf("figures of a target that is gone: %+v", last)
	}
	if p, _ := r.Phase("after"); p.TargetCPUPercent != nil {
		t.Errorf("CPU of a target that was gone before the phase: %v", *p.TargetCPUPercent)
	}
	if r.Target.RSSBytes == nil {
		t.Error("the most memory seen is lost")
	}
}

func TestWatcherWithoutPhaseOrTarget(t *testing.T) {
	r := New(Config{}).Stop()
	if len(r.Phases) != 0 || len(r.Samples) != 0 || r.Target != nil || !r.StartedAt.IsZero() || r.Machine.ListenOverflows != nil {
		t.Errorf("report of nothing: %+v", r)
	}
	w := New(Config{})
	w.Phase("connect")
	r = w.Stop()
	if r.Target != nil || r.Phases[0].TargetCPUPercent != nil || r.Samples[1].TargetRSSBytes != nil {
		t.Errorf("figures of no target: %+v", r)
	}
}

func TestShare(t *testing.T) {
	base := time.Now()
	at := func(ms int, cpu opt, coarse bool) reading {
		return reading{at: base.Add(time.Duration(ms) * time.Millisecond), cpu: cpu, coarse: coarse}
	}
	ms := func(n int64) opt { return known(n * int64(time.Millisecond)) }
	for _, test := range []struct {
		name     string
		from, to reading
		want     float64
		unknown  bool
	}{
		{"half a core", at(0, ms(5), false), at(30, ms(20), false), 50, false},
		{"two cores", at(0, ms(0), false), at(100, ms(200), false), 200, false},
		{"no time", at(0, ms(0), false), at(0, ms(1), false), 0, true},
		{"coarse and short", at(0, ms(0), true), at(99, ms(50), true), 0, true},
		{"one coarse", at(0, ms(0), false), at(99, ms(50), true), 0, true},
		{"coarse and long", at(0, ms(0), true), at(200, ms(50), true), 25, false},
		{"unknown before", at(0, opt{}, false), at(200, ms(50), false), 0, true},
		{"unknown after", at(0, ms(0), false), at(200, opt{}, false), 0, true},
		{"backwards", at(0, ms(60), true), at(200, ms(50), true), 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := share(test.from, test.to)
			if (got == nil) != test.unknown {
				t.Fatalf("unknown: %v, want %v", got == nil, test.unknown)
			}
			if got != nil && (*got < test.want-1e-9 || *got > test.want+1e-9) {
				t.Errorf("%v %%, want %v", *got, test.want)
			}
		})
	}
}

func TestFindListener(t *testing.T) {
	ctx := context.Background()
	l, addr := listen(t, "127.0.0.1:0")
	pid, ok, err := FindListener(ctx, addr)
	if err != nil || !ok || pid != os.Getpid() {
		t.Errorf("own listener on %s: %d, %v, %v", addr, pid, ok, err)
	}
	l.Close()
	if pid, ok, err := FindListener(ctx, addr); err != nil || ok {
		t.Errorf("closed listener: %d, %v, %v", pid, ok, err)
	}
	// 192.0.2.0/24 is for documentation (RFC 5737) and so of no machine.
	if pid, ok, err := FindListener(ctx, "192.0.2.1:80"); err != nil || ok {
		t.Errorf("address of another machine: %d, %v, %v", pid, ok, err)
	}
	for _, bad := range []string{"127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000"} {
		if _, ok, err := FindListener(ctx, bad); err == nil || ok {
			t.Errorf("%q: %v, %v, want an error", bad, ok, err)
		}
	}
	_, addr = listen(t, "127.0.0.1:0")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := FindListener(cancelled, addr); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFindListenerWildcardAndName(t *testing.T) {
	l, _ := listen(t, ":0")
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost", ""} {
		pid, ok, err := FindListener(context.Background(), host+":"+port)
		if err != nil || !ok || pid != os.Getpid() {
			t.Errorf("%s:%s: %d, %v, %v", host, port, pid, ok, err)
		}
	}
}

func TestForemost(t *testing.T) {
	// 10 is a master with workers 20, 21 and a grandchild 30; 5 is a shell that
	// started 40 and 41; 50 is this process with child servers 51 and 52.
	parents := map[int]int{10: 1, 20: 10, 21: 10, 30: 21, 5: 1, 40: 5, 41: 5, 50: 1, 51: 50, 52: 50}
	parent := func(pid int) (int, bool) { p, ok := parents[pid]; return p, ok }
	program := map[int]string{10: "server", 20: "server", 21: "server", 5: "sh", 40: "server", 41: "server", 50: "sseload", 51: "sseload", 52: "sseload"}
	same := func(a, b int) bool { return program[a] == program[b] }
	for _, test := range []struct {
		name    string
		holders []int
		want    int
	}{
		{"one", []int{20}, 20},
		{"parent among them", []int{21, 10, 20}, 10},
		{"grandparent among them", []int{30, 10}, 10},
		{"listed twice", []int{20, 20}, 20},
		{"workers of one master", []int{21, 20}, 10},
		{"children of a shell", []int{41, 40}, 40},
		{"children of this process", []int{52, 51}, 51},
		{"strangers", []int{40, 20}, 20},
		{"without parents", []int{99, 98}, 98},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := foremost(slices.Clone(test.holders), 50, parent, same); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
