package testserver

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// checkBacklog asks the kernel for the bound of a listener's queue: of a socket
// that listens, TCP_INFO has it in the field for selectively acknowledged segments.
func checkBacklog(t *testing.T, ln net.Listener, want uint32) {
	t.Helper()
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	var failed error
	if err := raw.Control(func(fd uintptr) {
		info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if info.Sacked != want {
		t.Errorf("backlog %d, want %d", info.Sacked, want)
	}
}
