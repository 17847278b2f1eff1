//go:build !linux

package stream

import "syscall"

// lateBind has nothing to prepare on this system.
func lateBind(_, _ string, _ syscall.RawConn) error { return nil }

// lateBindStamped has no receive times to ask for on this system.
func lateBindStamped(_, _ string, _ syscall.RawConn) error { return nil }
