//go:build !unix

package testserver

import (
	"errors"
	"net"
	"syscall"
)

// rawWriter is not used here: rawConn offers no descriptor, so that every
// client goes through its buffer.
type rawWriter struct{}

func newRawWriter() *rawWriter { return &rawWriter{} }

func (*rawWriter) try(syscall.RawConn, []byte) (int, error) {
	return 0, errors.ErrUnsupported
}

func rawConn(net.Conn) syscall.RawConn { return nil }
