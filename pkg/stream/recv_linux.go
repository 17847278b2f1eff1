package stream

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiver reads a socket together with the kernel's receive time. It makes the
// recvmsg call itself because unix.Recvmsg allocates on each call. One receiver
// serves one goroutine.
type receiver struct {
	hdr     unix.Msghdr
	iov     unix.Iovec
	control [64]byte
}

// stampReceipts asks the kernel to note when data arrives at fd (SO_TIMESTAMPNS,
// see socket(7)). For a stream socket the stamp that recvmsg returns is that of
// the last segment it read from. The kernel takes no times while no socket on the
// machine wants them, and begins to only a moment after the first one does: what
// arrives meanwhile has no stamp.
func stampReceipts(fd int) error {
	return setOption(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS)
}

// sendAtOnce has fd keep nothing back until earlier data has been received.
func sendAtOnce(fd int) error {
	if err := setOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	return nil
}

// The calls of x/sys tell Go's scheduler of each, lest it blocks. These never do.

// setOption switches an option of a socket on.
func setOption(fd, level, name int) error {
	on := int32(1)
	_, _, e := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0)
	if e != 0 {
		return e
	}
	return nil
}

// connect begins to connect fd, which does not block.
func connect(fd int, to unix.Sockaddr) error {
	var raw unix.RawSockaddrInet6 // the larger of the two
	size := uintptr(unix.SizeofSockaddrInet6)
	port := (*[2]byte)(unsafe.Pointer(&raw.Port)) // at the same place in both
	switch to := to.(type) {
	case *unix.SockaddrInet4:
		raw.Family, size = unix.AF_INET, unix.SizeofSockaddrInet4
		(*unix.RawSockaddrInet4)(unsafe.Pointer(&raw)).Addr = to.Addr
		binary.BigEndian.PutUint16(port[:], uint16(to.Port))
	case *unix.SockaddrInet6:
		raw.Family, raw.Addr, raw.Scope_id = unix.AF_INET6, to.Addr, to.ZoneId
		binary.BigEndian.PutUint16(port[:], uint16(to.Port))
	default:
		return unix.Connect(fd, to)
	}
	if _, _, e := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&raw)), size); e != 0 {
		return e
	}
	return nil
}

// read fills p from fd without blocking. real is the kernel's receive time on
// the real-time clock in nanoseconds, or 0 when it gave none. n is 0 at the end
// of the stream.
func (r *receiver) read(fd int, p []byte) (n int, real int64, errno syscall.Errno) {
	r.iov.Base = &p[0]
	r.iov.SetLen(len(p))
	r.hdr.Iov = &r.iov
	r.hdr.SetIovlen(1)
	r.hdr.Control = &r.control[0]
	r.hdr.SetControllen(len(r.control))
	r.hdr.Flags = 0
	for {
		got, _, e := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.hdr)), unix.MSG_DONTWAIT)
		switch e {
		case 0:
			return int(got), r.stamp(), 0
		case unix.EINTR:
		default:
			return 0, 0, e
		}
	}
}

// quiet reports whether there is nothing to read from fd, not even its end or an
// error. It does not block.
func quiet(fd int) bool {
	var p [1]byte
	_, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return e == unix.EAGAIN || e == unix.EINTR
}

// stamp finds the SCM_TIMESTAMPNS control message.
func (r *receiver) stamp() int64 {
	const need = unix.SizeofCmsghdr + int(unsafe.Sizeof(unix.Timespec{}))
	if int(r.hdr.Controllen) < need {
		return 0
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&r.control[0]))
	if c.Level != unix.SOL_SOCKET || c.Type != unix.SO_TIMESTAMPNS {
		return 0
	}
	return (*unix.Timespec)(unsafe.Pointer(&r.control[unix.SizeofCmsghdr])).Nano()
}

// write sends p on fd without blocking and without SIGPIPE.
func write(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch e {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}
