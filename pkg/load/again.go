package load

import (
	"math"
	"time"

	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/stream"
)

// Reconnecting is the account of the streams that ended and of the clients that opened
// theirs again.
//
// A copy is replayed when it comes on a stream that was asked for only after its
// message had been answered: only a server that keeps messages has it then.
type Reconnecting struct {
	Clients  int            // whose stream ended at least once
	Ends     map[string]int // of streams, by class
	Attempts int64          // to open again
	Failures map[string]int // attempts that failed, by class
	Reopened int64          // attempts that opened
	GaveUp   int            // clients that were told never to come again
	Away     int            // clients that were not back when the run ended
	// FirstEnd and LastOpen are when the first stream ended and the last one opened
	// again, on the run's clock; 0 for never.
	FirstEnd, LastOpen int64
	Downtime           metric.Histogram // end of a stream to the next one's open, ns

	Missed        int64            // copies of messages that were sent while their client was away
	Replayed      int64            // copies that came by replay, for the first time
	ReplayedTwice int64            // and those of Delivery.Duplicate that did
	Replay        metric.Histogram // due to arrival of the Replayed, ns; they are in Delivery.Latency too
}

func newReconnecting() Reconnecting {
	return Reconnecting{Ends: map[string]int{}, Failures: map[string]int{}}
}

func (r *Reconnecting) merge(o *Reconnecting) {
	r.Clients += o.Clients
	add(r.Ends, o.Ends)
	r.Attempts += o.Attempts
	add(r.Failures, o.Failures)
	r.Reopened += o.Reopened
	r.GaveUp += o.GaveUp
	r.Away += o.Away
	if o.FirstEnd != 0 && (r.FirstEnd == 0 || o.FirstEnd < r.FirstEnd) {
		r.FirstEnd = o.FirstEnd
	}
	r.LastOpen = max(r.LastOpen, o.LastOpen)
	r.Downtime.Merge(&o.Downtime)
	r.Missed += o.Missed
	r.Replayed += o.Replayed
	r.ReplayedTwice += o.ReplayedTwice
	r.Replay.Merge(&o.Replay)
}

// absence is from the end of a client's stream until it has opened again.
type absence struct {
	since   int64  // on the run's clock
	why     string // the class of what ended the stream, or the attempt since
	due     int64  // when it is to open again
	awaited bool   // Drain waits for the client
}

// opened reports whether c has ever opened.
func (c *client) opened() bool { return c.state == isOpen || c.state == away || c.state == dropped }

// left is for client id, whose stream has ended with f, or whose attempt to open it
// again has failed. Unless that is for good it will be back.
func (s *shard) left(id int, f *stream.Failure, key string) {
	c, rm := &s.clients[id], s.roomOf(id)
	now := s.p.clock.Now()
	wasOpen := c.state == isOpen
	if wasOpen {
		rm.open--
		if s.isSlow(id) {
			rm.slow--
		}
		s.live.open.Add(-1)
	}
	var delay time.Duration
	again := false
	if s.again != nil {
		delay, again = s.again.Closed(id, f)
		s.noteEnd(id, wasOpen, key, now)
	}
	switch {
	case again && wasOpen:
		c.state = away
		rm.away++
		s.away[id] = &absence{since: now, why: key, due: later(now, delay)}
	case again:
		s.away[id].why, s.away[id].due = key, later(now, delay)
	default:
		s.drop(id, wasOpen, key)
	}
	if !again || wasOpen {
		s.p.emptied(delay) // first, so that the end of the iteration below finds it said
	}
	if wasOpen {
		s.forget(id)
	}
}

// noteEnd counts the end of a stream, or of an attempt.
func (s *shard) noteEnd(id int, wasOpen bool, key string, now int64) {
	r := &s.recorder.Reconnect
	if !wasOpen {
		r.Failures[key]++
		return
	}
	r.Ends[key]++
	if r.FirstEnd == 0 {
		r.FirstEnd = now
	}
	if !s.clients[id].back {
		r.Clients++
	}
}

