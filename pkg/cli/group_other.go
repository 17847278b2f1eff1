//go:build !linux

package cli

// beneathShell is the process to observe of a [shell].
func beneathShell(pid int) int { return pid }
