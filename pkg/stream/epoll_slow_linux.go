package stream

import (
	"math"

	"golang.org/x/sys/unix"
)

// held tells whether c reads slowly now.
func (e *epoll) held(c *subscription) bool { return c.slow && c.state == open && !e.freely }

// pause leaves c, which has read n bytes, unread for as long as that takes at its
// pace. Its socket leaves the epoll set: with an interest in nothing, that would
// still report that the server has closed it, again and again.
func (e *epoll) pause(id int, c *subscription, n int) {
	if err := e.control(unix.EPOLL_CTL_DEL, int(c.fd), 0, int32(id), c.gen); err != nil {
		e.fail(id, c, classify(err))
		return
	}
	c.paused = true
	at := e.cfg.Clock.Now() + int64(e.pace.pause(n))
	e.pauses.add(deadline{at: at, index: int32(id), gen: c.gen}, e.isResumed)
}

// isResumed tells whether what d is for is not paused any more.
func (e *epoll) isResumed(d deadline) bool {
	c := &e.conns[d.index]
	return c.gen != d.gen || !c.paused
}

// resume goes on with those whose pause is over at now. What they find is read in
// the loop's next turn.
func (e *epoll) resume(now int64) {
	for {
		d, ok := e.pauses.expired(now, e.isResumed)
		if !ok {
			return
		}
		id, c := int(d.index), &e.conns[d.index]
		c.paused = false
		if err := e.control(unix.EPOLL_CTL_ADD, int(c.fd), e.interest(id), d.index, c.gen); err != nil {
			e.failLater(id, c, classify(err))
		}
	}
}

// interest is what epoll is to tell of an open subscription. A server may answer
// before it has read the request.
func (e *epoll) interest(id int) uint32 {
	if _, more := e.rest[id]; more {
		return unix.EPOLLIN | unix.EPOLLOUT
	}
	return unix.EPOLLIN
}

// ReadFreely implements [Engine].
func (e *epoll) ReadFreely() {
	e.freely = true
	e.resume(math.MaxInt64)
}
