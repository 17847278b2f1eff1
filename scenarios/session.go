package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/observe"
	"github.com/sseload/sseload/pkg/profile"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/target"
)

// The phases of runs.
const (
	phaseConnect = "connect"
	phaseHold    = "hold"
	phaseSend    = "send"
	phaseDrain   = "drain"
	phaseProfile = "profile" // in between, when profiles are taken
)

// How long to wait at the end of a run for what nobody waited for: strays,
// duplicates, first events.
const (
	settleQuiet = 50 * time.Millisecond
	settleMost  = time.Second
)

// session is one run from its server's start to its record.
type session struct {
	ask     Load
	site    *Site
	people  *load.Population
	watcher *observe.Watcher
	tree    *observe.Tree // nil when the target's process is not known
	run     *result.Run

	phase      atomic.Pointer[phase]
	iteration  atomic.Int64
	iterations int
	mostCopies int64
	begun      time.Time
	profiler   *profile.Profiler // nil: none are taken
	profilesIn string            // the folder of their files, as the record names it
	unprofiled []string          // why none could be had
	paused     time.Duration     // between phases, for profiles
	over       chan struct{}     // closed when the server may go
	watching   sync.WaitGroup    // until it does
	observers  []Observer
	going      Going
	step       string // empty: none
	recent     recent

	base, crest observe.Held // before the first client, and with all of them connected
	dialing     int64        // when connecting began, on the run's clock
	totals      load.Totals
	mainElapsed time.Duration // of the phase that the run is about
}

