package profile

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// temporary is a directory for temporary files, and gives what perf has left there.
func temporary(t *testing.T) (dir string, left func() []string) {
	t.Helper()
	dir = t.TempDir()
	return dir, func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "sseload-perf-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
}

// busyProgram has symbols, which go test leaves out of its own.
func busyProgram(t *testing.T) *worker {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "busy.go")
	const text = `package main

import (
	"bufio"
	"os"
	"syscall"
)

func main() {
	os.Stdout.WriteString("ready\n")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); os.Stdout.WriteString("done\n") {
		burn()
	}
}

func spent() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

//go:noinline
func burn() {
	x := 1.0
	for begin := spent(); spent()-begin < 400e6; {
		for range 100_000 {
			x = x*1.0000001 + 1e-9
		}
	}
	if x < 0 {
		panic("unreachable, but the compiler does not know")
	}
}
`
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "busy")
	if out, err := exec.Command("go", "build", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w, _ := hire(t, exec.Command(program))
	return w
}

func TestPerf(t *testing.T) {
	t.Parallel()
	temp, left := temporary(t)
	w := busyProgram(t)
	dir := t.TempDir()
	source := Perf(w.cmd.Process.Pid)
	source.(*perf).temp = temp
	p := New(Config{Kinds: []Kind{CPU, Heap}, Dir: dir, Stem: "s", Source: source})
	for _, phase := range []string{"one", "two"} {
		p.Begin(soon(t), phase)
		w.work(t, "")
		p.End(soon(t))
	}
	taken, problems := p.Close(soon(t))
	if len(taken) == 0 {
		for _, reason := range []string{"not installed", "not permitted"} {
			if strings.Contains(strings.Join(problems, "\n"), reason) {
				t.Skip(problems)
			}
		}
	}
	mentions(t, problems, "perf has no heap profile")
	if len(taken) != 2 || len(problems) != 1 {
		t.Fatalf("%+v, %q", taken, problems)
	}
	f, ok := function(taken[1], "main.burn")
	switch got := taken[1]; {
	case got.Kind != CPU || got.Source != "perf" || got.Unit != "nanoseconds" || got.Phase != "two":
		t.Errorf("%+v", got)
	case !ok || f.Flat < got.Total/4 || got.Total < int64(stint)/4 || got.Samples < 5:
		t.Errorf("%d in %d samples: %+v", got.Total, got.Samples, got.Top)
	}
	opened(t, filepath.Join(dir, taken[1].File), "main.burn")
	folded(t, filepath.Join(dir, taken[1].Flame), taken[1].Total, "main.burn")
	if l := left(); len(l) != 0 {
		t.Errorf("left behind: %q", l)
	}
}

func TestPerfOfNoProcess(t *testing.T) {
	if _, err := exec.LookPath("perf"); err != nil {
		t.Skip("perf is not installed")
	}
	t.Parallel()
	temp, left := temporary(t)
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{cmd.Process.Pid, 0, -1} {
		taken, problems := profiled(t, Config{Kinds: []Kind{CPU}, Dir: t.TempDir(), Stem: "s", Source: &perf{pid: pid, program: "perf", temp: temp}}, func() {})
		if len(taken) != 0 || len(problems) != 1 || len(left()) != 0 {
			t.Errorf("%d: %+v, %q, left behind: %q", pid, taken, problems, left())
		}
		mentions(t, problems, "o such process")
	}
}

// TestPerfThatIsNone has programs in perf's place.
func TestPerfThatIsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, word string }{
		"mute":      {"exec sleep 60", "in time"},
		"forbidden": {"echo Error: >&2; echo perf_event_paranoid setting is 4 >&2; exit 255", "CAP_PERFMON"},
		"old":       {"echo \"  Error: unknown option 'control'\" >&2; exit 129", "5.10"},
		"broken":    {"echo; echo no such luck >&2; exit 1", "no such luck"},
		"absent":    {"", "not installed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temp, left := temporary(t)
			program := filepath.Join(t.TempDir(), "perf")
			if c.script != "" {
				if err := os.WriteFile(program, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			taken, problems := profiled(t, Config{
				Kinds: []Kind{CPU}, Dir: t.TempDir(), Stem: "s",
				Source: &perf{pid: os.Getpid(), program: program, temp: temp},
			}, func() {})
			if len(taken) != 0 || len(problems) != 1 || len(left()) != 0 {
				t.Errorf("%+v, %q, left behind: %q", taken, problems, left())
			}
			mentions(t, problems, c.word)
		})
	}
}

func TestFamily(t *testing.T) {
	w, _ := server(t)
	pid := w.cmd.Process.Pid
	if got := family(os.Getpid()); got[0] != os.Getpid() || !slices.Contains(got, pid) {
		t.Errorf("%d is not in %d", pid, got)
	}
	if got := family(pid); len(got) != 1 {
		t.Errorf("%d", got)
	}
}
