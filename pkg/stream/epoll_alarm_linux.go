package stream

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Alarm implements [Engine].
func (e *epoll) Alarm(at int64, f func()) {
	e.alarm = newAlarm(at, e.cfg.Clock.Now(), f)
	e.setTimer()
}

// setTimer has epoll wait no longer than until the alarm. Should there be no
// timer, patience sees to that, if only to the millisecond.
func (e *epoll) setTimer() {
	if e.timer.fd < 0 && e.openTimer() != nil {
		return
	}
	e.timer.set(e.alarm.left(e.cfg.Clock.Now()))
}

func (e *epoll) openTimer() error {
	t, err := newKernelTimer()
	if err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	// Edge-triggered, it need not be read: the loop looks at the clock.
	if err := e.control(unix.EPOLL_CTL_ADD, t.fd, unix.EPOLLIN|unix.EPOLLET, alarmEvent, aboutLoop); err != nil {
		_ = unix.Close(t.fd)
		return err
	}
	e.timer = t
	return nil
}

// ring calls what is due.
func (e *epoll) ring() {
	if e.alarm.f == nil {
		return
	}
	if f := e.alarm.due(e.cfg.Clock.Now()); f != nil {
		f()
	}
}
