package observe

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestFindUnixListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if _, ok, err := FindUnixListener(t.Context(), path); ok || err == nil {
		t.Errorf("somebody was found where nobody listens: %v, %v", ok, err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if pid, ok, err := FindUnixListener(t.Context(), path); pid != os.Getpid() || !ok || err != nil {
		t.Errorf("found %d, %v, %v; want this process, %d", pid, ok, err, os.Getpid())
	}
}
