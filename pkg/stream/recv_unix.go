//go:build unix && !linux

package stream

import (
	"errors"
	"syscall"
)

// receiver reads a socket. There are no receive times here.
type receiver struct{}

// read fills p from fd, which does not block. n is 0 at the end of the stream.
func (*receiver) read(fd int, p []byte) (n int, real int64, errno syscall.Errno) {
	for {
		n, err := syscall.Read(fd, p)
		switch {
		case err == nil:
			return n, 0, 0
		case errors.Is(err, syscall.EINTR):
		case errors.As(err, &errno):
			return 0, 0, errno
		default:
			return 0, 0, syscall.EIO
		}
	}
}

// quiet reports whether there is nothing to read from fd, which does not block,
// not even its end or an error.
func quiet(fd int) bool {
	var p [1]byte
	_, _, err := syscall.Recvfrom(fd, p[:], syscall.MSG_PEEK)
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
}
