package load

// entry is the account of what one client received from one sender: which
// sequence numbers, exactly, in 16 bytes as long as all arrive in order.
type entry struct {
	highest uint32 // highest sequence number seen; they start at 1
	excused uint32 // those up to this one are not waited for
	gaps    *gaps  // those below it that were not seen; nil when there are none
}

// gaps are spans of sequence numbers, in rising order and apart. They take 8 bytes
// for each run of losses, which is the price of being exact.
type gaps struct {
	spans []span
	total uint32
}

// span is from first to last, both included.
type span struct{ first, last uint32 }

// verdict is what a received copy is.
type verdict uint8

const (
	inOrder   verdict = iota
	reordered         // new, but a higher sequence number was there before it
	duplicate         // received before
)

// receive enters sequence number seq.
func (e *entry) receive(seq uint32) verdict {
	switch {
	case seq > e.highest:
		if missed := seq - e.highest - 1; missed > 0 {
			if e.gaps == nil {
				e.gaps = &gaps{}
			}
			e.gaps.spans = append(e.gaps.spans, span{e.highest + 1, seq - 1})
			e.gaps.total += missed
		}
		e.highest = seq
		return inOrder
	case e.gaps.remove(seq):
		if e.gaps.total == 0 {
			e.gaps = nil
		}
		return reordered
	}
	return duplicate
}

// has reports whether seq was received.
func (e *entry) has(seq uint32) bool {
	if seq > e.highest {
		return false
	}
	_, missing := e.gaps.find(seq)
	return !missing
}

// owes is how many sequence numbers up to last are still to be waited for.
func (e *entry) owes(last uint32) int {
	n := 0
	if from := max(e.highest, e.excused); last > from {
		n = int(last - from)
	}
	if e.gaps == nil {
		return n
	}
	for i := len(e.gaps.spans) - 1; i >= 0 && e.gaps.spans[i].last > e.excused; i-- {
		s := e.gaps.spans[i]
		n += int(s.last - max(s.first, e.excused+1) + 1)
	}
	return n
}

// count is how many different sequence numbers were received.
func (e *entry) count() uint32 {
	if e.gaps == nil {
		return e.highest
	}
	return e.highest - e.gaps.total
}

// find returns the index of the span that holds seq.
func (g *gaps) find(seq uint32) (int, bool) {
	if g == nil {
		return 0, false
	}
	low, high := 0, len(g.spans)
	for low < high {
		mid := (low + high) / 2
		switch s := g.spans[mid]; {
		case seq < s.first:
			high = mid
		case seq > s.last:
			low = mid + 1
		default:
			return mid, true
		}
	}
	return 0, false
}

// remove takes seq out and reports whether it was in.
func (g *gaps) remove(seq uint32) bool {
	i, ok := g.find(seq)
	if !ok {
		return false
	}
	g.total--
	s := &g.spans[i]
	switch {
	case s.first == s.last:
		g.spans = append(g.spans[:i], g.spans[i+1:]...)
	case seq == s.first:
		s.first++
	case seq == s.last:
		s.last--
	default:
		after := span{seq + 1, s.last}
		s.last = seq - 1
		g.spans = append(g.spans, span{})
		copy(g.spans[i+2:], g.spans[i+1:])
		g.spans[i+1] = after
	}
	return true
}
