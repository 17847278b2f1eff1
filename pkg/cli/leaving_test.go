package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What is left in a hurry leaves no file behind that was made for nothing.
func TestLeavingRemovesEmptyFiles(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("there"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := &App{Stdout: io.Discard}
	outputs, err := openOutputs(a, []string{"json=" + path("there"), "json=" + path("new"), "csv=" + path("written")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := outputs[2].w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	a.leaving.now()
	for name, stays := range map[string]bool{"there": true, "new": false, "written": true} {
		if _, err := os.Stat(path(name)); errors.Is(err, os.ErrNotExist) == stays {
			t.Errorf("%s: %v", name, err)
		}
	}
	outputs.close()
	if len(a.leaving.todo) > 0 {
		t.Error("closed files are still to be removed")
	}
}
