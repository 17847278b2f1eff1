//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/scenarios"
)

// servingAt is a server to be started by command, which listens at the Unix socket
// $SOCKET of the environment.
func servingAt(t *testing.T, command string, change func(*serverFlags)) (*commanded, *bytes.Buffer) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sseload") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	t.Setenv("SOCKET", socket)
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	spec := target.Spec{URL: "http://localhost", Unix: socket}
	at, err := target.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	flags := &serverFlags{command: command, timeout: patience, grace: patience}
	if change != nil {
		change(flags)
	}
	told := &bytes.Buffer{}
	c := &commanded{remote: &remote{target: at, log: slog.New(slog.NewTextHandler(told, nil)), profile: &profileFlags{}}, flags: flags}
	t.Cleanup(c.release)
	return c, told
}

// serve is a command that serves at $SOCKET.
const serve = `sseload serve --addr "unix:$SOCKET" --status-interval 0s`

func begun(t *testing.T, c *commanded) *scenarios.Site {
	t.Helper()
	site, err := c.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Stop)
	return site
}

// Every way to start a server ends with all of it gone, and leaves the place free for
// the next one.
func TestServerCommandIsEnded(t *testing.T) {
	for name, command := range map[string]string{
		"in the shell's place": "exec " + serve,
		"beneath the shell":    serve,
		"several":              "sleep 1000 & " + serve + " & wait",
		"left by the shell":    serve + " & true",
		"beneath another":      "sh -c '" + serve + "; true'; true",
	} {
		t.Run(name, func(t *testing.T) {
			c, told := servingAt(t, "", nil)
			var before int
			for range 2 {
				held := newLeash(t, nil)
				c.flags.command = held.take + command
				site := begun(t, c)
				if site.Kind != "url" || site.Command == nil || *site.Command != c.flags.command || site.PID == 0 || site.PID == before {
					t.Errorf("%+v after process %d", site, before)
				}
				before = site.PID
				if isClosed(site.Gone) {
					t.Error("it is gone before its end")
				}
				site.Stop()
				if !isClosed(site.Gone) {
					t.Error("it is not seen to be gone")
				}
				held.awaitRelease(t)
				if text, ok := c.lastSaid(nil); ok {
					t.Errorf("told of an end that was asked for: %s", text)
				}
			}
			if told.Len() > 0 {
				t.Errorf("warned of %s", told)
			}
		})
	}
}

// Who leaves at once does not leave the server behind, however it takes its end.
func TestServerCommandIsKilledOnLeaving(t *testing.T) {
	held := newLeash(t, nil)
	c, _ := servingAt(t, held.take+`trap "" TERM; `+serve+`; while :; do sleep 1000; done`, nil)
	c.leaving = &leaving{}
	site := begun(t, c)
	c.leaving.now()
	held.awaitRelease(t)
	<-site.Gone
	site.Stop()
	if len(c.leaving.todo) > 0 {
		t.Error("it is still to be killed")
	}
}

// What it said is shown without what a terminal takes for a command, and nothing is
// made of nothing.
func TestLastWordsOfServerCommand(t *testing.T) {
	for command, want := range map[string]string{
		"exit 3":                              ": exit status 3",
		`printf '\033\007'; exit 3`:           ": exit status 3",
		`printf 'a\033[31mb\007c\nd'; exit 3`: ": exit status 3: a [31mb c; d",
	} {
		c, _ := servingAt(t, command, nil)
		if _, err := c.Start(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "was ready"+want) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// What takes its time to end is waited for, when the shell has ended too.
func TestServerCommandIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	armed, done := filepath.Join(dir, "armed"), filepath.Join(dir, "done")
	c, told := servingAt(t, `(trap "sleep 0.2; touch `+done+`; exit" TERM; touch `+armed+`; sleep 1000 & wait) >/dev/null 2>&1 &
		until test -e `+armed+`; do :; done; exec `+serve, nil)
	begun(t, c).Stop()
	if _, err := os.Stat(done); err != nil {
		t.Error(err)
	}
	if told.Len() > 0 {
		t.Errorf("warned of %s", told)
	}
}

func TestServerCommandThatIgnoresItsEndIsKilled(t *testing.T) {
	held := newLeash(t, nil)
	c, told := servingAt(t, held.take+`trap "" TERM; (trap "" TERM; while :; do sleep 1000; done) & `+serve+`; while :; do sleep 1000; done`,
		func(f *serverFlags) { f.grace = 50 * time.Millisecond })
	begun(t, c).Stop()
	held.awaitRelease(t)
	if got := told.String(); !strings.Contains(got, "is killed") || strings.Contains(got, "could not be ended") {
		t.Errorf("warned of %q", got)
	}
}

// The end during a run is seen, with its reason.
func TestServerCommandIsGone(t *testing.T) {
	c, _ := servingAt(t, serve+`; echo "the last straw" >&2; exit 7`, nil)
	site := begun(t, c)
	served, err := os.FindProcess(site.PID)
	if err != nil {
		t.Fatal(err)
	}
	if err := served.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-site.Gone:
	case <-time.After(patience):
		t.Fatal("its end is not seen")
	}
	if text, ok := c.lastSaid(errors.New("of the run")); !ok || !strings.Contains(text, "(exit status 7)") || !strings.Contains(text, "the last straw") {
		t.Errorf("%q, %t", text, ok)
	}
}

