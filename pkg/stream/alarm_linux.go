package stream

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kernelTimer is a timerfd, see timerfd_create(2): whoever polls it is woken to
// some microseconds, where the runtime's timers round up to a millisecond.
type kernelTimer struct {
	fd   int
	spec unix.ItimerSpec // here so that setting it allocates nothing
}

func newKernelTimer() (kernelTimer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	return kernelTimer{fd: fd}, err
}

// set has the timer go off once after d. What it was set to before is forgotten,
// also when it has gone off and nobody has read it.
func (t *kernelTimer) set(d time.Duration) {
	t.spec.Value = unix.NsecToTimespec(int64(max(1, d))) // 0 would stop it
	_ = unix.TimerfdSettime(t.fd, 0, &t.spec, nil)       // it can only fail on wrong arguments
}

// kernelBell is a bell on a timerfd that the runtime's poller watches.
type kernelBell struct {
	kernelTimer
	file *os.File
	buf  [8]byte
}

// newBell makes do with the runtime's timers when no descriptor is left, or none
// can be watched.
func newBell() bell {
	t, err := newKernelTimer()
	if err != nil {
		return newSoftBell()
	}
	b := &kernelBell{kernelTimer: t, file: os.NewFile(uintptr(t.fd), "timerfd")}
	if b.file.SetReadDeadline(time.Time{}) != nil { // the poller has not taken it
		b.close()
		return newSoftBell()
	}
	return b
}

func (b *kernelBell) wait() bool {
	_, err := b.file.Read(b.buf[:])
	return err == nil
}

func (b *kernelBell) close() { _ = b.file.Close() } // it has nothing left to tell
