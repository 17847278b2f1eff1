package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sseload/sseload/pkg/metric"
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
	Ramp            Ramp
	Timeout         time.Duration // for a client to open, for a send, and for an iteration
	SendConnections int           // over all shards
	Sources         []netip.Addr
	MaxEventSize    int
	// StreamsPerConnection is as in [stream.Config].
	StreamsPerConnection int
	Payload              PayloadKind
	PayloadSize          int    // bytes, at least; 0: no padding
	EventType            string // only events of this type carry messages; empty: all do
	Slow                 SlowReaders
	// Reconnect, when not nil, has clients whose stream ends open it again as an
	// EventSource does, with that jitter. A client that never opened is not tried
	// again.
	Reconnect *stream.Jitter
	Affinity  Affinity
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
	restless       bool // streams end all the time

	connecting atomic.Bool
	forsaken   atomic.Bool  // the target is gone for good
	back       atomic.Int64 // how often a client came back
	dueBack    atomic.Int64 // when the one who left last while others were connected tries again

	vacancyMu sync.Mutex
	vacancy   *time.Timer // runs while nobody is open
	closed    bool

	connections atomic.Int64 // see [stream.Config]

	away    atomic.Int32 // shards that have not reached the end of the phase
	arrived chan struct{}

	endOnce sync.Once
	ended   chan struct{} // closed when there is nobody left to go on with
	why     error
}

// ErrGone says that every client that had been open was dropped.
var ErrGone = errors.New("the target went away: every open stream has ended")

// ErrOver says that the time of a phase has passed.
var ErrOver = errors.New("the time is over")

// ErrNoneOpened says that no client could open its stream. It comes with the
// first [*stream.Failure].
var ErrNoneOpened = errors.New("no client could connect")

// hopelessAfter is how many failures, with not one success, end the connecting.
const hopelessAfter = 100

