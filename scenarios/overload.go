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
	// lagLimit holds at the 99th percentile, or at the median of fewer than lagCount
	// values, of which one is no hundredth.
	lagLimit = time.Millisecond
	lagCount = 100
	cpuLimit = 90.0 // percent of the cores the generator may use
	// stallLimit is the share of the main phase, in percent, that the generator may
	// stand still; less than leastWait in all is chance, or its own goroutines.
	stallLimit = 1.0
	leastWait  = 50 * time.Millisecond
	// starvedLimit is the share of the main phase, in percent of one core, beyond
	// which a wait for cores that is longer than the use of them counts, if it is
	// leastWait. Threads also wait for each other where cores are to be had, so that
	// the machine must have been busy, or, in a phase too short to tell, the wait
	// starvedTimes as long as the use.
	starvedLimit = 10.0
	starvedTimes = 2
)

// evidence is what speaks of how the generator fared.
type evidence struct {
	*result.Generator
	machine *float64      // CPU of the machine, in percent of one core
	elapsed time.Duration // of the main phase
}

// judge tells whether the generator was overloaded, and why. known is false when
// nothing that would say so is known.
func (e evidence) judge() (over bool, reason string, known bool) {
	cores := runtime.GOMAXPROCS(0)
	known = e.ReadLag != nil || e.DispatchLag != nil || e.CPUPercent != nil || e.Stalls != nil
	queued := ""
	if e.RunQueueNS != nil && e.share(*e.RunQueueNS) > starvedLimit {
		queued = fmt.Sprintf("its threads waited for a core for %s in all", words(*e.RunQueueNS))
	}
	switch {
	case e.Stalls != nil && time.Duration(e.Stalls.TotalNS) >= leastWait && e.share(e.Stalls.TotalNS) > stallLimit:
		reason = fmt.Sprintf("the generator stood still for %s of %s, for up to %s at a time",
			words(e.Stalls.TotalNS), words(int64(e.elapsed)), words(e.Stalls.MaxNS))
	case late(e.ReadLag):
		reason = lateness(e.ReadLag, "read", "the data", "it had arrived")
	case late(e.DispatchLag):
		reason = lateness(e.DispatchLag, "came to", "the sends", "they were due")
	case e.CPUPercent != nil && *e.CPUPercent > cpuLimit*float64(cores):
		reason = fmt.Sprintf("the generator used %.0f %% of a core, of %d cores in all", *e.CPUPercent, cores)
	case e.starved():
		reason = fmt.Sprintf("the generator's threads waited for a core longer than they had one, %s in all", words(*e.RunQueueNS))
		queued = ""
	default:
		return false, "", known
	}
	reasons := []string{reason}
	if queued != "" {
		reasons = append(reasons, queued)
	}
	if e.GC != nil && time.Duration(e.GC.PauseMaxNS) > lagLimit {
		reasons = append(reasons, fmt.Sprintf("its garbage collector paused it for up to %s", words(e.GC.PauseMaxNS)))
	}
	if e.busy() {
		reasons = append(reasons, "all cores of the machine were busy")
	}
	return true, strings.Join(reasons, "; "), known
}

// share is ns in percent of the main phase.
func (e evidence) share(ns int64) float64 {
	if e.elapsed <= 0 {
		return 0
	}
	return 100 * float64(ns) / float64(e.elapsed)
}

func (e evidence) busy() bool {
	return e.machine != nil && *e.machine > cpuLimit*float64(runtime.NumCPU())
}

func (e evidence) starved() bool {
	if e.CPUPercent == nil || e.RunQueueNS == nil || time.Duration(*e.RunQueueNS) < leastWait {
		return false
	}
	waited, used := e.share(*e.RunQueueNS), *e.CPUPercent
	if e.machine == nil {
		used *= starvedTimes
	}
	return waited > max(starvedLimit, used) && (e.machine == nil || e.busy())
}

func late(l *result.Latency) bool { return l != nil && time.Duration(worst(l)) > lagLimit }

// worst is the figure of a lag that counts.
func worst(l *result.Latency) int64 {
	if l.Count < lagCount {
		return *l.P50NS
	}
	return *l.P99NS
}

func lateness(l *result.Latency, did, what, after string) string {
	share, quantile := "1 %", "p99"
	if l.Count < lagCount {
		share, quantile = "half", "p50"
	}
	return fmt.Sprintf("the generator %s %s of %s more than 1 ms after %s (%s %s)", did, share, what, after, quantile, words(worst(l)))
}

// words writes a duration to three digits.
func words(ns int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if ns >= u.size {
			return fmt.Sprintf("%.3g %s", float64(ns)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d ns", ns)
}
