package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
)

// What other tools have put into the summary of a step counts for what it may have.
func TestStepSummaryIsNotOverfilled(t *testing.T) {
	f := &result.File{Runs: []result.Run{{Scenario: "connect", Params: result.Params{Clients: 6}}}}
	for _, test := range []struct {
		name string
		room int
		want string // what is appended contains
		err  string
	}{
		{"room for all", 10_000, "<details>", ""},
		{"room for less", 600, "*Left out, as a summary holds no more than 1 MiB: details. ", ""},
		{"full", 0, "", "output github: the summary is full: bytes left: 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "summary.md")
			before := bytes.Repeat([]byte("x"), report.SummaryLimit-test.room)
			if err := os.WriteFile(path, before, 0o644); err != nil {
				t.Fatal(err)
			}
			a := &App{Stdout: &bytes.Buffer{}, Env: func(name string) (string, bool) { return path, name == stepSummary }}
			outputs, err := openOutputs(a, []string{"github"})
			if err != nil {
				t.Fatal(err)
			}
			defer outputs.close()
			if err := outputs.render(f); err != nil && err.Error() != test.err || err == nil && test.err != "" {
				t.Errorf("got %v, want %q", err, test.err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(after, before) || len(after) > report.SummaryLimit || !strings.Contains(string(after[len(before):]), test.want) {
				t.Errorf("%d bytes, appended is\n%s", len(after), after[min(len(before), len(after)):])
			}
		})
	}
}
