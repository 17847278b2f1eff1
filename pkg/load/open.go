package load

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sseload/sseload/pkg/stream"
)

// BehindAfter is how long after it was due a send may begin and still be on time.
const BehindAfter = time.Millisecond

const (
	// dueAtOnce bounds how many sends that are due a shard begins before it looks
	// at what has arrived.
	dueAtOnce = 32
	// headStart is between the decision to begin and the first arrival, so that
	// every shard is there when it is due.
	headStart = 5 * time.Millisecond
	// pollEvery is how often it is looked whether sends have any success, and
	// whether all has arrived, which takes time where deliveries are recorded.
	pollEvery = 50 * time.Millisecond
)

// offering is the open model in one shard.
type offering struct {
	schedule schedule
	senders  []int32 // engine ids, in the order of their turns
	begun    int64   // the schedule's start, on the run's clock
	end      int64   // nothing that is due from then on is sent
	next     arrival
	over     bool // no further send begins
	failure  *stream.Failure
}

// due is when the next message is, on the run's clock.
func (o *offering) due() int64 {
	if after := int64(o.next.after); after < o.end-o.begun {
		return o.begun + after
	}
	return o.end
}

// Offer has messages sent as they are due by a, for d, whatever becomes of those
// before: the open model. It returns when the last one was due, when ctx is done
// (with its error), or when there is nobody left (with [ErrGone]). What is under
// way then goes on: see Drain. The error of sends that all fail is the caller's to
// find, see [Offered].
func (p *Population) Offer(ctx context.Context, a Arrivals, d time.Duration) (Offered, error) {
	p.offerShards(a, d)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.arrived:
			return p.offered(), nil
		case <-p.ended:
			return p.stopOffering(p.why)
		case <-ctx.Done():
			return p.stopOffering(ctx.Err())
		case <-ticker.C:
			if live := p.Live(); live.Sent == 0 && live.Unsent >= hopelessAfter && live.Received == 0 {
				return p.stopOffering(nil)
			}
		}
	}
}

// stopOffering lets no further send begin.
func (p *Population) stopOffering(why error) (Offered, error) {
	p.each((*shard).stopOffering)
	return p.offered(), why
}

// Offered is how an offering went.
type Offered struct {
	Began int64 // its first arrival, on the run's clock
	Last  int64 // when the last copy arrived at an ordinary client, or 0
	// Silent: sends failed, not one succeeded, and not one copy arrived. Failure is
	// then that of the first send.
	Silent  bool
	Failure *stream.Failure
}

// offerShards has every shard begin.
func (p *Population) offerShards(a Arrivals, d time.Duration) {
	senders := make([]int, len(p.shards))
	all := 0
	p.each(func(s *shard) {
		s.offering = &offering{senders: s.turns()}
		s.reserve()
		s.recorder.Sends.Lag.Reserve()
		s.recorder.Sends.DispatchLag.Reserve()
	})
	for i, s := range p.shards {
		senders[i] = len(s.offering.senders)
		all += senders[i]
	}
	began := p.clock.Now() + int64(headStart)
	first := map[*shard]int{}
	before := 0
	for i, s := range p.shards {
		first[s] = before
		before += senders[i]
	}
	p.depart(func(s *shard) {
		o := s.offering
		o.begun, o.end = began, began+int64(d)
		o.schedule = schedule{
			Arrivals: a, first: first[s], count: len(o.senders), all: all,
			random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), //nolint:gosec // no secret
		}
		if len(o.senders) == 0 {
			p.arrive()
			return
		}
		o.next = o.schedule.next()
		s.engine.Alarm(o.due(), s.offer)
	})
}

// turns are the senders in the order in which they take turns: the first of each
// room, then the second of each, and so on, so that messages that follow each
// other go to different rooms.
func (s *shard) turns() []int32 {
	var order []int32
	for place := range s.p.cfg.RoomSize {
		for i := range s.rooms {
			from, to := s.members(i * s.p.cfg.RoomSize)
			if place == 0 {
				s.rooms[i].sender = s.firstOpen(from, to)
			}
			if id := from + place; id < to && s.sends(id) && s.clients[id].state == isOpen {
				order = append(order, int32(id))
			}
		}
	}
	return order
}

// offer sends what is due, and sets the alarm for what will be.
func (s *shard) offer() {
	o := s.offering
	for range dueAtOnce {
		due, now := o.due(), s.p.clock.Now()
		if o.over || due >= o.end && now >= o.end {
			s.p.arrive()
			return
		}
		if due > now {
			break
		}
		id := int(o.senders[o.next.sender])
		s.clients[id].sent++
		s.recorder.Sends.DispatchLag.Record(now - due)
		s.send(id, due)
		o.next = o.schedule.next()
	}
	s.engine.Alarm(o.due(), s.offer)
}

// behind records by how much a send that begins now is later than it was due.
func (s *shard) behind(lag int64) {
	s.recorder.Sends.Lag.Record(lag)
	if lag > int64(BehindAfter) {
		s.recorder.Sends.Behind++
	}
}

func (s *shard) stopOffering() {
	if s.offering != nil {
		s.offering.over = true
	}
}

// each calls f for every shard, in its engine's context, and waits for that.
func (p *Population) each(f func(*shard)) {
	var wg sync.WaitGroup
	for _, s := range p.shards {
		wg.Add(1)
		s.engine.Do(func() {
			defer wg.Done()
			f(s)
		})
	}
	wg.Wait()
}

func (p *Population) offered() Offered {
	live := p.Live()
	out := Offered{Silent: live.Unsent > 0 && live.Sent == 0 && live.Received == 0}
	var mu sync.Mutex
	p.each(func(s *shard) {
		mu.Lock()
		defer mu.Unlock()
		out.Began = s.offering.begun
		out.Last = max(out.Last, s.iteration.last)
		if out.Failure == nil {
			out.Failure = s.offering.failure
		}
	})
	return out
}

// Drain waits, once the sending is over, until every send has an outcome and every
// copy that is still to come has arrived, but no longer than most. When the
// ordinary clients have theirs, slow readers are let read freely. It returns early
// when ctx is done or nobody is left, and lets no further send begin. What has not
// arrived when it returns is lost, unless it comes before Close.
func (p *Population) Drain(ctx context.Context, most time.Duration) {
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	defer p.each((*shard).stopOffering)
	for free := false; ; {
		if p.owed(free) == 0 {
			if free || p.cfg.Slow.Count == 0 {
				return
			}
			p.readFreely()
			free = true
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			return
		case <-p.ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

// readFreely lets slow readers read what there is for them.
func (p *Population) readFreely() {
	p.each(func(s *shard) {
		s.draining = true
		s.engine.ReadFreely()
	})
}

// owed is how many sends have no outcome yet and how many copies are still to come
// to clients that are open; to slow readers only if slow is true.
func (p *Population) owed(slow bool) int {
	var mu sync.Mutex
	total := 0
	p.each(func(s *shard) {
		n := s.pending + s.owed(slow)
		mu.Lock()
		total += n
		mu.Unlock()
	})
	return total
}

func (s *shard) owed(slow bool) int {
	if s.p.cfg.Payload == Timestamp {
		return 0 // copies have no names
	}
	total := 0
	for id := range s.clients {
		if s.clients[id].state != isOpen || !slow && s.isSlow(id) {
			continue
		}
		rm := s.roomOf(id)
		missing := int(rm.sends) - int(rm.failed)
		for place := range s.p.sendersPerRoom {
			missing -= int(s.entry(id, place).count())
		}
		total += max(0, missing)
	}
	return total
}
