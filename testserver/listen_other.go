//go:build !unix

package testserver

import (
	"errors"
	"net"
)

const canSetBacklog = false

func setBacklog(*net.TCPListener, int) error { return errors.ErrUnsupported }
