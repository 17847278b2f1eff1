//go:build unix

package testserver

import (
	"fmt"
	"syscall"
)

const canSetBacklog = true

// setBacklog calls listen(2) again on a listening socket, which changes the
// length of its queue.
func setBacklog(ln syscall.Conn, backlog int) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return fmt.Errorf("listen backlog %d: %w", backlog, err)
	}
	var listenErr error
	if err := raw.Control(func(fd uintptr) { listenErr = syscall.Listen(int(fd), backlog) }); err != nil {
		return fmt.Errorf("listen backlog %d: %w", backlog, err)
	}
	if listenErr != nil {
		return fmt.Errorf("listen backlog %d: %w", backlog, listenErr)
	}
	return nil
}
