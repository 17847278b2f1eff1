// Package proxytest is a proxy for tests. It speaks HTTP and SOCKS5 on one port of
// 127.0.0.1, which is also where it finds every host that it is asked for, whatever
// its name: tests give targets names that nobody could look up.
package proxytest

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Proxy is a proxy that runs. Close it.
type Proxy struct {
	cfg  Config
	ln   net.Listener
	work sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	asked []string
	over  bool
}

// Config says how a Proxy behaves. The zero value lets everything through.
type Config struct {
	// Credentials are the "USER:PASSWORD" that it wants to see; empty: none.
	Credentials string
	// Refuse is the status of its every answer, to SOCKS5 the code; 0: it does what
	// it is asked for.
	Refuse int
	// Silent has it never answer.
	Silent bool
}

// Start starts a Proxy on a free port.
func Start(cfg Config) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{cfg: cfg, ln: ln, conns: map[net.Conn]bool{}}
	p.work.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			if p.own(nc) {
				p.work.Go(func() { p.serve(nc) })
			}
		}
	})
	return p, nil
}

// Close ends the proxy and all of its connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.over = true
	_ = p.ln.Close()
	for nc := range p.conns {
		_ = nc.Close()
	}
	p.mu.Unlock()
	p.work.Wait()
}

// Addr is where it listens, host:port.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// URL is the proxy's with this scheme and, if not empty, these "USER:PASSWORD".
func (p *Proxy) URL(scheme, credentials string) *url.URL {
	u := &url.URL{Scheme: scheme, Host: p.Addr()}
	if user, password, ok := strings.Cut(credentials, ":"); ok {
		u.User = url.UserPassword(user, password)
	}
	return u
}

// Asked are the different things that it was asked for: "CONNECT HOST:PORT", "SOCKS5
// HOST:PORT", or a request line without its version.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Clone(p.asked)
	slices.Sort(all)
	return slices.Compact(all)
}

func (p *Proxy) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, what)
}

func (p *Proxy) own(nc net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		_ = nc.Close()
		return false
	}
	p.conns[nc] = true
	return true
}

func (p *Proxy) leave(nc net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, nc)
	_ = nc.Close()
}

// client is a connection to the proxy.
type client struct {
	net.Conn
	in *bufio.Reader
}

func (p *Proxy) serve(nc net.Conn) {
	defer p.leave(nc)
	c := &client{Conn: nc, in: bufio.NewReader(nc)}
	first, err := c.in.Peek(1)
	switch {
	case err != nil:
	case p.cfg.Silent:
		_, _ = io.Copy(io.Discard, c.in)
	case first[0] == 5:
		p.socks(c)
	default:
		p.http(c)
	}
}

// http serves what comes over c up to the first that makes it a tunnel.
func (p *Proxy) http(c *client) {
	for {
		req, err := http.ReadRequest(c.in)
		if err != nil {
			return
		}
		p.note(req.Method + " " + req.RequestURI)
		body, err := io.ReadAll(req.Body)
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.cfg.Credentials))
		switch {
		case err != nil:
			return
		case p.cfg.Credentials != "" && req.Header.Get("Proxy-Authorization") != want:
			answer(c, http.StatusProxyAuthRequired)
			continue
		case p.cfg.Refuse != 0:
			answer(c, p.cfg.Refuse)
			continue
		}
		up := p.dial(req.Host)
		if req.Method != http.MethodConnect {
			up = p.dial(req.URL.Host)
		}
		if up == nil {
			answer(c, http.StatusBadGateway)
			continue
		}
		if req.Method == http.MethodConnect {
			_, err = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
		} else {
			req.Header.Del("Proxy-Authorization")
			req.Header.Set("Via", "1.1 proxytest")
			req.Body = io.NopCloser(strings.NewReader(string(body)))
			err = req.Write(up)
		}
		if err == nil {
			p.join(c, up)
		}
		p.leave(up)
		return
	}
}

func answer(c *client, status int) {
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
}

// dial connects to the port of hostPort on this machine; nil when nobody listens.
func (p *Proxy) dial(hostPort string) net.Conn {
	_, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		port = "80"
	}
	up, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil || !p.own(up) {
		return nil
	}
	return up
}

// join copies both ways until both sides have ended.
func (p *Proxy) join(c *client, up net.Conn) {
	p.work.Go(func() {
		pass(up, c.in)
		end(up)
	})
	pass(c, up)
	end(c.Conn)
}

// pass copies without the system's help, for which package net keeps descriptors that
// a test would take for leaks.
func pass(to io.Writer, from io.Reader) {
	_, _ = io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
}

func end(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // it can only fail on a connection that has ended
	}
}

// socks serves SOCKS5, RFC 1928, with a name and password as in RFC 1929.
func (p *Proxy) socks(c *client) {
	hostPort, ok := p.socksRequest(c)
	if !ok {
		return
	}
	p.note("SOCKS5 " + hostPort)
	code := byte(p.cfg.Refuse)
	var up net.Conn
	if code == 0 {
		if up = p.dial(hostPort); up == nil {
			code = 5 // refused
		}
	}
	_, err := c.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
	if up != nil {
		if err == nil {
			p.join(c, up)
		}
		p.leave(up)
	}
}

func (p *Proxy) socksRequest(c *client) (hostPort string, ok bool) {
	methods, ok := c.counted(1)
	if !ok {
		return "", false
	}
	const none, password, unacceptable = 0, 2, 0xff
	method := byte(none)
	if p.cfg.Credentials != "" {
		method = password
	}
	if !slices.Contains(methods, method) {
		_, _ = c.Write([]byte{5, unacceptable})
		return "", false
	}
	if _, err := c.Write([]byte{5, method}); err != nil || method == password && !p.socksPassword(c) {
		return "", false
	}
	var head [4]byte // version, command, reserved, type of address
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return "", false
	}
	var host string
	switch head[3] {
	case 1:
		var ip [4]byte
		_, err := io.ReadFull(c.in, ip[:])
		host, ok = net.IP(ip[:]).String(), err == nil
	case 3:
		var name []byte
		name, ok = c.counted(0)
		host = string(name)
	default:
		return "", false
	}
	var port [2]byte
	if _, err := io.ReadFull(c.in, port[:]); err != nil || !ok {
		return "", false
	}
	return net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(port[:])))), true
}

func (p *Proxy) socksPassword(c *client) bool {
	name, ok := c.counted(1)
	if !ok {
		return false
	}
	password, ok := c.counted(0)
	if !ok {
		return false
	}
	good := string(name)+":"+string(password) == p.cfg.Credentials
	code := byte(1)
	if good {
		code = 0
	}
	_, err := c.Write([]byte{1, code})
	return good && err == nil
}

// counted reads, behind skip bytes, a length in one byte and so many bytes.
func (c *client) counted(skip int) ([]byte, bool) {
	head := make([]byte, skip+1)
	if _, err := io.ReadFull(c.in, head); err != nil {
		return nil, false
	}
	p := make([]byte, head[skip])
	_, err := io.ReadFull(c.in, p)
	return p, err == nil
}
