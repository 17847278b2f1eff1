package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strconv"
)

// host is where a redirect led to. It is looked up once for all subscriptions.
type host struct {
	addrs   []netip.AddrPort // none while it is looked up
	waiters []waiter         // meanwhile
}

// waiter is a subscription that waits for a look-up, unless its generation has
// moved on.
type waiter struct {
	id  int
	gen int32
}

// maxHosts bounds what is remembered of a server that sends everybody elsewhere.
const maxHosts = 1024

// redirect has subscription id go on where it was sent.
func (e *epoll) redirect(id int, c *subscription, by *redirect) {
	own := e.cfg.Target.Subscribe
	r, ok := e.moved[id]
	if !ok {
		var f *Failure
		if r, f = newRedirects(own, e.cfg.Handler.Vars(id)); f != nil {
			e.fail(id, c, f)
			return
		}
	}
	from := r.host
	if f := r.follow(own, by, "http"); f != nil {
		e.fail(id, c, f)
		return
	}
	w, err := r.way(own)
	if err == nil && w.Tunnels() {
		err = failuref(Proxy, "redirect to %s, for which engine epoll cannot ask the %s; use --engine conn", r.To, w)
	}
	if err != nil {
		e.fail(id, c, classify(err))
		return
	}
	addr, timing := e.addr(id), c.timing
	e.drop(id, c)
	c.timing, c.state = timing, resolving
	r.host = w.HostPort
	e.moved[id] = r
	switch {
	case w.Unix != "" || w.HostPort == from:
		e.dialAt(id, c, []netip.AddrPort{addr})
	case w.Addr.IsValid():
		e.dialAt(id, c, []netip.AddrPort{w.Addr})
	default:
		e.opening.add(deadline{at: e.cfg.deadline(c.timing.Dialed), index: int32(id), gen: c.gen}, e.isOpenOrGone)
		e.lookUp(w.HostPort, id, c)
	}
}

// dialAt connects a redirected subscription to the first of addrs that takes it.
func (e *epoll) dialAt(id int, c *subscription, addrs []netip.AddrPort) {
	e.moved[id].addrs = addrs
	e.dial(id, c)
}

// lookUp connects subscription id to hostPort once that is known.
func (e *epoll) lookUp(hostPort string, id int, c *subscription) {
	h, known := e.hosts[hostPort]
	if known && len(h.addrs) > 0 {
		e.dialAt(id, c, h.addrs)
		return
	}
	if !known {
		if len(e.hosts) >= maxHosts {
			maps.DeleteFunc(e.hosts, func(_ string, h *host) bool { return len(h.addrs) > 0 })
		}
		h = new(host)
		e.hosts[hostPort] = h
		e.lookups.Go(func() {
			addrs, f := e.resolve(hostPort)
			e.Do(func() { e.found(hostPort, h, addrs, f) })
		})
	}
	h.waiters = append(h.waiters, waiter{id: id, gen: c.gen})
}

// resolve looks hostPort up, outside of the loop. Which of the addresses answers
// is for those to find out who connect.
func (e *epoll) resolve(hostPort string) ([]netip.AddrPort, *Failure) {
	name, digits, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, failuref(Protocol, "redirect to %s: %w", hostPort, err)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil, failuref(Protocol, "redirect to %s: %w", hostPort, err)
	}
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.Timeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		f := classify(fmt.Errorf("look up %q: %w", name, err))
		if dns := new(net.DNSError); errors.As(err, &dns) { // the name server's address tells a user nothing
			f.Err = fmt.Errorf("look up %q: %s", name, dns.Err)
		}
		return nil, f
	}
	addrs := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addrs[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return addrs, nil
}

// found goes on with those that waited for h. A look-up that failed is forgotten.
func (e *epoll) found(hostPort string, h *host, addrs []netip.AddrPort, f *Failure) {
	waiters := h.waiters
	h.addrs, h.waiters = addrs, nil
	if f != nil {
		delete(e.hosts, hostPort)
	}
	for _, w := range waiters {
		switch c := &e.conns[w.id]; {
		case c.gen != w.gen || c.state != resolving:
		case f != nil:
			e.fail(w.id, c, f)
		default:
			e.dialAt(w.id, c, h.addrs)
		}
	}
}
