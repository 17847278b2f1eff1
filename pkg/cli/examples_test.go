package cli

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/cobra"
)

// staging says what stands in scripts for a part of an example: hosts and ports
// that the script knows only as it runs, and sizes that a test can afford. The
// first that fits is taken, so that longer parts come first.
var staging = []struct{ example, script string }{
	{"'https://example.test/events/{room}'", "$TLS/events/{room}"},
	{"https://example.test/feed", "$TLS/feed"},
	{"'http://127.0.0.1:8123/events?room=lobby'", "$SERVER/events?room=lobby"},
	{"http://127.0.0.1:8123", "$SERVER"},
	{"http://127.0.0.1:8124", "$OTHER"},
	{"http://127.0.0.1:3000/events/7", "$APP/events/7"},
	{"'http://127.0.0.1:3000/events/{room}'", "$EXPRESS/events/{room}"},
	{"'http://127.0.0.1:3000/publish/{room}'", "$EXPRESS/publish/{room}"},
	{"'node server.js 3000'", "$NODE"},
	{"127.0.0.1:9000", "127.0.0.1:0"},
	{"unix:/tmp/sseload.sock", "unix:s.sock"},
	{"-c 1000,2000,3000 -n 1,10,100 --interval 1s", "-c 6,12,18 -n 1,2,3 --interval 1ms"},
	{"--clients 1000,2000,3000,4000,5000", "--clients 10,20,30,40,50"},
	{"--clients 4000 --iterations 100", "--clients 40 --iterations 10"},
	{"--clients 50000 --remote", "--clients 50 --remote"},
	{"--clients 15000", "--clients 15"},
	{"--clients 5000", "--clients 50"},
	{"-c 600 -n 10", "-c 60 -n 10"},
	{"-c 2000 --hold 30s", "-c 20 --hold 100ms"},
	{"-c 500 ", "-c 20 "},
}

// TestEveryExampleIsScripted demands that each example of the help is typed in
// some script.
func TestEveryExampleIsScripted(t *testing.T) {
	a := &App{Stdout: io.Discard, Stderr: io.Discard, Env: func(string) (string, bool) { return "", false }}
	root := a.rootCommand()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	examples := examplesOf(root)
	if len(examples) < 10 {
		t.Fatalf("only %d examples were found: %q", len(examples), examples)
	}
	lines := scriptLines(t)
	used := make([]bool, len(staging))
	for _, example := range examples {
		if want := staged(example, used); !scripted(want, lines) {
			t.Errorf("no script in %s has a line that ends with\n\t%s\nfor the example\n\t%s", scriptDir, want, example)
		}
	}
	for i, s := range staging {
		if !used[i] {
			t.Errorf("no example has %q any more", s.example)
		}
	}
}

func TestScriptedNeedsTheWholeExample(t *testing.T) {
	lines := []string{"exec sseload doctor --clients 15", "background a sseload serve"}
	for line, want := range map[string]bool{
		"sseload doctor --clients 15": true,
		"sseload serve":               true,
		"sseload doctor":              false,
		"load serve":                  false,
		"sseload doctor --clients 1":  false,
	} {
		if got := scripted(line, lines); got != want {
			t.Errorf("scripted(%q) = %t, want %t", line, got, want)
		}
	}
}

// TestEveryCommandHasAnExample keeps the help helpful. Those that cobra brings
// explain themselves otherwise.
func TestEveryCommandHasAnExample(t *testing.T) {
	a := &App{Stdout: io.Discard, Stderr: io.Discard, Env: func(string) (string, bool) { return "", false }}
	for _, c := range a.rootCommand().Commands() {
		if c.Example == "" && c.Name() != "help" && c.Name() != "completion" {
			t.Errorf("%s has no example", c.CommandPath())
		}
	}
}

// examplesOf lists the examples of a command and all below it, a line each.
func examplesOf(c *cobra.Command) []string {
	var all []string
	for line := range strings.Lines(strings.ReplaceAll(c.Example, "\\\n", "")) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			all = append(all, line)
		}
	}
	for _, below := range c.Commands() {
		all = append(all, examplesOf(below)...)
	}
	return all
}

// staged is an example as scripts have it. It notes which entries of staging it
// used.
func staged(example string, used []bool) string {
	for i, s := range staging {
		if strings.Contains(example, s.example) {
			example = strings.ReplaceAll(example, s.example, s.script)
			used[i] = true
		}
	}
	return example
}

// scripted reports whether some line ends with the command.
func scripted(command string, lines []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return strings.HasSuffix(line, " "+command) })
}

// scriptLines are the lines of all scripts, without comments and files.
func scriptLines(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(scriptDir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(txtar.Parse(data).Comment)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}
