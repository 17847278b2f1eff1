//go:build !unix

package testserver

import (
	"errors"
	"syscall"
)

const canSetBacklog = false

func setBacklog(syscall.Conn, int) error { return errors.ErrUnsupported }
