package main

import (
	"bytes"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"-rounds 0", "-rounds 0: at least 1"},
		{"-run nosuch", "nothing has such a name; there is connect-few"},
		{"-run (", "-run (: "},
		{"rooms", `unexpected argument "rooms"`},
		{"servers rooms", `unexpected argument "rooms"`},
		{"servers -run decoder", "nothing has such a name; there is connect-few, rooms-rate, rooms-full"},
		{"servers -floor x", "-floor"},
		{"servers -contenders epoll", "-contenders epoll: nobody has such a name; there is reference, nethttp, r3labs"},
		{"transports -contenders (", "-contenders (: "},
		{"transports -peer x", "-peer"},
		{"-contenders epoll", "-contenders"},
		{"-nosuch", "-nosuch"},
	} {
		code, stdout, stderr := bench(t, strings.Fields(c.args)...)
		if code != exitUsage || stdout != "" || !isOneError(stderr, c.says) {
			t.Errorf("bench %s: exit %d, %q on stdout and %q on stderr, want exit %d and one line with %q", c.args, code, stdout, stderr, exitUsage, c.says)
		}
	}
	for _, c := range []struct{ args, flag, other string }{{"-h", "-floor PROGRAM", "-peer"}, {"servers -h", "-peer PROGRAM", "-floor"}, {"transports -h", "-contenders REGEXP", "-peer"}} {
		code, stdout, stderr := bench(t, strings.Fields(c.args)...)
		if code != exitPassed || stdout != "" || !strings.Contains(stderr, "bench servers [FLAGS]") || !strings.Contains(stderr, "bench transports [FLAGS]") || !strings.Contains(stderr, c.flag) || strings.Contains(stderr, c.other) {
			t.Errorf("bench %s: exit %d, %q on stdout and %q on stderr, want exit %d, all modes, and the flags of this one", c.args, code, stdout, stderr, exitPassed)
		}
	}
}

func TestMissingProgram(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	for _, flag := range []string{"-sseload", "-floor", "-go"} {
		says := gone
		if runtime.GOOS != "linux" {
			says = "needs Linux"
		}
		args := []string{"-quick", "-sseload", "go", "-floor", "go", "-go", "go", flag, gone}
		code, stdout, stderr := bench(t, args...)
		if code != exitFailed || stdout != "" || !isOneError(stderr, says) {
			t.Errorf("%s: exit %d, %q on stdout and %q on stderr, want exit %d and one line with %q", flag, code, stdout, stderr, exitFailed, says)
		}
	}
}

// TestWhereTo: what is measured in part does not take the place of the whole.
func TestWhereTo(t *testing.T) {
	for args, want := range map[string]string{
		"":                                    "results/bench",
		"-rounds 5":                           "results/bench",
		"-rounds 4":                           "",
		"-rounds 4 -out x":                    "x",
		"servers":                             "results/servers",
		"servers -quick":                      "",
		"servers -out x":                      "x",
		"transports":                          "results/transports",
		"transports -contenders epoll":        "",
		"transports -contenders epoll -out x": "x",
		"-no-write":                           "",
		"-quick":                              "",
		"-run rooms":                          "",
		"-quick -out x":                       "x",
		"-out x":                              "x",
		"-out x -no-write":                    "",
	} {
		var said bytes.Buffer
		o, err := parseOptions(strings.Fields(args), &said)
		if err != nil || o.out != want {
			t.Errorf("bench %s: writes to %q, %v, want %q", args, o.out, err, want)
		}
	}
}

// TestMissingServer: the same where servers are measured, on every system.
func TestMissingServer(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	for _, flag := range []string{"-sseload", "-peer"} {
		code, stdout, stderr := bench(t, "servers", "-quick", "-sseload", "go", "-peer", "go", flag, gone)
		if code != exitFailed || stdout != "" || !isOneError(stderr, gone) {
			t.Errorf("%s: exit %d, %q on stdout and %q on stderr, want exit %d and one line with %q", flag, code, stdout, stderr, exitFailed, gone)
		}
	}
}

// bench runs the whole program in this process.
func bench(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, said bytes.Buffer
	code = run(t.Context(), args, &out, &said)
	return code, out.String(), said.String()
}

// isOneError reports whether said is one error of one line, with text in it.
func isOneError(said, text string) bool {
	return strings.HasPrefix(said, "bench: error: ") && strings.Count(said, "\n") == 1 && strings.Contains(said, text)
}
