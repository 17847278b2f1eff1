//go:build unix

package testserver

import "net"

// descriptor returns the connection's descriptor when writes may go past Go's
// poller, which takes a plain socket; else noDescriptor. It is good until the
// connection is closed: who uses it keeps others from closing meanwhile.
func descriptor(conn net.Conn) int {
	fd := noDescriptor
	plain, ok := conn.(socket)
	if !ok {
		return fd
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return fd
	}
	// A connection closed already has no descriptor.
	_ = raw.Control(func(n uintptr) { fd = int(n) })
	return fd
}
