package testserver

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// listenQueue asks ss(8) for the length of a socket's listen queue.
func listenQueue(t *testing.T, port int) (int, bool) {
	t.Helper()
	out, err := exec.Command("ss", "-Hltn", "sport = :"+strconv.Itoa(port)).Output()
	if err != nil {
		t.Logf("queue length not checked: ss: %v", err)
		return 0, false
	}
	words := strings.Fields(string(out))
	if len(words) < 3 {
		t.Fatalf("ss: %q", out)
	}
	n, err := strconv.Atoi(words[2])
	if err != nil {
		t.Fatal(err)
	}
	return n, true
}