// open starts the server, the observers and the clients' engines.
//
// name is what this run is called among others of the scenario, for the files of
// its profiles.
func open(ctx context.Context, env *Env, ask Load, cfg load.Config, scenario, name string) (*session, error) {
	site, err := env.Server.Start(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{ask: ask, site: site, observers: env.Observers, going: env.going, over: make(chan struct{})}
	if n := s.going.Repetition; n > 0 {
		name += fmt.Sprintf("-%d", n)
	}
	s.openProfiler(ctx, env.Profiles, scenario+"-"+name)
	s.step = env.Step
	if err := s.prepare(cfg, scenario); err != nil { //nolint:contextcheck // engines live until Close
		site.Stop()
		return nil, err
	}
	return s, nil
}

func (s *session) prepare(cfg load.Config, scenario string) error {
	kind, err := s.ask.Engine.For(s.site.Target)
	if err != nil {
		return err
	}
	if s.site.PID != 0 {
		if s.tree, err = observe.NewTree(s.site.PID); err != nil {
			return fmt.Errorf("observe the target: %w", err)
		}
	}
	s.watcher = observe.New(observe.Config{Target: s.tree, Counters: s.counters, Each: s.sampled})
	// What a run before this one left is not this one's, and what it takes to profile
	// is no client's.
	debug.FreeOSMemory()
	s.base = s.watcher.Held()

	cfg.Target, cfg.Engine = s.site.Target, kind
	cfg.Clients, cfg.RoomSize = s.ask.Clients, s.ask.RoomSize
	cfg.Ramp, cfg.Timeout, cfg.Sources = s.ask.Ramp, s.ask.Timeout, s.ask.Sources
	cfg.SendConnections, cfg.MaxEventSize = s.ask.SendConnections, s.ask.MaxEventSize
	cfg.EventType, cfg.Slow, cfg.Reconnect = s.ask.EventType, s.ask.Slow, s.ask.Reconnect
	cfg.StreamsPerConnection = s.ask.StreamsPerConnection
	cfg.Affinity = s.ask.Affinity
	if s.people, err = load.New(cfg); err != nil {
		return err
	}
	labels := s.ask.Labels
	labels.Protocol = cmp.Or(labels.Protocol, s.site.Target.Protocol())
	s.begun = time.Now()
	s.run = &result.Run{
		Scenario: scenario, StartedAt: s.begun.UTC(), Labels: labels, Engine: string(kind),
		Params: result.Params{
			Clients: s.ask.Clients, TimeoutNS: int64(s.ask.Timeout),
			ConnectRate: s.ask.Ramp.Rate, ConnectConcurrency: s.ask.Ramp.Concurrency,
		},
		Clock:   &result.Clock{Kind: "monotonic"},
		Target:  result.Target{URL: target.Redacted(s.site.Target.Subscribe.String()), Kind: s.site.Kind, Command: s.site.Command},
		Phases:  []result.Phase{},
		Samples: []result.Sample{},
		Notes:   append([]string{}, s.unprofiled...),
	}
	if n := s.going.Repetition; n > 0 {
		s.run.Repetition = &n
	}
	if j := s.ask.Reconnect; j == nil {
		s.run.Params.NoReconnect = true
	} else if text := j.String(); text != "" {
		s.run.Params.ReconnectJitter = &text
	}
	if s.ask.EventType != "" {
		s.run.Params.EventType = &s.ask.EventType
	}
	if v := s.site.Target.HTTP; v != target.HTTP1 {
		s.run.Params.HTTP, s.run.Params.StreamsPerConnection = new(v.String()), new(max(1, s.ask.StreamsPerConnection))
	}
	if slow := s.ask.Slow; slow.Count > 0 {
		rate := int64(slow.Rate)
		s.run.Params.SlowClients, s.run.Params.SlowRate = &slow.Count, &rate
	}
	if s.site.Target.Send != nil {
		u := target.Redacted(s.site.Target.Send.String())
		s.run.Target.SendURL = &u
	}
	if all := s.site.Target.Proxies(); len(all) > 0 {
		through := strings.Join(all, ", ")
		s.run.Target.Proxy = &through
		s.run.Notes = append(s.run.Notes, "the target is reached through the proxy "+through+", which is measured too")
	}
	return nil
}

func (s *session) counters() observe.Counters {
	live := s.people.Live()
	return observe.Counters{Open: live.Open, Failed: live.Failed, Received: live.Received, Away: live.Away, Sent: live.Sent}
}

func (s *session) progress() Progress {
	p := Progress{
		Scenario: s.run.Scenario, Clients: s.ask.Clients, Iteration: int(s.iteration.Load()), Iterations: s.iterations,
		Elapsed: time.Since(s.begun), Live: s.people.Live(), MostCopies: s.mostCopies,
	}
	if phase := s.phase.Load(); phase != nil {
		p.Phase, p.PhaseElapsed, p.PhaseLasts, p.Total = phase.name, time.Since(phase.began), phase.lasts, phase.total()
	}
	return p
}

// phase is one that is under way.
type phase struct {
	name  string
	began time.Time
	lasts time.Duration // as in [Progress]

	before time.Duration // the run's total when it began
	still  bool          // the total does not grow any more, or not meanwhile
}

// total is the run's total by now.
func (p *phase) total() time.Duration {
	if p.still {
		return p.before
	}
	return p.before + time.Since(p.began)
}

// enter ends the phase under way, if there is one, and begins the next. A drain is
// the end of the sending, and profiled with it.
func (s *session) enter(ctx context.Context, name string, lasts time.Duration) {
	if name != phaseDrain {
		s.turnProfiles(ctx, name)
	}
	s.begin(name, lasts)
}

func (s *session) begin(name string, lasts time.Duration) {
	next := &phase{name: name, began: time.Now(), lasts: lasts, still: name == phaseProfile}
	if last := s.phase.Load(); last != nil {
		next.before = last.total()
	}
	s.phase.Store(next)
	s.watcher.Phase(name)
}

// connect connects all clients. A run whose clients partly failed goes on.
func (s *session) connect(ctx context.Context) error {
	if s.step != "" {
		s.run.Step = &s.step
	}
	s.going.Run, s.going.Progress, s.going.Latencies = s.run, s.progress, s.people.Latencies
	for _, o := range s.observers {
		o.Begin(s.going)
	}
	s.enter(ctx, phaseConnect, 0)
	s.watching.Go(s.watchSite)
	s.dialing = s.people.Clock().Now()
	err := s.people.Connect(ctx)
	s.crest = s.watcher.Held()
	return err
}

// watchSite says so when the server has ended for good.
func (s *session) watchSite() {
	select {
	case <-s.site.Gone:
		s.people.Forsake()
	case <-s.over:
	}
}

// close ends the run and completes its record. why is the error that ended the
// run before its time, or nil.
func (s *session) close(ctx context.Context, why error, mainPhase string) (*result.Run, error) {
	if cause := context.Cause(ctx); interrupted(why) && errors.Is(cause, ErrCalledOff) {
		why = cause
	}
	total := time.Duration(s.people.Clock().Now()-s.dialing) - s.paused
	last := *s.phase.Load()
	last.before, last.still = total, true
	s.phase.Store(&last)
	seen := s.watcher.Stop()
	s.people.Settle(context.WithoutCancel(ctx), settleQuiet, settleMost)
	if why == nil && mainPhase == phaseSend {
		why = s.people.Gone() // which the last iteration may have been too short to see
	}
	s.people.Freeze() // what comes while profiles are fetched is after the run
	debug.FreeOSMemory()
	held := s.watcher.Held() // once the collector has been
	s.crest.Generator, s.crest.Live = held.Generator, held.Live
	s.recordProfiles(ctx, seen)
	run := s.run
	if s.site.Faults != nil {
		run.Target.Faults = s.site.Faults(context.WithoutCancel(ctx))
	}
	close(s.over)
	s.watching.Wait()
	s.totals = s.people.Close()
	totals := &s.totals
	s.site.Stop()

	if interrupted(why) {
		run.Interrupted = true
	} else if why != nil {
		text := why.Error()
		run.Aborted = &text
	}
	run.TotalNS = int64(total)
	traffic := result.Traffic(totals.Traffic)
	run.Traffic = &traffic
	s.recordAffinity(totals)
	err := errors.Join(s.recordConnect(totals), s.recordReconnect(&totals.Reconnect))
	s.recordCost(seen, mainPhase, totals)
	s.memoryPerClient(totals.Connect.Opened)
	s.timePerClient(seen, totals)
	lerr := s.recordLags(totals)
	g := &run.Generator
	over, reason, known := evidence{g, run.Machine.CPUPercent, s.mainElapsed}.judge()
	if known {
		g.Overloaded = &over
	}
	if over {
		g.OverloadReason = &reason
	}
	return run, errors.Join(why, err, lerr)
}

func (s *session) recordConnect(t *load.Totals) error {
	c := &t.Connect
	r := &s.run.Connect
	*r = result.Connect{
		Attempted: c.Attempted, Opened: c.Opened, Failed: c.Failed(), Failures: c.Failures,
		Dropped: c.Dropped(), Drops: c.Drops, Examples: examples(c.Texts),
	}
	if s.site.Target.HTTP != target.HTTP1 {
		r.Connections = &c.Connections
	}
	if c.Opened > 0 {
		elapsed := c.LastOpen - c.FirstDial
		r.ElapsedNS = &elapsed
	}
	var errs [4]error
	r.OpenLatency, errs[0] = latency(&c.Open)
	r.TCPLatency, errs[1] = latency(&c.TCP)
	r.HeaderLatency, errs[2] = latency(&c.Header)
	r.FirstEventLatency, errs[3] = latency(&c.FirstEvent)
	return errors.Join(errs[:]...)
}

// recordReconnect enters what became of the streams that ended, where they are opened
// again.
func (s *session) recordReconnect(t *load.Reconnecting) error {
	if s.ask.Reconnect == nil {
		return nil
	}
	since := func(at int64) *int64 {
		if at == 0 {
			return nil
		}
		return new(at - s.dialing)
	}
	r := &result.Reconnect{
		Clients: t.Clients, Ends: t.Ends, Attempts: t.Attempts, Failures: t.Failures, Reopened: t.Reopened,
		GaveUp: t.GaveUp, Away: t.Away, FirstEndNS: since(t.FirstEnd), LastOpenNS: since(t.LastOpen),
	}
	var err error
	r.Downtime, err = latency(&t.Downtime)
	s.run.Reconnect = r
	return err
}

// examples lists the first failure of each class, by class.
func examples(texts map[string]string) []result.FailureExample {
	out := make([]result.FailureExample, 0, len(texts))
	for _, class := range slices.Sorted(maps.Keys(texts)) {
		out = append(out, result.FailureExample{Class: class, Text: texts[class]})
	}
	return out
}

// recordCost enters what the observers saw.
func (s *session) recordCost(seen observe.Report, mainPhase string, totals *load.Totals) {
	run := s.run
	for _, p := range seen.Phases {
		run.Phases = append(run.Phases, result.Phase(p))
	}
	for i := range seen.Samples {
		run.Samples = append(run.Samples, s.sample(&seen.Samples[i]))
	}
	m := seen.Machine
	run.Machine = result.Machine{
		CPUPercent: m.CPUPercent, MemoryUsedBytes: m.MemoryUsedBytes, MemoryTotalBytes: m.MemoryTotalBytes,
		ListenOverflows: m.ListenOverflows, ListenDrops: m.ListenDrops, TCPRetransmits: m.TCPRetransmits,
		KernelSocketBytes: m.KernelSocketBytes,
		TCPSockets:        s.crest.TCPSockets, TCPSocketBytes: s.crest.TCPSocketBytes,
	}
	run.Generator = result.Generator{PID: seen.Generator.PID, RSSBytes: seen.Generator.RSSBytes, OpenFiles: seen.Generator.OpenFiles}
	if t := seen.Target; t != nil {
		run.TargetProcess = result.TargetProcess{
			Observed: true, PID: &t.PID, Name: t.Name, Processes: &t.Processes,
			RSSBytes: t.RSSBytes, OpenFiles: t.OpenFiles,
		}
	}
	if phase, ok := seen.Phase(mainPhase); ok {
		s.mainElapsed = time.Duration(phase.ElapsedNS)
		run.Generator.CPUPercent = phase.GeneratorCPUPercent
		run.TargetProcess.CPUPercent = phase.TargetCPUPercent
		run.Machine.CPUPercent = phase.MachineCPUPercent
		run.Generator.RunQueueNS = phase.GeneratorRunQueueNS
	}
	if gc, ok := seen.GC(mainPhase); ok {
		run.Generator.GC = (*result.GC)(&gc)
	}
	if stalls, ok := seen.Stalls(mainPhase); ok {
		run.Generator.Stalls = (*result.Stalls)(&stalls)
	}
	if !run.TargetProcess.Observed {
		run.Notes = append(run.Notes, "the target's process could not be observed (name it with --target-pid): CPU Avg is the generator's")
	}
	if s.tree != nil && s.tree.Gone() {
		run.TargetProcess.CPUPercent = nil // over which part of the phase is not known
		run.Notes = append(run.Notes, "the target's process ended during the run: what it took until then does not say what a copy costs")
	}
	if totals.Connect.Attempted < s.ask.Clients && !run.Interrupted {
		run.Notes = append(run.Notes, fmt.Sprintf("%d of %d clients were not tried any more", s.ask.Clients-totals.Connect.Attempted, s.ask.Clients))
	}
}

// recordLags enters how late the generator was itself.
func (s *session) recordLags(totals *load.Totals) error {
	g := &s.run.Generator
	var errs []error
	for _, lag := range []struct {
		from *metric.Histogram
		to   **result.Latency
	}{
		{&totals.ReadLag, &g.ReadLag}, {&totals.Sends.Lag, &g.SendLag}, {&totals.Sends.DispatchLag, &g.DispatchLag},
	} {
		l, err := latency(lag.from)
		errs = append(errs, err)
		if l.Count > 0 {
			*lag.to = &l
		}
	}
	return errors.Join(errs...)
}

// memoryPerClient works out the memory that one client costs either side, and its
// sockets the kernel.
func (s *session) memoryPerClient(opened int) {
	share := func(base, crest *int64) *float64 {
		if base == nil || crest == nil || opened == 0 || *crest < *base {
			return nil
		}
		return new(float64(*crest-*base) / float64(opened))
	}
	g, t := &s.run.Generator, &s.run.TargetProcess
	t.RSSBaseBytes, t.RSSConnectedBytes = s.base.Target, s.crest.Target
	g.LiveBytesPerClient = share(s.base.Live, s.crest.Live)
	g.RSSPerClientBytes = share(s.base.Generator, s.crest.Generator)
	t.BytesPerClient = share(s.base.Target, s.crest.Target)
	s.run.Machine.SocketBytesPerClient = share(s.base.TCPSocketBytes, s.crest.TCPSocketBytes)
}

// timePerClient works out the CPU time that one client, and one copy, cost either
// side.
func (s *session) timePerClient(seen observe.Report, totals *load.Totals) {
	share := func(n int64, cpu func(observe.Phase) *float64, phases ...string) *float64 {
		if n == 0 {
			return nil
		}
		sum := 0.0
		for i, name := range phases {
			phase, ok := seen.Phase(name)
			percent := cpu(phase)
			switch {
			case ok && percent != nil:
				sum += *percent / 100 * float64(phase.ElapsedNS)
			case i == 0:
				return nil
			}
		}
		return new(sum / float64(n))
	}
	generator := func(p observe.Phase) *float64 { return p.GeneratorCPUPercent }
	target := func(p observe.Phase) *float64 { return p.TargetCPUPercent }
	opened, copies := int64(totals.Connect.Opened), totals.Delivery.Received
	g, t := &s.run.Generator, &s.run.TargetProcess
	if s.tree != nil && s.tree.Gone() {
		target = func(observe.Phase) *float64 { return nil }
	}
	g.CPUPerConnectNS = share(opened, generator, phaseConnect)
	t.CPUPerConnectNS = share(opened, target, phaseConnect)
	// What a drain too short to tell cost is next to nothing.
	g.CPUPerCopyNS = share(copies, generator, phaseSend, phaseDrain)
	t.CPUPerCopyNS = share(copies, target, phaseSend, phaseDrain)
}

// latency turns a histogram into its record.
func latency(h *metric.Histogram) (result.Latency, error) {
	s, ok, err := h.Summary()
	if !ok || err != nil {
		return result.Latency{}, err
	}
	return result.Latency{
		Count: s.Count, MeanNS: &s.Mean, MinNS: &s.Min, P50NS: &s.P50, P90NS: &s.P90, P95NS: &s.P95,
		P99NS: &s.P99, P999NS: &s.P999, MaxNS: &s.Max, Capped: s.Capped, HDR: s.HDR,
	}, nil
}
