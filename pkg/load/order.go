package load

// A sender's messages have an order only where one was answered before the next
// one began: what is under way at the same time, over different connections, may
// overtake. A send that failed without an answer may be under way for ever. order
// remembers when a sender's latest messages were answered, so that nobody is accused
// of having reordered others. A sender has one from when it first needs it.
type order struct {
	since uint32 // the first message that it knows of; each before that was answered before the next began
	begun uint32 // the message begun last
	// answered is, for message seq at seq mod its length, the message begun last when
	// the answer came; 0 while it is under way.
	answered [64]uint32
	// answeredAt is likewise when that was, on the run's clock.
	answeredAt [64]int64
}

// begin notes that message seq begins.
func (o *order) begin(seq uint32) {
	o.begun = seq
	o.answered[seq%uint32(len(o.answered))] = 0
}

// answer notes that message seq was answered now.
func (o *order) answer(seq uint32, now int64) {
	if o.knows(seq) {
		i := seq % uint32(len(o.answered))
		o.answered[i], o.answeredAt[i] = o.begun, now
	}
}

func (o *order) knows(seq uint32) bool {
	return seq >= o.since && o.begun-seq < uint32(len(o.answered))
}

// none reports whether the message low may still have been under way when high
// began. Of a message that it has forgotten it says that it may.
func (o *order) none(low, high uint32) bool {
	switch {
	case o == nil || low < o.since:
		return false
	case !o.knows(low):
		return true
	}
	when := o.answered[low%uint32(len(o.answered))]
	return when == 0 || when >= high
}

// begins notes that sender id begins the message seq.
func (s *shard) begins(id int, seq uint32) {
	c := &s.clients[id]
	if o := s.orders[id]; o != nil || c.underWay > 0 {
		s.orderOf(id).begin(seq)
	}
	c.begun, c.answered = seq, 0
	c.underWay++
}

// answeredAt is when m was answered; ok is false when it has not been. Of messages before
// the sender's latest one that no other overlapped it is when they were due.
func (s *shard) answeredAt(sender int, m marker) (at int64, ok bool) {
	c, o := &s.clients[sender], s.orders[sender]
	switch {
	case o != nil && o.knows(m.seq):
		i := m.seq % uint32(len(o.answered))
		return o.answeredAt[i], o.answered[i] != 0
	case c.begun == m.seq:
		return c.answered, c.answered != 0
	}
	return m.nanos, true
}

// ends notes that the send of message seq by sender id is over, with an answer or
// without.
func (s *shard) ends(id int, seq uint32, answered bool) {
	s.pending--
	c := &s.clients[id]
	c.underWay--
	if !answered {
		s.orderOf(id) // in which seq stays without an answer
		return
	}
	now := s.p.clock.Now()
	if o := s.orders[id]; o != nil {
		o.answer(seq, now)
	}
	if seq == c.begun {
		c.answered = now
	}
}

// orderOf is the order of sender id, whose one message under way it knows of when
// it is new.
func (s *shard) orderOf(id int) *order {
	o := s.orders[id]
	if o == nil {
		begun := s.clients[id].begun
		o = &order{since: begun, begun: begun}
		if s.orders == nil {
			s.orders = map[int]*order{}
		}
		s.orders[id] = o
	}
	return o
}
