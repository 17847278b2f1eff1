package stream

import (
	"errors"
	"time"

	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/stream/http1"
)

// machine is the protocol state of one subscription: bytes in, events out, no
// I/O. It is small because every idle client has one.
type machine struct {
	resp http1.Response
	dec  sse.Decoder
}

// reset makes m ready for a new connection. The last event ID stays.
func (m *machine) reset(limit int) {
	m.resp.Reset()
	m.dec.Reset()
	m.dec.SetLimit(limit)
}

// dispatcher hands what a machine finds to the Handler, as what happened to
// subscription id at a moment. An engine has one for all its subscriptions and
// points it at the one being read.
type dispatcher struct {
	h     Handler
	clock *Clock
	head  func(*http1.Head)      // told of each, first; nil: nobody asks
	read  func(id int, at Stamp) // may be nil

	m       *machine
	id      int
	at      Stamp
	timing  Timing
	busy    bool // within write
	opened  bool // the Head just read opened the stream
	stopped bool // the Handler unsubscribed id meanwhile
}

// write feeds bytes that arrived at the time at to m. The error is a *redirect,
// or to be classified.
func (d *dispatcher) write(m *machine, id int, at Stamp, p []byte) error {
	d.m, d.id, d.at, d.stopped, d.opened = m, id, at, false, false
	d.tell()
	d.busy = true
	n, err := m.resp.Write(p, d)
	d.busy = false
	switch {
	case err != nil || d.stopped:
		return err
	case n < len(p):
		return failuref(Protocol, "%d bytes follow the end of the response", len(p)-n)
	case m.resp.Done():
		return errEnded
	}
	return nil
}

// body feeds bytes of an open stream to dec, for an engine that leaves the
// response to package net/http.
func (d *dispatcher) body(dec *sse.Decoder, id int, at Stamp, p []byte) error {
	d.id, d.at, d.stopped, d.opened = id, at, false, false
	d.tell()
	d.busy = true
	err := dec.Write(p, d)
	d.busy = false
	return err
}

// tell says that something was read.
func (d *dispatcher) tell() {
	if d.read != nil {
		d.read(d.id, d.at)
	}
}

// end tells m that the connection ended, and what that means.
func (m *machine) end() error {
	if !m.resp.HeadDone() {
		return errors.Join(errClosedUnopened, m.resp.End())
	}
	if err := m.resp.End(); err != nil {
		return err
	}
	return errEnded
}

var errClosedUnopened = failuref(ClosedEarly, "the server closed the connection before a response")

// Head implements [http1.Handler].
func (d *dispatcher) Head(h *http1.Head) error {
	if d.head != nil {
		d.head(h)
		if d.stopped {
			return nil
		}
	}
	if err := checkHead(h.Status, h.ContentType, h.Location, h.ContentEncoding); err != nil {
		return err
	}
	d.timing.Opened = d.at.Arrived()
	d.opened = true
	d.h.Opened(d.id, d.timing)
	return nil
}

// Body implements [http1.Handler].
func (d *dispatcher) Body(p []byte) error { return d.m.dec.Write(p, d) }

// Event implements [sse.Sink].
func (d *dispatcher) Event(ev sse.Event) {
	if !d.stopped {
		d.h.Event(d.id, d.at, ev)
	}
}

// Comment implements [sse.Sink].
func (d *dispatcher) Comment(text []byte) {
	if !d.stopped {
		d.h.Comment(d.id, d.at, text)
	}
}

// Retry implements [sse.Sink].
func (d *dispatcher) Retry(t time.Duration) {
	if !d.stopped {
		d.h.Retry(d.id, t)
	}
}
