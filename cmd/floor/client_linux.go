package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	atOnce = 384    // clients that may be connecting
	sender = -1     // stands in an epoll event where a subscription has its client's number
	share  = 10_000 // clients on one local address: towards half of 28,232 ports, finding a free one takes long
)

// client is all of them.
type client struct {
	*plan
	to       unix.RawSockaddrInet4
	epoll    int
	deadline time.Time // of the phase
	events   [256]unix.EpollEvent
	buf      [64 << 10]byte
}

// connect opens all subscriptions. One is open when its first bytes have come.
func (c *client) connect() error {
	c.deadline = time.Now().Add(c.timeout)
	isOpen := make([]bool, c.clients)
	for dialed, open := 0, 0; open < c.clients; {
		for ; dialed < c.clients && dialed-open < atOnce; dialed++ {
			if err := c.subscribe(int32(dialed)); err != nil {
				return fmt.Errorf("client %d: %w", dialed, err)
			}
		}
		events, err := c.wait(most)
		if err != nil {
			return fmt.Errorf("%d of %d clients are open: %w", open, c.clients, err)
		}
		for _, ev := range events {
			if ev.Events&unix.EPOLLOUT != 0 { // connected only now
				err = c.request(unix.EPOLL_CTL_MOD, ev.Fd, ev.Pad)
			} else if _, err = c.read(ev.Fd); !isOpen[ev.Pad] {
				isOpen[ev.Pad] = true
				open++
			}
			if err != nil {
				return fmt.Errorf("client %d: %w", ev.Pad, err)
			}
		}
	}
	return nil
}

func (c *client) subscribe(number int32) error {
	fd, err := c.dial(unix.SOCK_NONBLOCK, byte(number/share))
	if err != nil && !errors.Is(err, unix.EINPROGRESS) { // over loopback it is connected by then
		return err
	}
	return c.request(unix.EPOLL_CTL_ADD, fd, number)
}

// request writes a subscription's request and has epoll wait for the answer; where
// there is no connection yet, for that.
func (c *client) request(op int, fd, number int32) error {
	err := write(fd, c.appendSubscription(c.buf[:0], int(number)))
	if errors.Is(err, unix.EAGAIN) {
		return c.watch(op, fd, number, unix.EPOLLOUT)
	} else if err != nil {
		return err
	}
	return c.watch(op, fd, number, unix.EPOLLIN)
}

// send sends all messages and reads until their copies are in, by their bytes.
func (c *client) send() error {
	start := time.Now()
	c.deadline = start.Add(c.due(c.messages) + c.timeout)
	idle, err := c.senders()
	if err != nil {
		return err
	}
	posts, all := c.posts(), c.bytes()
	for sent, received := 0, 0; received < all; {
		ready, patience := c.ready(sent, received, time.Since(start))
		for ; sent < ready && len(idle) > 0; sent++ {
			if err := write(idle[0], posts[sent%len(posts)]); err != nil {
				return fmt.Errorf("message %d: %w", sent, err)
			}
			idle = idle[:copy(idle, idle[1:])] // in turn: the server ends one that is never used
		}
		events, err := c.wait(patience)
		for i := 0; i < len(events) && err == nil; i++ {
			var n int
			if n, err = c.read(events[i].Fd); events[i].Pad != sender {
				received += n
			} else {
				idle = append(idle, events[i].Fd) // a response comes in one piece
			}
		}
		if err == nil && received > all {
			err = errExcess
		}
		if err != nil {
			return fmt.Errorf("%d bytes of %d came: %w", received, all, err)
		}
	}
	return nil
}

// senders are send connections, all established.
func (c *client) senders() ([]int32, error) {
	fds := make([]int32, c.connections)
	for i := range fds {
		fd, err := c.dial(0, 0)
		if err == nil {
			fds[i], err = fd, c.watch(unix.EPOLL_CTL_ADD, fd, sender, unix.EPOLLIN)
		}
		if err != nil {
			return nil, fmt.Errorf("send connection %d: %w", i, err)
		}
	}
	return fds, nil
}

// dial connects from 127.0.0.1, or from one of the addresses after that.
func (c *client) dial(flags int, after byte) (fd int32, err error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err == nil && after > 0 {
		from := sockaddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1 + after}), 0))
		_ = unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // connect finds one
		_, err = call(unix.SYS_BIND, s, unsafe.Pointer(&from), unix.SizeofSockaddrInet4)
	}
	if err == nil {
		_, err = call(unix.SYS_CONNECT, s, unsafe.Pointer(&c.to), unix.SizeofSockaddrInet4)
	}
	return int32(s), err
}

func (c *client) watch(op int, fd, about int32, interest uint32) error {
	return unix.EpollCtl(c.epoll, op, int(fd), &unix.EpollEvent{Events: interest, Fd: fd, Pad: about})
}
