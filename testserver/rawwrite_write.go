//go:build unix && !linux

package testserver

import (
	"errors"
	"syscall"
)

// tryWrite makes a single non-blocking write, and writes what the kernel takes at
// once. A full socket is no error.
func tryWrite(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Write(fd, p)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, syscall.EAGAIN):
			return 0, nil
		case !errors.Is(err, syscall.EINTR):
			return 0, err
		}
	}
}
