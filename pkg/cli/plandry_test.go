package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a plan says is shown without what a terminal takes for a command.
func TestDryRunIsPrintable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yaml")
	text := "steps:\n- command: connect\n  label: [\"a=\\e[31mX\\u0007\"]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, told strings.Builder
	a := &App{Args: []string{"run", path, "--dry-run"}, Stdout: &out, Stderr: &told, Env: func(string) (string, bool) { return "", false }}
	if code := a.Run(); code != exitOK || !strings.Contains(out.String(), "[31mX") || strings.ContainsAny(out.String(), "\x1b\a") {
		t.Errorf("exit %d: %q, %q", code, out.String(), told.String())
	}
}
