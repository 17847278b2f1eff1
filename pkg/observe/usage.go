package observe

import (
	"errors"
	"time"
)

// ErrNoProcess says that there is no process of the number given, or that it
// has ended and waits to be reaped.
var ErrNoProcess = errors.New("no such process")

// Usage is what one look at a process, or at a tree of them, found.
type Usage struct {
	// At is when the CPU time was read. Once nothing is left of what is
	// watched, it and all figures stay those of the last look that found some.
	At        time.Time
	CPU       *time.Duration // user and system time; only differences between looks have a meaning
	RSSBytes  *int64         // resident set; pages shared between processes count in each
	OpenFiles *int64         // open file descriptors
	Processes int            // alive now
	Gone      bool           // the process, in a tree the topmost, has ended
}

// opt is a figure that may be unknown; unlike a pointer it costs no allocation
// at sampling time.
type opt struct {
	v  int64
	ok bool
}

func known(v int64) opt { return opt{v, true} }

func (o opt) ptr() *int64 {
	if !o.ok {
		return nil
	}
	v := o.v
	return &v
}

// max gives the larger of two figures, the known one where only one is.
func (o opt) max(p opt) opt {
	if !o.ok || p.ok && p.v > o.v {
		return p
	}
	return o
}

// reading is Usage without pointers.
type reading struct {
	at        time.Time
	cpu       opt  // nanoseconds
	coarse    bool // cpu was counted in ticks
	rss       opt
	files     opt
	processes int
	gone      bool
}

func (r reading) usage() Usage {
	u := Usage{At: r.at, RSSBytes: r.rss.ptr(), OpenFiles: r.files.ptr(), Processes: r.processes, Gone: r.gone}
	if r.cpu.ok {
		d := time.Duration(r.cpu.v)
		u.CPU = &d
	}
	return u
}

// The shortest stretches that a CPU share may be taken over. A tick of 10 ms at
// either end is then at most a fifth of the truth, and a syscall's worth of
// delay between reading a clock and reading the time is nothing.
const (
	shortestPrecise = time.Millisecond
	shortestCoarse  = 100 * time.Millisecond
)

// share is the CPU used from one reading to a later one in percent of one core,
// nil when that is unknown or the stretch too short to say.
func share(from, to reading) *float64 {
	if !from.cpu.ok || !to.cpu.ok {
		return nil
	}
	elapsed := to.at.Sub(from.at)
	shortest := shortestPrecise
	if from.coarse || to.coarse {
		shortest = shortestCoarse
	}
	if elapsed < shortest {
		return nil
	}
	percent := max(0, 100*float64(to.cpu.v-from.cpu.v)/float64(elapsed))
	return &percent
}

// fileCounts is how often a count of open files that costs something is taken.
const fileCounts = time.Second

// ReadSelf looks at this process alone, without its children. It is safe for
// concurrent use.
func ReadSelf() Usage {
	var s self
	return s.read().usage()
}

// self reads this process. It is not safe for concurrent use.
type self struct {
	proc       prober
	files      opt
	filesSince time.Time
}

func (s *self) read() reading {
	r := s.proc.self()
	r.at = time.Now()
	cpu, coarse, ok := selfCPU()
	r.cpu, r.coarse = opt{int64(cpu), ok}, coarse
	r.processes = 1
	if s.filesSince.IsZero() || s.proc.cheapFiles || r.at.Sub(s.filesSince) >= fileCounts {
		s.files, s.filesSince = s.proc.selfFiles(), r.at
	}
	r.files = s.files
	return r
}
