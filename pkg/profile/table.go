package profile

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// capture is one profile of a phase, before it is written.
type capture struct {
	kind    Kind
	began   time.Time
	elapsed time.Duration
	missed  time.Duration // of the phase
	data    *profile.Profile

	// What the source keeps in a form of its own, with the name's ending of
	// that. Without it data itself is written.
	raw    []byte
	ending string
}

// maxTop is how many functions a table has.
const maxTop = 20

// table is what a profile comes to.
type table struct {
	total, samples int64
	top            []Function
}

// mainValue finds which of each sample's values is the kind's.
func mainValue(p *profile.Profile, s shape) (int, error) {
	for i, t := range p.SampleType {
		if t.Type == s.value && t.Unit == s.unit {
			return i, nil
		}
	}
	return 0, fmt.Errorf("it has no value %s in %s", s.value, s.unit)
}

// waits tells whether profiles of the kind are of stacks that wait: then the innermost
// functions are those of the runtime, always the same, and say nothing.
func (k Kind) waits() bool { return k == Goroutine || k == ThreadCreate || k == Mutex || k == Block }

// ofRuntime recognises what Go's runtime and the packages next to it do for a waiting
// goroutine.
func ofRuntime(name string) bool {
	for _, prefix := range []string{"runtime.", "runtime/", "internal/", "sync.", "syscall.", "[unknown]"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// tabulate works out totals and functions. A function that is in a stack several
// times counts once. Where stacks wait, the innermost function is the first that is
// not the runtime's, if there is one.
func tabulate(p *profile.Profile, s shape) (table, error) {
	column, err := mainValue(p, s)
	if err != nil {
		return table{}, err
	}
	type share struct {
		Function
		last int // the sample that was counted last
	}
	var t table
	names := symbols{}
	shares := map[string]*share{}
	for i, sample := range p.Sample {
		v := sample.Value[column]
		if v <= 0 {
			continue
		}
		t.total = sum(t.total, v)
		if p.SampleType[0].Unit == count {
			t.samples = sum(t.samples, sample.Value[0])
		} else {
			t.samples++
		}
		leaf := true
		inner := s.kind.waits() && names.any(sample, func(name string) bool { return !ofRuntime(name) })
		for _, location := range sample.Location {
			for _, name := range names.of(location) {
				if inner = inner && ofRuntime(name); inner {
					continue
				}
				f := shares[name]
				if f == nil {
					f = &share{Function{Name: name}, -1}
					shares[name] = f
				}
				if leaf {
					f.Flat = sum(f.Flat, v)
					leaf = false
				}
				if f.last != i {
					f.Cumulative = sum(f.Cumulative, v)
					f.last = i
				}
			}
		}
	}
	for _, f := range shares {
		t.top = append(t.top, f.Function)
	}
	slices.SortFunc(t.top, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Flat, a.Flat), cmp.Compare(b.Cumulative, a.Cumulative), cmp.Compare(a.Name, b.Name))
	})
	t.top = t.top[:min(len(t.top), maxTop)]
	return t, nil
}

// sum stays at the end of the range: the values are the target's.
func sum(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// symbols are the names of the functions at a location, the innermost first:
// what was inlined, then what it was inlined into.
type symbols map[*profile.Location][]string

// any reports whether a function of the sample's stack is one of those meant.
func (s symbols) any(sample *profile.Sample, meant func(name string) bool) bool {
	return slices.ContainsFunc(sample.Location, func(location *profile.Location) bool {
		return slices.ContainsFunc(s.of(location), meant)
	})
}

func (s symbols) of(location *profile.Location) []string {
	if names, ok := s[location]; ok {
		return names
	}
	names := make([]string, 0, len(location.Line))
	for _, line := range location.Line {
		names = append(names, clean(cmp.Or(line.Function.Name, line.Function.SystemName, "[unknown]"), maxName))
	}
	if len(names) == 0 {
		name := fmt.Sprintf("%#x", location.Address)
		if m := location.Mapping; m != nil && m.File != "" {
			name += " (" + clean(path.Base(m.File), maxName) + ")"
		}
		names = append(names, name)
	}
	s[location] = names
	return names
}
