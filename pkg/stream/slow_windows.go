package stream

import (
	"fmt"
	"syscall"
)

// shrink gives a socket that is not connected yet a small receive buffer.
func shrink(fd uintptr) error {
	if err := syscall.SetsockoptInt(syscall.Handle(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, slowBuffer); err != nil {
		return fmt.Errorf("small receive buffer: %w", err)
	}
	return nil
}
