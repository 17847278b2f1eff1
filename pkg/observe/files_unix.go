//go:build linux || darwin

package observe

import (
	"fmt"
	"math"
	"runtime"

	"golang.org/x/sys/unix"
)

func fileLimits() (soft, hard *int64) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return nil, nil
	}
	return ptr(clamp(r.Cur)), ptr(clamp(r.Max))
}

// clamp turns RLIM_INFINITY, which is among the largest numbers on every
// system, into Unlimited.
func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// RaiseFiles raises the soft limit of open files of this process as far as it
// goes without privileges, and tells how many there were, are now, and could be
// at most. The Go runtime does so too when it starts, but takes it back for
// child processes unless the program has set the limit by itself: after this
// call they inherit it.
func RaiseFiles() (before, after, hard int64, err error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, 0, 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	before, hard = clamp(r.Cur), clamp(r.Max)
	r.Cur = r.Max
	if runtime.GOOS == "darwin" {
		// There the hard limit may be none, yet the kernel refuses more than this.
		if most := ReadLimits().FilesMax; most != nil {
			r.Cur = min(r.Cur, uint64(*most))
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return before, before, hard, fmt.Errorf("raise the limit of open files from %d to %d: %w", before, r.Cur, err)
	}
	return before, clamp(r.Cur), hard, nil
}
