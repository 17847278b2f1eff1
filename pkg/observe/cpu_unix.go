//go:build unix && !linux

package observe

import (
	"time"

	"golang.org/x/sys/unix"
)

// selfCPU reads the CPU time of this process.
func selfCPU() (cpu time.Duration, coarse, ok bool) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, false, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), false, true
}
