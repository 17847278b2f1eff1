package stream

import (
	"errors"
	"slices"
	"time"

	"github.com/sseload/sseload/pkg/stream/http2"
	"github.com/sseload/sseload/pkg/target"
)

// carrier is how engine conn subscribes over HTTP/2: as streams on connections that
// several clients share. A connection is made when the first of its clients
// subscribes, stays when none does, and is replaced when it is over.
type carrier struct {
	c     *conn
	enc   *http2.Encoder
	lines map[lineKey]*line
}

// lineKey names a connection: the clients that it is for, and whom it leads to.
type lineKey struct {
	number int // of its first client, divided by how many share it
	originKey
}

// line is a connection that carries subscriptions.
type line struct {
	mux
	on      *carrier
	key     lineKey
	waiting []*rider // for the connection, or to hear how many streams it takes
	fresh   []*rider // opened, and not written yet
}

// rider is the stream of an attempt. A redirected attempt has one after the other.
type rider struct {
	http2.Stream
	a *attempt
	l *line
}

func newCarrier(c *conn) *carrier {
	return &carrier{c: c, enc: http2.NewEncoder(), lines: map[lineKey]*line{}}
}

// share is how many clients share a connection.
func (c *Config) share() int { return max(1, c.StreamsPerConnection) }

// begin starts to open a, at the address that it was sent to last.
func (k *carrier) begin(a *attempt) {
	c, o := k.c, a.opening
	to := originKey{c.cfg.Target.Subscribe.Scheme, c.cfg.Target.Subscribe.HostPort}
	if o.moved != nil {
		to = originKey{o.moved.To.Scheme, target.HostPort(o.moved.To)}
	}
	if o.timer == nil {
		left := time.Duration(c.cfg.deadline(a.timing.Dialed) - c.cfg.Clock.Now())
		o.timer = c.timed(left, func() {
			if a.opening == o && c.subs[a.id] == a {
				o.rider.giveUp()
				a.stop()
				c.fail(a, failuref(TimedOut, "no response in time"))
			}
		})
	}
	a.timing.Connected = 0
	l := k.line(lineKey{o.vars.Client / c.cfg.share(), to})
	r := &rider{a: a, l: l}
	r.Tag = uint64(a.id)
	a.stop, o.rider = r.stop, r
	l.waiting = append(l.waiting, r)
	if l.nc == nil {
		return
	}
	l.admit()
	if _, known := l.http.Limit(); known && len(l.waiting) > 0 {
		// The outcome must not be a part of the call that asks for it.
		c.work.Go(func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if !c.closed && !l.over && !l.failed {
				l.refuse()
				l.settle()
			}
		})
	}
	l.settle()
}

// line is the connection called key, which is dialled if there is none.
func (k *carrier) line(key lineKey) *line {
	if l := k.lines[key]; l != nil {
		return l
	}
	l := &line{on: k, key: key}
	l.mux = mux{s: &k.c.shard, user: l, from: k.c}
	k.lines[key] = l
	l.dial(k.c.dial, key.originKey, sourceFor(k.c.cfg.Sources, key.number))
	return l
}

// stop implements attempt.stop.
func (r *rider) stop() {
	l, c := r.l, r.l.on.c
	if o := r.a.opening; o != nil {
		c.untimed(o.timer)
		o.cancel(errStopped)
	}
	if i := slices.Index(l.waiting, r); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	l.http.Cancel(&r.Stream)
	if !c.disp.busy || c.disp.id != r.a.id {
		r.a.dec.Reset() // gives buffers back
	}
	if l.nc == nil && len(l.waiting) == 0 {
		l.leave()
		l.quit()
	}
	l.settle()
}

// giveUp has others take another connection when the time of r is up on one from
// which no sign has come in that time, or which nobody else has a use for. Whoever
// has a stream there keeps it. A server that has died would be tried again for ever.
func (r *rider) giveUp() {
	l := r.l
	i := slices.Index(l.waiting, r)
	switch {
	case l.nc == nil:
		l.leave() // whoever waits with r still may
		return
	case i >= 0:
		l.waiting = slices.Delete(l.waiting, i, i+1)
	case slices.Contains(l.fresh, r), l.at.Read < r.a.timing.Requested, l.http.Streams() == 1:
	default:
		return
	}
	l.desert()
}

// desert has those who wait take another connection too.
func (l *line) desert() {
	l.leave()
	l.left = true
	waiting := l.waiting
	l.waiting = nil
	for _, r := range waiting {
		if l.on.c.subs[r.a.id] == r.a {
			l.on.begin(r.a)
		}
	}
}

// leave has new attempts take another connection.
func (l *line) leave() {
	if l.on.lines[l.key] == l {
		delete(l.on.lines, l.key)
	}
}

