package stream

import (
	"slices"
	"time"

	"github.com/sseload/sseload/pkg/stream/http2"
	"github.com/sseload/sseload/pkg/target"
)

// postman makes the sends of a sender over HTTP/2, as streams on connections of
// their own: one, unless the server allows fewer streams than there may be sends.
type postman struct {
	s       *sender
	enc     *http2.Encoder
	routes  []*route           // that take further sends
	coming  *route             // one more; nil when there is none
	serial  uint64             // of the last one
	letters map[uint64]*letter // under way, by the tag of their stream
	spare   []*letter          // give their memory to others
}

func newPostman(s *sender) *postman {
	return &postman{s: s, enc: http2.NewEncoder(), letters: map[uint64]*letter{}}
}

// route is a connection for sends. It takes some once the server has said how many
// it takes: a send that it refused would be lost, as none is repeated.
type route struct {
	mux
	on    *postman
	timer *time.Timer // for it to come so far
}

// letter is a send.
type letter struct {
	http2.Stream
	tag     Tag
	begun   int64
	head    response
	timer   *time.Timer
	request []byte
	scratch []byte
}

// pump begins as many of the sends that wait as there is room for.
func (p *postman) pump() {
	for p.s.queue.len() > 0 && len(p.letters) < p.s.s.cfg.SendConnections {
		i := slices.IndexFunc(p.routes, func(r *route) bool { return r.http.Room() > 0 })
		if i < 0 {
			if !slices.ContainsFunc(p.routes, func(r *route) bool { return r.http.Full() }) {
				p.connect()
			}
			return
		}
		tag, v, ok := p.s.take()
		if !ok {
			return
		}
		p.routes[i].send(tag, v)
	}
}

func (p *postman) connect() {
	if p.coming != nil {
		return
	}
	cfg := &p.s.s.cfg
	r := &route{on: p}
	p.coming = r
	r.timer = p.s.s.timed(cfg.Timeout, func() {
		if p.coming == r {
			r.quit()
			r.fail(sendTimeout(false, cfg.Timeout))
		}
	})
	r.mux = mux{s: p.s.s, user: r}
	r.dial(p.s.dial, originKey{cfg.Target.Send.Scheme, cfg.Target.Send.HostPort}, firstSource(cfg.Sources))
}

// send sends a message over r, which has room.
func (r *route) send(tag Tag, v target.Vars) {
	p := r.on
	cfg := &p.s.s.cfg
	l := p.letter()
	l.tag, l.begun = tag, cfg.Clock.Now()
	l.head.ask(cfg, v)
	l.request, l.scratch = cfg.Target.Send.Append(l.request[:0], l.scratch, v, nil)
	block, body, err := encodeRequest(p.enc, cfg.Target.Send.Scheme, l.request)
	p.serial++
	l.Tag = p.serial
	if err == nil {
		err = r.http.Open(&l.Stream, block, body)
	}
	if r.http.Going() { // its numbers are used up, of which nobody else tells
		r.retire()
	}
	p.letters[l.Tag] = l
	l.timer = p.s.s.timed(cfg.Timeout, func() {
		if p.letters[l.Tag] == l {
			r.http.Cancel(&l.Stream)
			r.retire() // it may be that the server has stopped to read it
			r.finish(l, sendTimeout(true, cfg.Timeout))
			r.settle()
		}
	})
	if err != nil { // there is room, and what is encoded was checked
		r.finish(l, p.s.failure(err, true))
	}
	r.settle()
}

// letter is a new one. The timer of one that is over may still ring, so that not
// more than memory is taken over from it.
func (p *postman) letter() *letter {
	n := len(p.spare)
	if n == 0 {
		return new(letter)
	}
	old := p.spare[n-1]
	p.spare = p.spare[:n-1]
	return &letter{request: old.request, scratch: old.scratch, head: response{excerpt: old.head.excerpt}}
}

// end lets nothing be waited for; the shard is closed.
func (p *postman) end() {
	for _, l := range p.letters {
		p.s.s.untimed(l.timer)
	}
	if p.coming != nil {
		p.s.s.untimed(p.coming.timer)
	}
}

// finish tells what became of l.
func (r *route) finish(l *letter, f *Failure) {
	p := r.on
	sh := p.s.s
	elapsed := time.Duration(sh.cfg.Clock.Now() - l.begun)
	sh.untimed(l.timer)
	delete(p.letters, l.Tag)
	if cap(l.request) <= directWrite {
		p.spare = append(p.spare, l)
	}
	if !slices.Contains(p.routes, r) && r.http.Streams() == 0 {
		r.quit()
	}
	sh.cfg.Handler.Sent(l.tag, elapsed, f)
	p.pump()
}

// retire has r take no further sends, and end with the last of those it has.
func (r *route) retire() {
	if i := slices.Index(r.on.routes, r); i >= 0 {
		r.on.routes = slices.Delete(r.on.routes, i, i+1)
	}
	if r.nc != nil && r.http.Streams() == 0 {
		r.quit()
	}
}

// connected implements muxUser.
func (r *route) connected() {}

// writing implements muxUser.
func (r *route) writing(int64) { r.on.pump() }

// gone implements muxUser.
func (r *route) gone(err error) {
	p := r.on
	r.retire()
	r.http.Close(r, err)
	if p.coming == r {
		p.s.s.untimed(r.timer)
		r.fail(p.s.failure(err, r.nc != nil))
		return
	}
	p.pump()
}

// fail has those fail that waited for r: as if each that could have begun had tried
// by itself.
func (r *route) fail(f *Failure) {
	p := r.on
	cfg := &p.s.s.cfg
	p.coming = nil
	for n := min(p.s.queue.len(), cfg.SendConnections-len(p.letters)); n > 0; n-- {
		tag, _, ok := p.s.take()
		if !ok {
			break
		}
		cfg.Handler.Sent(tag, 0, f)
	}
	p.pump()
}

// Changed implements [http2.Handler].
func (r *route) Changed() {
	p := r.on
	limit, _ := r.http.Limit()
	over := limit == 0 || r.http.Going()
	switch {
	case p.coming == r && over:
		p.s.s.untimed(r.timer)
		r.quit()
		r.fail(failuref(StreamLimit, "the server takes no stream for the send"))
		return
	case p.coming == r:
		p.s.s.untimed(r.timer)
		p.coming = nil
		p.routes = append(p.routes, r)
	case over:
		r.retire()
	}
	p.pump()
}

// Head implements [http2.Handler].
func (r *route) Head(s *http2.Stream, h *http2.Head) error {
	l := r.on.letters[s.Tag]
	l.head.status, l.head.excerpt = h.Status, l.head.excerpt[:0]
	if l.head.about != nil {
		l.head.about.keep(h.Status, headFields(h))
		l.head.tell(&r.on.s.s.cfg)
	}
	return nil
}

// Data implements [http2.Handler].
func (r *route) Data(s *http2.Stream, p []byte) error { return r.on.letters[s.Tag].head.Body(p) }

// End implements [http2.Handler].
func (r *route) End(s *http2.Stream, err error) {
	l := r.on.letters[s.Tag]
	f := l.head.failure(r.on.s.s.cfg.Target.Send)
	if err != nil {
		f = r.on.s.failure(err, true)
	}
	r.finish(l, f)
}
