package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// histogram draws the latencies of each run: what quantiles leave out, such as two
// humps or a tail that stands alone, is seen here.
type histogram struct{}

// The columns that a histogram takes at most, and those that its bars take at
// least.
const (
	histogramWidth = 80
	barWidth       = 8
)

const barLegend = "Bars are in proportion to the counts, the longest of each histogram fills its column; ▏ is at least one."

func (histogram) Name() string { return "histogram" }

func (histogram) Description() string {
	return "each run's latencies as bars, for a terminal"
}

func (histogram) Render(w io.Writer, f *result.File, o Options) error {
	limit := histogramWidth
	if o.Width > 0 {
		limit = min(limit, o.Width)
	}
	var blocks []string
	drawn := false
	for _, t := range tables(f) {
		for _, r := range t.rows {
			for _, d := range r.distributions() {
				title := fmt.Sprintf("%s %s: %s", clean(r.run.Scenario), r.name, d.name)
				if d.latency == nil || d.latency.Count == 0 {
					blocks = append(blocks, wrap(title+": none measured"+d.caveat, limit)+"\n")
					continue
				}
				text, err := draw(d.latency, limit)
				if err != nil {
					return fmt.Errorf("%s: %w", title, err)
				}
				drawn = true
				title += fmt.Sprintf(", %s %s%s", count(d.latency.Count), d.of, d.caveat)
				blocks = append(blocks, wrap(title, limit)+"\n\n"+text+"\n"+wrap(quantiles(d.latency), limit)+"\n")
			}
		}
	}
	if len(f.Runs) == 0 {
		blocks = append(blocks, "no runs\n")
	}
	if drawn {
		blocks = append(blocks, wrap(barLegend, limit)+"\n")
	}
	loud := ""
	for _, m := range remarks(f) {
		if m.loud() {
			loud += wrap(m.String(), limit) + "\n"
		}
	}
	if loud != "" {
		blocks = append(blocks, loud)
	}
	if _, err := io.WriteString(w, strings.Join(blocks, "\n")); err != nil {
		return fmt.Errorf("write histogram: %w", err)
	}
	return nil
}

// distribution is something of a run that can be drawn.
type distribution struct {
	name    string          // what it is
	of      string          // what it counts
	caveat  string          // what must be said of it, if anything
	latency *result.Latency // nil: there is none
}

func (r row) distributions() []distribution {
	d := r.run.Delivery
	switch {
	case d == nil && r.run.Scenario == "rooms":
		return []distribution{{name: "delivery latency"}}
	case d == nil:
		return []distribution{{name: "open latency", of: "clients", latency: &r.run.Connect.OpenLatency}}
	case d.Slow == nil:
		return []distribution{{name: "delivery latency", of: "copies", latency: &d.Latency}}
	default:
		drained := ""
		if n := d.Slow.Drained; n > 0 {
			drained = "; " + count(n) + " of them, read only once the sending was over, would have taken longer"
		}
		return []distribution{
			{name: "delivery latency (ordinary clients)", of: "copies", latency: &d.Latency},
			{name: "delivery latency (neighbours of slow readers)", of: "copies", latency: &d.Slow.Neighbours},
			{name: "delivery latency (slow readers)", of: "copies", latency: &d.Slow.Latency, caveat: drained},
		}
	}
}

// draw is the histogram as a table no wider than limit, unless its figures alone
// are.
func draw(l *result.Latency, limit int) (string, error) {
	bars, err := l.Histogram()
	if err != nil {
		return "", err
	}
	buckets := gather(bars)
	g := grid{columns: []column{
		{head: "Latency", right: true}, {head: "Count", right: true}, {head: "Share", right: true}, {head: "Up to", right: true},
	}}
	most, below := int64(0), int64(0)
	for _, b := range buckets {
		most = max(most, b.count)
		below += b.count
		g.rows = append(g.rows, []string{
			b.String(), count(b.count), percent(share(b.count, l.Count)), upTo(below, l.Count),
		})
	}
	figures, err := g.render(plain)
	if err != nil {
		return "", err
	}
	// A column of the table takes three more than its text.
	space := max(barWidth, limit-width(figures)-3)
	g.columns = append(g.columns, column{})
	for i, b := range buckets {
		g.rows[i] = append(g.rows[i], bar(b.count, most, space))
	}
	return g.render(plain)
}

