package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// chart is a picture of a few series in the language of Mermaid, which GitHub and
// GitLab draw within a document: an XY chart
// (https://mermaid.js.org/syntax/xyChart.html).
//
// That has no legend and no way to leave a point out. So the caption says which line is
// which, by colour and by their order, which is always the same; and only what has all
// points is drawn. The colours are told apart on a light and on a dark page.
type chart struct {
	caption string // markdown
	labels  []string
	from    float64 // of the axis, in seconds, when there are no labels
	to      float64
	bar     bool
	series  [][]int64 // nanoseconds
}

// The bounds of what can be told apart in a chart of that width.
const (
	mostLabels = 12
	mostPoints = 60
	leastLine  = 3
)

const (
	chartWidth  = 720 // pixels, as what follows
	chartHeight = 260
	labelSpace  = 560 // that labels may take side by side
	letterWidth = 8
	rowHeight   = 30 // of a label that stands on a line of its own
)

// The palette is of the series in their order.
const (
	palette   = "#bc4c00, #0969da"
	lineNames = "p99 in orange, p50, which is never above it, in blue"
)

// latencyChart draws the latencies of a table's runs: over time where there is one run
// that has samples of it, else by run, and the quantiles of a single run. ok is false
// when there is nothing to draw.
func (t table) latencyChart() (c chart, ok bool) {
	if len(t.rows) > 1 {
		return t.byRun()
	}
	if c, ok = overTime(t.rows[0]); ok {
		return c, true
	}
	return quantileChart(t.rows[0])
}

func (t table) byRun() (chart, bool) {
	c := chart{series: make([][]int64, 2)}
	name := ""
	for _, r := range t.rows {
		d := r.distributions()[0]
		if d.latency == nil || d.latency.P50NS == nil || d.latency.P99NS == nil {
			continue
		}
		name = d.name
		c.labels = append(c.labels, r.name)
		c.series[0] = append(c.series[0], *d.latency.P99NS)
		c.series[1] = append(c.series[1], *d.latency.P50NS)
	}
	c.caption = capital(name) + " of each run: " + lineNames + "."
	return c, len(c.labels) > 1 && len(c.labels) <= mostLabels
}

// capital begins a sentence.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func overTime(r row) (chart, bool) {
	var seen []result.Sample
	for _, s := range r.run.Samples {
		switch {
		case s.LatencyP50NS != nil && s.LatencyP99NS != nil:
			seen = append(seen, s)
		case len(seen) > 0 && r.run.Delivery != nil && s.Received < r.run.Delivery.Received:
			return chart{}, false // there is a gap, which the chart could not show
		}
	}
	if len(seen) < leastLine {
		return chart{}, false
	}
	step := (len(seen) + mostPoints - 1) / mostPoints
	c := chart{from: seconds64(seen[0].AtNS), to: seconds64(seen[len(seen)-1].AtNS), series: make([][]int64, 2)}
	for i := 0; i < len(seen); i += step {
		p50, p99 := int64(0), int64(0)
		for _, s := range seen[i:min(i+step, len(seen))] {
			p50, p99 = max(p50, *s.LatencyP50NS), max(p99, *s.LatencyP99NS)
		}
		c.series[0], c.series[1] = append(c.series[0], p99), append(c.series[1], p50)
	}
	c.caption = "Delivery latency over time, in seconds since the first dial, of the copies of each second: " + lineNames + "."
	if step > 1 {
		c.caption += fmt.Sprintf(" Each point is the highest of %d.", step)
	}
	return c, true
}

func seconds64(ns int64) float64 { return float64(ns) / 1e9 }

func quantileChart(r row) (chart, bool) {
	d := r.distributions()[0]
	c := chart{bar: true, caption: capital(d.name) + " by quantile.", series: make([][]int64, 1)}
	if d.latency == nil {
		return c, false
	}
	for _, q := range namedQuantiles(d.latency) {
		if q.ns == nil {
			return c, false
		}
		c.labels = append(c.labels, q.name)
		c.series[0] = append(c.series[0], *q.ns)
	}
	return c, true
}

// crowded tells whether the labels would run into each other side by side.
func (c chart) crowded() bool {
	letters := 0
	for _, l := range c.labels {
		letters += width(l) + 1
	}
	return letters*letterWidth > labelSpace
}

// mermaid writes the chart as a code block of markdown.
func (c chart) mermaid() string {
	most := int64(1)
	for _, s := range c.series {
		for _, ns := range s {
			most = max(most, ns)
		}
	}
	unit, per := "ns", 1.0
	for _, u := range []struct {
		name string
		ns   float64
	}{{"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}} {
		if float64(most) >= u.ns {
			unit, per = u.name, u.ns
		}
	}
	number := func(ns int64) string { return significant(float64(ns)/per, 3) }
	var b strings.Builder
	height, orientation := chartHeight, ""
	if c.crowded() {
		height, orientation = rowHeight*(len(c.labels)+2), " horizontal"
	}
	fmt.Fprintf(&b, "```mermaid\n---\nconfig:\n  xyChart:\n    width: %d\n    height: %d\n", chartWidth, height)
	fmt.Fprintf(&b, "  themeVariables:\n    xyChart:\n      plotColorPalette: %q\n---\nxychart-beta%s\n", palette, orientation)
	if len(c.labels) > 0 {
		labels := make([]string, len(c.labels))
		for i, l := range c.labels {
			labels[i] = `"` + strings.ReplaceAll(clean(l), `"`, "'") + `"`
		}
		b.WriteString("  x-axis [" + strings.Join(labels, ", ") + "]\n")
	} else {
		b.WriteString("  x-axis \"seconds\" " + strconv.FormatFloat(c.from, 'f', 1, 64) + " --> " + strconv.FormatFloat(c.to, 'f', 1, 64) + "\n")
	}
	// Some room above, or the highest point lies on the edge.
	b.WriteString("  y-axis \"" + unit + "\" 0 --> " + significant(float64(most)/per*1.05, 3) + "\n")
	kind := "line"
	if c.bar {
		kind = "bar"
	}
	for _, s := range c.series {
		points := make([]string, len(s))
		for i, ns := range s {
			points[i] = number(ns)
		}
		b.WriteString("  " + kind + " [" + strings.Join(points, ", ") + "]\n")
	}
	b.WriteString("```")
	return b.String()
}
