//go:build unix

package testserver

import (
	"errors"
	"net"
	"syscall"
)

// rawWriter makes single non-blocking writes. It holds the callback that
// RawConn.Write wants, made once, so that a write allocates nothing. RawConn
// keeps the descriptor from being closed, and so reused, during the call.
type rawWriter struct {
	p    []byte
	n    int
	err  error
	once func(fd uintptr) bool
}

func newRawWriter() *rawWriter {
	w := &rawWriter{}
	w.once = w.write
	return w
}

// write always returns true: false would wait for the socket, and a publisher
// waits for nobody.
func (w *rawWriter) write(fd uintptr) bool {
	for {
		w.n, w.err = syscall.Write(int(fd), w.p)
		if !errors.Is(w.err, syscall.EINTR) {
			return true
		}
	}
}

// try writes what the kernel takes at once. A full socket is no error.
func (w *rawWriter) try(raw syscall.RawConn, p []byte) (int, error) {
	w.p = p
	err := raw.Write(w.once)
	w.p = nil
	if err != nil {
		return 0, err
	}
	if w.err != nil {
		if errors.Is(w.err, syscall.EAGAIN) {
			return 0, nil
		}
		return 0, w.err
	}
	return w.n, nil
}

// rawConn returns the connection's descriptor when writes may go past Go's
// poller, which takes a plain socket.
func rawConn(conn net.Conn) syscall.RawConn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
