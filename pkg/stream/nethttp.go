package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// netHTTP is an Engine on the client of package net/http: a goroutine for each
// subscription reads the response's body into a decoder. Only the response is
// net/http's, so that its cost can be measured against the other engines'.
type netHTTP struct {
	shard
	client *webClient
}

func newNetHTTP(cfg Config) Engine {
	n := &netHTTP{client: newSubscribeClient(cfg)}
	n.init(cfg, func(a *attempt) {
		w := n.request(a, n.client)
		n.work.Go(func() { n.end(a, w, n.run(a, w)) })
	})
	return n
}

// newSubscribeClient is for streams: a connection carries one and is then closed.
func newSubscribeClient(cfg Config) *webClient {
	c := newWebClient(cfg.Target, cfg.Target.Subscribe)
	c.transport.MaxIdleConnsPerHost = -1
	return c
}

// Close implements [Engine].
func (n *netHTTP) Close() {
	n.shard.Close()
	n.client.close()
}

// wait is what there is of an attempt beside it in the engines that leave the
// request to package net/http.
type wait struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	trip   *trip
	req    *http.Request
	err    error
	timer  *time.Timer
}

// errOpenTimeout is the cause of the end of a context when the time is up.
var errOpenTimeout = failuref(TimedOut, "no response in time")

// request prepares a's request and lets the time to open run.
func (s *shard) request(a *attempt, c *webClient) *wait {
	o := a.opening
	w := &wait{ctx: o.ctx, cancel: o.cancel, trip: &trip{
		clock: s.cfg.Clock, vars: o.vars,
		source: sourceFor(s.cfg.Sources, o.vars.Client), slow: o.slow,
	}}
	if id := a.dec.LastEventID(); len(id) > 0 {
		w.trip.lastEventID = append([]byte(nil), id...)
	}
	w.req, w.err = c.end.Request(w.trip.in(o.ctx), o.vars, w.trip.lastEventID)
	w.timer = time.AfterFunc(s.cfg.Timeout, func() { o.cancel(errOpenTimeout) })
	return w
}

// opened tells the Handler, unless the time was up just before or a is over.
func (s *shard) opened(a *attempt, w *wait) error {
	now := s.cfg.Clock.Now()
	if !s.enter(a) {
		return errStopped
	}
	defer s.leave()
	if !w.timer.Stop() {
		return errOpenTimeout
	}
	a.timing.Connected = w.trip.connected.Load()
	a.timing.Requested = w.trip.requested.Load()
	a.timing.Opened = now
	a.opening = nil
	if slow := w.trip.conn.Load(); slow != nil {
		slow.hold()
	}
	s.cfg.Handler.Opened(a.id, a.timing)
	return nil
}

// end tells the Handler why a ended, unless a was over before.
func (s *shard) end(a *attempt, w *wait, err error) {
	w.timer.Stop()
	a.dec.Reset() // gives buffers back
	cause := context.Cause(w.ctx)
	w.cancel(context.Canceled)
	if !s.enter(a) {
		return
	}
	defer s.leave()
	if a.opening != nil {
		a.timing.Connected = w.trip.connected.Load()
		if errors.Is(cause, errOpenTimeout) {
			err = errOpenTimeout
		}
	}
	s.fail(a, w.trip.moved.through(s.cfg.Target.Subscribe, w.trip.classify(err)))
}

func (n *netHTTP) run(a *attempt, w *wait) error {
	if w.err != nil {
		return w.err
	}
	resp, err := n.client.do(w.req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := checkResponse(resp); err != nil {
		return err
	}
	if err := n.opened(a, w); err != nil {
		return err
	}
	p := make([]byte, 4<<10)
	for {
		read, err := resp.Body.Read(p)
		if read > 0 {
			at := Stamp{Read: n.cfg.Clock.Now()}
			if !n.enter(a) {
				return errStopped
			}
			err := n.disp.body(&a.dec, a.id, at, p[:read])
			n.leave()
			if err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return errEnded
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
	}
}

// checkResponse is checkHead for package net/http. A redirect that was not
// followed cannot come here without a location that says where to.
func checkResponse(resp *http.Response) error {
	h := func(name string) []byte { return []byte(resp.Header.Get(name)) }
	return checkHead(resp.StatusCode, h("Content-Type"), h("Location"), h("Content-Encoding"))
}
