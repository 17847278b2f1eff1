package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sseload/sseload/pkg/figure"
	"github.com/sseload/sseload/pkg/result"
)

// Schema names the version of the JSON form of a list of [Comparison].
const Schema = "sseload.comparison/v1"

// LeastRuns is how many runs each side needs at least for a test between them.
const LeastRuns = 4

// Options say how to compare.
type Options struct {
	// BaseName and NewName are what the sides are called in reports.
	BaseName, NewName string
	// Confidence, in (0,1), is that of the intervals; 0 is 0.95.
	Confidence float64
	// Limits are what must not be exceeded. Their figures are compared beside the usual
	// ones.
	Limits []Limit
}

// Comparison is what became of figures from one side to the other.
type Comparison struct {
	Base       Side    `json:"base"`
	New        Side    `json:"new"`
	Confidence float64 `json:"confidence"` // in (0,1), of the intervals
	Rows       []Row   `json:"rows"`
	// Unmatched are rows that one side alone has.
	Unmatched []Unmatched `json:"unmatched"`
	// Warnings are differences between the sides that may be behind the changes.
	Warnings []string  `json:"warnings"`
	Findings []Finding `json:"findings"` // of limits
}

// Side is one of the two.
type Side struct {
	Name string `json:"name"`
	Runs int    `json:"runs"`
}

// Row is what was asked of runs on both sides.
type Row struct {
	Name     string        `json:"name"` // such as "rooms 600 × 10"
	Scenario string        `json:"scenario"`
	Params   result.Params `json:"params"` // of the base
	BaseRuns int           `json:"base_runs"`
	NewRuns  int           `json:"new_runs"`
	// Tested is true when there are enough runs for a test; else the spread of the
	// distributions stood in for it.
	Tested bool `json:"tested"`
	// Differences are of what was asked, where that is not quite the same on both sides.
	Differences []string `json:"differences"`
	// Doubts say why figures of the row may not be trusted.
	Doubts  []string `json:"doubts"`
	Changes []Change `json:"changes"`
}

// Verdict is what is known of a change.
type Verdict string

// The verdicts.
const (
	Same    Verdict = "same"    // no difference at all
	Noise   Verdict = "noise"   // what difference there is may be chance
	Worse   Verdict = "worse"   // and really so
	Better  Verdict = "better"  // likewise
	Higher  Verdict = "higher"  // really, and nobody knows whether that is good
	Lower   Verdict = "lower"   // likewise
	Unknown Verdict = "unknown" // one side alone knows the figure
)

// Real reports whether there is a change that chance does not explain.
func (v Verdict) Real() bool { return v == Worse || v == Better || v == Higher || v == Lower }

// Change is what became of a figure.
type Change struct {
	Figure string `json:"figure"` // its full name, see package figure
	Label  string `json:"label"`  // what tables call it
	Unit   string `json:"unit"`   // of Base, New, their runs and Absolute: "ns", "bytes", "percent", "per second" or "count"
	// Base and New are the values of the sides; null: not known. Quantiles are those of
	// all runs together, other figures medians over runs.
	Base *float64 `json:"base"`
	New  *float64 `json:"new"`
	// The values of the runs that know the figure, in their order.
	BaseEach []float64 `json:"base_each"`
	NewEach  []float64 `json:"new_each"`

	Percent  *Interval `json:"percent"`  // of the change, in percent of the base; null: not known, or the base is 0
	Absolute *Interval `json:"absolute"` // of the change, in the unit; null: not known
	P        *float64  `json:"p"`        // of the rank test; null: not tested
	// Unknown is how many runs of both sides do not know the figure. What the others say of
	// it is no ground to judge a limit on.
	Unknown int     `json:"unknown"`
	Verdict Verdict `json:"verdict"`
}

// Interval is a change with the bounds between which it lies at the confidence asked
// for.
type Interval struct {
	Value float64 `json:"value"`
	Lo    float64 `json:"lo"`
	Hi    float64 `json:"hi"`
}

// excludesZero reports whether the interval has no room for no change.
func (i Interval) excludesZero() bool { return i.Lo > 0 || i.Hi < 0 }

// times scales the interval.
func (i Interval) times(k float64) Interval { return Interval{i.Value * k, i.Lo * k, i.Hi * k} }

// ErrNothing is the error of sides that have no row in common.
var ErrNothing = errors.New("the two sides have no row in common")

