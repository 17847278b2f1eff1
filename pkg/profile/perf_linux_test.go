package profile

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// temporary gives what perf leaves in a directory for temporary files of its own.
func temporary(t *testing.T) (left func() []string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "sseload-perf-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
}

// busyProgram has symbols, which go test leaves out of its own.
func busyProgram(t *testing.T) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "busy.go")
	const text = `package main

import "os"

func main() {
	go burn()
	os.Stdout.WriteString("ready\n")
	os.Stdin.Read(make([]byte, 1))
}

//go:noinline
func burn() {
	for x := 1.0; x > 0; x = x*1.0000001 + 1e-9 {
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
	cmd := exec.Command(program)
	child(t, cmd)
	return cmd
}

func TestPerf(t *testing.T) {
	left := temporary(t)
	server := busyProgram(t)
	dir := t.TempDir()
	p := New(Config{Kinds: []Kind{CPU, Heap}, Dir: dir, Stem: "s", Source: Perf(server.Process.Pid)})
	for _, phase := range []string{"one", "two"} {
		p.Begin(soon(t), phase)
		begin := time.Now()
		burn(500 * time.Millisecond) // this process is not in it
		if took := time.Since(begin); took > patience {
			t.Fatalf("%v", took)
		}
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
	case !ok || f.Flat < got.Total/4 || got.Samples < 20:
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
	left := temporary(t)
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{cmd.Process.Pid, 0, -1} {
		taken, problems := profiled(t, Config{Kinds: []Kind{CPU}, Dir: t.TempDir(), Stem: "s", Source: Perf(pid)}, func() {})
		if len(taken) != 0 || len(problems) != 1 || len(left()) != 0 {
			t.Errorf("%d: %+v, %q, left behind: %q", pid, taken, problems, left())
		}
		mentions(t, problems, "o such process")
	}
}

// TestPerfThatIsNone has programs in perf's place.
func TestPerfThatIsNone(t *testing.T) {
	for name, c := range map[string]struct{ script, word string }{
		"mute":      {"exec sleep 60", "in time"},
		"forbidden": {"echo Error: >&2; echo perf_event_paranoid setting is 4 >&2; exit 255", "CAP_PERFMON"},
		"old":       {"echo \"  Error: unknown option 'control'\" >&2; exit 129", "5.10"},
		"broken":    {"echo; echo no such luck >&2; exit 1", "no such luck"},
		"absent":    {"", "not installed"},
	} {
		t.Run(name, func(t *testing.T) {
			left := temporary(t)
			program := filepath.Join(t.TempDir(), "perf")
			if c.script != "" {
				if err := os.WriteFile(program, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			taken, problems := profiled(t, Config{
				Kinds: []Kind{CPU}, Dir: t.TempDir(), Stem: "s",
				Source: &perf{pid: os.Getpid(), program: program},
			}, func() {})
			if len(taken) != 0 || len(problems) != 1 || len(left()) != 0 {
				t.Errorf("%+v, %q, left behind: %q", taken, problems, left())
			}
			mentions(t, problems, c.word)
		})
	}
}

func TestFamily(t *testing.T) {
	server, _ := busyServer(t)
	if got := family(os.Getpid()); got[0] != os.Getpid() || !slices.Contains(got, server.Process.Pid) {
		t.Errorf("%d is not in %d", server.Process.Pid, got)
	}
	if got := family(server.Process.Pid); len(got) != 1 {
		t.Errorf("%d", got)
	}
}
