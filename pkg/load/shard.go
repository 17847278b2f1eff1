package load

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
)

// shard is the part of a Population that one engine holds. It is the engine's
// Handler; everything in it but live belongs to the engine's context.
type shard struct {
	p      *Population
	engine stream.Engine

	first     int // number of its first client; ids in the engine count from 0
	firstRoom int
	clients   []client
	rooms     []room
	entries   []entry // per client, one for each sender of its room

	ramp      ramp
	iteration iteration
	offering  *offering // nil in the closed model
	pending   int       // sends without an outcome
	// sendConnections bounds how many of those are under way.
	sendConnections int
	orders          map[int]*order // of the senders that have one
	forgiven        []unsent       // the first mostForgiven
	draining        bool           // the sending is over, and slow readers read freely
	frozen          bool           // the account is closed
	recorder        recorder
	again           *stream.Reconnector // nil: who ends is dropped
	away            map[int]*absence    // of the clients that are
	returning       int                 // how many of them [Population.Drain] waits for
	where           whereabouts
	lastRead        int64 // when the read was that gave the event before

	payload []byte

	live struct { // read by others while the run goes on
		open, present, opened, failed, limited, dropped, received, begun, sent, unsent, activity atomic.Int64
		duplicate, reordered, misrouted, late, missing                                           atomic.Int64

		opening, latency metric.Live
	}
}

// client is what a shard keeps of a client, beside its entries.
type client struct {
	dialed   int64  // the first time; once it has come back, when the stream was asked for that it has
	awaited  uint32 // the iteration whose copies are waited for
	gaveUp   uint32 // the iteration in which its send failed
	sent     uint32 // the sequence number of its latest message
	begun    uint32 // that of the latest one which has begun
	underWay uint32 // of its messages
	answered int64  // when the latest one was, on the run's clock; 0 while it is under way
	state    clientState
	greeted  bool // has had its first event
	back     bool // its stream is not its first
}

type clientState uint8

const (
	notDialed clientState = iota
	opening
	isOpen
	failed  // never opened
	away    // opened, then ended, and will open again
	dropped // opened, then ended for good
)

// room is what a shard keeps of a room.
type room struct {
	open   int32  // members open now
	away   int32  // members that will open again
	slow   int32  // of those, slow readers
	hasOne bool   // a slow reader has opened
	sends  uint32 // sends begun by its senders
	failed uint32 // of those, failed
	due    int32  // messages of this iteration that may still come: neither failed nor called off
	sender int32  // with one sender a room: its engine id, -1 for none
}

// ramp is how far connecting has come.
type ramp struct {
	next     int // the next client to dial
	allowed  int // clients before this one may be dialed now
	underWay int
	window   int // bound on underWay
	pending  int // clients whose attempt has no outcome yet
}

// iteration is the one that is going on.
type iteration struct {
	seq         uint32 // 0 before the first
	begun       int64  // when it began
	outstanding int    // copies that are still expected
	givenUp     int    // copies that were, until their sender or receiver failed
	copies      int    // copies that arrived
	sent        int    // sends that succeeded
	stopping    bool   // no further send begins
	closed      bool   // it has ended; what still comes is late
	last        int64  // when the last copy arrived
	failure     *stream.Failure
}

// recorder is what a shard counted and measured.
type recorder struct {
	Totals
	perClient map[int]*misdeeds
}

// misdeeds are counted for the clients that have any.
type misdeeds struct {
	duplicate, reordered, misrouted, late int64
}

func (s *shard) roomOf(id int) *room { return &s.rooms[id/s.p.cfg.RoomSize] }

// members are the engine ids of the clients in the room of id, from, to.
func (s *shard) members(id int) (from, to int) {
	from = id - id%s.p.cfg.RoomSize
	return from, min(from+s.p.cfg.RoomSize, len(s.clients))
}

// entry is the account of client id with the sender at place in its room.
func (s *shard) entry(id, place int) *entry {
	return &s.entries[id*s.p.sendersPerRoom+place]
}

// place is where the entries of sender stand; with one sender a room there is
// but one place.
func (s *shard) place(sender int) int {
	if s.p.sendersPerRoom == 1 {
		return 0
	}
	return sender % s.p.cfg.RoomSize
}

