package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

const (
	// tcpTrial bounds how long [LookupQUIC] tries TCP.
	tcpTrial = time.Second
	// refusalWithin is for the answer of a host that has nothing to receive a
	// datagram. One that says nothing may have.
	refusalWithin = 100 * time.Millisecond
)

// LookupQUIC returns an address of hostPort for QUIC, of which only a handshake tells
// whether it is served. Servers of HTTP/3 mostly take TCP connections at the same
// address, so one that accepts those within timeout (a second at most) is taken; if
// there is none, the first, in the resolver's order, that does not refuse datagrams. A
// datagram of one zero byte is sent to find that out, which is no packet of QUIC, RFC
// 9000 section 17.
func LookupQUIC(ctx context.Context, hostPort string, timeout time.Duration) (netip.AddrPort, error) {
	addr, err := Lookup(ctx, hostPort, min(timeout, tcpTrial))
	var dns *net.DNSError
	if err == nil || errors.As(err, &dns) {
		return addr, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("connect to %s: %w", hostPort, err)
	}
	digits, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("connect to %s: %w", hostPort, err)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		if errors.As(err, &dns) {
			err = &lookUpError{dns}
		}
		return netip.AddrPort{}, err
	}
	for _, ip := range ips {
		addr := netip.AddrPortFrom(ip.Unmap(), uint16(digits))
		if err = tryUDP(ctx, addr); err == nil {
			return addr, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("connect to %s by UDP: %w", hostPort, unwrapDial(err))
}

// tryUDP returns an error when addr cannot be reached, or refuses datagrams.
func tryUDP(ctx context.Context, addr netip.AddrPort) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{0}); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(refusalWithin)); err != nil {
		return err
	}
	var timeout net.Error
	_, err = conn.Read(make([]byte, 1))
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	return err // nil if it has even answered
}
