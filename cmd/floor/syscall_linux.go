package main

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errExcess is for bytes that nobody sent: a heartbeat, or another server than the
// reference server.
var errExcess = errors.New("more than the reference server makes of the messages")

func (c *client) wait(patience time.Duration) ([]unix.EpollEvent, error) {
	timeout := [2]int64{int64(patience / time.Second), int64(patience % time.Second)}
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(c.epoll), uintptr(unsafe.Pointer(&c.events)),
		uintptr(len(c.events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	switch {
	case errno == unix.EINTR: // by the Go scheduler, for which the loop is too long at it
		n = 0
	case errno != 0:
		return nil, fmt.Errorf("epoll_pwait2, of Linux 5.11: %w", errno)
	}
	if n == 0 && time.Now().After(c.deadline) {
		return nil, fmt.Errorf("no more came in %v", c.timeout)
	}
	return c.events[:n], nil
}

func (c *client) read(fd int32) (int, error) {
	n, err := call(unix.SYS_READ, int(fd), unsafe.Pointer(&c.buf), len(c.buf))
	if err == nil && n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func write(fd int32, p []byte) error {
	n, err := call(unix.SYS_WRITE, int(fd), unsafe.Pointer(&p[0]), len(p))
	if err == nil && n < len(p) {
		return io.ErrShortWrite
	}
	return err
}

// call spares the Go scheduler's part in a system call.
func call(trap uintptr, fd int, p unsafe.Pointer, n int) (int, error) {
	r, _, errno := syscall.RawSyscall(trap, uintptr(fd), uintptr(p), uintptr(n))
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}
