//go:build unix && !linux

package cli

// notOnlyZombies would tell whether a member of the process group lives; here the
// system's first process waits for those that have lost their parents.
func notOnlyZombies(int) bool { return true }
