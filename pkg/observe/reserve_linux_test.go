package observe

import (
	"os"
	"testing"
)

func TestReserveFiles(t *testing.T) {
	const n = 3000
	ReserveFiles(n)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if room := field(status, "\nFDSize:"); !room.ok || room.v < n {
		t.Errorf("room for %d files, %v; want %d", room.v, room.ok, n)
	}
}
