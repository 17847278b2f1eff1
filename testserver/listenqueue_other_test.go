//go:build !linux

package testserver

import "testing"

// listenQueue cannot be asked for here.
func listenQueue(*testing.T, int) (int, bool) { return 0, false }