// dial subscribes as many clients as the ramp allows now.
func (s *shard) dial() {
	for s.ramp.next < s.ramp.allowed && s.ramp.underWay < s.ramp.window {
		id := s.ramp.next
		s.ramp.next++
		s.ramp.underWay++
		c := &s.clients[id]
		c.state = opening
		c.dialed = s.p.clock.Now()
		s.recorder.Connect.Attempted++
		if first := &s.recorder.Connect.FirstDial; *first == 0 {
			*first = c.dialed
		}
		s.engine.Subscribe(id, nil)
	}
}

// settled notes that a dialed client's attempt has an outcome.
func (s *shard) settled() {
	s.ramp.underWay--
	s.ramp.pending--
	s.dial()
	if s.ramp.pending == 0 {
		s.p.arrive()
	}
}

// Vars implements [stream.Handler].
func (s *shard) Vars(id int) target.Vars {
	return target.Vars{Room: s.firstRoom + id/s.p.cfg.RoomSize, Client: s.first + id}
}

// Opened implements [stream.Handler].
func (s *shard) Opened(id int, t stream.Timing) {
	if s.frozen {
		return
	}
	c, rm := &s.clients[id], s.roomOf(id)
	before := c.state
	c.state = isOpen
	rm.open++
	if s.isSlow(id) {
		rm.slow++
		rm.hasOne = true
	}
	s.live.open.Add(1)
	if s.again != nil {
		s.again.Opened(id)
	}
	if before == away {
		s.cameBack(id, t)
		return
	}
	c.dialed = t.Dialed
	s.live.opened.Add(1)
	s.live.present.Add(1)
	r := &s.recorder.Connect
	r.Opened++
	r.LastOpen = max(r.LastOpen, t.Opened)
	r.Open.Record(t.Opened - t.Dialed)
	s.live.opening.Record(t.Opened - t.Dialed)
	if t.Connected != 0 {
		r.TCP.Record(t.Connected - t.Dialed)
	}
	if t.Requested != 0 {
		r.Header.Record(t.Opened - t.Requested)
	}
	s.settled()
}

// Closed implements [stream.Handler].
func (s *shard) Closed(id int, f *stream.Failure) {
	if s.frozen {
		return
	}
	c := &s.clients[id]
	key := f.Key()
	keepFirst(s.recorder.Connect.Texts, key, f.Error())
	if c.state == opening {
		c.state = failed
		s.recorder.Connect.Failures[key]++
		s.live.failed.Add(1)
		if f.Class == stream.StreamLimit {
			s.live.limited.Add(1)
		}
		if s.p.hopeless() {
			s.ramp.allowed = 0 // at once; the other shards are told
			s.p.noneOpened(f)
		}
		s.settled()
		return
	}
	s.left(id, f, key)
}

// forget takes what client id still expects in this iteration out of what is
// outstanding: it is lost, and nobody should wait for it.
func (s *shard) forget(id int) {
	it := &s.iteration
	if it.seq == 0 || it.closed || s.clients[id].awaited != it.seq {
		return
	}
	s.clients[id].awaited = 0
	if s.p.cfg.Payload == Timestamp {
		s.giveUp(int(s.roomOf(id).due) - int(s.entry(id, 0).highest))
		return
	}
	from, to := s.members(id)
	missing := 0
	for sender := from; sender < to; sender++ {
		if s.sends(sender) && s.clients[sender].gaveUp != it.seq && !s.entry(id, s.place(sender)).has(it.seq) {
			missing++
		}
	}
	s.giveUp(missing)
}

// unsent takes the copies of a message that was not sent, or that the server
// refused, out of what is outstanding. Should they arrive all the same they
// count, but nobody waits.
func (s *shard) unsent(seq uint32, sender int) {
	it := &s.iteration
	if it.seq != seq || it.closed || s.clients[sender].gaveUp == seq {
		return
	}
	s.clients[sender].gaveUp = seq
	s.roomOf(sender).due--
	missing := 0
	from, to := s.members(sender)
	for member := from; member < to; member++ {
		if s.clients[member].awaited != seq {
			continue
		}
		if s.p.cfg.Payload == Timestamp || !s.entry(member, s.place(sender)).has(seq) {
			missing++
		}
	}
	s.giveUp(missing)
}