// drop is for client id, who will not open again.
func (s *shard) drop(id int, wasOpen bool, key string) {
	s.clients[id].state = dropped
	s.recorder.Connect.Drops[key]++
	s.live.dropped.Add(1)
	s.live.present.Add(-1)
	if s.again != nil {
		s.recorder.Reconnect.GaveUp++
	}
	if !wasOpen {
		s.roomOf(id).away--
		s.returned(id)
	}
}

// reconnect opens client id's stream again.
func (s *shard) reconnect(id int) {
	if s.frozen || s.clients[id].state != away {
		return
	}
	s.recorder.Reconnect.Attempts++
	s.engine.Subscribe(id, nil)
}

// cameBack is for client id, whose stream has opened again.
func (s *shard) cameBack(id int, t stream.Timing) {
	c, r := &s.clients[id], &s.recorder.Reconnect
	s.roomOf(id).away--
	s.p.occupied()
	r.Reopened++
	r.LastOpen = max(r.LastOpen, t.Opened)
	r.Downtime.Record(t.Opened - s.away[id].since)
	c.back, c.greeted = true, true
	s.excuse(id)
	c.dialed = t.Requested
	if c.dialed == 0 {
		c.dialed = t.Dialed
	}
	s.returned(id)
}

// excuse has nobody wait for the copies of messages so far that client id has not had:
// they come by replay, or never.
func (s *shard) excuse(id int) {
	if s.p.cfg.Payload == Timestamp {
		return // they have no names
	}
	from, _ := s.members(id)
	for place := range s.p.sendersPerRoom {
		sender := from + place
		if s.p.sendersPerRoom == 1 {
			sender = int(s.roomOf(id).sender)
		}
		if sender >= 0 && sender < len(s.clients) {
			s.entry(id, place).excused = s.clients[sender].begun
		}
	}
}

// awaitsReplay reports whether a client that came back may still get copies that it
// missed.
func (s *shard) awaitsReplay() bool {
	for id := range s.clients {
		c := &s.clients[id]
		if !c.back || c.state != isOpen {
			continue
		}
		if s.p.cfg.Payload == Timestamp {
			return true // nobody knows
		}
		had := uint32(0)
		for place := range s.p.sendersPerRoom {
			had += s.entry(id, place).count()
		}
		if had < s.roomOf(id).sends {
			return true
		}
	}
	return false
}

// returned ends client id's absence.
func (s *shard) returned(id int) {
	if s.away[id].awaited {
		s.returning--
	}
	delete(s.away, id)
}

// missed counts the copies of a message of client id's room, which is being sent, that
// will not come unless the server keeps them.
func (s *shard) missed(id int) {
	if s.roomOf(id).away == 0 {
		return
	}
	for member, to := s.members(id); member < to; member++ {
		if s.clients[member].state == away {
			s.recorder.Reconnect.Missed++
		}
	}
}

// replayed reports whether a copy of m can have come to client id by replay alone.
func (s *shard) replayed(id, sender int, m marker) bool {
	c := &s.clients[id]
	if !c.back || m.nanos >= c.dialed {
		return false
	}
	at, answered := s.answeredAt(sender, m)
	return answered && at < c.dialed
}

// later is delay after a time of the clock; the longest delay ends with that.
func later(at int64, delay time.Duration) int64 { return at + min(int64(delay), math.MaxInt64-at) }

// expectBack has Drain wait for the clients that are away now, unless they are to stay so
// for longer than it would wait.
func (s *shard) expectBack() {
	latest := later(s.p.clock.Now(), s.p.cfg.Timeout)
	for _, a := range s.away {
		if a.awaited = a.due < latest; a.awaited {
			s.returning++
		}
	}
}

// finishAbsences counts those who were not back when the run ended.
func (s *shard) finishAbsences() {
	s.recorder.Reconnect.Away = len(s.away)
	for _, a := range s.away {
		s.recorder.Connect.Drops[a.why]++
	}
}
