package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/sseload/sseload/pkg/stream/http1"
	"github.com/sseload/sseload/pkg/target"
)

// sender makes the sends of the engines that are not epoll, in the same way as
// that does: over keep-alive connections of its own, each with a goroutine that
// takes a message once it can be written. Its fields belong to the engine's
// context.
type sender struct {
	s      *shard
	dial   *dialer // nil when the target takes no messages
	queue  fifo[message]
	links  map[*link]struct{} // at most SendConnections
	idle   []*link            // wait for a message, the one used last at the end
	coming int                // links that will look into the queue soon: they connect, or were woken
}

// link is a connection. The memory in it is its goroutine's.
type link struct {
	nc, tcp net.Conn // tcp is the connection under nc; nil until it is established
	resp    http1.Response
	head    response
	buf     []byte
	request []byte
	scratch []byte
}

const (
	// linkBuffer takes the usual answer whole.
	linkBuffer = 4 << 10
	// directWrite is up to what size a request is written in one go: the buffers
	// of an idle connection take that much. A larger one must not keep its answer
	// from being read, which may come early.
	directWrite = 16 << 10
)

func (s *sender) init(sh *shard) {
	s.s, s.links = sh, map[*link]struct{}{}
	if t := sh.cfg.Target; t.Send != nil {
		s.dial = newDialer(t, t.Send)
	}
}

func (s *sender) send(m message) {
	s.queue.push(m)
	s.pump()
}

// pump sees to it that somebody comes for each message that waits, up to the
// limit.
func (s *sender) pump() {
	for s.coming < s.queue.len() {
		if n := len(s.idle); n > 0 {
			l := s.idle[n-1]
			s.idle = s.idle[:n-1]
			_ = l.tcp.SetReadDeadline(longAgo) // wakes it; it can only fail on a closed connection
		} else {
			if len(s.links) >= s.s.cfg.SendConnections {
				return
			}
			l := new(link)
			s.links[l] = struct{}{}
			s.s.work.Go(func() { s.run(l) })
		}
		s.coming++
	}
}

// end lets the links go; the shard is closed. Those that connect are ended by its
// context.
func (s *sender) end() {
	for l := range s.links {
		if l.tcp != nil {
			_ = l.tcp.SetDeadline(longAgo)
		}
	}
}

// run is a link's goroutine.
func (s *sender) run(l *link) {
	nc, tcp, err := s.connect()
	if tcp != nil {
		defer tcp.Close() // nothing is wanted of it any more
	}
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	if s.s.closed {
		return
	}
	s.coming--
	if err == nil {
		l.nc, l.tcp, l.buf = nc, tcp, make([]byte, linkBuffer)
		for s.serve(l) {
			continue
		}
		l.resp.Reset() // gives a buffer back
	} else {
		delete(s.links, l)
		if tag, _, ok := s.take(); ok {
			s.s.cfg.Handler.Sent(tag, 0, s.failure(err, false))
		}
	}
	if !s.s.closed {
		delete(s.links, l)
		s.pump()
	}
}

// connect makes a connection. tcp is left open on an error, unless it is nil.
func (s *sender) connect() (nc, tcp net.Conn, err error) {
	cfg := &s.s.cfg
	ctx, cancel := context.WithTimeout(s.s.ctx, cfg.Timeout)
	defer cancel()
	end := cfg.Target.Send
	if tcp, err = s.dial.connect(ctx, end.Scheme, end.HostPort, firstSource(cfg.Sources), nil); err != nil {
		return nil, nil, err
	}
	if end.Scheme != "https" {
		return tcp, tcp, nil
	}
	nc, err = s.dial.secure(ctx, tcp, end.HostPort)
	return nc, tcp, err
}

// take takes the next message out of the queue that is not called off.
func (s *sender) take() (tag Tag, v target.Vars, ok bool) {
	return nextMessage(&s.queue, s.s.cfg.Handler)
}

// serve sends a message over l, or waits for one. It leaves the engine's context
// while the network is at work. It returns false when l is of no more use.
func (s *sender) serve(l *link) bool {
	tag, v, ok := s.take()
	if !ok {
		return s.wait(l)
	}
	cfg := &s.s.cfg
	begun := cfg.Clock.Now()
	l.request, l.scratch = cfg.Target.Send.Append(l.request[:0], l.scratch, v, nil)
	_ = l.tcp.SetDeadline(time.Now().Add(cfg.Timeout)) // it can only fail on a closed connection
	s.s.mu.Unlock()
	keep, err := l.exchange()
	elapsed := time.Duration(cfg.Clock.Now() - begun)
	s.s.mu.Lock()
	if s.s.closed {
		return false
	}
	f := l.head.failure(cfg.Target.Send)
	if err != nil {
		f = s.failure(err, true)
	}
	if !keep {
		delete(s.links, l) // already now another one may be opened
	}
	cfg.Handler.Sent(tag, elapsed, f)
	return keep
}

// wait has l idle until it is woken. It returns false when the server has ended
// the connection meanwhile, or sent what nobody asked for.
func (s *sender) wait(l *link) bool {
	s.idle = append(s.idle, l)
	_ = l.tcp.SetDeadline(time.Time{}) // it can only fail on a closed connection
	s.s.mu.Unlock()
	n, err := l.nc.Read(l.buf)
	s.s.mu.Lock()
	if s.s.closed {
		return false
	}
	if i := slices.Index(s.idle, l); i >= 0 {
		s.idle = slices.Delete(s.idle, i, i+1)
		return false
	}
	s.coming--
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && silent(l.tcp)
}

// failure is what err means for a send.
func (s *sender) failure(err error, connected bool) *Failure {
	f := classify(err)
	if f.Class == TimedOut {
		return sendTimeout(connected, s.s.cfg.Timeout)
	}
	if connected {
		f = &Failure{Class: f.Class, Err: fmt.Errorf("send to %s: %w", s.s.cfg.Target.Send.Peer(), f.Err)}
	}
	return f
}

// exchange writes the request and reads the whole response into l.head. keep is
// true when the connection can carry another one.
func (l *link) exchange() (keep bool, err error) {
	l.resp.Reset()
	if len(l.request) <= directWrite {
		if _, err := l.nc.Write(l.request); err != nil {
			return false, err
		}
		return l.receive()
	}
	written := make(chan bool, 1) // whole
	go func() {
		_, err := l.nc.Write(l.request)
		written <- err == nil
	}()
	keep, err = l.receive()
	select {
	case whole := <-written:
		keep = keep && whole
	default:
		// A server may answer before it has read the request: the rest of that
		// must not be taken for the next one.
		keep = false
		_ = l.tcp.SetWriteDeadline(longAgo)
		<-written
	}
	l.request, l.scratch = nil, nil // an idle connection should not hold that much
	return keep, err
}

func (l *link) receive() (keep bool, err error) {
	for {
		n, err := l.nc.Read(l.buf)
		if n > 0 {
			used, err := l.resp.Write(l.buf[:n], &l.head)
			if err != nil {
				return false, err
			}
			if l.resp.Done() {
				return l.head.keepAlive && used == n, nil
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return false, l.resp.End()
		case err != nil:
			return false, err
		}
	}
}
