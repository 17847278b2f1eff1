package profile

import (
	"bufio"
	"context"
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
	goleak.VerifyTestMain(m)
}

// serve answers with its debug pages, and is busy, until standard input ends.
func serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, debugPages()) //nolint:errcheck // it ends with the process
	fmt.Fprintf(os.Stdout, "http://%s/debug/pprof\n", l.Addr())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	for {
		select {
		case <-ended:
			return
		default:
			busyChild()
		}
	}
}

func debugPages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	return mux
}

//go:noinline
func busyChild() { burn(time.Millisecond) }

// burn works for so long.
//
//go:noinline
func burn(d time.Duration) {
	x := 1.0 // not shared: the race detector's part would not be in the stack
	for begin := time.Now(); time.Since(begin) < d; {
		for range 10_000 {
			x = x*1.0000001 + 1e-9
		}
	}
	if x < 0 {
		panic("unreachable, but the compiler does not know")
	}
}

// child starts a program that prints one line when it is ready, and is ended by
// the end of its standard input.
func child(t *testing.T, cmd *exec.Cmd) (ready string) {
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
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	ready, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return strings.TrimSpace(ready)
}

// busyServer is a process of its own. It is where its debug pages are.
func busyServer(t *testing.T) (*exec.Cmd, *url.URL) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), roleVariable+"=server", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd, parseURL(t, child(t, cmd))
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

// function finds one in the table whose name contains part.
func function(p Profile, part string) (Function, bool) {
	for _, f := range p.Top {
		if strings.Contains(f.Name, part) {
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
