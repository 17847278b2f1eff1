package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sseload/sseload/scenarios"
)

// progressInterval is how often the progress line is written anew.
const progressInterval = 250 * time.Millisecond

// progressShow returns what shows a run's progress, or nil when nobody watches:
// stderr is no terminal, or the user asked for quiet.
func (a *App) progressShow() func(func() scenarios.Progress) func() {
	width, ok := terminalWidth(a.Stderr)
	if !ok || a.quiet {
		return nil
	}
	return func(progress func() scenarios.Progress) func() {
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			draw := func(line string) { _, _ = io.WriteString(a.Stderr, "\r\x1b[K"+line) } // a picture, no result
			defer draw("")
			ticker := time.NewTicker(progressInterval)
			defer ticker.Stop()
			var before scenarios.Progress
			for {
				select {
				case <-stop:
					return
				case <-ticker.C:
				}
				now := progress()
				draw(fit(progressLine(before, now), width-1))
				before = now
			}
		}()
		return func() {
			close(stop)
			<-done
		}
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
