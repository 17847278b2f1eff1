package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/sseload/sseload/pkg/figure"
	"github.com/sseload/sseload/pkg/result"
)

// measure is a figure that is compared.
type measure struct {
	figure figure.Figure
	label  string
	better int // 1: more is better, -1: less is; 0: who knows
}

// usual lists what is compared in every row, as far as it is known.
//
//nolint:gochecknoglobals // a constant table, made when it is first asked for
var usual = sync.OnceValue(func() []measure {
	var all []measure
	for _, m := range []struct {
		figure, label string
		better        int
	}{
		{"delivery.p50", "latency p50", -1}, {"delivery.p90", "latency p90", -1}, {"delivery.p95", "latency p95", -1},
		{"delivery.p99", "latency p99", -1}, {"delivery.p99.9", "latency p99.9", -1},
		{"delivery.mean", "latency mean", -1}, {"delivery.max", "latency max", -1},
		{"iteration.p50", "iteration p50", -1}, {"iteration.p99", "iteration p99", -1},
		{"connect.open.p50", "open p50", -1}, {"connect.open.p99", "open p99", -1}, {"connect.elapsed", "connecting", -1},
		{"delivery.rate", "deliveries/s", 1},
		{"delivery.lost", "lost", -1}, {"delivery.duplicate", "duplicate", -1}, {"delivery.reordered", "reordered", -1},
		{"delivery.misrouted", "misrouted", -1}, {"delivery.late", "late", -1},
		{"connect.failed", "failed", -1}, {"connect.dropped", "dropped", -1}, {"sends.failed", "sends failed", -1},
		{"target.cpu_per_copy", "target CPU/copy", -1}, {"target.cpu_per_connect", "target CPU/client", -1},
		{"target.bytes_per_client", "target mem/client", -1},
	} {
		f, err := figure.Lookup(m.figure)
		if err != nil {
			panic(err) // a name in this table is wrong, which every test shows
		}
		all = append(all, measure{f, m.label, m.better})
	}
	return all
})

// figuresFor are the usual figures, and those that limits ask for.
func figuresFor(limits []Limit) []measure {
	all := slices.Clone(usual())
	for _, l := range limits {
		if slices.ContainsFunc(all, func(m measure) bool { return m.figure.Name == l.figure.Name }) {
			continue
		}
		better := -1
		switch l.figure.Unit {
		case figure.PerSecond:
			better = 1
		case figure.Count:
			better = 0
		}
		all = append(all, measure{l.figure, l.name, better})
	}
	return all
}

// side is the runs of a row on one side.
type side struct {
	runs []known
	// bars are the histograms of the runs, decoded, by the name of the distribution.
	bars map[string][][]result.Bar
}

// sample gathers a figure of the side.
func (s *side) sample(f figure.Figure) (sample, error) {
	if of, q, ok := f.Distribution(); ok {
		name, _, _ := strings.Cut(f.Name, ".p") // no path of a distribution has it
		return s.quantiles(name, of, q)
	}
	var all sample
	for _, k := range s.runs {
		v, ok := f.Of(k.run)
		if !ok || math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		all.each = append(all.each, v)
		switch {
		case f.Unit == figure.Count:
			all.bands = append(all.bands, countBand(v))
		case v > 0 && !swayed(f):
			k := factor(f.Name)
			all.bands = append(all.bands, &band{v / k, v * k})
		default:
			all.bands = append(all.bands, nil)
		}
	}
	if len(all.each) > 0 {
		all.value = new(median(all.each))
	}
	return all, nil
}

// swayed reports whether a single moment may make any number of a figure: how large the
// largest of many might have been as well, or their mean, one run does not tell.
func swayed(f figure.Figure) bool {
	return strings.HasSuffix(f.Name, ".max") || strings.HasSuffix(f.Name, ".mean")
}

// quantiles gathers a quantile of a distribution.
func (s *side) quantiles(name string, of func(*result.Run) *result.Latency, q float64) (sample, error) {
	if s.bars[name] == nil {
		if s.bars == nil {
			s.bars = map[string][][]result.Bar{}
		}
		all := make([][]result.Bar, 0, len(s.runs))
		for _, k := range s.runs {
			var bars []result.Bar
			if l := of(k.run); l != nil {
				var err error
				if bars, err = l.Histogram(); err != nil {
					return sample{}, fmt.Errorf("a run that began at %s: %w", k.run.StartedAt, err)
				}
				bars = topped(bars, l.MaxNS)
			}
			all = append(all, bars)
		}
		s.bars[name] = all
	}
	var all sample
	var merged []result.Bar
	for _, bars := range s.bars[name] {
		if len(bars) == 0 {
			continue
		}
		merged = append(merged, bars...)
		v := quantile(bars, q)
		all.each = append(all.each, v)
		all.bands = append(all.bands, quantileBand(bars, q, v, factor(name)))
	}
	if len(merged) > 0 {
		slices.SortFunc(merged, func(a, b result.Bar) int { return cmp.Compare(a.ToNS, b.ToNS) })
		all.value = new(quantile(merged, q))
	}
	return all, nil
}

// topped ends the last cell at the exact maximum.
func topped(bars []result.Bar, most *int64) []result.Bar {
	if n := len(bars); n > 0 && most != nil {
		bars[n-1].ToNS = min(bars[n-1].ToNS, *most)
	}
	return bars
}

// quantile is the smallest value that at least the share q of all do not exceed. Bars
// are sorted by ToNS, and some.
func quantile(bars []result.Bar, q float64) float64 {
	rank := max(1, int64(math.Ceil(q*float64(total(bars))-1e-6)))
	for _, b := range bars {
		if rank -= b.Count; rank <= 0 {
			return float64(b.ToNS)
		}
	}
	return float64(bars[len(bars)-1].ToNS)
}

func total(bars []result.Bar) int64 {
	var n int64
	for _, b := range bars {
		n += b.Count
	}
	return n
}

// How far from a figure of one run that of another may be by chance, where there are
// too few for a test: by a factor, and for a quantile to where there are so many times
// as many values above, or so many times fewer. In a run of a second, one moment in
// which the system ran something else is in a tenth of all latencies: a tail has moved
// only where a quarter of the values has, or more.
const (
	atLeast   = 2.0
	atOnce    = 4.0 // where clients connect together, one moment is in all of them
	tailMore  = 5.0
	tailFewer = 10.0
	leastTail = 0.25
)

// factor is by how much the figure of that name may differ from run to run.
func factor(name string) float64 {
	if strings.HasPrefix(name, "connect.") {
		return atOnce
	}
	return atLeast
}

// quantileBand is where the quantile of another run might lie.
func quantileBand(bars []result.Bar, q, v, factor float64) *band {
	if v <= 0 {
		return nil
	}
	tail := 1 - q
	lower := 1 - max(leastTail, min(tail*tailMore, (1+tail)/2))
	upper := 1 - tail/tailFewer
	return &band{max(1, min(v/factor, quantile(bars, lower))), max(v*factor, quantile(bars, upper))} // 1 ns is as good as none
}

// countBand is where a count of another run might lie: within a factor, and three
// standard deviations of Poisson's distribution, but that of none is none.
func countBand(v float64) *band {
	if v <= 0 {
		return &band{v, v}
	}
	return &band{max(0, min(v/atLeast, v-3*math.Sqrt(v))), max(v*atLeast, v+3*math.Sqrt(v)+3)}
}
