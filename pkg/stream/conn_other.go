//go:build !unix

package stream

import "net"

// readPlain starts to read tcp. This system cannot wait for a socket without
// reading it.
func (c *conn) readPlain(by plainReader, tcp net.Conn) {
	c.work.Go(func() { by.finish(tcp, by.blocking(tcp)) })
}

// silent cannot be told on this system without reading: whoever waits in a Read
// finds out.
func silent(net.Conn) bool { return true }

// receiver is not used on this system.
type receiver struct{}
