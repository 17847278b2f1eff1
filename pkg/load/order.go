package load

// A sender's messages have an order only where one was answered before the next
// one began: what is under way at the same time, over different connections, may
// overtake. busyPeriods remembers when a sender had several under way, so that
// nobody is accused of having reordered those.
type busyPeriods struct {
	spans [32]span // of sequence numbers; the one begun last is at last
	last  int
	n     int // how many there are, or were: older ones have been forgotten
}

// busy notes that the message to was begun while others were under way, of which
// from was the first since there were none.
func (b *busyPeriods) busy(from, to uint32) {
	if b.n > 0 && b.spans[b.last].first == from {
		b.spans[b.last].last = to
		return
	}
	b.last = b.n % len(b.spans)
	b.spans[b.last] = span{from, to}
	b.n++
}

// unordered reports whether the messages low and high may have been under way at
// the same time. Of those that it has forgotten it says that they may.
func (b *busyPeriods) unordered(low, high uint32) bool {
	if b == nil {
		return false
	}
	oldest := uint32(0)
	for i := range min(b.n, len(b.spans)) {
		s := b.spans[i]
		if s.first <= low && high <= s.last {
			return true
		}
		if oldest == 0 || s.first < oldest {
			oldest = s.first
		}
	}
	return b.n > len(b.spans) && low < oldest
}

// begins notes that sender id begins the message seq.
func (s *shard) begins(id int, seq uint32) {
	c := &s.clients[id]
	if c.underWay == 0 {
		c.busySince = seq
	} else {
		if s.busy == nil {
			s.busy = map[int]*busyPeriods{}
		}
		b := s.busy[id]
		if b == nil {
			b = &busyPeriods{}
			s.busy[id] = b
		}
		b.busy(c.busySince, seq)
	}
	c.underWay++
}
