//go:build !unix

package stream

import "net"

// readPlain starts to read tcp. This system cannot wait for a socket without
// reading it.
func (c *conn) readPlain(a *attempt, tcp net.Conn) {
	c.work.Go(func() { c.end(a, tcp, c.readBlocking(a, tcp, tcp)) })
}

// receiver is not used on this system.
type receiver struct{}
