package testserver

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"
)

// ice is what a freeze stops the server with. Whatever a client could see happens
// between enter and leave; a freeze waits until all have left and lets nobody in.
type ice struct {
	world sync.RWMutex
	turn  sync.Mutex // held by the freeze that has the world

	mu        sync.Mutex
	frozen    bool     // a freeze has the world or is about to
	postponed []func() // to run in order before the freeze ends
}

// enter waits while the server is frozen. What it encloses must be short, must
// not wait for a client and must not enter again.
func (i *ice) enter() { i.world.RLock() }
func (i *ice) leave() { i.world.RUnlock() }

// pass waits while the server is frozen.
func (i *ice) pass() {
	i.enter()
	i.leave()
}

// orLater runs f as enter would let it, or, while the server is frozen, leaves
// it to the freeze, in order: the caller never waits for a thaw.
func (i *ice) orLater(f func()) {
	i.mu.Lock()
	if i.frozen {
		i.postponed = append(i.postponed, f)
		i.mu.Unlock()
		return
	}
	i.enter() // before a freeze can begin: it needs mu for that
	i.mu.Unlock()
	defer i.leave()
	f()
}

// freeze stops the world for d or until over is closed.
func (i *ice) freeze(d time.Duration, over <-chan struct{}) {
	i.turn.Lock()
	defer i.turn.Unlock()
	i.mu.Lock()
	i.frozen = true
	i.mu.Unlock()
	i.world.Lock()
	defer i.world.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-over:
	}
	i.thaw()
}

// thaw runs what was postponed, and what is being postponed meanwhile.
func (i *ice) thaw() {
	for {
		i.mu.Lock()
		list := i.postponed
		i.postponed = nil
		i.frozen = len(list) > 0
		i.mu.Unlock()
		if len(list) == 0 {
			return
		}
		for _, f := range list {
			f()
		}
	}
}

// freeze is the first stage of a message, before it is taken.
func (in *injector) freeze(room string) {
	for i := range in.faults {
		if f := &in.faults[i]; f.Kind == FaultFreeze && f.due(room) {
			f.done.Add(1)
			in.ice.freeze(f.draw(), in.over)
		}
	}
}

// delayed is the second stage of a message: it reports whether the delay line
// has taken it. The room's lock is held.
func (in *injector) delayed(r *room, f frame) bool {
	var wait time.Duration
	for i := range in.faults {
		if a := &in.faults[i]; a.Kind == FaultDelay && a.due(r.name) {
			d := a.draw()
			wait += d
			a.done.Add(int64(len(r.members)))
			in.delayNS.Add(int64(d) * int64(len(r.members)))
		}
	}
	if wait == 0 && r.delayed == 0 {
		return false
	}
	due := time.Now().Add(wait)
	if due.Before(r.lastDue) {
		due = r.lastDue
	}
	r.lastDue = due
	r.delayed++
	in.line.push(delayedMessage{due: due, room: r, members: slices.Clone(r.members), frame: f.clone()})
	return true
}

// misroute is the last stage of a message.
func (s *Server) misroute(from *room, f frame) {
	for i := range s.inject.faults {
		a := &s.inject.faults[i]
		if a.Kind != FaultMisroute || !a.due(from.name) {
			continue
		}
		to := s.roomAfter(from.name)
		if to == nil {
			continue
		}
		to.mu.Lock()
		stray := slices.IndexFunc(to.members, func(c *client) bool { return !c.stalled() })
		if stray >= 0 {
			var p parcel
			p.fill(to.members[stray].payload(f))
			p.add(a, 1)
			s.deliver(to.members[stray], &p)
		}
		to.mu.Unlock()
	}
}

// roomAfter finds the room with members whose name follows, cyclically; nil
// when there is no other.
func (s *Server) roomAfter(name string) *room {
	var next, first *room
	s.everyRoom(func(r *room) {
		if r.name == name {
			return
		}
		if first == nil || r.name < first.name {
			first = r
		}
		if r.name > name && (next == nil || r.name < next.name) {
			next = r
		}
	})
	if next == nil {
		return first
	}
	return next
}

// delayLine holds delayed messages until they are due; one goroutine serves it.
type delayLine struct {
	mu    sync.Mutex
	queue delayQueue
	seq   uint64
	wake  chan struct{}
}

type delayedMessage struct {
	due     time.Time
	seq     uint64 // keeps the order of messages due at once
	room    *room
	members []*client // as they were when the message was published
	frame   frame
}

func (l *delayLine) push(m delayedMessage) {
	l.mu.Lock()
	l.seq++
	m.seq = l.seq
	heap.Push(&l.queue, m)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// pop takes the first message if it is due; else it tells how long to wait.
// Without any message it waits for a wake-up.
func (l *delayLine) pop(now time.Time, all bool) (m delayedMessage, wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return m, time.Hour, false
	}
	if wait = l.queue[0].due.Sub(now); wait > 0 && !all {
		return m, wait, false
	}
	return heap.Pop(&l.queue).(delayedMessage), 0, true
}

// runDelays delivers delayed messages until ctx ends, then those left at once.
func (s *Server) runDelays(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		m, wait, ok := s.inject.line.pop(time.Now(), ctx.Err() != nil)
		if ok {
			s.inject.ice.enter()
			m.room.mu.Lock()
			s.sendFaulty(m.members, m.frame)
			m.room.delayed--
			m.room.mu.Unlock()
			s.inject.ice.leave()
			continue
		}
		if ctx.Err() != nil {
			return
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.inject.line.wake:
		case <-ctx.Done():
		}
	}
}

type delayQueue []delayedMessage

func (q delayQueue) Len() int { return len(q) }
func (q delayQueue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].seq < q[j].seq
	}
	return q[i].due.Before(q[j].due)
}
func (q delayQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *delayQueue) Push(x any)   { *q = append(*q, x.(delayedMessage)) }
func (q *delayQueue) Pop() any {
	last := len(*q) - 1
	m := (*q)[last]
	(*q)[last] = delayedMessage{}
	*q = (*q)[:last]
	return m
}
