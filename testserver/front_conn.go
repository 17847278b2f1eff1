package testserver

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"
)

// frontConn is a connection at the front, and what it takes to serve it. It is used
// again for another one.
type frontConn struct {
	f    *front
	conn socket

	buf      []byte // read and not answered yet is buf[from:to]
	from, to int
	text     []byte // the body of an answer
	out      []byte // an answer

	set      time.Time // the deadline that the socket has; zero is none
	begun    bool      // a request has
	headBy   time.Time // when its head must be there; zero before that matters
	answered time.Time // the last request

	event  string // the last message's type
	second int64  // that date is of
	date   []byte // value of a Date field
}

// firstBytes is how much net/http wants of a request before it takes it for begun,
// but for the first on a connection.
const firstBytes = 4

func newFrontConn(f *front) *frontConn {
	return &frontConn{f: f, buf: make([]byte, 2<<10), out: make([]byte, 0, 512), text: make([]byte, 0, 64)}
}

// reset prepares c for another connection.
func (c *frontConn) reset() {
	*c = frontConn{f: c.f, buf: c.buf, out: c.out[:0], text: c.text[:0], event: c.event, second: c.second, date: c.date}
}

// serve answers requests until one is foreign, one is a subscription, or the
// connection ends.
func (c *frontConn) serve() {
	defer c.f.recycle(c)
	c.begun = true
	c.headBy = time.Now().Add(c.f.s.headTimeout)
	req, is := c.next()
	for is == ours && !req.subscribe && c.message(req) {
		req, is = c.next()
	}
	c.f.forget(c)
	switch {
	case is == foreign || is == ours && req.subscribe && !c.f.s.subscribesPlainly(req):
		c.pass()
	case is == ours && req.subscribe:
		c.subscribe(req)
	default:
		_ = c.conn.Close() // nobody reads any more
	}
}

// next waits for a whole request. One that is incomplete never will be whole.
func (c *frontConn) next() (req frontRequest, is verdict) {
	for {
		if c.begins() {
			req, is = parseFrontRequest(c.buf[c.from:c.to])
		}
		unread := c.to - c.from
		var until time.Time // a body takes as long as it does
		switch {
		case is == foreign, is == ours && unread >= req.size+req.length:
			return req, is
		case is == incomplete && unread > maxFrontHead:
			return req, foreign
		case is == incomplete:
			until = c.headDeadline()
		}
		if err := c.fill(until); err != nil {
			if c.begun && unread > 0 && errors.Is(err, io.EOF) {
				return req, foreign // net/http has an answer to that
			}
			return req, incomplete
		}
	}
}

// begins reports whether a request has begun. As it does, line ends behind the
// message before it are skipped, which some clients of old send (RFC 9112 section
// 2.2), as many as net/http skips.
func (c *frontConn) begins() bool {
	if c.begun || c.to-c.from < firstBytes {
		return c.begun
	}
	c.begun = true
	for end := c.from + firstBytes; c.from < end && (c.buf[c.from] == '\r' || c.buf[c.from] == '\n'); {
		c.from++
	}
	return true
}

// headDeadline is when the head of the next request must be there.
func (c *frontConn) headDeadline() time.Time {
	if !c.begun {
		return c.answered.Add(c.f.s.idleTimeout)
	}
	if c.headBy.IsZero() {
		c.headBy = time.Now().Add(c.f.s.headTimeout)
	}
	return c.headBy
}

// fill reads more, until a time; zero is without end. A deadline that the socket
// has and that comes too early is put off only when it has come: a sender that is
// never idle sets none.
func (c *frontConn) fill(until time.Time) error {
	c.makeRoom()
	if !until.IsZero() && (c.set.IsZero() || c.set.After(until)) {
		if err := c.setDeadline(until); err != nil {
			return err
		}
	}
	for {
		n, err := c.conn.Read(c.buf[c.to:])
		if n > 0 {
			c.to += n
			return nil
		}
		over := !until.IsZero() && !time.Now().Before(until)
		if over || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if err := c.setDeadline(until); err != nil {
			return err
		}
	}
}

