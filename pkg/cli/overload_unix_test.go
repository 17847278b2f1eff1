//go:build unix

package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/result/resulttest"
)

// serving runs the reference server as a user does and returns its URL.
func serving(t *testing.T) string {
	t.Helper()
	p, err := start(exec.Command("sseload", "serve", "--addr", "127.0.0.1:0", "--status-interval", "0s", "--heartbeat", "0s"), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.release)
	found, err := p.await("stderr", regexp.MustCompile(`listening on (http://\S+);`))
	if err != nil {
		t.Fatal(err)
	}
	return found[1]
}

// messages is how many the server at url has been sent.
func messages(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url + "/stats") //nolint:noctx // the test's own timeout will do
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var stats struct{ Messages *int }
	if err := json.Unmarshal(body, &stats); err != nil || stats.Messages == nil {
		t.Fatalf("%s: %v", body, err)
	}
	return *stats.Messages
}

// stopped runs rooms against a server, stops the program for a while once it has
// sent some messages, and returns the record of the run, which must not be trusted.
func stopped(t *testing.T, stall time.Duration, args ...string) *result.Run {
	t.Helper()
	url := serving(t)
	path := t.TempDir() + "/record.json"
	args = append([]string{"rooms", url, "--strict", "-o", "json=" + path}, args...)
	p, err := start(exec.Command("sseload", args...), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.release()
	for messages(t, url) < 50 {
		runtime.Gosched()
	}
	pid := p.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-time.After(stall) // which is what the test is about
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	code, out, err := p.finish()
	if err != nil || code != exitOverloaded {
		t.Fatalf("exit code %d, want %d: %s (%v)", code, exitOverloaded, out.stderr, err)
	}
	run := readRun(t, path)
	g := &run.Generator
	if g.Overloaded == nil || !*g.Overloaded || g.OverloadReason == nil || g.Stalls == nil || g.Stalls.MaxNS < int64(stall*9/10) {
		t.Errorf("overloaded %v, stalls %+v", g.Overloaded, g.Stalls)
	}
	if *run.Delivery.Lost != 0 || run.Delivery.Received != run.Delivery.Expected {
		t.Errorf("%d of %d received", run.Delivery.Received, run.Delivery.Expected)
	}
	return run
}

// TestStallOfTheGenerator stops the generator itself for a second. The messages
// that were due meanwhile leave late: that must be counted, stand in their latency
// and cost the run its trust.
func TestStallOfTheGenerator(t *testing.T) {
	const rate, stall = 100, time.Second
	run := stopped(t, stall, "-c", "60", "--rate", strconv.Itoa(rate)+"/s", "--duration", "3s")
	g, d := &run.Generator, run.Delivery
	// Of the hundred that fell due, all but those of the last millisecond are late.
	if n := *d.Sends.Behind; n < rate*9/10 {
		t.Errorf("%d sends were behind", n)
	}
	if n := resulttest.Above(t, d.Latency, stall/2); n < rate*4/10*6 {
		t.Errorf("%d copies took half the stall or longer", n)
	}
	if *g.DispatchLag.MaxNS < int64(stall*9/10) || d.Received != 6*3*rate {
		t.Errorf("came to sends up to %s late, %d received", time.Duration(*g.DispatchLag.MaxNS), d.Received)
	}
}

// TestStallInTheClosedModel: nothing was due meanwhile, and one late read in
// thousands is in no quantile. That the generator stood still is known all the same.
func TestStallInTheClosedModel(t *testing.T) {
	for _, engine := range []string{"auto", "nethttp"} {
		stopped(t, 500*time.Millisecond, "-c", "60", "--interval", "5ms", "--duration", "2s", "--engine", engine)
	}
}

// TestStarvedGenerator gives the generator what other programs leave of the cores.
func TestStarvedGenerator(t *testing.T) {
	url := serving(t)
	for range runtime.NumCPU() {
		loop := exec.Command("sh", "-c", "while :; do :; done")
		if err := loop.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = loop.Process.Kill()
			_ = loop.Wait() // it was killed
		}()
	}
	path := t.TempDir() + "/record.json"
	p, err := start(exec.Command("nice", "-n", "10", "sseload", "rooms", url, "-c", "60", "--rate", "200/s", "--duration", "2s",
		"--strict", "-o", "json="+path), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.release()
	code, out, err := p.finish()
	if err != nil || code != exitOverloaded {
		t.Fatalf("exit code %d, want %d: %s (%v)", code, exitOverloaded, out.stderr, err)
	}
	run := readRun(t, path)
	if g := run.Generator; g.Overloaded == nil || !*g.Overloaded || *run.Delivery.Lost != 0 {
		t.Errorf("overloaded %v, %d lost", g.Overloaded, *run.Delivery.Lost)
	}
}
