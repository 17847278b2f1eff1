package cli

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/scenarios"
)

// How often the live display is drawn, which is calm enough to be read, and how many
// seconds its sparklines show.
const (
	displayInterval = 250 * time.Millisecond
	displayHistory  = 16
)

// display shows where a run stands, in a block of lines on a terminal. What it shows of
// the last second it has from the run's samples: to look costs the run next to nothing.
type display struct {
	screen *screen
	to     *os.File
	color  bool

	series []scenarios.Extent // empty: not known
	pace   pace               // of the last run that told
	whole  countdown          // of the series
	idle   time.Duration      // between the last runs
	seen   time.Time          // when a frame was last drawn

	mu      sync.Mutex // guards recent
	recent  recently
	stop    chan struct{}
	drawing sync.WaitGroup
}

// recently is what samples said of the last seconds.
type recently struct {
	last  *result.Sample
	rates []float64 // copies per second
	p99s  []float64 // nanoseconds
}

// add takes one more sample.
func (r *recently) add(s result.Sample) {
	if before := r.last; before != nil {
		took := time.Duration(s.AtNS - before.AtNS)
		if took < time.Second/2 {
			return // the last of a run, or of a phase: too short to tell a rate
		}
		p99 := 0.0
		if s.LatencyP99NS != nil {
			p99 = float64(*s.LatencyP99NS)
		}
		r.rates = latest(append(r.rates, float64(s.Received-before.Received)/took.Seconds()))
		r.p99s = latest(append(r.p99s, p99))
	}
	r.last = &s
}

func latest(values []float64) []float64 { return values[max(0, len(values)-displayHistory):] }

// foresee implements foreseer.
func (d *display) foresee(series []scenarios.Extent) {
	d.series, d.pace, d.whole, d.idle, d.seen = series, pace{}, countdown{}, 0, time.Time{}
}

// Begin implements [scenarios.Observer].
func (d *display) Begin(g scenarios.Going) {
	d.stop = make(chan struct{})
	d.mu.Lock()
	d.recent = recently{}
	d.mu.Unlock()
	if !d.seen.IsZero() {
		d.idle = time.Since(d.seen)
	}
	d.drawing.Go(func() { d.run(g) })
}

// Sample implements [scenarios.Observer].
func (d *display) Sample(s result.Sample) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recent.add(s)
}

// End implements [scenarios.Observer]. What shows stays until the next run begins, or
// whoever has the runs made clears the screen: between two runs nothing is to flicker.
func (d *display) End(*result.Run) {
	close(d.stop)
	d.drawing.Wait()
}

func (d *display) run(g scenarios.Going) {
	ticker := time.NewTicker(displayInterval)
	defer ticker.Stop()
	p := picture{title: titleOf(g)}
	var count countdown
	for frame := 0; ; frame++ {
		select {
		case <-d.stop:
			return
		case <-ticker.C:
		}
		now := time.Now()
		p.standing = standing{Progress: g.Progress(), of: d.extent(g.Number)}
		d.estimate(&p, g, &count, now)
		if g.Run.Scenario == "connect" && frame%int(time.Second/displayInterval) == 0 {
			p.opening = g.Latencies()
		}
		d.mu.Lock()
		p.recent = d.recent
		p.recent.rates, p.recent.p99s = slices.Clone(p.recent.rates), slices.Clone(p.recent.p99s)
		d.mu.Unlock()
		columns, rows, _ := terminalSize(d.to)
		lines := p.lines(columns-1, rows-1)
		if !d.color {
			for i := range lines {
				lines[i].style = report.Normal
			}
		}
		d.screen.show(d.to, lines)
		d.seen = now
	}
}

// extent is that of the n-th run, from 1. A series may be made several times over.
func (d *display) extent(n int) scenarios.Extent {
	if len(d.series) == 0 {
		return scenarios.Extent{}
	}
	return d.series[max(0, n-1)%len(d.series)]
}

// estimate says how long the run, and the series, go on.
func (d *display) estimate(p *picture, g scenarios.Going, count *countdown, now time.Time) {
	if len(d.series) == 0 {
		return
	}
	d.pace = d.pace.seen(p.standing)
	left, ok := d.pace.left(p.standing)
	count.correct(now, left, ok)
	p.left, p.seriesLeft = count.text(now), ""
	for n := g.Number + 1; n <= g.Of; n++ {
		next, known := d.pace.whole(d.extent(n))
		left += next + d.idle
		ok = ok && known
	}
	if g.Of > g.Number {
		d.whole.correct(now, left, ok)
		p.seriesLeft = d.whole.text(now)
	}
}

// titleOf says what is being done, to whom.
func titleOf(g scenarios.Going) string {
	name := g.Run.Scenario
	if g.Run.Step != nil {
		name = *g.Run.Step + ": " + name
	}
	return fmt.Sprintf("%s, %s%s → %s", name, runOf(g), loadOf(&g.Run.Params), g.Run.Target.URL)
}

// loadOf says what was asked of a run.
func loadOf(p *result.Params) string {
	text := report.Count(int64(p.Clients)) + " clients"
	duration := func(ns int64) string { return shortly(time.Duration(ns)) }
	switch {
	case p.Rate != nil:
		text += ", " + report.PerSecond(*p.Rate)
	case p.Iterations != nil:
		text += " × " + report.Count(int64(*p.Iterations))
	case p.HoldNS > 0:
		return text + " for " + duration(p.HoldNS)
	}
	if p.DurationNS != nil {
		text += " for " + duration(*p.DurationNS)
	}
	return text
}

