//go:build !linux

package stream

func newBell() bell { return newSoftBell() }
