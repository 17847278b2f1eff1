package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// run carries the plan out and measures what that costs this process, whose end
// closes the connections.
func (p *plan) run() (r report, err error) {
	r = report{Clients: p.clients, Messages: p.messages, Events: p.copies(), Bytes: p.bytes()}
	if r.RSSBeforeBytes, err = resident(); err != nil {
		return r, err
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return r, fmt.Errorf("epoll: %w", err)
	}
	// Room for all sockets at once: a table of files that grows bit by bit waits for
	// all cores each time, since a Go program has threads.
	if fd, err := unix.FcntlInt(uintptr(epoll), unix.F_DUPFD_CLOEXEC, p.clients+p.connections); err == nil {
		_ = unix.Close(fd) // the table stays
	}
	c := &client{plan: p, epoll: epoll, to: sockaddr(p.addr)}
	if r.ElapsedNS, r.CPUNS, err = cost(c.connect); err != nil {
		return r, fmt.Errorf("connect to %s: %w", p.addr, err)
	}
	if r.RSSConnectedBytes, err = resident(); err != nil || p.messages == 0 {
		return r, err
	}
	if r.ElapsedNS, r.CPUNS, err = cost(c.send); err != nil {
		return r, fmt.Errorf("send to %s: %w", p.addr, err)
	}
	return r, nil
}

// sockaddr is an address as the kernel takes it, with the port in network order.
func sockaddr(addr netip.AddrPort) unix.RawSockaddrInet4 {
	port := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, addr.Port()))
	return unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: addr.Addr().As4()}
}

// cost is how long f takes, and how much CPU time this process spends meanwhile,
// user and system, in nanoseconds.
func cost(f func() error) (elapsed, cpu int64, err error) {
	before, err := spent()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	if err = f(); err != nil {
		return 0, 0, err
	}
	elapsed = int64(time.Since(start))
	after, err := spent()
	return elapsed, after - before, err
}

func spent() (int64, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return u.Utime.Nano() + u.Stime.Nano(), nil
}

// resident is the memory of this process that is in use, see proc_pid_statm(5).
func resident() (int64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}
