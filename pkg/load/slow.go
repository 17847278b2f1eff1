package load

import "github.com/sseload/sseload/pkg/metric"

// SlowReaders are clients that read more slowly than they are sent to, as one
// behind a bad link or with a suspended page does.
type SlowReaders struct {
	Count int // how many of the clients, spread evenly over them
	Rate  int // bytes per second that each reads once it is open
}

// slow reports whether client number i is one of the slow readers.
func (p *Population) slow(i int) bool {
	k, n := p.cfg.Slow.Count, p.cfg.Clients
	return k > 0 && (i+1)*k/n != i*k/n
}

// isSlow is slow for a shard's own number of a client.
func (s *shard) isSlow(id int) bool { return s.p.slow(s.first + id) }

// SlowReading is the account of the slow readers and of who shares a room with one.
type SlowReading struct {
	Clients, Dropped         int // that opened, and those of them that ended
	Expected, Received, Lost int64
	// Drained copies were read only when all read freely: they would have taken
	// longer, by how much is not known.
	Drained int64
	Latency metric.Histogram // of the slow readers' copies, until they read them
	// Neighbours are the ordinary clients that share a room with a slow one.
	NeighboursExpected, NeighboursLost int64
	Neighbours                         metric.Histogram // of their copies
}

// arrivedSlowly records the latency of a copy that a slow reader has read.
func (s *shard) arrivedSlowly(latency int64) {
	if s.draining {
		s.recorder.Slow.Drained++
	}
	s.recorder.Slow.Latency.Record(latency)
}

// add enters a slow reader.
func (r *SlowReading) add(state clientState, expected int64) {
	r.Clients++
	if state == dropped || state == away {
		r.Dropped++
	}
	r.Expected += expected
}

func (r *SlowReading) merge(o *SlowReading) {
	r.Clients += o.Clients
	r.Dropped += o.Dropped
	r.Expected += o.Expected
	r.Received += o.Received
	r.Lost += o.Lost
	r.Drained += o.Drained
	r.NeighboursExpected += o.NeighboursExpected
	r.NeighboursLost += o.NeighboursLost
	r.Latency.Merge(&o.Latency)
	r.Neighbours.Merge(&o.Neighbours)
}
