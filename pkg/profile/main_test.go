package profile

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roleVariable makes the test binary a server to profile instead.
const roleVariable = "PROFILE_TEST_ROLE"

// patience is for what should come at once.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		serve()
		return
	}
	// Most of what is parallel waits. The command line goes before.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// stint is the CPU time of one piece of work. What tests compare are shares of it,
// with much to spare: a busy machine delays a sampler too.
const stint = 400 * time.Millisecond

// serve answers with its debug pages, and does what standard input says, until
// that ends.
func serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, debugPages()) //nolint:errcheck // it ends with the process
	fmt.Fprintf(os.Stdout, "http://%s/debug/pprof\n", l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Fprintln(os.Stdout, "done") {
		switch in.Text() {
		case "left":
			left()
		case "right":
			right()
		}
	}
}

//go:noinline
func left() { burn(spent(stint)) }

//go:noinline
func right() { burn(spent(stint)) }

func debugPages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	return mux
}

// burn works until it is enough.
//
//go:noinline
func burn(enough func() bool) {
	x := 1.0 // not shared: the race detector's part would not be in the stack
	for !enough() {
		for range 100_000 {
			x = x*1.0000001 + 1e-9
		}
	}
	if x < 0 {
		panic("unreachable, but the compiler does not know")
	}
}

// spent tells when this process has used so much more CPU time, which takes longer
// on a busy machine.
func spent(d time.Duration) func() bool {
	begin := cpuTime()
	return func() bool { return cpuTime()-begin >= d }
}

// worker is a process that does a piece of work for each line that it reads, and
// prints one when that is done. The end of its standard input ends it.
type worker struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

// hire starts one. It prints a line when it is ready.
func hire(t *testing.T, cmd *exec.Cmd) (w *worker, ready string) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(3*patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
		hung.Stop()
	})
	w = &worker{cmd, in, bufio.NewReader(out)}
	return w, w.hear(t)
}

func (w *worker) hear(t *testing.T) string {
	t.Helper()
	line, err := w.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", w.cmd, err)
	}
	return strings.TrimSpace(line)
}

// work returns when the work is done.
func (w *worker) work(t *testing.T, what string) {
	t.Helper()
	if _, err := fmt.Fprintln(w.in, what); err != nil {
		t.Fatal(err)
	}
	if said := w.hear(t); said != "done" {
		t.Fatalf("%s says %q", w.cmd, said)
	}
}

// server is a process of its own, and where its debug pages are.
func server(t *testing.T) (*worker, *url.URL) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), roleVariable+"=server", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	w, ready := hire(t, cmd)
	return w, parseURL(t, ready)
}

func parseURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// soon is a context that ends if something hangs.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	return ctx
}

// wanted is the one profile of a kind.
func wanted(t *testing.T, taken []Profile, k Kind) Profile {
	t.Helper()
	var found []Profile
	for _, p := range taken {
		if p.Kind == k {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d profiles of kind %s in %+v", len(found), k, taken)
	}
	return found[0]
}

// function finds one in the table by the end of its name.
func function(p Profile, name string) (Function, bool) {
	for _, f := range p.Top {
		if strings.HasSuffix(f.Name, name) { // closures have longer names
			return f, true
		}
	}
	return Function{}, false
}

func clear(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Errorf("problem: %s", p)
	}
}

// mentions tells whether there is exactly one problem with all of the words.
func mentions(t *testing.T, problems []string, words ...string) {
	t.Helper()
	n := 0
	for _, p := range problems {
		all := true
		for _, w := range words {
			all = all && strings.Contains(p, w)
		}
		if all {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d problems with %q in %q", n, words, problems)
	}
}