// picture is what a display knows when it draws a frame.
type picture struct {
	title            string
	standing         standing
	left, seriesLeft string // empty: not known
	recent           recently
	opening          load.Latencies
}

// labelled is how many columns the first word of a line takes.
const labelled = 9

// lines is the picture in at most so many lines of so many columns. Where there are
// fewer than it would take, those that matter least are left out.
func (p *picture) lines(columns, rows int) []line {
	type ranked struct {
		line
		rank int // the lower, the sooner it is left out
	}
	all := []ranked{
		{line{text: p.title}, 2},
		{line{text: p.bar(columns)}, 7},
		{line{text: p.clients(columns)}, 3},
		{line{text: p.copies(columns)}, 5},
		{line{text: p.latency(columns)}, 4},
		{line{text: p.cpu(columns)}, 1},
		{line{p.trouble(columns), report.Bad}, 6},
	}
	all = slices.DeleteFunc(all, func(r ranked) bool { return r.text == "" })
	for len(all) > max(1, rows) {
		least := slices.MinFunc(all, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
		all = slices.DeleteFunc(all, func(r ranked) bool { return r.rank == least.rank })
	}
	var out []line
	for _, r := range all {
		out = append(out, r.line)
	}
	return out
}

// row is a line of a label and as many of the parts as fit, the first of them in any
// case. Without parts there is none.
func row(columns int, label string, parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return ""
	}
	text := fmt.Sprintf("%-*s%s", labelled, label, parts[0])
	for _, part := range parts[1:] {
		if report.Columns(text)+2+report.Columns(part) > columns {
			break
		}
		text += "  " + part
	}
	return text
}

// barColumns is how many columns the bar of a phase takes at most.
const barColumns = 24

func (p *picture) bar(columns int) string {
	s := &p.standing
	bar := ""
	if share, ok := s.done(); ok {
		bar = report.Bar(share, min(barColumns, max(4, columns-labelled-24))) + fmt.Sprintf(" %3.0f %%", 100*share)
	}
	series := ""
	if p.seriesLeft != "" {
		series = "series " + p.seriesLeft
	}
	return row(columns, cmp.Or(s.Phase, "begin"), bar, shortly(s.Elapsed.Truncate(time.Second)), p.left, series)
}

func (p *picture) clients(columns int) string {
	s := &p.standing
	open, away := report.Count(s.Live.Open)+" open", ""
	if s.Live.Open != int64(s.Clients) {
		open += " of " + report.Count(int64(s.Clients))
	}
	if s.Live.Away > 0 {
		away = report.Count(s.Live.Away) + " away"
	}
	iteration := ""
	switch {
	case s.Iterations > 0 && s.Iteration > 0:
		iteration = fmt.Sprintf("iteration %s of %s", report.Count(int64(s.Iteration)), report.Count(int64(s.Iterations)))
	case s.Iteration > 0:
		iteration = "iteration " + report.Count(int64(s.Iteration))
	}
	return row(columns, "clients", open, away, iteration)
}

func (p *picture) copies(columns int) string {
	if p.standing.Live.Begun == 0 {
		return ""
	}
	rate, spark := "", ""
	if n := len(p.recent.rates); n > 0 {
		rate = report.PerSecond(p.recent.rates[n-1])
		spark = report.Sparkline(p.recent.rates)
	}
	return row(columns, "copies", report.Count(p.standing.Live.Received), fmt.Sprintf("%10s", rate), spark)
}

// latency is of the copies of the last second, or of all clients that opened.
func (p *picture) latency(columns int) string {
	figure := func(name string, ns *int64) string {
		if ns == nil {
			return ""
		}
		return fmt.Sprintf("%s %7s", name, report.Duration(time.Duration(*ns)))
	}
	if s := p.recent.last; s != nil && s.LatencyP50NS != nil {
		return row(columns, "latency", figure("p50", s.LatencyP50NS), figure("p99", s.LatencyP99NS), figure("max", s.LatencyMaxNS),
			report.Sparkline(p.recent.p99s))
	}
	opened := func(q float64) *int64 {
		ns, ok := p.opening.Open.Quantile(q)
		if !ok {
			return nil
		}
		return &ns
	}
	return row(columns, "opening", figure("p50", opened(0.5)), figure("p99", opened(0.99)), figure("max", opened(1)))
}

func (p *picture) cpu(columns int) string {
	s := p.recent.last
	if s == nil {
		return ""
	}
	of := func(name string, percent *float64) string {
		if percent == nil {
			return ""
		}
		return fmt.Sprintf("%s %.0f %%", name, *percent)
	}
	return row(columns, "cpu", of("target", s.TargetCPUPercent), of("generator", s.GeneratorCPUPercent), of("machine", s.MachineCPUPercent))
}

// trouble is what went wrong so far.
func (p *picture) trouble(columns int) string {
	of := func(n int64, what string) string {
		if n == 0 {
			return ""
		}
		return report.Count(n) + " " + what
	}
	l := &p.standing.Live
	return row(columns, "trouble", of(l.Failed, "failed to open"), of(l.Dropped, "dropped"), of(l.Unsent, "sends failed"))
}

// shortly writes a time in whole seconds, but for the units that are 0.
func shortly(d time.Duration) string {
	if d < time.Second && d > 0 {
		return d.Round(time.Millisecond).String()
	}
	text := d.Truncate(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