// sends reports whether client id is a sender.
func (s *shard) sends(id int) bool {
	if s.p.cfg.Senders == OnePerRoom {
		return s.roomOf(id).sender == int32(id)
	}
	return s.clients[id].opened()
}

// giveUp is for n copies that nobody waits for any more.
func (s *shard) giveUp(n int) {
	n = min(max(n, 0), s.iteration.outstanding)
	s.iteration.givenUp += n
	s.less(n)
}

// less lowers what is outstanding, and ends the iteration at nothing.
func (s *shard) less(n int) {
	it := &s.iteration
	if n <= 0 || it.outstanding == 0 {
		return
	}
	if it.outstanding = max(0, it.outstanding-n); it.outstanding == 0 {
		s.p.arrive()
	}
}

// begin starts iteration seq: every sender sends one message.
func (s *shard) begin(seq uint32) {
	if seq == 1 {
		s.reserve()
	}
	s.iteration = iteration{seq: seq, begun: s.p.clock.Now()}
	var out int
	for i := range s.rooms {
		rm := &s.rooms[i]
		from, to := s.members(i * s.p.cfg.RoomSize)
		if seq == 1 {
			rm.sender = s.firstOpen(from, to)
		}
		rm.due = 0
		for id := from; id < to; id++ {
			if s.sends(id) {
				rm.due++
			}
			if s.clients[id].state == isOpen && !s.isSlow(id) {
				s.clients[id].awaited = seq
			}
			if s.p.cfg.Payload == Timestamp {
				s.entry(id, 0).highest = 0 // copies of this iteration
			}
		}
		out += int(rm.due) * int(rm.open-rm.slow)
		if s.waitsForSends() {
			out += int(rm.due)
		}
	}
	s.iteration.outstanding = out
	if out == 0 {
		s.p.arrive()
	}
	for id := range s.clients {
		if s.sends(id) {
			s.clients[id].sent = seq
			s.send(id, 0)
		}
	}
}

// send has client id send its next message, which is due at a time of the run's
// clock; 0 stands for when it begins.
func (s *shard) send(id int, due int64) {
	s.recorder.Sends.Due++
	s.pending++
	s.engine.Send(tag(s.clients[id].sent, id), due)
}

// reserve takes memory now, and not on the first delivery, which it would hold up.
func (s *shard) reserve() {
	s.recorder.Delivery.Latency.Reserve()
	s.recorder.Sends.Latency.Reserve()
	s.recorder.ReadLag.Reserve()
}

// waitsForSends reports whether iterations end only when their sends have an
// outcome. Where nobody waits for the copies of slow readers, a room may have no
// other.
func (s *shard) waitsForSends() bool { return s.p.cfg.Slow.Count > 0 }

// firstOpen is the first client between from and to that is open, or else the first one
// that will be again, or -1.
func (s *shard) firstOpen(from, to int) int32 {
	for _, state := range []clientState{isOpen, away} {
		for id := from; id < to; id++ {
			if s.clients[id].state == state {
				return int32(id)
			}
		}
	}
	return -1
}

// stop lets no further send begin; what is under way goes on.
func (s *shard) stop() { s.iteration.stopping = true }

// end closes the iteration: what comes after is late, and what has not been sent
// will not be.
func (s *shard) end() {
	s.iteration.closed = true
	if !s.waitsForSends() { // else some of them are sends
		s.live.missing.Add(int64(s.iteration.outstanding))
	}
	s.iteration.outstanding = 0
}

func tag(seq uint32, id int) stream.Tag { return stream.Tag(uint64(seq)<<32 | uint64(uint32(id))) }

func untag(t stream.Tag) (seq uint32, id int) { return uint32(t >> 32), int(uint32(t)) }

