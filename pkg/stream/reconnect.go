package stream

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// DefaultRetry is the reconnection time while no server has set one. The specification leaves it
// to the user agent, "probably in the region of a few seconds" (HTML section
// 9.2.2); this is the one that browsers use.
const DefaultRetry = 3 * time.Second

const (
	// leastBackoff stands in for a shorter reconnection time once attempts fail
	// in a row: a server that sets it to 0 and goes away must not be hammered.
	leastBackoff = 100 * time.Millisecond
	// mostBackoff is where the delay stops growing, unless the reconnection time
	// is longer.
	mostBackoff = 30 * time.Second
)

// Reconnection decides when an EventSource connects again, HTML section 9.2.3. It
// is a value without a clock: the caller waits, or a [Reconnector]. The zero value
// is a new EventSource. The last event ID is not its business: an [Engine] keeps it
// for the next Subscribe.
type Reconnection struct {
	retry  time.Duration
	set    bool  // the server set retry
	opened bool  // the last attempt opened
	failed uint8 // attempts in a row that did not; no further than mostFailed
}

// mostFailed attempts in a row make the delay as long as it gets, whatever it was.
const mostFailed = 64

// SetRetry takes the reconnection time that the server set, see [Handler.Retry].
// A negative one counts as 0.
func (r *Reconnection) SetRetry(d time.Duration) { r.retry, r.set = max(0, d), true }

// Opened says that an attempt succeeded.
func (r *Reconnection) Opened() { r.opened, r.failed = true, 0 }

// After is what to do after f, with which a subscription ended or failed to
// open: subscribe again after delay, or, when again is false, never.
//
// The delay is the reconnection time. From the second attempt in a row that did
// not open on it doubles each time, as the specification suggests, up to 30 s.
func (r *Reconnection) After(f *Failure) (delay time.Duration, again bool) {
	if f.Permanent() {
		return 0, false
	}
	delay = DefaultRetry
	if r.set {
		delay = r.retry
	}
	if r.opened || f.Class == Ended {
		r.opened, r.failed = false, 0
		return delay, true
	}
	most := max(delay, mostBackoff)
	for range r.failed {
		if delay > most/2 {
			delay = most
			break
		}
		delay = max(2*delay, leastBackoff)
	}
	r.failed = min(r.failed+1, mostFailed)
	return delay, true
}

// Jitter spreads reconnections that would come at once: to each delay is added a
// random part, evenly distributed between nothing and Most or Share of the delay,
// whichever is set. The zero value adds nothing, as the specification has it.
type Jitter struct {
	Most  time.Duration
	Share float64
}

// String is j in the form of "500ms" or "50%", empty for none.
func (j Jitter) String() string {
	switch {
	case j.Share > 0:
		return strconv.FormatFloat(j.Share*100, 'g', -1, 64) + "%"
	case j.Most > 0:
		return j.Most.String()
	}
	return ""
}

// of is what is to be added to delay.
func (j Jitter) of(delay time.Duration) time.Duration {
	most := float64(j.Most) + j.Share*float64(delay)
	return time.Duration(rand.Float64() * most) //nolint:gosec // no secret
}

// Reconnector has the subscriptions of an Engine opened again when they have ended,
// as an EventSource does. The Engine's Handler tells it what happened. But for Stop
// its methods belong to the engine's context.
type Reconnector struct {
	do     func(func())
	again  func(id int)
	clock  *Clock
	jitter Jitter
	subs   []Reconnection
	queue  appointments

	mu      sync.Mutex // guards what follows
	timer   *time.Timer
	stopped bool
}

// appointment is when a subscription is to be opened again.
type appointment struct {
	at int64
	id int32
}

// appointments are a heap, the earliest on top.
type appointments []appointment

func (q appointments) Len() int           { return len(q) }
func (q appointments) Less(i, j int) bool { return q[i].at < q[j].at }
func (q appointments) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements [heap.Interface].
func (q *appointments) Push(x any) { *q = append(*q, x.(appointment)) }

// Pop implements [heap.Interface].
func (q *appointments) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// NewReconnector is for the subscriptions 0 to n-1 of e. When it is time to open one
// again it calls again, in the engine's context, which should Subscribe it with nil:
// the engine remembers the last event ID.
func NewReconnector(e Engine, clock *Clock, n int, j Jitter, again func(id int)) *Reconnector {
	return &Reconnector{do: e.Do, again: again, clock: clock, jitter: j, subs: make([]Reconnection, n)}
}

// SetRetry takes the reconnection time that the server set for id, see
// [Handler.Retry].
func (r *Reconnector) SetRetry(id int, d time.Duration) { r.subs[id].SetRetry(d) }

// Opened says that id has opened.
func (r *Reconnector) Opened(id int) { r.subs[id].Opened() }

// Closed says that id has ended with f, or has failed to open. It is opened again
// after delay, or, when again is false, never.
func (r *Reconnector) Closed(id int, f *Failure) (delay time.Duration, again bool) {
	delay, again = r.subs[id].After(f)
	if !again {
		return 0, false
	}
	now := r.clock.Now()
	delay += min(r.jitter.of(delay), math.MaxInt64-delay)
	heap.Push(&r.queue, appointment{at: now + min(int64(delay), math.MaxInt64-now), id: int32(id)})
	if int(r.queue[0].id) == id {
		r.arm()
	}
	return delay, true
}

// arm has run called when the next one is due.
func (r *Reconnector) arm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	if r.stopped || len(r.queue) == 0 {
		return
	}
	r.timer = time.AfterFunc(time.Duration(r.queue[0].at-r.clock.Now()), r.ring)
}

func (r *Reconnector) ring() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped {
		r.do(r.run)
	}
}

// run opens those again whose time has come.
func (r *Reconnector) run() {
	for now := r.clock.Now(); len(r.queue) > 0 && r.queue[0].at <= now && !r.over(); {
		r.again(int(heap.Pop(&r.queue).(appointment).id))
	}
	r.arm()
}

func (r *Reconnector) over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped
}

// Stop has no subscription opened again from now on. It may be called anywhere, and
// must be before the engine is closed.
func (r *Reconnector) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
