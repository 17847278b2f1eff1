package observe

import (
	"os"
	"slices"
	"sync"
	"time"
)

// Config says what a [Watcher] watches.
type Config struct {
	Target   *Tree           // nil: the target cannot be observed
	Interval time.Duration   // between samples; 0 stands for a second
	Counters func() Counters // called for each sample, from any goroutine; must not call the Watcher; may be nil
	// Each is called with each sample when it has been taken, one after the other, from
	// any goroutine; must neither block nor call the Watcher; may be nil.
	Each func(Sample)
}

// Counters is how far the run has come.
type Counters struct {
	Open     int64 // clients connected now
	Failed   int64 // clients that failed so far
	Received int64 // copies received so far
	Away     int64 // clients that lost their stream and will open it again
	Sent     int64 // sends that succeeded so far
}

// Sample is the state of a run at a moment. The CPU shares are over the time
// since the sample before, and nil in the first. What is unknown is nil.
type Sample struct {
	AtNS                int64  // since the first phase began
	Phase               string // the phase under way
	Open                int64
	Failed              int64
	Received            int64
	Away                int64
	Sent                int64
	TargetCPUPercent    *float64
	TargetRSSBytes      *int64
	TargetOpenFiles     *int64
	GeneratorCPUPercent *float64
	GeneratorRSSBytes   *int64
	GeneratorOpenFiles  *int64
	MachineCPUPercent   *float64
	MachineUsedBytes    *int64
}

// Phase is one stretch of a run with what it cost in percent of one core; nil
// when unknown or when the phase was too short to say. The fields, their types and
// their order are those of the record of a run, so that one converts to the other.
type Phase struct {
	Name                string
	StartNS             int64 // since the first phase began
	ElapsedNS           int64
	TargetCPUPercent    *float64
	GeneratorCPUPercent *float64
	MachineCPUPercent   *float64
	// GeneratorRunQueueNS is for how long the generator's threads were ready to
	// run and waited for a core, summed over threads: it may exceed the phase.
	GeneratorRunQueueNS *int64
}

// Process is what a run cost one process, or one tree of them.
type Process struct {
	PID        int
	Name       *string  // the target's; nil for the generator
	CPUPercent *float64 // over all phases together
	RSSBytes   *int64   // the largest seen
	OpenFiles  *int64   // the most seen
	Processes  int      // the most seen
	Gone       bool     // it ended before the watching did
}

// Machine is what a run cost the machine. Like [Phase] it converts to its
// counterpart in the record.
type Machine struct {
	CPUPercent        *float64 // over all phases together, in percent of one core
	MemoryUsedBytes   *int64   // the most seen
	MemoryTotalBytes  *int64
	ListenOverflows   *int64 // connections that found a full listen queue, all phases together
	ListenDrops       *int64 // connections that were dropped, for that or another reason, all phases together
	TCPRetransmits    *int64 // segments sent again, all phases together
	KernelSocketBytes *int64 // the most seen of data waiting in TCP sockets, both sides together
}

// Report is everything that a [Watcher] saw. The Watcher keeps it, so that its
// slices are shared with what a further call of Stop returns.
type Report struct {
	StartedAt time.Time // when the first phase began; zero if none did
	ElapsedNS int64     // from then to Stop
	Phases    []Phase
	Samples   []Sample
	// SampleInterval is the time between the samples: the one asked for, or a
	// multiple of it by a power of two where a long run had to be thinned out.
	SampleInterval time.Duration
	Generator      Process
	Target         *Process // nil when there was none to observe
	Machine        Machine

	collections []collections // one for each of Phases
	stalls      []Stalls      // likewise
}

// collections is what the collector did in a phase, when that is known.
type collections struct {
	gc GC
	ok bool
}

// GC tells what the generator's collector did in the phase of a name, the last
// one where there are several; false when there is none or the runtime did not
// say.
func (r Report) GC(phase string) (GC, bool) {
	if i := r.last(phase); i >= 0 {
		return r.collections[i].gc, r.collections[i].ok
	}
	return GC{}, false
}

// Stalls tells for how long nothing of the generator ran in the phase of a name,
// the last one where there are several; false when there is none.
func (r Report) Stalls(phase string) (Stalls, bool) {
	if i := r.last(phase); i >= 0 {
		return r.stalls[i], true
	}
	return Stalls{}, false
}

// Phase finds the phase of a name; the last one where there are several.
func (r Report) Phase(name string) (Phase, bool) {
	if i := r.last(name); i >= 0 {
		return r.Phases[i], true
	}
	return Phase{}, false
}

// last finds the last phase of a name, -1 when there is none.
func (r Report) last(name string) int {
	for i, p := range slices.Backward(r.Phases) {
		if p.Name == name {
			return i
		}
	}
	return -1
}

// maxSamples bounds the memory of a run of any length. When there are more,
// every second one is dropped and the interval doubled. It is even, so that the
// latest sample is kept and the next one comes a full interval after it.
const maxSamples = 3600