// Message implements [stream.Handler].
func (s *shard) Message(t stream.Tag, due int64) (target.Vars, bool) {
	seq, id := untag(t)
	if s.frozen {
		return target.Vars{}, false
	}
	if s.calledOff(seq) {
		s.forgive(id, seq)
		s.pending--
		s.unsent(seq, id)
		return target.Vars{}, false
	}
	v := s.Vars(id)
	v.Iteration = int(seq)
	s.roomOf(id).sends++
	s.missed(id)
	s.begins(id, seq)
	s.recorder.Sends.Attempted++
	s.live.begun.Add(1)
	now := s.p.clock.Now()
	if due == 0 {
		due = now
	} else {
		s.behind(now - due)
	}
	if s.p.cfg.Payload == Timestamp {
		s.payload = strconv.AppendInt(s.payload[:0], due/int64(time.Millisecond), 10)
	} else {
		s.payload = s.p.run.append(s.payload[:0], marker{room: v.Room, sender: v.Client, seq: seq, nanos: due}, s.p.cfg.PayloadSize)
	}
	v.Payload = s.payload
	s.recorder.Sends.PayloadBytes = max(s.recorder.Sends.PayloadBytes, len(s.payload))
	return v, true
}

// calledOff reports whether the message with sequence number seq may not be sent
// any more.
func (s *shard) calledOff(seq uint32) bool {
	if s.offering != nil {
		return s.offering.over
	}
	it := &s.iteration
	return it.seq != seq || it.closed || it.stopping
}

// Sent implements [stream.Handler].
func (s *shard) Sent(t stream.Tag, elapsed time.Duration, f *stream.Failure) {
	if s.frozen {
		return
	}
	s.live.activity.Add(1)
	seq, id := untag(t)
	s.ends(id, seq, f == nil || f.Class == stream.Status)
	it := &s.iteration
	if s.waitsForSends() && it.seq == seq && !it.closed {
		s.less(1)
	}
	if f == nil {
		s.live.sent.Add(1)
		if it.seq == seq {
			it.sent++
		}
		s.recorder.Sends.Latency.Record(int64(elapsed))
		return
	}
	s.live.unsent.Add(1)
	s.roomOf(id).failed++
	s.forgive(id, seq)
	if o := s.offering; o != nil && o.failure == nil {
		o.failure = f
	}
	if it.seq == seq && it.failure == nil {
		it.failure = f
	}
	key := f.Key()
	s.recorder.Sends.Failures[key]++
	keepFirst(s.recorder.Sends.Texts, key, f.Error())
	s.unsent(seq, id)
}

// Event implements [stream.Handler].
func (s *shard) Event(id int, at stream.Stamp, ev sse.Event) {
	if s.frozen {
		return
	}
	s.live.activity.Add(1)
	s.recorder.Traffic.Events++
	if c := &s.clients[id]; !c.greeted {
		c.greeted = true
		s.recorder.Connect.FirstEvent.Record(at.Arrived() - c.dialed)
	}
	if want := s.p.cfg.EventType; want != "" && want != string(ev.Type) {
		s.recorder.Delivery.Other++
		return
	}
	if s.p.cfg.Payload == Timestamp {
		s.timestamp(id, at, ev.Data)
		return
	}
	var before marker
	any := false
	for rest := ev.Data; len(rest) > 0; {
		m, what, after := s.p.run.find(rest)
		rest = after
		switch {
		case what == nothing:
			if !any {
				s.recorder.Delivery.Other++
			}
			return
		case what == foreign:
			s.recorder.Delivery.Foreign++
		case m != before: // an envelope may hold the same text twice: that is one copy
			s.copy(id, at, m)
			before = m
		}
		any = true
	}
	if !any {
		s.recorder.Delivery.Other++
	}
}

