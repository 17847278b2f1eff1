package load

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
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
	// drainIdle is after what silence nothing more is to be expected for readers who
	// read freely.
	drainIdle = time.Second
	// mostPending bounds how many sends of a shard wait for a connection: what comes
	// due beyond that is called off, so that no server can fill the memory.
	mostPending = 1 << 20
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
// (with its error), when there is nobody left (with [ErrGone]), or when the first
// sends have all failed: see Silent. What is under way then goes on: see Drain.
// began is the schedule's start, on the run's clock.
func (p *Population) Offer(ctx context.Context, a Arrivals, d time.Duration) (began int64, err error) {
	began = p.offerShards(a, d)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.arrived:
			return began, nil
		case <-p.ended:
			return began, p.stopOffering(p.why)
		case <-ctx.Done():
			return began, p.stopOffering(ctx.Err())
		case <-ticker.C:
			if live := p.Live(); live.Sent == 0 && live.Unsent >= hopelessAfter && live.Received == 0 {
				return began, p.stopOffering(nil)
			}
		}
	}
}

// stopOffering lets no further send begin.
func (p *Population) stopOffering(why error) error {
	p.each((*shard).stopOffering)
	return why
}

// Silent reports that sends have begun and that not one has succeeded, nor one
// copy arrived. f is then the failure of the first send, if it has failed.
func (p *Population) Silent() (silent bool, f *stream.Failure) {
	if live := p.Live(); live.Begun == 0 || live.Sent > 0 || live.Received > 0 {
		return false, nil
	}
	var mu sync.Mutex
	p.each(func(s *shard) {
		mu.Lock()
		defer mu.Unlock()
		if f == nil && s.offering != nil {
			f = s.offering.failure
		}
	})
	return true, f
}

// offerShards has every shard begin, soon, and returns when.
func (p *Population) offerShards(a Arrivals, d time.Duration) (began int64) {
	p.each(func(s *shard) {
		s.offering = &offering{senders: s.turns()}
		s.reserve()
		s.recorder.Sends.Lag.Reserve()
		s.recorder.Sends.DispatchLag.Reserve()
	})
	all, first := 0, map[*shard]int{}
	for _, s := range p.shards {
		first[s] = all
		all += len(s.offering.senders)
	}
	began = p.clock.Now() + int64(headStart)
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
	return began
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
			if id := from + place; id < to && s.sends(id) && s.clients[id].state != dropped {
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
		s.recorder.Sends.DispatchLag.Record(now - due)
		if s.pending >= s.sendConnections {
			s.recorder.Sends.Crowded++
		}
		if s.pending < mostPending {
			id := int(o.senders[o.next.sender])
			s.clients[id].sent++
			s.send(id, due)
		} else {
			s.recorder.Sends.Due++
		}
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

// stopOffering lets no further send begin. What was due by now counts as called
// off.
func (s *shard) stopOffering() {
	o := s.offering
	if o == nil || o.over {
		return
	}
	o.over = true
	if len(o.senders) == 0 {
		return
	}
	for now := s.p.clock.Now(); o.due() < min(now, o.end); o.next = o.schedule.next() {
		s.recorder.Sends.Due++
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

// Drain waits, once the sending is over, until every send has an outcome and every
// copy that is still to come has arrived, but no longer than most. Then slow readers
// are let read freely, and it waits for theirs, again no longer than most and only
// as long as anything comes. Clients that are away when it begins are waited for too, and
// then, as long as anything comes, for what a server has kept for those that came back. Once ctx is done no further send begins, and it waits for
// at most grace more; the error is then ctx's. It returns early when nobody is left.
// What has not arrived when it returns is lost, unless it comes before Close.
func (p *Population) Drain(ctx context.Context, most, grace time.Duration) error {
	p.each((*shard).expectBack)
	p.await(ctx, most, grace, func() bool { return p.owed(false) <= 0 })
	p.each((*shard).stopOffering)
	if p.cfg.Reconnect != nil {
		p.await(ctx, most, grace, p.silence(p.replayed))
	}
	if p.cfg.Slow.Count == 0 {
		return ctx.Err()
	}
	p.readFreely()
	p.await(ctx, most, grace, p.silence(func() bool { return p.owed(true) <= 0 }))
	return ctx.Err()
}

// silence reports whether done, or nothing has come for as long as says that nothing
// will.
func (p *Population) silence(done func() bool) func() bool {
	last, idle := p.Live().Activity, time.Now()
	return func() bool {
		if now := p.Live().Activity; now != last {
			last, idle = now, time.Now()
		}
		return done() || time.Since(idle) > drainIdle
	}
}

// replayed reports whether no client may still get copies that it missed.
func (p *Population) replayed() bool {
	var waiting atomic.Bool
	p.each(func(s *shard) {
		if s.awaitsReplay() {
			waiting.Store(true)
		}
	})
	return !waiting.Load()
}

// await waits until done, but no longer than most, than grace from when ctx is done,
// nor when nobody is left.
func (p *Population) await(ctx context.Context, most, grace time.Duration, done func() bool) {
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	interrupt := ctx.Done()
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			return
		case <-p.ended:
			return
		case <-interrupt:
			interrupt = nil
			p.each((*shard).stopOffering)
			deadline.Reset(min(grace, most))
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

// owed is how many sends have no outcome yet, how many clients are expected back, and
// how many copies are still to come to clients that are open; to slow readers only if
// slow is true. What was sent while a client was away is not owed.
func (p *Population) owed(slow bool) int {
	var mu sync.Mutex
	total := 0
	p.each(func(s *shard) {
		n := s.pending + s.returning + s.owed(slow)
		mu.Lock()
		total += n
		mu.Unlock()
	})
	return total
}

func (s *shard) owed(slow bool) int {
	if s.p.cfg.Payload == Timestamp {
		return s.owedInAll(slow)
	}
	waits := func(id int) bool { return s.clients[id].state == isOpen && (slow || !s.isSlow(id)) }
	total := 0
	for id := range s.clients {
		if !waits(id) {
			continue
		}
		from, to := s.members(id)
		for sender := from; sender < to; sender++ {
			if s.sends(sender) {
				total += s.entry(id, s.place(sender)).owes(s.clients[sender].begun)
			}
		}
	}
	for _, f := range s.forgiven {
		from, to := s.members(f.sender)
		for id := from; id < to; id++ {
			e := s.entry(id, s.place(f.sender))
			if waits(id) && f.seq > e.excused && f.seq <= s.clients[f.sender].begun && !e.has(f.seq) {
				total--
			}
		}
	}
	return total
}

// owedInAll is owed where copies have no names, and the sum of them has to do. Once a
// client has lost its stream not even that is known.
func (s *shard) owedInAll(slow bool) int {
	if s.recorder.Reconnect.Clients > 0 {
		return 0
	}
	total := -int(s.recorder.Delivery.Received)
	if !slow {
		total += int(s.recorder.Slow.Received)
	}
	for i := range s.rooms {
		rm := &s.rooms[i]
		members := rm.open
		if !slow {
			members -= rm.slow
		}
		total += int(rm.sends-rm.failed) * int(members)
	}
	return max(0, total)
}

// unsent is a message that failed, or was called off.
type unsent struct {
	sender int
	seq    uint32
}

// mostForgiven bounds how many are remembered. The copies of others are waited for.
const mostForgiven = 10_000

// forgive has nobody wait for the copies of a message that failed or was called off.
func (s *shard) forgive(sender int, seq uint32) {
	if len(s.forgiven) < mostForgiven {
		s.forgiven = append(s.forgiven, unsent{sender, seq})
	}
}
