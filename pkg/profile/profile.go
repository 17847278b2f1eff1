package profile

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Kind says what a profile is of.
type Kind string

// The kinds of profiles; doc.go says what each is of.
const (
	CPU          Kind = "cpu"
	Heap         Kind = "heap"
	Allocs       Kind = "allocs"
	Goroutine    Kind = "goroutine"
	ThreadCreate Kind = "threadcreate"
	Mutex        Kind = "mutex"
	Block        Kind = "block"
)

const (
	nanoseconds = "nanoseconds"
	bytesUnit   = "bytes"
	count       = "count"
)

// shape is what profiles of a kind have in common.
type shape struct {
	kind  Kind
	value string // the name of the main value, as runtime/pprof calls it
	unit  string
	since bool // counts from the start of the process: a phase is a difference
}

//nolint:gochecknoglobals // a constant table
var shapes = []shape{
	{CPU, "cpu", nanoseconds, false},
	{Heap, "inuse_space", bytesUnit, false},
	{Allocs, "alloc_space", bytesUnit, true},
	{Goroutine, "goroutine", count, false},
	{ThreadCreate, "threadcreate", count, false},
	{Mutex, "delay", nanoseconds, true},
	{Block, "delay", nanoseconds, true},
}

func (k Kind) shape() shape {
	for _, s := range shapes {
		if s.kind == k {
			return s
		}
	}
	return shape{kind: k}
}

// ParseKind finds the kind of this name. The error lists those there are.
func ParseKind(name string) (Kind, error) {
	if !slices.Contains(KindNames(), name) {
		return "", fmt.Errorf("unknown profile %q: it is one of %s", name, strings.Join(KindNames(), ", "))
	}
	return Kind(name), nil
}

// KindNames are the names that [ParseKind] knows, in the order of documentation.
func KindNames() []string {
	names := make([]string, len(shapes))
	for i, s := range shapes {
		names[i] = string(s.kind)
	}
	return names
}

// Profile is one profile that was taken and written.
type Profile struct {
	Kind   Kind
	Phase  string // as [Profiler.Begin] was told
	Source string // the [Source]'s name

	Began   time.Time
	Elapsed time.Duration // 0 for a snapshot

	File  string // its name in [Config].Dir
	Flame string // the name of its folded stacks there

	Unit    string // of Total and Top: "nanoseconds", "bytes" or "count"
	Total   int64
	Samples int64      // how many observations make up Total; for heap and allocs objects, estimated
	Top     []Function // by Flat, then Cumulative; at most 20
}

// Function is a function's share of a profile, in the profile's unit.
type Function struct {
	Name       string // without control characters
	Flat       int64  // in the function itself
	Cumulative int64  // with what it called; recursion is not counted twice
}

// Source is where profiles come from: see [Pprof], [Inspector] and [Perf]. A
// source serves one [Profiler].
type Source interface {
	// Name is "pprof", "inspector" or "perf".
	Name() string

	// kinds are those that it has.
	kinds() []Kind
	// begin starts what of the kinds takes time, and returns once that runs or
	// it is clear that it does not. The context bounds begin alone: what was
	// begun goes on until it is ended.
	begin(ctx context.Context, kinds []Kind, n *notes) recording
	// close gives back what the source holds between phases.
	close()
}

// recording is what a source takes of one phase. Its end must be called, once,
// and returns with nothing left running also if its context has ended.
type recording interface {
	end(ctx context.Context) []capture
}

// Config says what to profile and where to put it.
type Config struct {
	Kinds  []Kind
	Source Source
	Dir    string       // for the files; made when first needed
	Stem   string       // the files' names begin with it
	Log    *slog.Logger // debug messages alone; nil for none
}

// Bounds on what a target that does not answer costs.
const (
	beginWait = 2 * time.Second
	endWait   = 9 * time.Second // and one more for the files
)

// Profiler takes profiles phase by phase. Its methods are called one after the
// other.
type Profiler struct {
	cfg   Config
	kinds []Kind // wanted and to be had
	notes *notes
	files files

	phase   string
	current recording // nil between phases
	taken   []Profile
}

// New makes a profiler, which touches neither the target nor the directory before
// the first phase. It takes over the source.
func New(cfg Config) *Profiler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Profiler{cfg: cfg, notes: newNotes(cfg.Log), files: files{dir: cfg.Dir}}
	var without []string
	for _, k := range cfg.Kinds {
		switch {
		case slices.Contains(p.kinds, k):
		case slices.Contains(cfg.Source.kinds(), k):
			p.kinds = append(p.kinds, k)
		default:
			without = append(without, string(k))
		}
	}
	if without != nil {
		p.notes.tell("%s has no %s profile: left out", cfg.Source.Name(), strings.Join(without, ", "))
	}
	return p
}

// Begin is called just before a phase. It returns once the profiles that take
// time run, or it is clear that they do not, after at most about two seconds. A
// phase that has not ended ends first. The context bounds Begin itself, not the
// profiles that it starts.
func (p *Profiler) Begin(ctx context.Context, phase string) {
	p.End(ctx)
	if len(p.kinds) == 0 {
		return
	}
	p.phase = phase
	ctx, cancel := context.WithTimeout(ctx, beginWait)
	defer cancel()
	p.current = p.cfg.Source.begin(ctx, p.kinds, p.notes)
}

// End is called just after a phase. It ends the profiles that [Profiler.Begin]
// started, takes the snapshots and writes the files, within about ten seconds or
// when the context ends. Without a phase it does nothing.
func (p *Profiler) End(ctx context.Context) {
	if p.current == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, endWait)
	defer cancel()
	captures := p.current.end(ctx)
	p.current = nil
	for _, k := range p.kinds {
		for _, c := range captures {
			if c.kind != k {
				continue
			}
			taken, err := p.keep(c)
			if err != nil {
				p.notes.tell("the %s profile of %s: %v", c.kind, p.phase, err)
				continue
			}
			p.taken = append(p.taken, taken)
		}
	}
}

// Close ends a phase that is under way, closes the source, and gives everything
// that was taken, in the order of phases and then of [Config].Kinds, and the
// problems there were. The profiler is not used after it.
func (p *Profiler) Close(ctx context.Context) (taken []Profile, problems []string) {
	p.End(ctx)
	p.cfg.Source.close()
	return p.taken, p.notes.all()
}

func (p *Profiler) keep(c capture) (Profile, error) {
	t, err := tabulate(c.data, c.kind.shape())
	if err != nil {
		return Profile{}, err
	}
	names, err := p.files.write(p.cfg.Stem, p.phase, c)
	if err != nil {
		return Profile{}, err
	}
	if c.missed > c.elapsed/10 {
		p.notes.tell("the %s profile of %s lacks %s of the phase", c.kind, p.phase, c.missed.Round(time.Millisecond))
	}
	if names.cut {
		p.notes.tell("the flame graph data of %s is not whole: it ends at %d MiB", names.flame, maxAnswer>>20)
	}
	return Profile{
		Kind: c.kind, Phase: p.phase, Source: p.cfg.Source.Name(),
		Began: c.began, Elapsed: c.elapsed,
		File: names.file, Flame: names.flame,
		Unit: c.kind.shape().unit, Total: t.total, Samples: t.samples, Top: t.top,
	}, nil
}
