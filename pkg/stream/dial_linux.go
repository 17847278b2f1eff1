package stream

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// lateBind has the local port of a socket with a given local address chosen at
// connect, per destination, instead of one for all of them (see ip(7)). Where
// that is not to be had, fewer connections fit.
func lateBind(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}

// lateBindStamped also asks for receive times.
func lateBindStamped(network, address string, c syscall.RawConn) error {
	var err error
	cerr := c.Control(func(fd uintptr) { err = stampReceipts(int(fd)) })
	if cerr != nil {
		return cerr
	}
	if err != nil {
		return fmt.Errorf("receive timestamps: %w", err)
	}
	return lateBind(network, address, c)
}
