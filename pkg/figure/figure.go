package figure

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/spelling"
)

// Figure is a number of a run's record.
type Figure struct {
	// Name is the full one, without what may be left out.
	Name  string
	Unit  Unit
	Truth bool // yes or no: 1 or 0
	of    func(*result.Run) (float64, bool)
}

// Short is the figure's name without what may be left out.
func (f Figure) Short() string { return shorten(f.Name) }

// Quantile tells, of a figure that is a quantile, the full name of the distribution and
// which share of it, in [0,1], the figure bounds.
func (f Figure) Quantile() (distribution string, q float64, ok bool) {
	return parseQuantile(f.Name)
}

// Of is the figure's value in a run, in the figure's unit. ok is false when the run
// does not know it, or has no such thing.
func (f Figure) Of(run *result.Run) (value float64, ok bool) { return f.of(run) }

// UnknownError is the error of a name that no figure has.
type UnknownError struct {
	Name    string
	Nearest string // the short name of the figure that was probably meant; may be empty
}

// Error implements error.
func (e *UnknownError) Error() string { return fmt.Sprintf("unknown figure %q", e.Name) }

// Lookup finds a figure by its name, full or short. Its error is an [*UnknownError].
func Lookup(name string) (Figure, error) {
	all := table()
	if f, ok := all.lookup(name); ok {
		return f, nil
	}
	return Figure{}, &UnknownError{Name: name, Nearest: all.nearest(name)}
}

func (x *index) lookup(name string) (Figure, bool) {
	if f, ok := x.byName[name]; ok {
		return f, true
	}
	if f, ok := x.quantile(name); ok {
		return f, true
	}
	for _, open := range x.open {
		if f, ok := open(name); ok {
			return f, true
		}
	}
	return Figure{}, false
}

// Names lists the short names of all figures but those that depend on what happens in
// a run (phases, classes of failures) and quantiles beside the usual ones, in the
// order of the record.
func Names() []string { return slices.Clone(table().short) }

// Families lists the figures that are not in [Names], with words in capitals for the
// part that depends on what happens in a run: "connect.failures.CLASS". They have no
// value: a figure is found only once those words are filled in.
func Families() []Figure { return slices.Clone(table().families) }

// index is what names are looked up in.
type index struct {
	byName map[string]Figure // full and short names
	short  []string
	// families are as in [Families].
	families []Figure
	// distributions are the paths of those, full and short.
	distributions map[string]distribution
	open          []func(name string) (Figure, bool)
}

type distribution struct {
	name string // full
	of   func(*result.Run) *result.Latency
}

// nearest is the short name of the figure that was probably meant; it may be empty.
func (x *index) nearest(name string) string {
	meant := inOurWords(name)
	if f, ok := x.lookup(meant); ok {
		return shorten(f.Name)
	}
	if _, ok := x.distributions[meant]; ok {
		return shorten(meant + ".p99")
	}
	return cmp.Or(x.ofSomething(meant), x.spelledLike(name), x.ofSomething(last(meant)))
}

// ofSomething is the figure that has a name of its own, but not that of a thing before it,
// or that of another thing: the likeliest there is.
func (x *index) ofSomething(own string) string {
	for _, thing := range []string{"delivery.", "connect.", "target.", "generator.", "machine.", "iteration."} {
		if f, ok := x.lookup(thing + own); ok {
			return shorten(f.Name)
		}
	}
	return ""
}

// inOurWords is a name as people know it from elsewhere in the words of the record.
func inOurWords(name string) string {
	name = strings.NewReplacer("(", "", ")", "", " ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
	for _, unit := range []string{"_ns", "_ms", "_seconds", "_bytes", "_percent", "_per_second"} {
		name = strings.TrimSuffix(name, unit)
	}
	words := strings.Split(name, ".")
	for i, w := range words {
		if ours, ok := synonyms[w]; ok {
			words[i] = ours
		}
	}
	if name = strings.Join(words, "."); len(words) > 1 {
		return name
	}
	if thing, of, two := strings.Cut(name, "_"); two { // latency_p99, server_cpu
		return inOurWords(thing + "." + of)
	}
	return name
}

//nolint:gochecknoglobals // a constant table
var synonyms = map[string]string{
	"latency": "delivery", "latencies": "delivery", "message": "delivery", "messages": "delivery", "copies": "delivery", "deliveries": "delivery",
	"server": "target", "client": "generator", "sse": "delivery", "connection": "connect", "connections": "connect", "conn": "connect",
	"send": "sends", "reconnects": "reconnect", "iterations": "iteration",
	"avg": "mean", "average": "mean", "med": "p50", "median": "p50", "maximum": "max", "minimum": "min",
	"errors": "failed", "error": "failed", "fail": "failed", "failure": "failed", "error_rate": "failed", "errored": "failed",
	"drop": "dropped", "drops": "dropped", "disconnected": "dropped", "disconnects": "dropped",
	"dup": "duplicate", "dups": "duplicate", "duplicates": "duplicate", "duplicated": "duplicate",
	"missing": "lost", "loss": "lost", "losses": "lost", "lose": "lost", "out_of_order": "reordered", "unordered_copies": "reordered",
	"memory": "rss", "mem": "rss", "ram": "rss", "fds": "open_files", "files": "open_files",
	"throughput": "rate", "rps": "rate", "duration": "elapsed", "time": "elapsed", "total_time": "total",
}

// spelledLike is the known name that takes the fewest letters to get to, if those are few.
func (x *index) spelledLike(name string) string {
	best, distance := "", max(3, len(name)/2)
	for _, known := range x.short {
		d := min(spelling.Distance(name, known), spelling.Distance(shorten(name), known))
		if last(name) == last(known) {
			d /= 2 // the right figure of the wrong thing is near
		}
		if d < distance {
			best, distance = known, d
		}
	}
	return best
}

func last(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
