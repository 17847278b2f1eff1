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
	begunAt  [64]int64 // likewise, when it began
}

// begin notes that message seq begins, at a time.
func (o *order) begin(seq uint32, at int64) {
	o.begun = seq
	i := seq % uint32(len(o.answered))
	o.answered[i], o.begunAt[i] = 0, at
}

// answer notes that message seq was answered.
func (o *order) answer(seq uint32) {
	if o.knows(seq) {
		o.answered[seq%uint32(len(o.answered))] = o.begun
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

// begins notes that sender id begins the message seq now.
func (s *shard) begins(id int, seq uint32, now int64) {
	c := &s.clients[id]
	if o := s.orders[id]; o != nil || c.underWay > 0 {
		s.orderOf(id).begin(seq, now)
	}
	c.begun, c.begunAt = seq, now
	c.underWay++
}

// begunAt is when m began, as far as that is known, and else when it was due.
func (s *shard) begunAt(sender int, m marker) int64 {
	switch c, o := &s.clients[sender], s.orders[sender]; {
	case c.begun == m.seq:
		return c.begunAt
	case o != nil && o.knows(m.seq):
		return o.begunAt[m.seq%uint32(len(o.begunAt))]
	}
	return m.nanos
}

// ends notes that the send of message seq by sender id is over, with an answer or
// without.
func (s *shard) ends(id int, seq uint32, answered bool) {
	s.pending--
	s.clients[id].underWay--
	switch {
	case !answered:
		s.orderOf(id) // in which seq stays without an answer
	case s.orders[id] != nil:
		s.orders[id].answer(seq)
	}
}

// orderOf is the order of sender id, whose one message under way it knows of when
// it is new.
func (s *shard) orderOf(id int) *order {
	o := s.orders[id]
	if o == nil {
		c := &s.clients[id]
		o = &order{since: c.begun}
		o.begin(c.begun, c.begunAt)
		if s.orders == nil {
			s.orders = map[int]*order{}
		}
		s.orders[id] = o
	}
	return o
}
