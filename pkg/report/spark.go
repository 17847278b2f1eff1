package report

import (
	"math"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// sparks are the heights of a sparkline, in eighths of a line.
var sparks = [...]rune{'▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'} //nolint:gochecknoglobals // a constant table

// Sparkline draws values side by side, one column each, in proportion to the largest.
// Whatever is above 0 is seen; 0, and what is below it or no number, leaves its column
// empty.
func Sparkline(values []float64) string {
	most := 0.0
	for _, v := range values {
		if v > most && !math.IsInf(v, 1) {
			most = v
		}
	}
	var b strings.Builder
	for _, v := range values {
		switch {
		case !(v > 0):
			b.WriteByte(' ')
		case v >= most:
			b.WriteRune(sparks[len(sparks)-1])
		default:
			b.WriteRune(sparks[max(0, int(math.Ceil(v/most*float64(len(sparks))))-1)])
		}
	}
	return b.String()
}

// The columns of the lines that show how latencies are spread: at most, and at least.
const (
	outlineMost  = 40
	outlineLeast = 8
)

// outlines shows in a line for each run how its latencies are spread, from the fastest to
// the slowest. All lines have one logarithmic scale, so that they can be compared. It is
// empty when nothing was measured. No line is wider than limit, nor than detailWidth,
// unless its figures alone are.
func (t table) outlines(limit int) (string, error) {
	if limit <= 0 || limit > detailWidth {
		limit = detailWidth
	}
	var all []outline
	var scale axis
	for _, r := range t.rows {
		s, ok, err := r.outline()
		if err != nil {
			return "", err
		}
		if ok {
			all = append(all, s)
			scale.cover(s.bars)
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	what := all[0].of
	if len(t.rows) == 1 {
		all[0].name = what
	}
	var names, least, most int
	for _, s := range all {
		names, least, most = max(names, Columns(s.name)), max(least, Columns(s.from)), max(most, Columns(s.to))
	}
	scale.cells = min(outlineMost, max(outlineLeast, limit-names-least-most-len("   ")))
	var b strings.Builder
	if len(t.rows) > 1 {
		b.WriteString(wrap(what+", all on one logarithmic scale:", limit) + "\n")
	}
	for _, s := range all {
		b.WriteString(s.name + strings.Repeat(" ", names-Columns(s.name)+1+least-Columns(s.from)) + s.from + " " +
			Sparkline(scale.gather(s.bars)) + strings.Repeat(" ", 1+most-Columns(s.to)) + s.to + "\n")
	}
	return b.String(), nil
}

// outline is how the latencies of a run are spread.
type outline struct {
	name, of string
	from, to string
	bars     []result.Bar
}

// outline is that of what the run is about. ok is false when it has none, or its record
// holds no histogram.
func (r row) outline() (s outline, ok bool, err error) {
	d := r.distributions()[0]
	if d.latency == nil || d.latency.Count == 0 || d.latency.HDR == "" {
		return s, false, nil
	}
	bars, err := d.latency.Histogram()
	if err != nil || len(bars) == 0 {
		return s, false, err
	}
	s = outline{name: clean(r.name), of: d.name, bars: bars}
	s.from = known(d.latency.MinNS, durationNS)
	s.to = known(d.latency.MaxNS, durationNS)
	return s, true, nil
}

// axis is a logarithmic scale of durations, in so many cells.
type axis struct {
	from, to float64 // logarithms; equal without any
	cells    int
	begun    bool
}

// middle is the logarithm of the duration that a bar stands for, which is within half a
// thousandth of each that it holds.
func middle(b result.Bar) float64 { return math.Log(max(1, (float64(b.FromNS)+float64(b.ToNS))/2)) }

// cover extends the scale to bars, which are in order, of which there are some.
func (a *axis) cover(bars []result.Bar) {
	from, to := middle(bars[0]), middle(bars[len(bars)-1])
	if !a.begun {
		a.from, a.to, a.begun = from, to, true
	}
	a.from, a.to = min(a.from, from), max(a.to, to)
}

// gather is how many durations there are in each cell.
func (a *axis) gather(bars []result.Bar) []float64 {
	cells := make([]float64, a.cells)
	if a.to <= a.from {
		cells = cells[:1] // they are all the same
	}
	for _, b := range bars {
		i := 0
		if a.to > a.from {
			i = int((middle(b) - a.from) / (a.to - a.from) * float64(len(cells)))
		}
		cells[min(i, len(cells)-1)] += float64(b.Count)
	}
	return cells
}
