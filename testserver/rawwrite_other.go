//go:build !unix

package testserver

import (
	"errors"
	"net"
)

// descriptor offers none, so that every client goes through its buffer.
func descriptor(net.Conn) int { return noDescriptor }

func tryWrite(int, []byte) (int, error) {
	return 0, errors.ErrUnsupported
}
