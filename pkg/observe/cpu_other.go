//go:build !unix

package observe

import (
	"os"
	"time"

	"github.com/shirou/gopsutil/v3/process"
)

// selfCPU reads the CPU time of this process.
func selfCPU() (cpu time.Duration, coarse, ok bool) {
	times, err := (&process.Process{Pid: int32(os.Getpid())}).Times()
	if err != nil {
		return 0, true, false
	}
	return time.Duration((times.User + times.System) * float64(time.Second)), true, true
}
