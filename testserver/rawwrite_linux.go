package testserver

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tryWrite makes a single non-blocking write, and writes what the kernel takes at
// once. A full socket is no error. A copy costs little but this call, so it goes the
// shortest way: send(2), which is shorter than write(2), and without word to Go's
// scheduler, which matters only to calls that wait.
func tryWrite(fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
