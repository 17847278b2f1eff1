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
		{"-nosuch", "-nosuch"},
	} {
		code, stdout, stderr := bench(t, strings.Fields(c.args)...)
		if code != exitUsage || stdout != "" || !isOneError(stderr, c.says) {
			t.Errorf("bench %s: exit %d, %q on stdout and %q on stderr, want exit %d and one line with %q", c.args, code, stdout, stderr, exitUsage, c.says)
		}
	}
	code, stdout, stderr := bench(t, "-h")
	if code != exitPassed || stdout != "" || !strings.Contains(stderr, "-rounds") {
		t.Errorf("bench -h: exit %d, %q on stdout and %q on stderr, want exit %d and the flags", code, stdout, stderr, exitPassed)
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
		"":                 "results/bench",
		"-rounds 2":        "results/bench",
		"-no-write":        "",
		"-quick":           "",
		"-run rooms":       "",
		"-quick -out x":    "x",
		"-out x":           "x",
		"-out x -no-write": "",
	} {
		var said bytes.Buffer
		o, err := parseOptions(strings.Fields(args), &said)
		if err != nil || o.out != want {
			t.Errorf("bench %s: writes to %q, %v, want %q", args, o.out, err, want)
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
