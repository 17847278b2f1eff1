package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
)

const (
	openTimeout = 30 * time.Second
	// maxEventSize leaves room around the largest events that the harness sends.
	maxEventSize = 64 << 20
	// longestDelay keeps the time of a reconnection within the clock.
	longestDelay = 24 * time.Hour
)

// subscription is one stream: the only one of an engine of its own, whose Handler it
// is. What follows the engine belongs to the engine's context.
type subscription struct {
	engine      stream.Engine
	clock       *stream.Clock
	callbacks   *callbacks
	readTimeout time.Duration // 0: none
	closed      chan struct{}

	again stream.Reconnection
	types map[string]bool // beside message, that are listened for
	state state
	heard int64 // when something was read last, on the clock
}

// state is what a subscription is about.
type state uint8

const (
	over    state = iota // for good, unless it is restarted
	active               // opening, or open
	waiting              // to reconnect
)

// unreachableError is of a server that could not be reached when a stream was asked
// for.
type unreachableError struct{ err error }

func (e *unreachableError) Error() string { return e.err.Error() }
func (e *unreachableError) Unwrap() error { return e.err }

// subscribe opens the stream that o asks for in r. It lives until close.
func (s *service) subscribe(r *http.Request, o order) (*subscription, error) {
	t, err := target.New(o.spec())
	if err != nil {
		return nil, err
	}
	kind, err := s.engine.For(t)
	if err != nil {
		return nil, err
	}
	if err := t.Resolve(r.Context(), openTimeout); err != nil {
		return nil, &unreachableError{err}
	}
	sub := &subscription{clock: stream.NewClock(), closed: make(chan struct{}), types: map[string]bool{"message": true}}
	if o.InitialDelayMS != nil {
		sub.again.SetRetry(milliseconds(*o.InitialDelayMS))
	}
	if o.ReadTimeoutMS != nil {
		sub.readTimeout = milliseconds(*o.ReadTimeoutMS)
	}
	sub.callbacks = newCallbacks(context.WithoutCancel(r.Context()), o.CallbackURL, &s.client, s.log.With("tag", o.Tag))
	//nolint:contextcheck // an engine lives until Close
	sub.engine, err = stream.New(kind, stream.Config{
		Target: t, Clients: 1, Handler: sub, Clock: sub.clock, Timeout: openTimeout, MaxEventSize: maxEventSize,
		Read: func(_ int, at stream.Stamp) { sub.heard = at.Read },
	})
	if err != nil {
		sub.callbacks.close()
		return nil, err
	}
	sub.do(func() { sub.subscribe([]byte(o.LastEventID)) })
	return sub, nil
}

// spec says how to reach the stream. The harness knows no templates.
func (o *order) spec() target.Spec {
	spec := target.Spec{URL: literally(o.StreamURL), Literal: true, Method: o.Method}
	for name, value := range o.Headers {
		spec.Headers = append(spec.Headers, name+": "+literally(value))
	}
	if o.Body != nil {
		body := literally(*o.Body)
		spec.Body = &body
	}
	return spec
}

func literally(text string) string { return strings.ReplaceAll(text, "{", "{{") }

func milliseconds(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }

// do has f called in the engine's context and waits for it, unless s is closed.
func (s *subscription) do(f func()) {
	done := make(chan struct{})
	s.engine.Do(func() {
		defer close(done)
		f()
	})
	select {
	case <-done:
	case <-s.closed:
	}
}

// close is called once.
func (s *subscription) close() {
	close(s.closed)
	s.engine.Close()
	s.callbacks.close()
}

// listen has events of a type told of, from now on.
func (s *subscription) listen(typ string) { s.do(func() { s.types[typ] = true }) }

// restart connects anew at once.
func (s *subscription) restart() {
	s.do(func() {
		s.engine.Unsubscribe(0)
		s.subscribe(nil)
	})
}

// subscribe connects. nil continues from the last event ID on.
func (s *subscription) subscribe(lastEventID []byte) {
	s.state, s.heard = active, s.clock.Now()
	s.watch()
	s.engine.Subscribe(0, lastEventID)
}

// watch sees to it that silence is noticed.
func (s *subscription) watch() {
	if s.readTimeout > 0 {
		s.engine.Alarm(s.heard+int64(s.readTimeout), s.wake)
	}
}

// wake is called when the time to reconnect has come, or when a read timeout may be
// up. One alarm does for both: nothing is read while a reconnection waits.
func (s *subscription) wake() {
	switch {
	case s.state == waiting:
		s.subscribe(nil)
	case s.state == active && s.clock.Now()-s.heard < int64(s.readTimeout):
		s.watch()
	case s.state == active:
		s.engine.Unsubscribe(0)
		s.Closed(0, &stream.Failure{Class: stream.TimedOut, Err: fmt.Errorf("nothing was read for %s", s.readTimeout)})
	}
}

// Vars implements [stream.Handler].
func (s *subscription) Vars(int) target.Vars { return target.Vars{} }

// Opened implements [stream.Handler].
func (s *subscription) Opened(_ int, t stream.Timing) {
	s.heard = t.Opened
	s.again.Opened()
}

// Event implements [stream.Handler].
func (s *subscription) Event(_ int, _ stream.Stamp, ev sse.Event) {
	if typ := text(ev.Type); s.types[typ] {
		s.callbacks.tell(message{Kind: "event", Event: &event{Type: typ, Data: text(ev.Data), ID: text(ev.ID)}})
	}
}

// Comment implements [stream.Handler].
func (s *subscription) Comment(_ int, _ stream.Stamp, comment []byte) {
	c := text(comment)
	s.callbacks.tell(message{Kind: "comment", Comment: &c})
}

// Retry implements [stream.Handler].
func (s *subscription) Retry(_ int, d time.Duration) { s.again.SetRetry(d) }

// Closed implements [stream.Handler].
func (s *subscription) Closed(_ int, f *stream.Failure) {
	if f.Class != stream.Ended {
		s.callbacks.tell(message{Kind: "error", Error: f.Error()})
	}
	delay, again := s.again.After(f)
	if !again {
		s.state = over
		return
	}
	s.state = waiting
	s.engine.Alarm(s.clock.Now()+int64(min(delay, longestDelay)), s.wake)
}

// Message implements [stream.Handler]: nothing is sent.
func (s *subscription) Message(stream.Tag, int64) (target.Vars, bool) { return target.Vars{}, false }

// Sent implements [stream.Handler].
func (s *subscription) Sent(stream.Tag, time.Duration, *stream.Failure) {}

// text is b as a browser shows it.
func text(b []byte) string { return string(sse.ToValid(b)) }