// setDeadline has the socket wait until a time, unless the server stops: then it is
// only for the rest of a body that it waits.
func (c *frontConn) setDeadline(until time.Time) error {
	if err := c.conn.SetReadDeadline(until); err != nil {
		return err
	}
	c.set = until
	// Looked at now: who stops the server sets its deadline after it said so.
	if !until.IsZero() && c.f.s.stopping.Load() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// makeRoom sees to it that there is room in the buffer.
func (c *frontConn) makeRoom() {
	switch {
	case c.from == c.to:
		c.from, c.to = 0, 0
	case c.to < len(c.buf):
	case c.from > 0:
		c.to = copy(c.buf, c.buf[c.from:c.to])
		c.from = 0
	default:
		larger := make([]byte, 2*len(c.buf))
		copy(larger, c.buf)
		c.buf = larger
	}
}

// pass gives the connection to net/http.
func (c *frontConn) pass() {
	c.f.pass(&passedConn{socket: c.conn, begun: slices.Clone(c.buf[c.from:c.to]), headBy: c.headBy})
}

// subscribesPlainly reports whether a subscription needs nothing but a place in its
// room.
func (s *Server) subscribesPlainly(req frontRequest) bool {
	return s.cfg.MaxClients == 0 && s.cfg.SessionCookie == "" && (s.cfg.Replay == 0 || !req.resumes)
}

// subscribe makes the connection a client's. What it sent after its request is
// forgotten, as everything else will be.
func (c *frontConn) subscribe(req frontRequest) {
	room := DefaultRoom
	if len(req.room) > 0 {
		room = string(req.room)
	}
	s := c.f.s
	s.clients.Add(1)
	// A connection gone already is noticed by its watcher.
	_ = c.conn.SetReadDeadline(time.Time{})
	s.occupy(c.conn, false, room, s.appendHead(c.out[:0], false, ""), resume{})
}

// message delivers a message and answers. It reports false when the connection is
// to be closed.
func (c *frontConn) message(req frontRequest) bool {
	s := c.f.s
	if string(req.event) != c.event {
		c.event = string(req.event)
	}
	begin := c.from + req.size
	c.from = begin + req.length
	got, err := s.publish(c.f.ctx, req.room, c.event, c.buf[begin:c.from])
	last := s.stopping.Load()
	if err != nil {
		c.text = append(append(c.text[:0], notDelivered(err)...), '\n')
		c.answer("503 Service Unavailable\r\nCache-Control: no-store\r\n"+
			"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff", last)
	} else {
		c.text = s.appendReceipt(c.text[:0], got)
		c.answer("200 OK\r\nContent-Type: application/json", last)
	}
	_, err = c.conn.Write(c.out)
	if c.from == c.to && len(c.buf) > maxPooled {
		// A few huge messages need not stay in memory.
		c.from, c.to, c.buf = 0, 0, make([]byte, 2<<10)
	}
	return err == nil && !last
}

// answer makes an answer of a status with its fields and the text, as net/http
// writes it.
func (c *frontConn) answer(head string, last bool) {
	c.begun, c.headBy, c.answered = false, time.Time{}, time.Now()
	if now := c.answered.Unix(); now != c.second || len(c.date) == 0 {
		c.second = now
		c.date = c.answered.UTC().AppendFormat(c.date[:0], http.TimeFormat)
	}
	out := append(append(c.out[:0], "HTTP/1.1 "...), head...)
	out = append(append(out, "\r\nDate: "...), c.date...)
	out = strconv.AppendInt(append(out, "\r\nContent-Length: "...), int64(len(c.text)), 10)
	if last {
		out = append(out, "\r\nConnection: close"...)
	}
	c.out = append(append(out, "\r\n\r\n"...), c.text...)
}
