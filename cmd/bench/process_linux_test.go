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

	"github.com/sseload/sseload/pkg/result"
)

// The test binary is these programs too, when it is called by their names.
const (
	hanging = "hanging-floor" // opens the file that is named in its environment, and hangs until it is interrupted
	lying   = "lying-floor"   // saw one event
	hanged  = "BENCH_TEST_HANGS"

	doubling = "doubling-sseload" // is the sseload that is named in its environment, whose server sends copies twice
	doubled  = "BENCH_TEST_DOUBLES"
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
	case doubling:
		args := os.Args
		if args[1] == "serve" || args[1] == "rooms" && strings.HasPrefix(args[2], "-") { // no URL: the server is its own
			args = append(args, "--fault", "duplicate,every=7")
		}
		err := syscall.Exec(os.Getenv(doubled), args, os.Environ())
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case lying:
		fmt.Fprintln(os.Stdout, `{"clients":60,"events":1,"elapsed_ns":1,"cpu_ns":1,"rss_before_bytes":1,"rss_connected_bytes":1}`)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// programs builds sseload, floor and peer.
func programs(t *testing.T) (sseload, floor, peer string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "github.com/sseload/sseload/cmd/sseload", "github.com/sseload/sseload/cmd/floor", "github.com/sseload/sseload/testserver/peer")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, said)
	}
	return filepath.Join(dir, "sseload"), filepath.Join(dir, "floor"), filepath.Join(dir, "peer")
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
	sseload, floor, peer := programs(t)
	t.Run("quick", func(t *testing.T) { testQuick(t, sseload, floor) })
	t.Run("servers", func(t *testing.T) { testServers(t, sseload, peer) })
	t.Run("faulty reference", func(t *testing.T) { testFaultyReference(t, sseload, peer) })
	t.Run("transports", func(t *testing.T) { testTransportTrials(t, sseload) })
	t.Run("faulty transport", func(t *testing.T) { testFaultyTransport(t, sseload) })
	t.Run("sick peer", func(t *testing.T) { testSickPeer(t, sseload) })
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
		if v.Verdict != notJudged || v.Measured == nil || v.Measured.Rounds != 1 {
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

// testServers: each server is measured, and its record kept as it was written.
func testServers(t *testing.T, sseload, peer string) {
	out := t.TempDir()
	code, stdout, stderr := bench(t, "servers", "-sseload", sseload, "-peer", peer, "-quick", "-out", out)
	if code != exitPassed {
		t.Fatalf("exit %d, %s%s", code, stdout, stderr)
	}
	page, err := os.ReadFile(filepath.Join(out, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(page), "# The reference server beside two others (not judged: 1 round, and it takes 5)\n") ||
		!strings.HasPrefix(stdout, "**Not judged: trials that went wrong, of 3 each: reference 0, nethttp 0, r3labs 0.**\n") ||
		strings.Count(stderr, "bench: round 1 of 1: ") != 9 {
		t.Errorf("the page is\n%s\nstdout\n%s\nstderr\n%s", page, stdout, stderr)
	}
	copies := map[string]int64{"rooms-full": 3 * 60, "rooms-rate": 34 * 6} // three iterations; 167/s for 0.2 s
	for _, s := range (&servers{}).shapes(true) {
		for _, contender := range s.Contenders {
			name := recordName(&s, contender)
			record, err := result.ReadFile(filepath.Join(out, name))
			if err != nil {
				t.Fatal(err)
			}
			r := record.Runs[0]
			if r.Connect.Opened != s.Clients || (r.Delivery != nil) != s.sends() || r.Delivery != nil && r.Delivery.Received != copies[s.Name] {
				t.Errorf("%s: %d clients, delivery %+v, want %d clients and %d copies", name, r.Connect.Opened, r.Delivery, s.Clients, copies[s.Name])
			}
			if !r.TargetProcess.Observed || !strings.Contains(string(page), "["+contender+"]("+name+")") {
				t.Errorf("%s: the server was not observed, or the page does not link to it:\n%s", name, page)
			}
		}
	}
}

// testFaultyReference: a reference server that sends copies twice fails, with fewer
// rounds than a judgement takes too, and the others do not.
func testFaultyReference(t *testing.T, sseload, peer string) {
	t.Setenv(doubled, sseload)
	code, stdout, stderr := bench(t, "servers", "-sseload", alias(t, doubling), "-peer", peer, "-quick", "-run", "rooms-full")
	if code != exitFailed || !strings.HasPrefix(stdout, "**FAIL: trials that went wrong, of 1 each: reference 1, nethttp 0, r3labs 0.**\n") ||
		!strings.Contains(stdout, "- **wrong**: rooms-full, reference, round 1: copies duplicate: ") {
		t.Errorf("exit %d, stdout\n%s\nstderr\n%s", code, stdout, stderr)
	}
}

// testTransportTrials: each transport is measured, and its record kept as it was
// written.
func testTransportTrials(t *testing.T, sseload string) {
	asked := []struct{ name, engine, protocol string }{
		{"epoll", "epoll", "EventSource"},
		{"conn", "conn", "EventSource"},
		{"unix", "epoll", "EventSource (Unix)"},
		{"tls", "conn", "EventSource (TLS)"},
		{"h2c-100", "conn", "EventSource (h2c)"},
		{"h2-100-nethttp", "nethttp", "EventSource (h2)"},
		{"h3-1", "nethttp", "EventSource (h3)"},
	}
	var names, right []string
	for _, one := range asked {
		names, right = append(names, one.name), append(right, one.name+" 0")
	}
	out := t.TempDir()
	code, stdout, stderr := bench(t, "transports", "-sseload", sseload, "-quick", "-contenders", "^("+strings.Join(names, "|")+")$", "-out", out)
	if code != exitPassed {
		t.Fatalf("exit %d, %s%s", code, stdout, stderr)
	}
	page, err := os.ReadFile(filepath.Join(out, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stdout, "**Not judged: trials that went wrong, of 3 each: "+strings.Join(right, ", ")+".**\n") ||
		strings.Count(stderr, "bench: round 1 of 1: ") != 3*len(asked) || strings.Contains(string(page), "| – |") {
		t.Errorf("the page is\n%s\nstdout\n%s\nstderr\n%s", page, stdout, stderr)
	}
	copies := map[string]int64{"rooms-full": 3 * 60, "rooms-rate": 20 * 6} // three iterations; 100/s for 0.2 s
	for _, s := range (transports{}).shapes(true) {
		for _, one := range asked {
			name := recordName(&s, one.name)
			record, err := result.ReadFile(filepath.Join(out, name))
			if err != nil {
				t.Fatal(err)
			}
			if len(record.Runs) != len(s.runs()) || !strings.Contains(string(page), "["+one.name+"]("+name+")") {
				t.Errorf("%s: %d runs of %d, or the page does not link to it:\n%s", name, len(record.Runs), len(s.runs()), page)
			}
			r := record.Runs[len(record.Runs)-1]
			if r.Engine != one.engine || r.Labels.Protocol != one.protocol {
				t.Errorf("%s: engine %s, %s, want %s, %s", name, r.Engine, r.Labels.Protocol, one.engine, one.protocol)
			}
			if r.Connect.Opened != s.Clients || (r.Delivery != nil) != s.sends() || r.Delivery != nil && r.Delivery.Received != copies[s.Name] {
				t.Errorf("%s: %d clients, delivery %+v, want %d clients and %d copies", name, r.Connect.Opened, r.Delivery, s.Clients, copies[s.Name])
			}
		}
	}
}

// testFaultyTransport: copies that come twice fail the benchmark, whose transport it
// is.
func testFaultyTransport(t *testing.T, sseload string) {
	t.Setenv(doubled, sseload)
	code, stdout, stderr := bench(t, "transports", "-sseload", alias(t, doubling), "-quick", "-run", "rooms-full", "-contenders", "^(epoll|conn)$")
	if code != exitFailed || !strings.HasPrefix(stdout, "**FAIL: trials that went wrong, of 1 each: epoll 1, conn 1.**\n") ||
		!strings.Contains(stdout, "- **wrong**: rooms-full, conn, round 1: copies duplicate: ") {
		t.Errorf("exit %d, stdout\n%s\nstderr\n%s", code, stdout, stderr)
	}
}

// testSickPeer: a peer that does not start is one clear line.
func testSickPeer(t *testing.T, sseload string) {
	code, stdout, stderr := bench(t, "servers", "-sseload", sseload, "-peer", sseload, "-quick", "-run", "connect-few")
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "bench: error: ") || !strings.Contains(stderr, "nethttp") {
		t.Errorf("exit %d, %q on stdout and %q on stderr", code, stdout, stderr)
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
