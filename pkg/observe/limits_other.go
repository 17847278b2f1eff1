//go:build !linux && !darwin

package observe

import (
	"errors"
	"fmt"

	"github.com/shirou/gopsutil/v3/mem"
)

func readSystem(l *Limits) {
	if v, err := mem.VirtualMemory(); err == nil {
		l.MemoryTotal, l.MemoryAvailable = ptr(int64(v.Total)), ptr(int64(v.Available))
	}
}

// RaiseFiles would raise the soft limit of open files of this process; here the
// error always wraps [errors.ErrUnsupported].
func RaiseFiles() (before, after, hard int64, err error) {
	return 0, 0, 0, fmt.Errorf("raise the limit of open files: %w", errors.ErrUnsupported)
}