// admit opens streams for those who wait, as far as there is room.
func (l *line) admit() {
	for len(l.waiting) > 0 && l.http.Room() > 0 {
		r := l.waiting[0]
		l.waiting = slices.Delete(l.waiting, 0, 1)
		l.open(r)
	}
	if l.http.Going() && l.on.lines[l.key] == l { // its numbers are used up, of which nobody else tells
		l.desert()
	}
}

// refuse fails those for whom the server has no room.
func (l *line) refuse() {
	for l.admit(); len(l.waiting) > 0 && !l.http.Going() && !l.http.Full(); l.admit() {
		r := l.waiting[0]
		l.waiting = slices.Delete(l.waiting, 0, 1)
		limit, _ := l.http.Limit()
		l.on.conclude(r.a, streamLimit(limit))
	}
}

func (l *line) open(r *rider) {
	k, a := l.on, r.a
	cfg := &k.c.cfg
	a.timing.Connected = max(l.since, a.timing.Dialed)
	raw := subscribeRequest(cfg.Target.Subscribe, a.opening, a.dec.LastEventID())
	block, body, err := encodeRequest(k.enc, l.key.scheme, raw)
	if err == nil {
		err = l.http.Open(&r.Stream, block, body)
	}
	if err != nil { // there is room, and what is encoded was checked
		k.conclude(a, err)
		return
	}
	l.fresh = append(l.fresh, r)
}

// connected implements muxUser.
func (l *line) connected() {
	if n := l.on.c.cfg.Connections; n != nil {
		n.Add(1)
	}
	l.admit()
}

// writing implements muxUser.
func (l *line) writing(now int64) {
	for _, r := range l.fresh {
		r.a.timing.Requested = now
	}
	l.fresh = nil
	if _, known := l.http.Limit(); known {
		l.refuse() // there is room for those who found too much to be written
	} else {
		l.admit()
	}
}

// gone implements muxUser.
func (l *line) gone(err error) {
	l.leave()
	waiting := l.waiting
	l.waiting = nil
	l.http.Close(l, err)
	for _, r := range waiting {
		if l.on.c.subs[r.a.id] == r.a {
			l.on.conclude(r.a, err)
		}
	}
}

// Changed implements [http2.Handler].
func (l *line) Changed() {
	if !l.http.Going() {
		l.refuse()
		return
	}
	l.desert()
}

// Head implements [http2.Handler].
func (l *line) Head(s *http2.Stream, h *http2.Head) error {
	c := l.on.c
	a := c.subs[s.Tag]
	o := a.opening
	c.disp.id, c.disp.at = a.id, l.at
	c.disp.tell()
	if c.cfg.Head != nil {
		c.cfg.tellFields(o.vars, o.moved, h.Status, headFields(h))
	}
	if c.subs[a.id] != a {
		return nil // who was told has unsubscribed
	}
	field := func(name string) []byte {
		v, _ := h.Field(name)
		return []byte(v)
	}
	if err := checkHead(h.Status, field("content-type"), field("location"), field("content-encoding")); err != nil {
		return err
	}
	a.timing.Opened = l.at.Arrived()
	c.untimed(o.timer)
	o.cancel(errStopped)
	a.opening = nil
	c.cfg.Handler.Opened(a.id, a.timing)
	return nil
}

// Data implements [http2.Handler].
func (l *line) Data(s *http2.Stream, p []byte) error {
	c := l.on.c
	a := c.subs[s.Tag]
	err := c.disp.body(&a.dec, a.id, l.at, p)
	if c.disp.stopped {
		a.dec.Reset() // gives buffers back
		return nil
	}
	return err
}

// End implements [http2.Handler].
func (l *line) End(s *http2.Stream, err error) {
	a := l.on.c.subs[s.Tag]
	reset, away := new(http2.ResetError), new(http2.GoAwayError)
	limit, known := l.http.Limit()
	switch {
	case err == nil:
		err = errEnded
	case errors.As(err, &reset) && reset.Code == http2.RefusedStream && known && limit < l.on.c.cfg.share():
		err = streamLimit(limit)
	case a.opening != nil && errors.Is(err, http2.ErrClosedEarly) && !errors.As(err, &away):
		err = errors.Join(errClosedUnopened, err)
	}
	if l.on.conclude(a, err) && l.on.lines[l.key] == l && len(l.waiting) == 0 && l.http.Streams() == 0 {
		// The way leads on from here, and so it will for the others.
		l.leave()
		l.quit()
	}
}

// conclude goes where a redirect leads, or tells the Handler what happened. Nothing
// is left of a's stream. It returns whether it goes on.
func (k *carrier) conclude(a *attempt, err error) (goesOn bool) {
	c, o := k.c, a.opening
	var to *redirect
	if errors.As(err, &to) {
		f := o.follow(c.cfg.Target.Subscribe, to)
		if f == nil {
			a.reset(c.cfg.MaxEventSize)
			k.begin(a)
			return true
		}
		err = f
	}
	if o != nil {
		c.untimed(o.timer)
	}
	a.reset(0) // gives buffers back
	c.fail(a, classify(err))
	return false
}
