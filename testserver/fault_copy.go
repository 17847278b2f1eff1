package testserver

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"time"
)

// parcel is what goes out to a member at one message.
type parcel struct {
	bytes  []byte // in the client's framing
	copies int
	deeds  []deed
}

// deed is what a fault did to a parcel. It is counted with the parcel.
type deed struct {
	fault *activeFault
	count int64
}

func (p *parcel) fill(payload []byte) {
	p.bytes, p.copies, p.deeds = append(p.bytes[:0], payload...), 1, p.deeds[:0]
}

func (p *parcel) clone() *parcel {
	return &parcel{bytes: slices.Clone(p.bytes), copies: p.copies, deeds: slices.Clone(p.deeds)}
}

func (p *parcel) add(f *activeFault, count int64) {
	p.deeds = append(p.deeds, deed{f, count})
}

// append puts another parcel behind this one.
func (p *parcel) append(q *parcel) {
	p.bytes = append(p.bytes, q.bytes...)
	p.copies += q.copies
	p.deeds = append(p.deeds, q.deeds...)
}

// deliver sends a parcel and reports whether the client took it. It is counted
// before, so that what a client has read has been counted, and struck off again
// when the client has gone.
func (s *Server) deliver(c *client, p *parcel) bool {
	s.count(p, 1)
	if s.send(c, p.bytes) {
		return true
	}
	s.count(p, -1)
	return false
}

func (s *Server) count(p *parcel, sign int64) {
	for _, d := range p.deeds {
		d.fault.done.Add(sign * d.count)
	}
	s.deliveries.Add(uint64(sign * int64(p.copies)))
}

// sendFaulty is the stage of copies. The lock of the members' room is held.
func (s *Server) sendFaulty(members []*client, f frame) (receivers int) {
	var p parcel
	for _, c := range members {
		if c.over() {
			continue // so that what is counted does not hang on when it leaves
		}
		if s.meetFate(c, f) {
			receivers++
			continue
		}
		p.fill(c.payload(f))
		release := s.inject.spoil(c, f, &p)
		if p.copies == 0 {
			receivers++
			continue
		}
		if release {
			p.append(c.faults.held)
			p.add(c.faults.heldBy, 1)
			s.inject.forget(c)
		}
		if !s.deliver(c, &p) {
			continue
		}
		s.awaitTaken(c)
		receivers++
		c.faults.copies += p.copies
		s.nearFate(c)
	}
	return receivers
}

// awaitTaken waits until all that c was sent has been taken, if a fault wants that.
func (s *Server) awaitTaken(c *client) {
	if c.faults.blocks == nil || !c.waits() {
		return
	}
	c.faults.blocks.done.Add(1)
	for c.waits() {
		select {
		case <-c.faults.taken:
		case <-s.inject.over:
			return
		}
	}
}

// waits reports whether something is in the client's outbox.
func (c *client) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out != nil
}

// tellTaken lets go of who waits for c's outbox, which is gone.
func (c *client) tellTaken() {
	if c.faults == nil || c.faults.taken == nil {
		return
	}
	select {
	case c.faults.taken <- struct{}{}:
	default: // told before, and not heard yet
	}
}

// spoil does to a copy what the faults of copies do; p holds no copy when it is
// not to be sent now. release tells that the one held back is to go out with it.
func (in *injector) spoil(c *client, f frame, p *parcel) (release bool) {
	m := c.faults
	for i := range in.faults {
		a := &in.faults[i]
		switch a.Kind {
		case FaultDrop:
			if a.due(c.room.name) {
				a.done.Add(1)
				p.copies = 0
			}
		case FaultDuplicate:
			if a.due(c.room.name) {
				p.bytes = append(p.bytes, c.payload(f)...)
				p.copies++
				p.add(a, 1)
			}
		case FaultComments:
			if a.due(c.room.name) {
				p.bytes = slices.Insert(p.bytes, 0, c.payload(a.flood)...)
				p.add(a, int64(a.Count))
			}
		case FaultReorder:
			if due := a.due(c.room.name); m.heldBy == a {
				release = true
			} else if due && m.held == nil {
				m.held, m.heldBy = p.clone(), a
				in.held.Add(1)
				p.copies = 0
			}
		}
		if p.copies == 0 {
			return false
		}
	}
	return release
}

// forget lets go of the copy held back, if there is one: it is sent now or never
// will be. The room's lock is held.
func (in *injector) forget(c *client) {
	if c.faults.held != nil {
		c.faults.held, c.faults.heldBy = nil, nil
		in.held.Add(-1)
	}
}

// meetFate does to a subscription what befalls it in place of its next copy; it
// reports false when that copy is to be sent.
func (s *Server) meetFate(c *client, f frame) bool {
	fate := c.faults.fate
	if fate == nil || c.faults.copies < fate.After {
		return false
	}
	switch fate.Kind {
	case FaultStall:
		fate.done.Add(1)
	case FaultHalf:
		s.cut(c, c.half(f), fate)
	case FaultGarbage:
		s.cut(c, garbage(c.bare), fate)
	}
	return true
}

// nearFate does what befalls a subscription as soon as its last copy is sent.
func (s *Server) nearFate(c *client) {
	fate := c.faults.fate
	if fate == nil || c.faults.copies < fate.After {
		return
	}
	switch fate.Kind {
	case FaultClose:
		s.cut(c, nil, fate)
	case FaultStall:
		// Nothing is held back now: that went out with this copy.
		c.faults.stalled = true
	}
}

// cut closes the client behind last without an end of the body, and counts it,
// before the client can see it, unless that has left at this moment.
func (s *Server) cut(c *client, last []byte, why *activeFault) {
	if h, ok := c.conn.(*muxStream); ok {
		h.cut.Store(true)
	}
	why.done.Add(1)
	if !s.end(c, last, time.Time{}) {
		why.done.Add(-1)
	}
}

// half is the payload of f up to the middle of the event: the blank line that
// would dispatch it is in the other half.
func (c *client) half(f frame) []byte {
	if c.bare {
		return f.event[:len(f.event)/2]
	}
	header := len(f.wire) - len("\r\n") - len(f.event)
	return f.wire[:header+len(f.event)/2]
}

// newFlood is n comment lines without a blank line: they belong to the event
// that follows.
func newFlood(n int) frame {
	f, _ := closeFrame(append(startFrame(nil), bytes.Repeat([]byte(": noise\n"), n)...))
	return f
}

// garbage is random bytes without a line break, the first of them no hex digit.
// In a chunked body an end of line follows, so that a parser that collects a line
// for a chunk's size has one to refuse; in a bare body it would end a field.
func garbage(bare bool) []byte {
	b := make([]byte, 64+rand.IntN(64))
	for i := range b {
		for b[i] = byte(rand.Uint32()); b[i] == '\n' || b[i] == '\r'; {
			b[i] = byte(rand.Uint32())
		}
	}
	b[0] |= 0x80
	if bare {
		return b
	}
	return append(b, "\r\n"...)
}

// endHeld sends a copy that a fault holds back, so that a run that ends has lost
// nothing but what was dropped. The room's lock is held.
func (s *Server) endHeld(c *client) {
	if c.faults == nil || c.faults.held == nil {
		return
	}
	p := c.faults.held
	s.inject.forget(c)
	s.deliver(c, p)
}