// Compare compares the runs of fresh, the new side, with those of base. It changes neither. It fails for
// a side without runs, with [ErrNothing], and for a histogram that does not decode.
func Compare(base, fresh []*result.File, o Options) (*Comparison, error) {
	if o.Confidence == 0 {
		o.Confidence = 0.95
	}
	one, other := runsOf(base), runsOf(fresh)
	c := &Comparison{
		Base: Side{o.BaseName, len(one)}, New: Side{o.NewName, len(other)}, Confidence: o.Confidence,
		Rows: []Row{}, Unmatched: []Unmatched{}, Findings: []Finding{},
	}
	for _, side := range []Side{c.Base, c.New} {
		if side.Runs == 0 {
			return nil, fmt.Errorf("%s holds no runs", side.Name)
		}
	}
	matched, rest := match(one, other)
	c.Unmatched = append(c.Unmatched, rest...)
	c.Warnings = append([]string{}, warnings(one, other)...)
	if len(matched) == 0 {
		return c, ErrNothing
	}
	t := &tester{alpha: 1 - o.Confidence, critical: map[[2]int]int{}}
	for _, m := range matched {
		row, err := t.row(m, figuresFor(o.Limits))
		if err != nil {
			return nil, err
		}
		c.Rows = append(c.Rows, row)
	}
	for _, l := range o.Limits {
		c.Findings = append(c.Findings, l.judge(c.Rows)...)
		for _, u := range c.Unmatched {
			if u.Side == "base" { // what is not there any more cannot be said to be no worse
				c.Findings = append(c.Findings, Finding{Limit: l.text, Figure: l.name, Row: u.Name, State: Unjudged})
			}
		}
	}
	return c, nil
}

// tester compares samples at one level of significance.
type tester struct {
	alpha    float64
	critical map[[2]int]int // by the sizes of the samples
}

func (t *tester) row(m pair, measures []measure) (Row, error) {
	row := Row{
		Name: m.name, Scenario: m.base[0].run.Scenario, Params: m.base[0].run.Params, BaseRuns: len(m.base), NewRuns: len(m.fresh),
		Tested: t.tells(len(m.base), len(m.fresh)), Differences: append([]string{}, m.differences...),
		Doubts: append(doubts("base", m.base), doubts("new", m.fresh)...), Changes: []Change{},
	}
	base, fresh := side{runs: m.base}, side{runs: m.fresh}
	for _, what := range measures {
		change, ok, err := t.change(&base, &fresh, what)
		if err != nil {
			return Row{}, fmt.Errorf("%s: %s: %w", row.Name, what.figure.Name, err)
		}
		if ok {
			row.Changes = append(row.Changes, change)
		}
	}
	return row, nil
}

// change compares one figure. ok is false when neither side knows it.
func (t *tester) change(base, fresh *side, what measure) (Change, bool, error) {
	one, err := base.sample(what.figure)
	if err != nil {
		return Change{}, false, err
	}
	other, err := fresh.sample(what.figure)
	if err != nil {
		return Change{}, false, err
	}
	if len(one.each)+len(other.each) == 0 {
		return Change{}, false, nil
	}
	c := Change{
		Figure: what.figure.Name, Label: what.label, Unit: what.figure.Unit.String(), Base: one.value, New: other.value,
		BaseEach: list(one.each), NewEach: list(other.each), Verdict: Unknown,
		Unknown: len(base.runs) - len(one.each) + len(fresh.runs) - len(other.each),
	}
	if one.value == nil || other.value == nil {
		return c, true, nil
	}
	judged := t.judge(one, other, what.figure.Unit == figure.Count)
	if judged.absolute != nil {
		c.Absolute = judged.absolute
		if *c.Base > 0 {
			c.Percent = new(judged.absolute.times(100 / *c.Base))
		}
	}
	c.P = judged.p
	c.Verdict = what.verdict(c, judged.real)
	return c, true, nil
}

// verdict puts into a word what a change is.
func (m measure) verdict(c Change, certain bool) Verdict {
	difference := *c.New - *c.Base
	switch {
	case !certain && difference == 0 && (c.Absolute == nil || c.Absolute.Lo == 0 && c.Absolute.Hi == 0):
		return Same
	case !certain:
		return Noise
	case m.better == 0 && difference > 0:
		return Higher
	case m.better == 0:
		return Lower
	case difference*float64(m.better) > 0:
		return Better
	}
	return Worse
}

// sample is a figure on one side.
type sample struct {
	value *float64  // nil: not known
	each  []float64 // of the runs that know it
	// bands are between what values a run's figure might as well lie, one for each of
	// each; nil where that is not known.
	bands []*band
}

// band is a stretch of values.
type band struct{ lo, hi float64 }

func list(s []float64) []float64 {
	if s == nil {
		return []float64{}
	}
	return s
}

func median(v []float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func allPositive(v []float64) bool {
	return !slices.ContainsFunc(v, func(x float64) bool { return !(x > 0) || math.IsInf(x, 0) })
}
