//go:build !linux

package observe

import (
	"context"
	"net/netip"

	gopsnet "github.com/shirou/gopsutil/v3/net"
	"github.com/shirou/gopsutil/v3/process"
)

// listeners finds the processes that hold a listening socket for a port.
func listeners(ctx context.Context, ips []netip.Addr, port uint16) ([]int, error) {
	connections, err := gopsnet.ConnectionsWithContext(ctx, "tcp")
	if err != nil {
		return nil, err
	}
	var holders []int
	best, hidden := 0, false
	for _, c := range connections {
		if c.Status != "LISTEN" || c.Laddr.Port != uint32(port) {
			continue
		}
		bound := netip.IPv6Unspecified() // lsof writes a wildcard as "*"
		if ip, err := netip.ParseAddr(c.Laddr.IP); err == nil {
			bound = ip
		}
		r := reach(bound, ips)
		if r > best {
			best, hidden = r, false
			holders = holders[:0]
		}
		if r == 0 || r < best {
			continue
		}
		if c.Pid == 0 {
			hidden = true
			continue
		}
		holders = append(holders, int(c.Pid))
	}
	if len(holders) == 0 && hidden {
		return nil, ErrHiddenListener
	}
	return holders, nil
}

func parentOf(pid int) (int, bool) {
	parent, err := (&process.Process{Pid: int32(pid)}).Ppid()
	return int(parent), err == nil
}

func sameProgram(a, b int) bool {
	x, err := (&process.Process{Pid: int32(a)}).Exe()
	if err != nil {
		return false
	}
	y, err := (&process.Process{Pid: int32(b)}).Exe()
	return err == nil && x == y
}
