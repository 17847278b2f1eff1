package testserver

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// FaultKind names something the server does wrong on purpose.
type FaultKind string

// The kinds, and what Fault.Every counts for each. A copy is one delivery of
// one message to one member.
const (
	// FaultDrop swallows every k-th copy.
	FaultDrop FaultKind = "drop"
	// FaultDuplicate sends every k-th copy twice, in one write.
	FaultDuplicate FaultKind = "duplicate"
	// FaultReorder holds every k-th copy back and sends it right after that
	// member's next one. A member has at most one copy held: while it has, a
	// k-th copy passes. Injected counts when the held copy goes out; Held is
	// the number that still wait for a next message.
	FaultReorder FaultKind = "reorder"
	// FaultMisroute sends every k-th message also, as one extra copy that no
	// other fault sees, to the first member of the room whose name follows in
	// sorted order (after the last comes the first). With no other room it
	// does nothing and is not counted.
	FaultMisroute FaultKind = "misroute"
	// FaultDelay delivers every k-th message Fault.Delay later and counts its
	// copies. The order of a room is kept: what follows waits behind it,
	// uncounted.
	FaultDelay FaultKind = "delay"
	// FaultClose closes the connection of every k-th subscription, without an
	// end of the body, after Fault.After copies were sent to it.
	FaultClose FaultKind = "close"
	// FaultRefuse answers every k-th subscription with 503.
	FaultRefuse FaultKind = "refuse"
)

// Fault is one thing to do wrong. Faults act in the order of Config.Faults:
// each counts what those before it let through. The number of receivers told
// to the sender of a message does not show them, as that of a broken server
// would not.
//
// A new kind is a constant above and one case at the stage where it acts:
// refuses (a subscription), delayed or misroute (a message), sendFaulty (a
// copy).
type Fault struct {
	Kind  FaultKind
	Every int           // k: acts on the k-th, 2k-th, …; 1 is all
	Delay time.Duration // for FaultDelay
	After int           // for FaultClose, in copies
}

func (f Fault) check() error {
	switch f.Kind {
	case FaultDrop, FaultDuplicate, FaultReorder, FaultMisroute, FaultDelay, FaultClose, FaultRefuse:
	default:
		return errors.New("unknown kind")
	}
	if f.Every < 1 {
		return fmt.Errorf("every %d: must be at least 1", f.Every)
	}
	if f.Kind == FaultDelay && f.Delay <= 0 {
		return fmt.Errorf("delay %v: must be above 0", f.Delay)
	}
	if f.Kind == FaultClose && f.After < 1 {
		return fmt.Errorf("after %d: must be at least 1", f.After)
	}
	return nil
}

// injector carries out the faults. A server without faults has none.
type injector struct {
	faults []activeFault
	held   atomic.Int64
	line   delayLine
}

type activeFault struct {
	Fault
	seen atomic.Uint64
	done atomic.Int64
}

// memberFaults is what the injector knows of one client; guarded by room.mu.
type memberFaults struct {
	held       []byte // a copy held back, in the client's framing
	copies     int
	closeAfter int // copies until the connection is closed; 0 is never
}

func newInjector(faults []Fault) *injector {
	if len(faults) == 0 {
		return nil
	}
	in := &injector{faults: make([]activeFault, len(faults))}
	in.line.wake = make(chan struct{}, 1)
	for i, f := range faults {
		in.faults[i].Fault = f
	}
	return in
}

// due counts one more and reports whether it is a k-th.
func (f *activeFault) due() bool {
	return f.seen.Add(1)%uint64(f.Every) == 0
}

// injected sums what was done, by kind. Every configured kind is there.
func (in *injector) injected() map[FaultKind]int64 {
	sums := make(map[FaultKind]int64, len(in.faults))
	for i := range in.faults {
		sums[in.faults[i].Kind] += in.faults[i].done.Load()
	}
	return sums
}

// refuses is the stage of a subscription.
func (in *injector) refuses() bool {
	for i := range in.faults {
		if f := &in.faults[i]; f.Kind == FaultRefuse && f.due() {
			f.done.Add(1)
			return true
		}
	}
	return false
}

// member prepares a client that joins.
func (in *injector) member() *memberFaults {
	m := &memberFaults{}
	for i := range in.faults {
		f := &in.faults[i]
		if f.Kind == FaultClose && f.due() && (m.closeAfter == 0 || f.After < m.closeAfter) {
			m.closeAfter = f.After
		}
	}
	return m
}

// delayed is a stage of a message: it reports whether the delay line has taken
// it. The room's lock is held.
func (in *injector) delayed(r *room, f frame) bool {
	var wait time.Duration
	for i := range in.faults {
		if a := &in.faults[i]; a.Kind == FaultDelay && a.due() {
			wait += a.Delay
			a.done.Add(int64(len(r.members)))
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

// misroute is a stage of a message; it returns the number of extra copies.
func (s *Server) misroute(from *room, w *rawWriter, f frame) int {
	copies := 0
	for i := range s.inject.faults {
		a := &s.inject.faults[i]
		if a.Kind != FaultMisroute || !a.due() {
			continue
		}
		to := s.roomAfter(from.name)
		if to == nil {
			continue
		}
		to.mu.Lock()
		if len(to.members) > 0 {
			c := to.members[0]
			if s.send(c, w, c.payload(f)) {
				a.done.Add(1)
				copies++
			}
		}
		to.mu.Unlock()
	}
	return copies
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

// sendFaulty is the stage of copies. The lock of the members' room is held.
func (s *Server) sendFaulty(members []*client, w *rawWriter, f frame) (receivers, copies int) {
	var out []byte
	for _, c := range members {
		if c.over() {
			continue // so that what is counted does not hang on when it leaves
		}
		p := c.payload(f)
		n := 1 // copies in out
		out = append(out[:0], p...)
		var release *activeFault
		for i := range s.inject.faults {
			if n == 0 {
				break
			}
			switch a := &s.inject.faults[i]; a.Kind {
			case FaultDrop:
				if a.due() {
					a.done.Add(1)
					n = 0
				}
			case FaultDuplicate:
				if a.due() {
					a.done.Add(1)
					out = append(out, p...)
					n++
				}
			case FaultReorder:
				if due := a.due(); c.faults.held != nil {
					release = a
				} else if due {
					c.faults.held = slices.Clone(out)
					s.inject.held.Add(1)
					n = 0
				}
			}
		}
		if n == 0 {
			receivers++
			continue
		}
		if release != nil {
			out = append(out, c.faults.held...)
			n++
		}
		if !s.send(c, w, out) {
			continue
		}
		if release != nil {
			c.faults.held = nil
			s.inject.held.Add(-1)
			release.done.Add(1)
		}
		receivers++
		copies += n
		c.faults.copies += n
		if c.faults.closeAfter > 0 && c.faults.copies >= c.faults.closeAfter {
			s.end(c, w, nil, time.Time{})
			c.faults.closeAfter = 0
			for i := range s.inject.faults {
				if a := &s.inject.faults[i]; a.Kind == FaultClose {
					a.done.Add(1)
					break
				}
			}
		}
	}
	return receivers, copies
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
	w := newRawWriter()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		m, wait, ok := s.inject.line.pop(time.Now(), ctx.Err() != nil)
		if ok {
			m.room.mu.Lock()
			_, copies := s.sendFaulty(m.members, w, m.frame)
			m.room.delayed--
			m.room.mu.Unlock()
			s.deliveries.Add(uint64(copies))
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
