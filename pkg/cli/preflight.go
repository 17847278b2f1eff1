package cli

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/sseload/sseload/pkg/observe"
	"github.com/sseload/sseload/scenarios"
)

// place is where the load is made and goes.
type place struct {
	sources addresses
	local   bool // server and clients share the machine
}

// preflight finds out, before any load, whether the target is there and the
// machine allows what is asked for, and from which local addresses to connect.
func (f *loadFlags) preflight(ctx context.Context, a *App, s scenarios.Server, sendsTo func(local bool) int) (place, error) {
	if _, _, _, err := observe.RaiseFiles(); err != nil {
		a.log().Debug("the limit of open files cannot be raised", "err", err)
	}
	plan := observe.Plan{
		Sources: len(f.sources), StreamsPerConnection: int(f.streamsPerConnection), ConnectConcurrency: int(f.connectConcurrency), Workers: int(f.workers),
	}
	for _, n := range f.clients {
		plan.Clients = max(plan.Clients, n)
	}
	if there, ok := s.(located); ok {
		r, err := there.locate(ctx)
		if err != nil {
			return place{}, err
		}
		plan.LocalTarget, plan.UnixTarget = r.local(), r.target.Subscribe.Unix != ""
		if addr := r.target.Subscribe.Addr.Addr().Unmap(); !plan.UnixTarget {
			if err := f.sources.reach(addr); err != nil {
				return place{}, err
			}
			plan.LoopbackTarget = addr.IsLoopback() && addr.Is4()
		}
	} else {
		plan.BundledServer, plan.LocalTarget, plan.UnixTarget = true, true, f.serve.unix()
		if addr, ok := f.serve.ip(); ok {
			if err := f.sources.reach(addr); err != nil {
				return place{}, err
			}
			plan.LoopbackTarget = addr.IsLoopback() && addr.Is4()
		}
	}
	if err := f.sources.check(); err != nil {
		return place{}, err
	}
	local := plan.LocalTarget
	sends := sendsTo(local)
	plan.SendConnections = sends
	observe.ReserveFiles(plan.Connections())
	limits := observe.ReadLimits()
	findings := observe.Check(plan, limits)
	if err := observe.Refusal(findings); err != nil {
		return place{}, fmt.Errorf("%d clients cannot work here: %w", plan.Clients, err)
	}
	for _, finding := range findings {
		if finding.Verdict == observe.Warn {
			a.note("warning: %s: %s; %s", finding.Limit, finding.Text, finding.Remedy)
		}
	}
	p := place{sources: f.sources, local: local}
	// Twice as many as it takes: Linux looks for a free port among those of one
	// parity first, so that from half the range on each connect searches long
	// (15,000 from one address took three times as long as from two).
	if n := observe.SourcesNeeded(2*plan.Connections(), limits); len(p.sources) == 0 && limits.LoopbackSources && plan.LoopbackTarget && n > 1 {
		p.sources = observe.LoopbackSources(n)
	}
	return p, nil
}

func errSourceOfUnix() error {
	return usagef("leave one of them out", "--source: connections to a Unix socket come from no address")
}

// check finds out whether connections can be made from each address.
func (v addresses) check() error {
	for _, addr := range v {
		ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		if err != nil {
			return &hinted{fmt.Errorf("--source: %s is not an address of this machine", addr), "ip addr shows those that are; all of 127.0.0.0/8 is on Linux"}
		}
		if err := ln.Close(); err != nil {
			return fmt.Errorf("--source: %w", err)
		}
	}
	return nil
}

// reach finds out whether the addresses are of the target's family.
func (v addresses) reach(to netip.Addr) error {
	for _, addr := range v {
		if addr.Unmap().Is4() != to.Is4() {
			return &hinted{fmt.Errorf("--source: %s cannot reach %s", addr, to), "give IPv4 addresses for an IPv4 target, and IPv6 for IPv6"}
		}
	}
	return nil
}
