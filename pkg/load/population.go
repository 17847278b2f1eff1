package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
)

// Senders says which clients of a room send.
type Senders int

// Who sends.
const (
	OnePerRoom Senders = iota // the first client of the room that opened
	AllInRoom
)

// PayloadKind is what a message consists of.
type PayloadKind int

// The kinds of payload.
const (
	Marker    PayloadKind = iota // names the message: every copy is accounted for
	Timestamp                    // a bare JavaScript timestamp: copies are counted, no more
)

// String is the name users know k by.
func (k PayloadKind) String() string {
	if k == Timestamp {
		return "timestamp"
	}
	return "marker"
}

// Config is what a Population needs.
type Config struct {
	Target          *target.Target // resolved
	Engine          stream.Kind    // what [stream.Kind.For] returned
	Clients         int
	RoomSize        int
	Senders         Senders
	Timeout         time.Duration // for a client to open, for a send, and for an iteration
	SendConnections int           // over all shards
	Sources         []netip.Addr
	MaxEventSize    int
	Payload         PayloadKind
	PayloadSize     int    // bytes, at least; 0: no padding
	EventType       string // only events of this type carry messages; empty: all do
}

// MinPayloadSize is the least PayloadSize that every marker fits in.
const MinPayloadSize = maxMarkerLen

// Population is N clients and the account of what happens to them. Its methods
// are for one goroutine, but for Live.
type Population struct {
	cfg            Config
	clock          *stream.Clock
	run            runName
	shards         []*shard
	sendersPerRoom int
	started        int64
	seq            uint32

	away    atomic.Int32 // shards that have not reached the end of the phase
	arrived chan struct{}

	endOnce sync.Once
	ended   chan struct{} // closed when there is nobody left to go on with
	why     error
}

// ErrGone says that every client that had been open was dropped.
var ErrGone = errors.New("the target went away: every open stream has ended")

// ErrNoneOpened says that no client could open its stream.
var ErrNoneOpened = errors.New("no client could connect")

// hopelessAfter is how many failures, with not one success, end the connecting.
const hopelessAfter = 100

// New makes a Population and starts its engines. Close must be called.
func New(cfg Config) (*Population, error) {
	p := &Population{
		cfg: cfg, clock: stream.NewClock(), run: newRunName(), sendersPerRoom: 1,
		arrived: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	p.started = p.clock.Now()
	if cfg.Senders == AllInRoom && cfg.Payload == Marker {
		p.sendersPerRoom = cfg.RoomSize
	}
	rooms := (cfg.Clients + cfg.RoomSize - 1) / cfg.RoomSize
	count := min(cfg.Engine.Shards(), rooms)
	for i := range count {
		from, to := rooms*i/count, rooms*(i+1)/count
		if err := p.addShard(from, to, max(1, cfg.SendConnections/count)); err != nil {
			p.closeEngines()
			return nil, fmt.Errorf("start engine %s: %w", cfg.Engine, err)
		}
	}
	return p, nil
}

func (p *Population) addShard(firstRoom, endRoom, sendConnections int) error {
	first := firstRoom * p.cfg.RoomSize
	n := min(endRoom*p.cfg.RoomSize, p.cfg.Clients) - first
	s := &shard{
		p: p, first: first, firstRoom: firstRoom,
		clients: make([]client, n), rooms: make([]room, endRoom-firstRoom),
		entries:  make([]entry, n*p.sendersPerRoom),
		recorder: recorder{Totals: newTotals(), perClient: map[int]*misdeeds{}},
	}
	for i := range s.rooms {
		s.rooms[i].sender = -1
	}
	engine, err := stream.New(p.cfg.Engine, stream.Config{
		Target: p.cfg.Target, Clients: n, Handler: s, Clock: p.clock, Timeout: p.cfg.Timeout,
		SendConnections: sendConnections, Sources: p.cfg.Sources, MaxEventSize: p.cfg.MaxEventSize,
	})
	if err != nil {
		return err
	}
	s.engine = engine
	p.shards = append(p.shards, s)
	return nil
}

// arrive notes that one more shard has reached the end of the phase.
func (p *Population) arrive() {
	if p.away.Add(-1) == 0 {
		p.arrived <- struct{}{}
	}
}

// depart begins a phase: every shard does f and calls arrive when it is through.
func (p *Population) depart(f func(*shard)) {
	select {
	case <-p.arrived: // of a phase that was given up
	default:
	}
	p.away.Store(int32(len(p.shards)))
	for _, s := range p.shards {
		s.engine.Do(func() { f(s) })
	}
}

// hopeless reports whether so many clients failed, and none opened, that the
// others need not be tried.
func (p *Population) hopeless() bool {
	live := p.Live()
	return live.Opened == 0 && live.Failed >= int64(min(hopelessAfter, p.cfg.Clients))
}

func (p *Population) fail(err error) {
	p.endOnce.Do(func() {
		p.why = fmt.Errorf("%w: %w", ErrNoneOpened, err)
		close(p.ended)
	})
}

// emptied is called when a shard has lost its last open client.
func (p *Population) emptied() {
	if live := p.Live(); live.Open == 0 {
		p.endOnce.Do(func() {
			p.why = ErrGone
			close(p.ended)
		})
	}
}

// Ramp shapes how clients are connected.
type Ramp struct {
	Rate        float64 // clients per second; 0: as fast as Concurrency allows
	Concurrency int     // attempts under way at once
}

// pace is how many of n clients may have been dialed after elapsed.
func (r Ramp) pace(elapsed time.Duration, n int) int {
	if r.Rate == 0 {
		return n
	}
	return min(n, 1+int(r.Rate*elapsed.Seconds()))
}

// tick is how often a rate is brought up to date.
const tick = time.Millisecond

// Connect dials every client and returns when each attempt has an outcome, when
// ctx is done (with its error), or when there is no hope (with an error that
// wraps [ErrNoneOpened] or [ErrGone] and the first failure).
func (p *Population) Connect(ctx context.Context, r Ramp) error {
	window := max(1, r.Concurrency/len(p.shards))
	begin := time.Now()
	// allow lets every shard dial its part of the clients that may be dialed now.
	allow := func(s *shard) {
		s.ramp.allowed = r.pace(time.Since(begin), p.cfg.Clients) * len(s.clients) / p.cfg.Clients
		s.dial()
	}
	p.depart(func(s *shard) {
		s.ramp.pending, s.ramp.window = len(s.clients), window
		allow(s)
	})
	var ticks <-chan time.Time
	if r.Rate > 0 {
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-p.arrived:
			if p.Live().Opened == 0 {
				<-p.ended // the last failure was the hundredth or the last client's
				return p.why
			}
			return nil
		case <-ticks:
			for _, s := range p.shards {
				s.engine.Do(func() { allow(s) })
			}
		case <-p.ended:
			return p.stopDialing(p.why)
		case <-ctx.Done():
			return p.stopDialing(ctx.Err())
		}
	}
}

