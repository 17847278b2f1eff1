package scenarios

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// What marks a run as overloaded: the generator's own part in the times is too
// large to be overlooked. docs/measurement.md states these rules for users.
const (
	lagLimit = time.Millisecond // at the 99th percentile
	cpuLimit = 90.0             // percent of the cores the generator may use
	// starvedLimit is the share of the main phase, in percent of one core, beyond
	// which a wait for cores that is longer than the use of them counts, if the
	// phase took starvedPhase at least: in a shorter one it is chance.
	starvedLimit = 10.0
	starvedPhase = time.Second
)

// judge tells whether the generator of a run whose main phase took elapsed was
// overloaded, and why. known is false when nothing that would say so is known.
func judge(g *result.Generator, m *result.Machine, elapsed time.Duration) (over bool, reason string, known bool) {
	cores := runtime.GOMAXPROCS(0)
	waited := runQueuePercent(g, elapsed)
	known = g.ReadLag != nil || g.DispatchLag != nil || g.CPUPercent != nil
	switch {
	case late(g.ReadLag):
		reason = fmt.Sprintf("the generator read 1 %% of the data more than %s after it had arrived (p99 %s)", lagLimit, p99(g.ReadLag))
	case late(g.DispatchLag):
		reason = fmt.Sprintf("the generator came to 1 %% of the sends more than %s after they were due (p99 %s)", lagLimit, p99(g.DispatchLag))
	case g.CPUPercent != nil && *g.CPUPercent > cpuLimit*float64(cores):
		reason = fmt.Sprintf("the generator used %.0f %% of a core, of %d cores in all", *g.CPUPercent, cores)
	case elapsed >= starvedPhase && g.CPUPercent != nil && waited != nil && *waited > max(starvedLimit, *g.CPUPercent):
		reason = fmt.Sprintf("the generator waited for a core longer than it had one (%.0f %% to %.0f %% of the time)", *waited, *g.CPUPercent)
	default:
		return false, "", known
	}
	return true, strings.Join(append([]string{reason}, causes(g, m, waited)...), "; "), known
}

// causes are what else speaks of a generator that was held up.
func causes(g *result.Generator, m *result.Machine, waited *float64) []string {
	var out []string
	if waited != nil && *waited > starvedLimit {
		out = append(out, fmt.Sprintf("its threads waited for a core for %s in all", time.Duration(*g.RunQueueNS).Round(time.Millisecond)))
	}
	if g.GC != nil && time.Duration(g.GC.PauseMaxNS) > lagLimit {
		out = append(out, fmt.Sprintf("its garbage collector paused it for up to %s", time.Duration(g.GC.PauseMaxNS).Round(10*time.Microsecond)))
	}
	if m.CPUPercent != nil && *m.CPUPercent > cpuLimit*float64(runtime.NumCPU()) {
		out = append(out, "all cores of the machine were busy")
	}
	return out
}

// runQueuePercent is for how long the generator's threads waited for a core, in
// percent of elapsed.
func runQueuePercent(g *result.Generator, elapsed time.Duration) *float64 {
	if g.RunQueueNS == nil || elapsed <= 0 {
		return nil
	}
	share := 100 * float64(*g.RunQueueNS) / float64(elapsed)
	return &share
}

func late(l *result.Latency) bool { return l != nil && time.Duration(*l.P99NS) > lagLimit }

func p99(l *result.Latency) time.Duration {
	return time.Duration(*l.P99NS).Round(10 * time.Microsecond)
}