// New makes a Population and starts its engines. Close must be called.
func New(cfg Config) (*Population, error) {
	cfg.RoomSize = min(cfg.RoomSize, cfg.Clients)
	cfg.Target.Jar.Empty() // the clients are new ones
	p := &Population{
		cfg: cfg, clock: stream.NewClock(), run: newRunName(), sendersPerRoom: 1,
		arrived: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	p.started = p.clock.Now()
	if cfg.Senders == AllInRoom && cfg.Payload == Marker {
		p.sendersPerRoom = cfg.RoomSize
	}
	rooms := (cfg.Clients + cfg.RoomSize - 1) / cfg.RoomSize
	// No more shards than what they have to share between them.
	units, perUnit := units(rooms, cfg.RoomSize, cfg.StreamsPerConnection)
	count := min(cfg.Engine.Shards(), units, max(1, cfg.Ramp.Concurrency))
	if cfg.SendConnections > 0 {
		count = min(count, cfg.SendConnections)
	}
	for i := range count {
		s := &shard{p: p, firstRoom: deal(units, i, count) * perUnit}
		s.ramp.window = dealt(cfg.Ramp.Concurrency, i, count)
		if err := s.start(min(rooms, deal(units, i+1, count)*perUnit), dealt(cfg.SendConnections, i, count)); err != nil {
			p.closeEngines()
			return nil, fmt.Errorf("start engine %s: %w", cfg.Engine, err)
		}
	}
	return p, nil
}

// units is how many parts rooms can be dealt in, and of how many rooms each is but
// perhaps the last, so that no two have clients of one connection.
func units(rooms, roomSize, perConnection int) (n, size int) {
	perConnection = max(1, perConnection)
	a, b := roomSize, perConnection
	for b != 0 {
		a, b = b, a%b
	}
	size = perConnection / a // the least common multiple, in rooms
	return (rooms + size - 1) / size, size
}

// deal is where the i-th of count parts of n things begins, and dealt how many
// things that part has.
func deal(n, i, count int) int  { return n * i / count }
func dealt(n, i, count int) int { return deal(n, i+1, count) - deal(n, i, count) }

// start makes the shard's clients, of the rooms up to endRoom, and its engine, and
// adds it to the population.
func (s *shard) start(endRoom, sendConnections int) error {
	p := s.p
	s.first = s.firstRoom * p.cfg.RoomSize
	n := min(endRoom*p.cfg.RoomSize, p.cfg.Clients) - s.first
	s.clients, s.rooms = make([]client, n), make([]room, endRoom-s.firstRoom)
	s.entries = make([]entry, n*p.sendersPerRoom)
	s.sendConnections = sendConnections
	s.recorder = recorder{Totals: newTotals(), perClient: map[int]*misdeeds{}}
	for i := range s.rooms {
		s.rooms[i].sender = -1
	}
	if p.cfg.Affinity.By != NoAffinity {
		s.where.of, s.where.split = make([]place, n), make([]bool, len(s.rooms))
	}
	cfg := stream.Config{
		Target: p.cfg.Target, Clients: n, Handler: s, Clock: p.clock, Timeout: p.cfg.Timeout,
		SendConnections: sendConnections, Sources: p.cfg.Sources, MaxEventSize: p.cfg.MaxEventSize,
		Slow: s.isSlow, SlowRate: p.cfg.Slow.Rate, StreamsPerConnection: p.cfg.StreamsPerConnection,
		Connections: &p.connections,
	}
	if s.hears() {
		cfg.Head = s.head
	}
	var err error
	s.engine, err = stream.New(p.cfg.Engine, cfg)
	if err != nil {
		return err
	}
	if j := p.cfg.Reconnect; j != nil {
		s.away = map[int]*absence{}
		s.again = stream.NewReconnector(s.engine, p.clock, n, *j, s.reconnect)
	}
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
	failed := live.Failed
	if failed < int64(p.cfg.Clients) {
		failed -= live.limited // those that share a connection with them may still open
	}
	return live.Opened == 0 && failed >= int64(min(hopelessAfter, p.cfg.Clients))
}

// end says why there is nobody to go on with. Only the first call counts.
func (p *Population) end(why error) {
	p.endOnce.Do(func() {
		p.why = why
		close(p.ended)
	})
}

// noneOpened is called when there is no hope that any client opens.
func (p *Population) noneOpened(f *stream.Failure) { p.end(fmt.Errorf("%w: %w", ErrNoneOpened, f)) }

// emptied is called when a client is open no more. When nobody else is, and nobody
// will be, that is the end; while clients are still being connected it means nothing
// yet. Those who are away are given the timeout, counted from when the first of them
// tries again, after delay at the latest.
func (p *Population) emptied(delay time.Duration) {
	if p.connecting.Load() {
		p.dueBack.Store(p.clock.Now() + int64(delay))
		return
	}
	switch live := p.Live(); {
	case live.Open > 0:
	case live.present == 0 || p.forsaken.Load():
		p.end(ErrGone)
	default:
		p.wait(delay)
	}
}

// wait ends the run when nobody has come back in time. It goes on by itself as long as
// somebody comes.
func (p *Population) wait(delay time.Duration) {
	p.vacancyMu.Lock()
	defer p.vacancyMu.Unlock()
	if p.vacancy != nil || p.closed {
		return
	}
	gone := ErrGone
	if delay > p.cfg.Timeout { // which a run should not wait for
		gone = fmt.Errorf("%w, and the server wants its clients back only after %s", ErrGone, delay)
		delay = 0
	}
	p.vacancy = time.AfterFunc(delay+p.cfg.Timeout, func() {
		p.vacancyMu.Lock()
		p.vacancy = nil
		p.vacancyMu.Unlock()
		if p.Live().Open == 0 {
			p.end(gone)
		}
	})
}

// occupied is called when a client has come back.
func (p *Population) occupied() {
	p.back.Add(1)
	p.vacancyMu.Lock()
	defer p.vacancyMu.Unlock()
	if p.vacancy != nil {
		p.vacancy.Stop()
		p.vacancy = nil
	}
}

// stopWaiting has wait do nothing any more.
func (p *Population) stopWaiting() {
	p.vacancyMu.Lock()
	defer p.vacancyMu.Unlock()
	p.closed = true
	if p.vacancy != nil {
		p.vacancy.Stop()
	}
}

// Forsake says that the target has ended for good: when no client is open any more,
// none is waited for.
func (p *Population) Forsake() {
	p.forsaken.Store(true)
	p.emptied(0)
}

// Gone is why there is nobody to go on with: it wraps [ErrGone] or
// [ErrNoneOpened]. It is nil while there is somebody.
func (p *Population) Gone() error {
	select {
	case <-p.ended:
		return p.why
	default:
		return nil
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

// Connect dials every client, in the order of their numbers, and returns when
// each attempt has an outcome, when ctx is done (with its error), or when there is
// no hope (with an error that wraps [ErrNoneOpened] and the first failure, or
// [ErrGone] when every client that opened was dropped).
func (p *Population) Connect(ctx context.Context) error {
	begin := time.Now()
	// allow lets a shard dial those of its clients whose turn it is.
	allow := func(s *shard) {
		turn := p.cfg.Ramp.pace(time.Since(begin), p.cfg.Clients)
		s.ramp.allowed = min(max(0, turn-s.first), len(s.clients))
		s.dial()
	}
	p.connecting.Store(true)
	p.depart(func(s *shard) {
		s.ramp.pending = len(s.clients)
		allow(s)
	})
	var ticks <-chan time.Time
	if p.cfg.Ramp.Rate > 0 {
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-p.arrived:
			p.connecting.Store(false)
			p.emptied(time.Duration(max(0, p.dueBack.Load()-p.clock.Now())))
			return p.Gone()
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
	Complete bool          // every copy that was due has arrived
	// Silent iterations are those in which not one send succeeded and not one copy
	// arrived; Failure is then that of the first send, if it has failed.
	Silent  bool
	Failure *stream.Failure
}

// Await waits, when more clients are away than open, until all are back or will never
// be, but no longer than the timeout from when the first one is. Where that has passed
// in vain once, streams end all the time, and it waits only when nobody is open. It
// returns ctx's error, [ErrGone], or [ErrOver] when over yields.
func (p *Population) Await(ctx context.Context, over <-chan time.Time) error {
	if live := p.Live(); live.Away <= live.Open || p.restless && live.Open > 0 {
		return p.Gone()
	}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	var inVain <-chan time.Time
	back := p.back.Load()
	for p.Live().Away > 0 {
		if inVain == nil && (p.Live().Open > 0 || p.back.Load() != back) {
			timer := time.NewTimer(p.cfg.Timeout)
			defer timer.Stop()
			inVain = timer.C
		}
		select {
		case <-ticker.C:
		case <-inVain:
			p.restless = true
			return nil
		case <-over:
			return ErrOver
		case <-p.ended:
			return p.why
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return p.Gone()
}

// Iterate has every sender send one message and waits until every expected copy
// has arrived or been given up, the timeout has passed, or ctx is done; then no
// further send begins, and it waits for what is under way for at most grace
// more. The error is ctx's, or [ErrGone].
func (p *Population) Iterate(ctx context.Context, grace time.Duration) (Iteration, error) {
	p.seq++
	begin := p.clock.Now()
	p.depart(func(s *shard) { s.begin(p.seq) })
	timer := time.NewTimer(p.cfg.Timeout)
	defer timer.Stop()
	var arrived bool
	var err error
	for done := ctx.Done(); ; {
		select {
		case <-p.arrived:
			arrived = true
		case <-timer.C:
		case <-p.ended:
			err = p.why
		case <-done:
			err = ctx.Err()
			done = nil
			timer.Reset(min(grace, p.cfg.Timeout))
			for _, s := range p.shards {
				s.engine.Do(s.stop)
			}
			continue
		}
		break
	}
	all := p.finishIteration()
	it := Iteration{
		Elapsed:  time.Duration(all.last - begin),
		Complete: arrived && all.givenUp == 0,
		Silent:   all.sent == 0 && all.copies == 0 && p.Live().Open > 0,
		Failure:  all.failure,
	}
	if !it.Complete || all.copies == 0 {
		it.Elapsed = time.Duration(p.clock.Now() - begin)
	}
	if err == nil {
		err = p.Gone()
	}
	return it, err
}

// finishIteration closes the iteration in every shard and returns what they say
// of it together.
func (p *Population) finishIteration() iteration {
	var all iteration
	var mu sync.Mutex
	p.each(func(s *shard) {
		s.end()
		mu.Lock()
		defer mu.Unlock()
		all.last = max(all.last, s.iteration.last)
		all.sent += s.iteration.sent
		all.copies += s.iteration.copies
		all.givenUp += s.iteration.givenUp
		if all.failure == nil {
			all.failure = s.iteration.failure
		}
	})
	return all
}

// Settle waits until each send has an outcome and nothing has arrived for quiet, but no
// longer than most, so that strays are counted too.
func (p *Population) Settle(ctx context.Context, quiet, most time.Duration) {
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	ticker := time.NewTicker(quiet)
	defer ticker.Stop()
	for before := p.Live().Activity; ; {
		select {
		case <-ticker.C:
			live := p.Live()
			if live.Activity == before && live.Begun <= live.Sent+live.Unsent {
				return
			}
			before = live.Activity
		case <-p.ended:
			return
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Freeze ends the account: what comes from now on is not counted, and no further send
// begins. It returns when that holds for all clients.
func (p *Population) Freeze() {
	var shards sync.WaitGroup
	for _, s := range p.shards {
		shards.Add(1)
		s.engine.Do(func() {
			s.frozen = true
			if s.again != nil {
				s.again.Stop()
			}
			shards.Done()
		})
	}
	shards.Wait()
}

// Live is where a run stands.
type Live struct {
	Open     int64 // clients open now
	Away     int64 // clients that were, and will be again
	Opened   int64 // clients that ever were
	Failed   int64 // clients that never were
	Dropped  int64 // clients that were, and will never be again
	Received int64 // copies
	Begun    int64 // sends
	Sent     int64 // sends that succeeded
	Unsent   int64 // sends that failed
	Activity int64 // events and responses, of whatever kind

	Duplicate, Reordered, Misrouted, Late int64 // copies, as in [Delivery]
	// Missing copies had not come when their iteration ended. Those that came since are
	// Late. It stays at 0 in the open model and with slow readers, where that is not
	// known before the end.
	Missing int64

	present int64 // Open + Away, at one moment
	limited int64 // of Failed, those beyond a limit of streams
}

// Live may be called at any time from any goroutine.
func (p *Population) Live() Live {
	var l Live
	for _, s := range p.shards {
		l.Open += s.live.open.Load()
		l.present += s.live.present.Load()
		l.limited += s.live.limited.Load()
		l.Opened += s.live.opened.Load()
		l.Failed += s.live.failed.Load()
		l.Dropped += s.live.dropped.Load()
		l.Received += s.live.received.Load()
		l.Begun += s.live.begun.Load()
		l.Sent += s.live.sent.Load()
		l.Unsent += s.live.unsent.Load()
		l.Activity += s.live.activity.Load()
		l.Duplicate += s.live.duplicate.Load()
		l.Reordered += s.live.reordered.Load()
		l.Misrouted += s.live.misrouted.Load()
		l.Missing += s.live.missing.Load() // before Late, so that none that came since seems to be missing
		l.Late += s.live.late.Load()
	}
	l.Away = max(0, l.present-l.Open)
	return l
}

// Latencies are the distributions of a run until now.
type Latencies struct {
	Open     metric.Snapshot // of the time it took clients to open for the first time
	Delivery metric.Snapshot // of the copies that reached ordinary clients
}

// Latencies may be called at any time from any goroutine.
func (p *Population) Latencies() Latencies {
	var l Latencies
	for _, s := range p.shards {
		s.live.opening.AddTo(&l.Open)
		s.live.latency.AddTo(&l.Delivery)
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
	all.Connect.Connections = p.connections.Load()
	return all
}

func (p *Population) closeEngines() {
	p.stopWaiting()
	for _, s := range p.shards {
		if s.again != nil {
			s.again.Stop()
		}
		s.engine.Close()
	}
}