// stopDialing has no further client dialed and returns err.
func (p *Population) stopDialing(err error) error {
	for _, s := range p.shards {
		s.engine.Do(func() { s.ramp.allowed, s.ramp.window = 0, 0 })
	}
	return err
}

// Hold keeps the clients for d. It returns early when ctx is done, with its
// error, or when no client is left, with [ErrGone].
func (p *Population) Hold(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ended:
		return p.why
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Iteration is how one iteration went.
type Iteration struct {
	Elapsed  time.Duration // until its last copy, or until it was given up
	Complete bool
	Refused  bool // sends failed, and not one succeeded
}

// Iterate has every sender send one message and waits until every expected copy
// has arrived, the timeout has passed or ctx is done; then it waits for at most
// grace more. The error is ctx's, or [ErrGone].
func (p *Population) Iterate(ctx context.Context, grace time.Duration) (Iteration, error) {
	p.seq++
	begin := p.clock.Now()
	p.depart(func(s *shard) { s.begin(p.seq) })
	timer := time.NewTimer(p.cfg.Timeout)
	defer timer.Stop()
	var complete bool
	var err error
	for done := ctx.Done(); ; {
		select {
		case <-p.arrived:
			complete = true
		case <-timer.C:
		case <-p.ended:
			err = p.why
		case <-done:
			err = ctx.Err()
			done = nil
			timer.Reset(min(grace, p.cfg.Timeout))
			continue
		}
		break
	}
	last, sent, unsent := p.finishIteration()
	elapsed := time.Duration(last - begin)
	if !complete || elapsed < 0 {
		elapsed = time.Duration(p.clock.Now() - begin)
	}
	return Iteration{Elapsed: elapsed, Complete: complete, Refused: sent == 0 && unsent > 0}, err
}

// finishIteration closes the iteration in every shard and returns when its last
// copy arrived and how many of its sends succeeded and failed so far.
func (p *Population) finishIteration() (last int64, sent, unsent int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, s := range p.shards {
		wg.Add(1)
		s.engine.Do(func() {
			defer wg.Done()
			s.end()
			mu.Lock()
			defer mu.Unlock()
			last = max(last, s.iteration.last)
			sent += s.iteration.sent
			unsent += s.iteration.unsent
		})
	}
	wg.Wait()
	return last, sent, unsent
}

// Settle waits until nothing has arrived for quiet, but no longer than most, so
// that strays are counted too.
func (p *Population) Settle(ctx context.Context, quiet, most time.Duration) {
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	ticker := time.NewTicker(quiet)
	defer ticker.Stop()
	for before := p.Live().Activity; ; {
		select {
		case <-ticker.C:
			now := p.Live().Activity
			if now == before {
				return
			}
			before = now
		case <-p.ended:
			return
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Live is where a run stands.
type Live struct {
	Open     int64 // clients open now
	Opened   int64 // clients that ever were
	Failed   int64 // clients that never were
	Dropped  int64 // clients that were, and are no more
	Received int64 // copies
	Activity int64 // events and responses, of whatever kind
}

// Live may be called at any time from any goroutine.
func (p *Population) Live() Live {
	var l Live
	for _, s := range p.shards {
		l.Open += s.live.open.Load()
		l.Opened += s.live.opened.Load()
		l.Failed += s.live.failed.Load()
		l.Dropped += s.live.dropped.Load()
		l.Received += s.live.received.Load()
		l.Activity += s.live.activity.Load()
	}
	return l
}

// Clock is the run's clock.
func (p *Population) Clock() *stream.Clock { return p.clock }

// Close closes every connection and returns the account.
func (p *Population) Close() Totals {
	p.closeEngines()
	all := newTotals()
	for _, s := range p.shards {
		s.finish()
		all.merge(&s.recorder.Totals)
	}
	return all
}

func (p *Population) closeEngines() {
	for _, s := range p.shards {
		s.engine.Close()
	}
}