// A Watcher observes target, generator and machine through the phases of a run.
// Its methods are safe for concurrent use. A reading takes tens of microseconds
// on Linux, in the goroutine of whoever calls.
type Watcher struct {
	cfg        Config
	maxSamples int
	pulse      pulse
	chores     sync.WaitGroup // the goroutines

	mu        sync.Mutex
	generator self
	machine   machine
	started   time.Time
	network   networkCounters
	queue     runQueue
	queued    opt // as of the last border of phases
	collector collector
	phases    []stretch
	samples   []moment
	interval  time.Duration
	peak      peaks
	stop      chan struct{}
	stopped   bool
	report    Report
}

// moment is one reading of everything.
type moment struct {
	at        time.Time
	phase     int // index of the phase under way
	counters  Counters
	target    reading
	generator reading
	machine   machineReading
}

// stretch is a phase; its end is unset while it is under way.
type stretch struct {
	name       string
	begin, end moment
	cost       cost
}

// cost is what is read at the borders of phases alone.
type cost struct {
	queued    opt // nanoseconds in run queues
	collected collections
	lost      Stalls
}

type peaks struct {
	targetRSS, targetFiles, targetProcesses opt
	generatorRSS, generatorFiles            opt
	memory, sockets                         opt
}

// New makes a Watcher. It starts nothing: observation begins with the first
// phase.
func New(cfg Config) *Watcher {
	if cfg.Interval <= 0 {
		cfg.Interval = time.Second
	}
	return &Watcher{cfg: cfg, interval: cfg.Interval, maxSamples: maxSamples}
}

// Phase ends the phase under way and begins one of this name. The first one
// also takes the first sample and starts two goroutines that [Watcher.Stop] ends.
// After Stop it has no effect.
func (w *Watcher) Phase(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	first := len(w.phases) == 0
	if first {
		w.network = w.machine.network()
	}
	now := w.look()
	spent := w.lap(now.at)
	if first {
		w.started = now.at
	} else {
		w.phases[len(w.phases)-1].close(now, spent)
	}
	now.phase = len(w.phases)
	w.phases = append(w.phases, stretch{name: name, begin: now})
	if first {
		w.keep(now)
		stop := make(chan struct{})
		w.stop = stop
		w.chores.Go(func() { w.run(stop) })
		w.chores.Go(func() { w.pulse.run(stop) })
	}
}

// Stop ends the phase under way, takes the last sample, waits for the Watcher's
// goroutines and returns everything. Further calls return the same.
func (w *Watcher) Stop() Report {
	w.mu.Lock()
	if !w.stopped {
		w.stopped = true
		if len(w.phases) > 0 {
			close(w.stop)
			now := w.look()
			network := w.machine.network()
			spent := w.lap(now.at)
			w.phases[len(w.phases)-1].close(now, spent)
			w.keep(now)
			w.report = w.sum(now, network)
		} else {
			w.report = w.sum(moment{}, networkCounters{})
		}
	}
	report := w.report
	w.mu.Unlock()
	w.chores.Wait()
	return report
}

// Held is what is held at a moment, by whom, in bytes: the baseline, or the
// crest, of a figure of memory per client. What is unknown is nil.
type Held struct {
	Generator, Target *int64 // resident sets
	// Live is what of the generator's heap and of its stacks is in use. What the
	// collector has not come to yet is in it.
	Live *int64
	// TCPSockets is how many TCP sockets there are in this network namespace, and
	// TCPSocketBytes what they take as objects of the kernel, without the data in them.
	TCPSockets, TCPSocketBytes *int64
}

