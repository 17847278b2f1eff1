//go:build !unix

package stream

import "net"

// plainReader reads a connection without TLS, see readPlain.
type plainReader interface {
	// blocking reads until there is no more, and returns why.
	blocking(tcp net.Conn) error
	// finish is the last call.
	finish(tcp net.Conn, err error)
}

func (r *attemptReader) blocking(tcp net.Conn) error { return r.c.readBlocking(r.a, tcp, tcp) }

func (r *muxReader) blocking(tcp net.Conn) error { return r.m.readBlocking(tcp) }

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
