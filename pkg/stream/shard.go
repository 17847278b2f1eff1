package stream

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/target"
)

// shard is what the engines with a goroutine per subscription have in common.
// Its mutex is the engine's context: whoever holds it may call the Handler, and
// the Handler may call the Engine. Nothing blocks while it is held.
type shard struct {
	cfg Config
	// start begins to open an attempt, in the engine's context.
	start func(*attempt)

	ctx    context.Context // of everything that the engine has under way
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	subs   []*attempt // by subscription; nil where closed
	ids    [][]byte   // last event IDs of subscriptions that are closed
	disp   dispatcher
	sends  sender
	alarm  alarm
	bell   bell // of the alarm; nil before the first one
	slow   *throttle
	muxes  map[*mux]struct{} // the connections of HTTP/2; nil before the first

	inboxMu  sync.Mutex
	inbox    []func()
	draining bool
	shut     bool
}

// attempt is one subscription from Subscribe to its end.
type attempt struct {
	machine
	id     int
	timing Timing
	// stop has the attempt's goroutine end soon, and must not block. It changes
	// with what the goroutine is waiting for, in the engine's context.
	stop    func()
	opening *opening // nil once open
}

// opening is what an attempt needs until it is open, kept apart because an idle
// client should not pay for it.
type opening struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	vars   target.Vars
	slow   *throttle  // nil unless it is a slow reader
	moved  *redirects // nil unless redirected
	// timer ends it where no deadline of a connection of its own does; nil elsewhere.
	timer *time.Timer
	rider *rider // with HTTP/2, the stream of engine conn; nil elsewhere
}

func (s *shard) init(cfg Config, start func(*attempt)) {
	s.cfg, s.start = cfg, start
	s.subs = make([]*attempt, cfg.Clients)
	s.ids = make([][]byte, cfg.Clients)
	s.disp = dispatcher{h: cfg.Handler, clock: cfg.Clock, read: cfg.Read}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.slow = newThrottle(cfg.pace())
	s.sends.init(s)
}

// Do implements [Engine]. A goroutine exists only while there is something to do.
func (s *shard) Do(f func()) {
	s.inboxMu.Lock()
	defer s.inboxMu.Unlock()
	if s.shut {
		return
	}
	s.inbox = append(s.inbox, f)
	if !s.draining {
		s.draining = true
		s.work.Go(s.drain)
	}
}

func (s *shard) drain() {
	for {
		s.inboxMu.Lock()
		work := s.inbox
		s.inbox = nil
		s.draining = len(work) > 0
		s.inboxMu.Unlock()
		if len(work) == 0 {
			return
		}
		s.mu.Lock()
		for _, f := range work {
			if !s.closed {
				f()
			}
		}
		s.mu.Unlock()
	}
}

// Subscribe implements [Engine].
func (s *shard) Subscribe(id int, lastEventID []byte) {
	a := &attempt{id: id}
	a.reset(s.cfg.MaxEventSize)
	if lastEventID == nil {
		lastEventID = s.ids[id]
	}
	a.dec.SetLastEventID(sse.ToValid(lastEventID)) // as text, HTML section 9.2.3
	s.ids[id] = nil
	a.timing.Dialed = s.cfg.Clock.Now()
	ctx, cancel := context.WithCancelCause(s.ctx)
	a.opening = &opening{ctx: ctx, cancel: cancel, vars: s.cfg.Handler.Vars(id)}
	if s.cfg.slow(id) {
		a.opening.slow = s.slow
	}
	a.stop = func() { cancel(context.Canceled) }
	s.subs[id] = a
	s.start(a)
}

// Unsubscribe implements [Engine].
func (s *shard) Unsubscribe(id int) {
	if s.disp.busy && s.disp.id == id {
		s.disp.stopped = true
	}
	if a := s.subs[id]; a != nil {
		// The decoder may be in the middle of what it was given: what it finds
		// after this call never happened.
		s.ids[id] = bytes.Clone(a.dec.LastEventID())
		s.subs[id] = nil
		a.stop()
	}
}

// Send implements [Engine].
func (s *shard) Send(tag Tag, due int64) { s.sends.send(message{tag, due}) }

// ReadFreely implements [Engine].
func (s *shard) ReadFreely() { s.slow.release() }

// Close implements [Engine].
func (s *shard) Close() {
	s.inboxMu.Lock()
	s.shut = true
	s.inboxMu.Unlock()

	s.mu.Lock()
	again := s.closed
	s.closed = true
	for _, a := range s.subs {
		if a != nil {
			a.stop()
		}
	}
	s.sends.end()
	for m := range s.muxes {
		m.quit()
	}
	if s.bell != nil && !again {
		s.bell.close()
	}
	s.mu.Unlock()

	s.cancel()
	s.work.Wait()
}

// enter begins a piece of work on a in the engine's context. It returns false,
// and is not in the context, when a is over: unsubscribed, or with the engine.
func (s *shard) enter(a *attempt) bool {
	s.mu.Lock()
	if s.closed || s.subs[a.id] != a {
		s.mu.Unlock()
		return false
	}
	return true
}

func (s *shard) leave() { s.mu.Unlock() }

// fail ends a in the engine's context and tells the Handler why.
func (s *shard) fail(a *attempt, f *Failure) {
	if a.opening != nil {
		if f.Class == TimedOut {
			f = openTimeout(a.timing.Connected != 0, s.cfg.Timeout)
		}
		a.opening.cancel(context.Canceled)
	}
	s.ids[a.id] = a.dec.LastEventID() // the attempt is over, and its memory free
	s.subs[a.id] = nil
	s.cfg.Handler.Closed(a.id, f)
}
