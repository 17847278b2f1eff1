package observe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
)

// ErrHiddenListener says that something on this machine listens on an address,
// but that the system does not tell this user which process it is.
var ErrHiddenListener = errors.New("the listening process belongs to another user")

// FindListener finds the process of this machine that listens on addr,
// "host:port" with a numeric port. It gives false when the address is not one
// of this machine or nobody listens there. Where several processes share the
// listener, it gives the one that the others descend from; if there is none but
// they are all children of one process that runs the same program, that one;
// else the one of the lowest number. The error wraps [ErrHiddenListener] when
// there is a listener whose process cannot be told.
//
// It looks through all sockets and processes, which takes from some
// milliseconds to a second: call it once, before the load.
func FindListener(ctx context.Context, addr string) (pid int, ok bool, err error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, false, fmt.Errorf("find the listener of %q: %w", addr, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return 0, false, fmt.Errorf("find the listener of %q: port: %w", addr, err)
	}
	ips, err := localAddresses(ctx, host)
	if err != nil {
		return 0, false, fmt.Errorf("find the listener of %q: %w", addr, err)
	}
	if len(ips) == 0 {
		return 0, false, nil
	}
	holders, err := listeners(ctx, ips, uint16(port))
	if err != nil {
		return 0, false, fmt.Errorf("find the listener of %q: %w", addr, err)
	}
	if len(holders) == 0 {
		return 0, false, nil
	}
	return foremost(holders, os.Getpid(), parentOf, sameProgram), true, nil
}

// localAddresses gives those of a host's addresses that are this machine's.
func localAddresses(ctx context.Context, host string) ([]netip.Addr, error) {
	var ips []netip.Addr
	if host == "" {
		host = "::"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = []netip.Addr{ip}
	} else if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, err
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var local []netip.Addr
	for _, ip := range ips {
		ip = ip.Unmap().WithZone("")
		mine := ip.IsLoopback() || ip.IsUnspecified()
		for _, a := range interfaces {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				mine = mine || prefix.Addr().Unmap().WithZone("") == ip
			}
		}
		if mine {
			local = append(local, ip)
		}
	}
	return local, nil
}

// reach tells how a socket bound to an address serves connections to any of
// ips: 2 by that very address, 1 by a wildcard, 0 not at all. A wildcard of
// IPv6 takes IPv4 too, unless the socket was told not to, which cannot be seen.
func reach(bound netip.Addr, ips []netip.Addr) int {
	bound = bound.Unmap()
	best := 0
	for _, ip := range ips {
		switch {
		case bound == ip:
			return 2
		case ip.IsUnspecified(), bound == netip.IPv6Unspecified(), bound == netip.IPv4Unspecified() && ip.Is4():
			best = 1
		}
	}
	return best
}

// foremost picks the process to observe from those that hold one listener.
func foremost(holders []int, self int, parent func(int) (int, bool), same func(a, b int) bool) int {
	slices.Sort(holders)
	holders = slices.Compact(holders)
	var tops []int
	for _, h := range holders {
		top := true
		p, ok := parent(h)
		for steps := 0; ok && p > 1 && steps < 64; steps++ {
			if slices.Contains(holders, p) {
				top = false
				break
			}
			p, ok = parent(p)
		}
		if top {
			tops = append(tops, h)
		}
	}
	if len(tops) == 0 {
		return holders[0] // the processes changed while they were looked at
	}
	if len(tops) == 1 {
		return tops[0]
	}
	// Workers that each opened a listener of their own (SO_REUSEPORT): their
	// parent holds none. Whether it is their master, and not a shell or this
	// process, shows in what it runs.
	shared, ok := parent(tops[0])
	if !ok || shared <= 1 || shared == self {
		return tops[0]
	}
	for _, t := range tops {
		if p, ok := parent(t); !ok || p != shared || !same(shared, t) {
			return tops[0]
		}
	}
	return shared
}
