package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// The test binary is these programs too, when it is called by their names.
const (
	hanging = "hanging-floor" // opens the file that is named in its environment, and hangs until it is interrupted
	lying   = "lying-floor"   // saw one event
	hanged  = "BENCH_TEST_HANGS"
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case hanging:
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt)
		if file, err := os.OpenFile(os.Getenv(hanged), os.O_WRONLY, 0); err == nil {
			file.Close()
			<-interrupted
		}
		os.Exit(1)
	case lying:
		fmt.Fprintln(os.Stdout, `{"clients":60,"events":1,"elapsed_ns":1,"cpu_ns":1,"rss_before_bytes":1,"rss_connected_bytes":1}`)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// programs builds sseload and floor.
func programs(t *testing.T) (sseload, floor string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "github.com/sseload/sseload/cmd/sseload", "github.com/sseload/sseload/cmd/floor")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, said)
	}
	return filepath.Join(dir, "sseload"), filepath.Join(dir, "floor")
}

// alias is the test binary by another name.
func alias(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(os.Args[0], path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTrials(t *testing.T) {
	sseload, floor := programs(t)
	t.Run("quick", func(t *testing.T) { testQuick(t, sseload, floor) })
	t.Run("lies", func(t *testing.T) { testLies(t, sseload) })
	t.Run("interrupt", func(t *testing.T) { testInterrupt(t, sseload) })
	t.Run("sick server", func(t *testing.T) { testSickServer(t, floor) })
}

// testQuick: the figures of a true run hold together.
func testQuick(t *testing.T, sseload, floor string) {
	out := t.TempDir()
	code, stdout, stderr := bench(t, "-sseload", sseload, "-floor", floor, "-quick", "-run", "connect-few|rooms-full|wide-rate|decoder", "-out", out)
	if code != exitPassed {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	written, err := os.ReadFile(filepath.Join(out, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	var b book
	if err := json.Unmarshal(written, &b); err != nil {
		t.Fatal(err)
	}
	if b.Schema != schema || !b.Passed || !b.Quick || len(b.Shapes) != 3 || len(b.Trials) != 5+5+2 || len(b.Decodings) != 1 || b.Tool == nil || b.Host == nil {
		t.Errorf("got %s", written)
	}
	copies := map[string]int64{"rooms-full": 3 * 60, "wide-rate": 4 * 60} // three iterations; 16.67/s for 0.2 s
	for _, tr := range b.Trials {
		if tr.ElapsedNS == nil || tr.CPUNS == nil || *tr.ElapsedNS <= 0 || *tr.CPUNS <= 0 || *tr.CPUNS > tr.ProcessCPUNS {
			t.Errorf("%s, %s: the figures are %+v", tr.Shape, tr.Contender, tr)
		}
		want, sends := copies[tr.Shape]
		if (tr.Copies != nil) != sends || sends && *tr.Copies != want {
			t.Errorf("%s, %s: copies %v, want %d", tr.Shape, tr.Contender, tr.Copies, want)
		}
	}
	for _, v := range b.Verdicts {
		if v.Verdict != notJudged || v.Measured == nil {
			t.Errorf("got %+v, want it measured and not judged", v)
		}
	}
	page, err := os.ReadFile(filepath.Join(out, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stdout, b.budgets()) || !strings.Contains(string(page), b.budgets()) || strings.Count(stderr, "bench: round 1 of 1: ") != 13 {
		t.Errorf("stdout is\n%s\nstderr\n%s\nthe page\n%s", stdout, stderr, page)
	}
}

// testLies: a contender that was not sent all is not taken for good.
func testLies(t *testing.T, sseload string) {
	code, stdout, stderr := bench(t, "-sseload", sseload, "-floor", alias(t, lying), "-quick", "-run", "wide-full")
	if code != exitFailed || !strings.Contains(stdout, "- **wrong, not used**: wide-full, floor, round 1: 1 copies of 180\n") ||
		!strings.Contains(stdout, "**"+notMeasured+"**") {
		t.Errorf("exit %d, stdout\n%s\nstderr\n%s", code, stdout, stderr)
	}
}

// testInterrupt: a trial is cut short, and leaves nothing behind.
func testInterrupt(t *testing.T, sseload string) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(hanged, pipe)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opened := make(chan error, 1)
	go func() {
		file, err := os.Open(pipe) // until the trial runs
		if err == nil {
			file.Close()
		}
		cancel()
		opened <- err
	}()
	var stdout, stderr strings.Builder
	code := run(ctx, []string{"-sseload", sseload, "-floor", alias(t, hanging), "-quick", "-run", "wide-full"}, &stdout, &stderr)
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if code != exitFailed || stdout.String() != "" || stderr.String() != "bench: error: interrupted\n" {
		t.Errorf("exit %d, %q on stdout and %q on stderr", code, &stdout, &stderr)
	}
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Skipf("this kernel does not list children: %v", err)
	}
	for _, list := range lists {
		if children, err := os.ReadFile(list); err == nil && len(children) > 0 {
			t.Errorf("left behind: processes %s", children)
		}
	}
}

// testSickServer: a server that does not start is one clear line.
func testSickServer(t *testing.T, floor string) {
	code, stdout, stderr := bench(t, "-sseload", floor, "-floor", floor, "-quick", "-run", "connect-few")
	if code != exitFailed || stdout != "" || !isOneError(stderr, "the first argument is connect or rooms") {
		t.Errorf("exit %d, %q on stdout and %q on stderr", code, stdout, stderr)
	}
}
