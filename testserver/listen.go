package testserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// socketPrefix is what the address of a Unix socket begins with.
const socketPrefix = "unix:"

// maxSocketPath is the longest path of a Unix socket, its final zero left out.
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// SocketPath takes the path out of an address of the form unix:PATH.
func SocketPath(addr string) (path string, ok bool) { return strings.CutPrefix(addr, socketPrefix) }

func (c *Config) socketPath() (path string, ok bool) { return SocketPath(c.Addr) }

// socket is a connection that the kernel serves, without a layer in between.
type socket interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

var _, _ socket = (*net.TCPConn)(nil), (*net.UnixConn)(nil)

// boundPorts is how often a free port is looked for that TCP and UDP both have.
const boundPorts = 20

// bind binds what the configuration names: a socket for connections, and for HTTP/3
// one for packets, else nil.
func (c *Config) bind() (net.Listener, *net.UDPConn, error) {
	if path, ok := c.socketPath(); ok {
		ln, err := bindUnix(path)
		return ln, nil, err
	}
	for try := 1; ; try++ {
		ln, err := net.Listen("tcp", c.Addr)
		if err != nil || !c.HTTP3 {
			return ln, nil, err
		}
		bound := ln.Addr().(*net.TCPAddr)
		packets, err := net.ListenUDP("udp", &net.UDPAddr{IP: bound.IP, Port: bound.Port, Zone: bound.Zone})
		if err == nil {
			return ln, packets, nil
		}
		ln.Close()
		if _, port, _ := net.SplitHostPort(c.Addr); port != "0" || try == boundPorts {
			return nil, nil, fmt.Errorf("udp port %d: %w", bound.Port, bareListenError(err))
		}
	}
}

// bindUnix listens at path, or in a folder of its own.
func bindUnix(path string) (net.Listener, error) {
	folder := ""
	if path == "" {
		var err error
		if folder, err = os.MkdirTemp("", "sseload-"); err != nil {
			return nil, err
		}
		path = filepath.Join(folder, "s.sock")
	}
	addr := &net.UnixAddr{Name: path, Net: "unix"}
	ln, err := net.ListenUnix("unix", addr)
	if err != nil && abandoned(path) && os.Remove(path) == nil {
		ln, err = net.ListenUnix("unix", addr)
	}
	if err != nil {
		if folder != "" {
			_ = os.Remove(folder) // a folder left behind is the smaller trouble
		}
		return nil, err
	}
	return &unixListener{UnixListener: ln, folder: folder}, nil
}

// abandoned reports whether a socket is at path on which nobody listens.
func abandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return false
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// unixListener removes with its socket the folder that was made for it.
type unixListener struct {
	*net.UnixListener
	folder string // empty for none
}

func (l *unixListener) Close() error {
	err := l.UnixListener.Close()
	if l.folder != "" {
		_ = os.Remove(l.folder) // gone already, or not ours alone any more
	}
	return err
}