// Held reads what is held now.
func (w *Watcher) Held() Held {
	m := Held{Generator: ReadSelf().RSSBytes, Live: liveMemory().ptr()}
	if w.cfg.Target != nil {
		if u := w.cfg.Target.Read(); u.Processes > 0 {
			m.Target = u.RSSBytes
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	sockets, size := w.machine.tcpSockets()
	m.TCPSockets, m.TCPSocketBytes = sockets.ptr(), size.ptr()
	return m
}

func (w *Watcher) run(stop <-chan struct{}) {
	ticker := time.NewTicker(w.cfg.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		w.mu.Lock()
		if !w.stopped && w.sample() {
			ticker.Reset(w.interval)
		}
		w.mu.Unlock()
	}
}

// sample takes one and tells whether the interval had to change. It requires
// w.mu.
func (w *Watcher) sample() (thinned bool) {
	w.keep(w.look())
	if len(w.samples) <= w.maxSamples {
		return false
	}
	kept := w.samples[:0]
	for i, s := range w.samples {
		if i%2 == 0 {
			kept = append(kept, s)
		}
	}
	w.samples = kept
	w.interval *= 2
	return true
}

// look reads everything. It requires w.mu.
func (w *Watcher) look() moment {
	m := moment{phase: len(w.phases) - 1}
	if w.cfg.Target != nil {
		m.target = w.cfg.Target.readNow()
	}
	m.generator = w.generator.read()
	m.machine = w.machine.read()
	if w.cfg.Counters != nil {
		m.counters = w.cfg.Counters()
	}
	m.at = m.generator.at

	p := &w.peak
	p.targetRSS = p.targetRSS.max(m.target.rss)
	p.targetFiles = p.targetFiles.max(m.target.files)
	p.targetProcesses = p.targetProcesses.max(known(int64(m.target.processes)))
	p.generatorRSS = p.generatorRSS.max(m.generator.rss)
	p.generatorFiles = p.generatorFiles.max(m.generator.files)
	p.memory = p.memory.max(m.machine.used)
	p.sockets = p.sockets.max(m.machine.sockets)
	return m
}

// lap gives what has come about since the border of phases before. It requires
// w.mu.
func (w *Watcher) lap(at time.Time) cost {
	c := cost{lost: w.pulse.lap(at)}
	now := w.queue.read() // there are many threads to ask
	c.queued, w.queued = now.since(w.queued), now
	c.collected.gc, c.collected.ok = w.collector.lap()
	return c
}

func (s *stretch) close(end moment, spent cost) { s.end, s.cost = end, spent }

// sum makes the report. It requires w.mu.
func (w *Watcher) sum(last moment, network networkCounters) Report {
	r := Report{
		StartedAt:      w.started,
		Phases:         make([]Phase, 0, len(w.phases)),
		Samples:        make([]Sample, 0, len(w.samples)),
		SampleInterval: w.interval,
		Generator: Process{
			PID:       os.Getpid(),
			RSSBytes:  w.peak.generatorRSS.ptr(),
			OpenFiles: w.peak.generatorFiles.ptr(),
			Processes: 1,
		},
		Machine: Machine{
			MemoryUsedBytes:   w.peak.memory.ptr(),
			MemoryTotalBytes:  last.machine.total.ptr(),
			ListenOverflows:   network.overflows.since(w.network.overflows).ptr(),
			ListenDrops:       network.drops.since(w.network.drops).ptr(),
			TCPRetransmits:    network.retransmits.since(w.network.retransmits).ptr(),
			KernelSocketBytes: w.peak.sockets.ptr(),
		},
	}
	if t := w.cfg.Target; t != nil {
		r.Target = &Process{
			PID:       t.PID(),
			Name:      t.Name(),
			RSSBytes:  w.peak.targetRSS.ptr(),
			OpenFiles: w.peak.targetFiles.ptr(),
			Processes: int(w.peak.targetProcesses.v),
			Gone:      t.Gone(),
		}
	}
	if len(w.phases) == 0 {
		return r
	}
	first := w.phases[0].begin
	r.ElapsedNS = int64(last.at.Sub(first.at))
	r.Generator.CPUPercent = share(first.generator, last.generator)
	if r.Target != nil {
		r.Target.CPUPercent = share(first.target, last.target)
	}
	r.Machine.CPUPercent = machineShare(first.machine, last.machine)

	for _, p := range w.phases {
		elapsed := p.end.at.Sub(p.begin.at)
		r.Phases = append(r.Phases, Phase{
			Name:                p.name,
			StartNS:             int64(p.begin.at.Sub(w.started)),
			ElapsedNS:           int64(elapsed),
			TargetCPUPercent:    share(p.begin.target, p.end.target),
			GeneratorCPUPercent: share(p.begin.generator, p.end.generator),
			MachineCPUPercent:   machineShare(p.begin.machine, p.end.machine),
			GeneratorRunQueueNS: p.cost.queued.ptr(),
		})
		r.collections = append(r.collections, p.cost.collected)
		r.stalls = append(r.stalls, p.cost.lost.within(elapsed))
	}
	for i := range w.samples {
		r.Samples = append(r.Samples, w.sampleOf(i))
	}
	return r
}

// keep adds a sample, and hands it on.
func (w *Watcher) keep(now moment) {
	w.samples = append(w.samples, now)
	if w.cfg.Each != nil {
		w.cfg.Each(w.sampleOf(len(w.samples) - 1))
	}
}

// sampleOf is what the moment i has to say.
func (w *Watcher) sampleOf(i int) Sample {
	m := w.samples[i]
	s := Sample{
		AtNS:               int64(m.at.Sub(w.started)),
		Phase:              w.phases[m.phase].name,
		Open:               m.counters.Open,
		Failed:             m.counters.Failed,
		Received:           m.counters.Received,
		Away:               m.counters.Away,
		Sent:               m.counters.Sent,
		GeneratorRSSBytes:  m.generator.rss.ptr(),
		GeneratorOpenFiles: m.generator.files.ptr(),
		MachineUsedBytes:   m.machine.used.ptr(),
	}
	if m.target.processes > 0 {
		s.TargetRSSBytes = m.target.rss.ptr()
		s.TargetOpenFiles = m.target.files.ptr()
	}
	if i > 0 {
		before := w.samples[i-1]
		s.TargetCPUPercent = share(before.target, m.target)
		s.GeneratorCPUPercent = share(before.generator, m.generator)
		s.MachineCPUPercent = machineShare(before.machine, m.machine)
	}
	return s
}