// bucket is a row of a histogram: the durations from one step up to, not
// including, the next, in nanoseconds.
type bucket struct {
	from, to int64
	count    int64
}

func (b bucket) String() string {
	from, fromUnit := stepText(b.from)
	to, unit := stepText(b.to)
	if b.from == 0 || fromUnit == unit {
		return from + "–" + to + " " + unit
	}
	return from + " " + fromUnit + "–" + to + " " + unit
}

// stepText writes a step, which is a round number in some unit.
func stepText(ns int64) (value, unit string) {
	for _, u := range []struct {
		name string
		ns   int64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= u.ns {
			return count(ns / u.ns), u.name
		}
	}
	return count(ns), "ns"
}

// gather sorts the cells of a distribution, which are much finer, into steps of 1,
// 2, 5 and 10: from the first that holds anything to the last, the empty ones
// between them included. A cell across a step counts where its middle is.
func gather(bars []result.Bar) []bucket {
	var all []bucket
	from, to := int64(0), int64(1)
	for _, b := range bars {
		middle := b.FromNS + (b.ToNS-b.FromNS)/2
		for middle >= to && to < math.MaxInt64 {
			if len(all) > 0 && all[len(all)-1].to == from {
				all = append(all, bucket{from: from, to: to})
			}
			from, to = to, nextStep(to)
		}
		if n := len(all); n == 0 || all[n-1].from != from {
			all = append(all, bucket{from: from, to: to})
		}
		all[len(all)-1].count += b.Count
	}
	return all
}

// nextStep goes from 1 to 2, from 2 to 5 and from 5 to 10, in any decade.
func nextStep(step int64) int64 {
	if step > math.MaxInt64/2 {
		return math.MaxInt64
	}
	if strings.HasPrefix(strconv.FormatInt(step, 10), "2") {
		return step / 2 * 5
	}
	return step * 2
}

func share(n, of int64) float64 { return float64(n) / float64(of) * 100 }

// upTo is the share of those that a row and the rows above it hold. It says 100
// only of all, and otherwise shows how much is missing.
func upTo(n, of int64) string {
	rest := share(of-n, of)
	if n == of || rest >= 50 {
		return percent(share(n, of))
	}
	return strconv.FormatFloat(100-rest, 'f', max(1, 1-exponent(rest, 2)), 64) + " %"
}

// bar draws a count in eighths of a column; most fills all the space.
func bar(n, most int64, space int) string {
	if n == 0 {
		return ""
	}
	eighths := max(1, int(float64(n)/float64(most)*float64(space*8)+0.5))
	text := strings.Repeat("█", eighths/8)
	if part := eighths % 8; part > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[part-1])
	}
	return text
}

// namedQuantile is a quantile of a distribution with what it is called.
type namedQuantile struct {
	name string
	ns   *int64
}

func namedQuantiles(l *result.Latency) []namedQuantile {
	return []namedQuantile{{"p50", l.P50NS}, {"p90", l.P90NS}, {"p99", l.P99NS}, {"p99.9", l.P999NS}, {"max", l.MaxNS}}
}

// quantiles is the line below a histogram.
func quantiles(l *result.Latency) string {
	var words []string
	for _, q := range namedQuantiles(l) {
		words = append(words, q.name+" "+known(q.ns, durationNS))
	}
	if l.Capped > 0 {
		words = append(words, count(l.Capped)+" beyond the histogram's range, counted at its edge")
	}
	return strings.Join(words, " · ")
}
