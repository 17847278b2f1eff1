package observe

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// FindUnixListener finds the process of this machine that listens at the Unix socket
// path, by one connection to it: that has the credentials of whoever called listen,
// SO_PEERCRED in unix(7). It gives false when that process is gone, not to be seen
// from here, or the first of all, which opens sockets for others.
func FindUnixListener(ctx context.Context, path string) (pid int, ok bool, err error) {
	nc, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return 0, false, fmt.Errorf("find the listener of %q: %w", path, err)
	}
	defer nc.Close()
	socket, ok := nc.(*net.UnixConn)
	if !ok {
		return 0, false, nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false, fmt.Errorf("find the listener of %q: %w", path, err)
	}
	var peer *unix.Ucred
	cerr := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if cerr != nil {
		err = cerr
	}
	if err != nil {
		return 0, false, fmt.Errorf("find the listener of %q: %w", path, err)
	}
	if peer.Pid <= 1 {
		return 0, false, nil
	}
	if _, err := NewTree(int(peer.Pid)); err != nil {
		return 0, false, fmt.Errorf("find the listener of %q: %w", path, err)
	}
	return int(peer.Pid), true, nil
}
