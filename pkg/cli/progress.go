package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/scenarios"
)

// progressInterval is how often the progress line is written anew.
const progressInterval = 250 * time.Millisecond

// observers are those who are told of every run, whatever it is.
func (a *App) observers() []scenarios.Observer {
	var all []scenarios.Observer
	if width, ok := terminalWidth(a.Stderr); ok && !a.quiet { // else nobody watches
		all = append(all, &display{to: a.Stderr, width: width})
	}
	return all
}

// display shows where a run stands.
type display struct {
	to      io.Writer
	width   int
	stop    chan struct{}
	drawing sync.WaitGroup
}

// Begin implements [scenarios.Observer].
func (d *display) Begin(g scenarios.Going) {
	d.stop = make(chan struct{})
	d.drawing.Go(func() { d.run(g.Progress) })
}

// Sample implements [scenarios.Observer].
func (d *display) Sample(result.Sample) {}

// End implements [scenarios.Observer].
func (d *display) End(*result.Run) {
	close(d.stop)
	d.drawing.Wait()
}

func (d *display) run(progress func() scenarios.Progress) {
	draw := func(line string) { _, _ = io.WriteString(d.to, "\r\x1b[K"+line) } // a picture, no result
	defer draw("")
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	var before scenarios.Progress
	for {
		select {
		case <-d.stop:
			return
		case <-ticker.C:
		}
		now := progress()
		draw(fit(progressLine(before, now), d.width-1))
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
	parts = append(parts, now.Elapsed.Truncate(100*time.Millisecond).String())
	return strings.Join(parts, ", ")
}

// fit cuts s to so many columns.
func fit(s string, columns int) string {
	if len(s) > columns {
		return s[:max(0, columns)]
	}
	return s
}
