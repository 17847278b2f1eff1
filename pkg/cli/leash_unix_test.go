//go:build unix

package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// leash is held by a command of the shell, and by all that it starts.
type leash struct {
	take     string // begins the command
	released chan error
}

// newLeash makes one. taken is called once the command runs; it may be nil.
func newLeash(t *testing.T, taken func()) *leash {
	t.Helper()
	path := filepath.Join(t.TempDir(), "held")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	l := &leash{take: "exec 9>" + path + "; ", released: make(chan error, 1)}
	go func() {
		f, err := os.Open(path) // returns once the command has opened it too
		if taken != nil {
			taken()
		}
		if err == nil {
			_, err = f.Read(make([]byte, 1)) // the end, once nobody holds it any more
			f.Close()
		}
		l.released <- err
	}()
	return l
}

// awaitRelease waits until nobody holds it any more.
func (l *leash) awaitRelease(t *testing.T) {
	t.Helper()
	select {
	case err := <-l.released:
		if !errors.Is(err, io.EOF) {
			t.Errorf("it was held until %v", err)
		}
	case <-time.After(patience):
		t.Error("what the command has started goes on")
	}
}
