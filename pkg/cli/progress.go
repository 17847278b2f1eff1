package cli

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/scenarios"
)

// progressMode is how where a run stands is shown on stderr. The zero value is auto.
type progressMode int

const (
	progressAuto progressMode = iota // live on a terminal, else none
	progressLive
	progressPlain
	progressNone
)

var progressModes = []string{"auto", "live", "plain", "none"} //nolint:gochecknoglobals // a constant table

func (m *progressMode) String() string { return progressModes[*m] }
func (m *progressMode) Type() string   { return "MODE" }

func (m *progressMode) Set(s string) error {
	for i, name := range progressModes {
		if name == s {
			*m = progressMode(i)
			return nil
		}
	}
	return &hinted{fmt.Errorf("unknown kind of progress %q", s), "write auto, live, plain or none"}
}

// observers are those who are told of every run, whatever it is.
func (a *App) observers() []scenarios.Observer {
	switch a.progressHere() {
	case progressLive:
		to, _ := a.Stderr.(*os.File)
		a.drawn.Store(true)
		return []scenarios.Observer{&display{screen: &a.screen, to: to, color: a.coloured(to)}}
	case progressPlain:
		return []scenarios.Observer{&plainProgress{tell: a.tell}}
	case progressAuto, progressNone:
	}
	return nil
}

// progressHere is how progress is shown on this stderr: not auto.
func (a *App) progressHere() progressMode {
	drawable := a.drawable(a.Stderr)
	switch {
	case a.quiet:
		return progressNone
	case a.progress == progressLive && !drawable:
		return progressPlain
	case a.progress != progressAuto:
		return a.progress
	case drawable && !a.unattended():
		return progressLive
	}
	return progressNone
}

// foreseer is an observer that is told of all runs of a series before the first.
type foreseer interface {
	foresee(series []scenarios.Extent)
}

// foresee tells those observers who want to know what all are.
func foresee(observers []scenarios.Observer, all []scenarios.Scenario) {
	var series []scenarios.Extent
	for _, s := range all {
		if e, ok := scenarios.ExtentOf(s); ok {
			series = append(series, e)
		}
	}
	if len(series) < len(all) {
		return // what is not known of one is not known of the series
	}
	for _, o := range observers {
		if f, ok := o.(foreseer); ok {
			f.foresee(series)
		}
	}
}

// How often a plain line is written while nothing changes, and how often that is looked
// for.
const (
	plainEvery = 5 * time.Second
	plainLook  = 250 * time.Millisecond
)

// plainProgress writes a line now and then that says where a run stands, for a log.
type plainProgress struct {
	tell func(format string, args ...any)

	mu      sync.Mutex
	p99     *int64 // of the last sample, in nanoseconds
	stop    chan struct{}
	writing sync.WaitGroup
	began   time.Time
	of      string // which run of a series it is
}

// Begin implements [scenarios.Observer].
func (p *plainProgress) Begin(g scenarios.Going) {
	p.stop, p.began, p.p99 = make(chan struct{}), time.Now(), nil
	p.of = runOf(g)
	p.writing.Go(func() { p.run(g.Progress) })
}

// runOf says which run of which series g is.
func runOf(g scenarios.Going) string {
	if g.Of < 2 {
		return ""
	}
	return fmt.Sprintf("run %d of %d, ", g.Number, g.Of)
}

// Sample implements [scenarios.Observer].
func (p *plainProgress) Sample(s result.Sample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.p99 = s.LatencyP99NS
}

// End implements [scenarios.Observer].
func (p *plainProgress) End(run *result.Run) {
	close(p.stop)
	p.writing.Wait()
	text := fmt.Sprintf("%sover after %s: %d opened", p.of, time.Since(p.began).Round(100*time.Millisecond), run.Connect.Opened)
	if d := run.Delivery; d != nil {
		text += fmt.Sprintf(", %d copies", d.Received)
		if d.Latency.P99NS != nil {
			text += ", p99 " + report.Duration(time.Duration(*d.Latency.P99NS))
		}
	}
	p.tell("%s", text)
}

func (p *plainProgress) run(progress func() scenarios.Progress) {
	ticker := time.NewTicker(plainLook)
	defer ticker.Stop()
	var before scenarios.Progress // of the last line
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
		}
		now := progress()
		if now.Phase == before.Phase && now.Elapsed-before.Elapsed < plainEvery {
			continue
		}
		p.mu.Lock()
		p99 := p.p99
		p.mu.Unlock()
		text := p.of + progressLine(before, now)
		if p99 != nil {
			text += ", p99 " + report.Duration(time.Duration(*p99))
		}
		p.tell("%s", text)
		before = now
	}
}

// progressLine says where a run stands, and how fast it went since before.
func progressLine(before, now scenarios.Progress) string {
	parts := []string{fmt.Sprintf("%s: %d/%d connected", now.Phase, now.Live.Open, now.Clients)}
	if now.Live.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", now.Live.Failed))
	}
	if now.Live.Away > 0 {
		parts = append(parts, fmt.Sprintf("%d reconnecting", now.Live.Away))
	}
	if now.Live.Dropped > 0 {
		parts = append(parts, fmt.Sprintf("%d dropped", now.Live.Dropped))
	}
	if now.Iteration > 0 {
		of := ""
		if now.Iterations > 0 {
			of = fmt.Sprintf("/%d", now.Iterations)
		}
		parts = append(parts, fmt.Sprintf("iteration %d%s", now.Iteration, of))
	} else if now.Live.Sent > 0 {
		parts = append(parts, fmt.Sprintf("%d sent", now.Live.Sent))
	}
	if now.Iteration > 0 || now.Live.Sent > 0 {
		parts = append(parts, fmt.Sprintf("%d copies", now.Live.Received))
		if took := (now.Elapsed - before.Elapsed).Seconds(); took > 0 && (before.Iteration > 0 || before.Live.Sent > 0) {
			parts = append(parts, fmt.Sprintf("%.0f/s", float64(now.Live.Received-before.Live.Received)/took))
		}
	}
	if now.Live.Unsent > 0 {
		parts = append(parts, fmt.Sprintf("%d sends failed", now.Live.Unsent))
	}
	parts = append(parts, now.Elapsed.Truncate(100*time.Millisecond).String())
	return strings.Join(parts, ", ")
}