// copy enters the copy of a message that client id received.
func (s *shard) copy(id int, at stream.Stamp, m marker) {
	d := &s.recorder.Delivery
	s.lag(at)
	v := s.Vars(id)
	sender := m.sender - s.first
	if m.room != v.Room {
		s.received(id)
		d.Misrouted++
		s.live.misrouted.Add(1)
		s.misdeed(id).misrouted++
		return
	}
	if from, to := s.members(id); sender < from || sender >= to || m.seq > s.clients[sender].sent {
		d.Foreign++ // nobody in this room has sent it
		return
	}
	s.received(id)
	replayed := s.replayed(id, sender, m)
	late := s.late(id, at, m)
	e := s.entry(id, s.place(sender))
	switch e.receive(m.seq) {
	case duplicate:
		if replayed {
			s.recorder.Reconnect.ReplayedTwice++
		}
		d.Duplicate++
		s.live.duplicate.Add(1)
		s.misdeed(id).duplicate++
		return
	case reordered:
		if s.orders[sender].none(m.seq, e.highest) {
			d.Unordered++
			break
		}
		d.Reordered++
		s.live.reordered.Add(1)
		s.misdeed(id).reordered++
	case inOrder:
	}
	s.arrived(id, at, m.nanos, replayed)
	if late {
		d.Late++
		s.live.late.Add(1)
		s.misdeed(id).late++
		return
	}
	if s.clients[sender].gaveUp != m.seq && s.waitsFor(id, m.seq) {
		s.less(1)
	}
}

// waitsFor reports whether the copy of message seq to client id was among those that
// are outstanding until it arrived.
func (s *shard) waitsFor(id int, seq uint32) bool {
	return s.iteration.seq == seq && s.clients[id].awaited == seq
}

// late reports whether the copy of m that client id got came too late. Nobody
// waits for slow readers, so that theirs never do. Of a client that came back nobody
// knows whether the message's iteration had waited for it.
func (s *shard) late(id int, at stream.Stamp, m marker) bool {
	switch {
	case s.isSlow(id):
		return false
	case s.offering != nil || s.clients[id].back:
		return at.Arrived()-m.nanos > int64(s.p.cfg.Timeout)
	}
	return m.seq != s.iteration.seq || s.iteration.closed
}

// timestamp enters a copy that carries nothing but the time it was sent.
func (s *shard) timestamp(id int, at stream.Stamp, data []byte) {
	d := &s.recorder.Delivery
	ms, ok := findTimestamp(data)
	sent := ms * int64(time.Millisecond)
	if !ok || sent < s.p.started-int64(time.Millisecond) || sent > at.Read {
		d.Other++
		return
	}
	s.received(id)
	s.lag(at)
	s.arrived(id, at, sent, s.clients[id].back && sent < s.clients[id].dialed)
	if it := &s.iteration; !it.closed && s.waitsFor(id, it.seq) && sent >= it.begun-int64(time.Millisecond) { // else it is of an iteration before
		s.entry(id, 0).highest++
		s.less(1)
	}
}

// received counts a copy that client id received.
func (s *shard) received(id int) {
	s.recorder.Delivery.Received++
	s.live.received.Add(1)
	if s.isSlow(id) {
		s.recorder.Slow.Received++
	}
}

// arrived records the latency of a copy that client id received.
func (s *shard) arrived(id int, at stream.Stamp, due int64, replayed bool) {
	when := at.Arrived()
	if replayed {
		s.recorder.Reconnect.Replayed++
		s.recorder.Reconnect.Replay.Record(when - due)
	}
	if s.isSlow(id) {
		s.arrivedSlowly(when - due)
		return
	}
	if at.Kernel != 0 {
		s.recorder.Delivery.Stamped++
	}
	if !replayed {
		s.iteration.copies++
		s.iteration.last = max(s.iteration.last, when)
	}
	s.recorder.Delivery.Latency.Record(when - due)
	s.live.latency.Record(when - due)
	if s.roomOf(id).hasOne {
		s.recorder.Slow.Neighbours.Record(when - due)
	}
}

// lag records how long after its arrival a read was handled, once a read.
func (s *shard) lag(at stream.Stamp) {
	if at.Kernel == 0 || at.Read == s.lastRead {
		return
	}
	s.lastRead = at.Read
	s.recorder.ReadLag.Record(at.Read - at.Kernel)
}

func (s *shard) misdeed(id int) *misdeeds {
	m, ok := s.recorder.perClient[id]
	if !ok {
		m = &misdeeds{}
		s.recorder.perClient[id] = m
	}
	return m
}

// Comment implements [stream.Handler].
func (s *shard) Comment(int, stream.Stamp, []byte) {
	if !s.frozen {
		s.recorder.Traffic.Comments++
	}
}

// Retry implements [stream.Handler].
func (s *shard) Retry(id int, d time.Duration) {
	if s.again != nil {
		s.again.SetRetry(id, d)
	}
}
