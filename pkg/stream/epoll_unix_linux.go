package stream

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// fullQueue holds connections for which there was no place in the queue of a Unix
// socket's listener. With TCP the kernel tries on; here connect says EAGAIN, and
// epoll does not tell when it is worth another try, unix(7). So the loop tries now
// and then, for the oldest first, and no further than to the first that is in vain.
type fullQueue struct {
	e *epoll
	fifo[unplaced]
	at int64 // when to try again; counts while there are any
}

// unplaced is a connection as epoll knows it: about is the generation of a
// subscription, or of a send's connection, negative.
type unplaced struct{ index, about int32 }

// tryEvery is how long the loop leaves a full queue alone. A server on the same
// machine may have emptied it by then.
const tryEvery = time.Millisecond

// connect begins to connect fd to the Unix socket at path, unless that is empty. wait
// is true when it has to wait for its turn.
func (q *fullQueue) connect(fd int, path string, index, about int32) (wait bool, err error) {
	if path == "" {
		return false, nil
	}
	if q.len() == 0 {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		if !errors.Is(err, unix.EAGAIN) {
			return false, named(path, err)
		}
		q.at = q.e.cfg.Clock.Now() + int64(tryEvery)
	}
	q.push(unplaced{index, about})
	return true, nil
}

func named(path string, err error) error {
	if err == nil || errors.Is(err, unix.EINPROGRESS) {
		return nil
	}
	return fmt.Errorf("connect to unix:%s: %w", path, err)
}

// retry connects those for whom there is a place by now.
func (q *fullQueue) retry() {
	if q.len() == 0 {
		return
	}
	now := q.e.cfg.Clock.Now()
	if now < q.at {
		return
	}
	q.at = now + int64(tryEvery)
	for q.len() > 0 {
		u := q.waiting()[0]
		fd, path, waits := q.e.unplaced(u)
		if !waits {
			q.pop() // it has been given up
			continue
		}
		err := unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		q.pop()
		q.e.placed(u, named(path, err))
	}
}

// unplaced is the socket that u is about, and where to it is to be connected. waits
// is false when it is gone.
func (e *epoll) unplaced(u unplaced) (fd int, path string, waits bool) {
	if u.about < 0 {
		c := &e.sends.conns[u.index]
		return int(c.fd), e.cfg.Target.Send.Unix, c.gen == -u.about && c.fd >= 0
	}
	c := &e.conns[u.index]
	return int(c.fd), e.cfg.Target.Subscribe.Unix, c.gen == u.about && c.fd >= 0
}

// placed goes on with the connection that u is about, or ends it.
func (e *epoll) placed(u unplaced, err error) {
	if u.about < 0 {
		if err == nil {
			err = e.sends.watchConnect(u.index)
		}
		if err != nil {
			e.sends.fail(u.index, classify(err))
		}
		return
	}
	id, c := int(u.index), &e.conns[u.index]
	if err != nil {
		e.fail(id, c, classify(err))
		return
	}
	if f := e.watch(id, c); f != nil {
		e.fail(id, c, f)
	}
}
