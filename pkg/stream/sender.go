package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// sender makes the sends of the engines that are not epoll, with package
// net/http. Its fields belong to the engine's context.
type sender struct {
	s       *shard
	client  *webClient
	arrived *sync.Cond // something is in the queue, or the engine is closed
	queue   []Tag
	head    int
	workers int
	idle    int // workers that wait
}

func (s *sender) init(sh *shard) {
	s.s, s.arrived = sh, sync.NewCond(&sh.mu)
	t := sh.cfg.Target
	if t.Send == nil {
		return
	}
	s.client = newWebClient(t, t.Send)
	s.client.transport.MaxConnsPerHost = sh.cfg.SendConnections
	s.client.transport.MaxIdleConnsPerHost = sh.cfg.SendConnections
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

// send queues tag, for a worker of which there are as many as are needed, up to
// the limit.
func (s *sender) send(tag Tag) {
	s.queue = append(s.queue, tag)
	if len(s.queue)-s.head > s.idle && s.workers < s.s.cfg.SendConnections {
		s.workers++
		s.s.work.Go(s.work)
		return
	}
	s.arrived.Signal()
}

// end lets the workers go; the shard is closed.
func (s *sender) end() { s.arrived.Broadcast() }

// close closes the connections, once the workers are gone.
func (s *sender) close() {
	if s.client != nil {
		s.client.close()
	}
}

func (s *sender) work() {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	for {
		for s.head == len(s.queue) && !s.s.closed {
			s.idle++
			s.arrived.Wait()
			s.idle--
		}
		if s.s.closed {
			return
		}
		tag := s.queue[s.head]
		s.head++
		if s.head > 1024 && s.head > len(s.queue)/2 || s.head == len(s.queue) {
			s.queue, s.head = s.queue[:copy(s.queue, s.queue[s.head:])], 0
		}
		s.perform(tag)
	}
}

// perform sends tag. It leaves the engine's context while the network is at work.
func (s *sender) perform(tag Tag) {
	cfg := &s.s.cfg
	ctx, cancel := context.WithTimeoutCause(s.s.ctx, cfg.Timeout,
		failuref(TimedOut, "no response to the send within %s", cfg.Timeout))
	defer cancel()
	trip := &trip{source: firstSource(cfg.Sources)}
	req, err := cfg.Target.Send.Request(trip.in(ctx), cfg.Handler.Message(tag), nil)
	begun := cfg.Clock.Now()
	if err != nil {
		cfg.Handler.Sent(tag, 0, classify(err))
		return
	}
	s.s.mu.Unlock()
	f := s.exchange(req, trip)
	elapsed := time.Duration(cfg.Clock.Now() - begun)
	s.s.mu.Lock()
	if !s.s.closed {
		cfg.Handler.Sent(tag, elapsed, f)
	}
}

// exchange makes the request and reads the whole response.
func (s *sender) exchange(req *http.Request, t *trip) *Failure {
	resp, err := s.client.do(req)
	var r response
	if err == nil {
		r.status = resp.StatusCode
		_, err = io.Copy(&r, resp.Body)
		err = errors.Join(err, resp.Body.Close())
	}
	if err != nil {
		if late := new(Failure); errors.As(context.Cause(req.Context()), &late) {
			return late
		}
		return t.classify(fmt.Errorf("send to %s: %w", s.s.cfg.Target.Send.Addr, err))
	}
	return r.failure()
}
