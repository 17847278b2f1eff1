package figure

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// Figure is a number of a run's record.
type Figure struct {
	// Name is the full one, without what may be left out.
	Name string
	Unit Unit
	of   func(*result.Run) (float64, bool)
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
	if f, ok := all.byName[name]; ok {
		return f, nil
	}
	if f, ok := all.quantile(name); ok {
		return f, nil
	}
	for _, open := range all.open {
		if f, ok := open(name); ok {
			return f, nil
		}
	}
	return Figure{}, &UnknownError{Name: name, Nearest: all.nearest(name)}
}

// Names lists the short names of all figures but those that depend on what happens in
// a run (phases, classes of failures) and quantiles beside the usual ones, in the
// order of the record.
func Names() []string { return slices.Clone(table().short) }

// index is what names are looked up in.
type index struct {
	byName map[string]Figure // full and short names
	short  []string
	// distributions are the paths of those, full and short.
	distributions map[string]distribution
	open          []func(name string) (Figure, bool)
}

type distribution struct {
	name string // full
	of   func(*result.Run) *result.Latency
}

func (x *index) nearest(name string) string {
	best, distance := "", max(3, len(name)/2)
	for _, known := range x.short {
		d := min(editDistance(name, known), editDistance(shorten(name), known))
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

// editDistance is how many letters have to be changed, put in or left out to make b of
// a (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], change
		}
	}
	return row[len(b)]
}