// What keeps a server from coming up is told with what it said, and nothing is left.
func TestServerCommandDoesNotComeUp(t *testing.T) {
	for name, c := range map[string]struct {
		command string
		change  func(*serverFlags)
		want    []string
	}{
		"unknown":  {"no-such-program", nil, []string{"exit status 127", "no-such-program"}},
		"crashes":  {"echo one; echo two >&2; exit 3", nil, []string{"exit status 3", "one; two"}},
		"is quiet": {"exit 0", nil, []string{"exit status 0"}},
		"is deaf": {
			"echo I am here; sleep 1000 & wait", func(f *serverFlags) { f.timeout = 300 * time.Millisecond },
			[]string{"not ready within 300ms", "I am here"},
		},
		"is elsewhere": {
			serve, func(f *serverFlags) { f.timeout, f.ready = 2*time.Second, "/nothing" }, []string{"not ready within 2s: /nothing answered 404"},
		},
		"has no log": {serve, func(f *serverFlags) { f.log = "no/such/folder" }, []string{"--server-log: ", "no/such/folder"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := servingAt(t, c.command, c.change)
			site, err := s.Start(t.Context())
			if err == nil {
				site.Stop()
				t.Fatal("it came up")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
			if _, ok := s.lastSaid(err); ok {
				t.Error("its words would be told twice")
			}
		})
	}
}

func TestServerCommandIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	held := newLeash(t, cancel)
	c, _ := servingAt(t, held.take+"sleep 1000 & wait", nil)
	if _, err := c.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	held.awaitRelease(t)
}

// Who listens there already is not taken for the server of the command, which is not
// run at all.
func TestServerCommandFindsItsPlaceTaken(t *testing.T) {
	c, _ := servingAt(t, serve, nil)
	begun(t, c)
	ran := filepath.Join(t.TempDir(), "ran")
	again := &commanded{remote: c.remote, flags: &serverFlags{command: "touch " + ran, timeout: patience, grace: patience}}
	_, err := again.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "something listens at unix:") || hintOf(err) == "" {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(ran); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it ran: %v", err)
	}
}

// What preflight looks at is what the first run gets, or is ended with it.
func TestServerCommandWaitsForItsRun(t *testing.T) {
	c, _ := servingAt(t, serve, func(f *serverFlags) { f.ready = "/healthz" })
	if _, err := c.locate(t.Context()); err != nil {
		t.Fatal(err)
	}
	waiting := c.waiting
	if site := begun(t, c); site != waiting {
		t.Error("the first run gets another server")
	}
	waiting.Stop()
	if _, err := c.locate(t.Context()); err != nil {
		t.Fatal(err)
	}
	waiting = c.waiting
	c.release()
	if !isClosed(waiting.Gone) {
		t.Error("one that waits for no run is left")
	}
	if _, err := c.locate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if served, err := os.FindProcess(c.waiting.PID); err != nil || served.Kill() != nil {
		t.Fatal("it cannot be killed")
	}
	<-c.waiting.Gone
	if _, err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Errorf("of one that has ended: %v", err)
	}
}

// The command's environment is the user's without this program's settings, and all
// that it says is kept, over several runs.
func TestServerCommandSurroundings(t *testing.T) {
	t.Setenv("SSELOAD_CLIENTS", "7")
	t.Setenv("OF_THE_USER", "9")
	log := filepath.Join(t.TempDir(), "server.log")
	c, _ := servingAt(t, `echo "clients=$SSELOAD_CLIENTS user=$OF_THE_USER"; seq 5000; exec `+serve, func(f *serverFlags) { f.log = log })
	for range 2 {
		begun(t, c).Stop()
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"clients= user=9\n", "\n4999\n5000\n"} {
		if n := strings.Count(string(text), want); n != 2 {
			t.Errorf("%q stands %d times in the log, not twice", want, n)
		}
	}
}

// The command ends when this program does, however that ends.
func TestServerCommandDoesNotOutliveUs(t *testing.T) {
	for _, name := range []string{"INT", "TERM", "KILL"} {
		t.Run(name, func(t *testing.T) {
			c, _ := servingAt(t, "", nil) // for its socket
			held := newLeash(t, nil)
			log := filepath.Join(t.TempDir(), "log")
			if err := syscall.Mkfifo(log, 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := start(exec.Command("sseload", "connect", "http://localhost/events", "--unix-socket", c.target.Subscribe.Unix,
				"--server-command", held.take+`sleep 1000 & sseload serve --addr "unix:$SOCKET" --status-interval 10ms; true`,
				"--server-log", log, "-c", "3", "--hold", "1000s"), 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.release)
			said, err := os.Open(log)
			if err != nil {
				t.Fatal(err)
			}
			defer said.Close()
			lines := bufio.NewScanner(said)
			connected := false
			for !connected && lines.Scan() {
				connected = strings.Contains(lines.Text(), "clients 3 ")
			}
			if !connected {
				t.Fatalf("its clients were not seen: %v", lines.Err())
			}
			if err := p.signal(name); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() { // so that nobody is held up
				continue
			}
			held.awaitRelease(t)
			if _, _, err := p.finish(); err != nil {
				t.Error(err)
			}
		})
	}
}
