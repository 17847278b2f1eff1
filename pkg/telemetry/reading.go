package telemetry

import (
	"time"

	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/result"
)

// Run is a run that begins.
type Run struct {
	// Number is unique among the runs of a command.
	Number int
	// Record is what is known of it before its first client connects. It is read in
	// [Exporter.Begin] alone.
	Record *result.Run
	// Read tells where the run stands. It is called from any goroutine, but never twice
	// at a time, and not after [Exporter.End] has been called.
	Read func() Reading
}

// Reading is where a run stands. All but Phase and the first four of Clients only grow.
type Reading struct {
	Phase    string
	Clients  Clients
	Open     metric.Snapshot // of the time it took clients to open for the first time
	Messages *Messages       // nil: the scenario sends none
}

// Clients is how many clients are, or were, in which state.
type Clients struct {
	Open    int64 // now
	Away    int64 // were, and will be again
	Failed  int64 // never were
	Dropped int64 // were, and will never be again
	Opened  int64 // ever were
}

// Messages is what became of messages.
type Messages struct {
	Succeeded, Failed int64  // sends
	Received          int64  // copies
	Iterations        *int64 // begun; nil: there are none, as in the open model
	Latency           metric.Snapshot
	Faults            Faults
}

// Faults are the copies that did not arrive as they should have; nil: not known, or
// not yet.
type Faults struct{ Lost, Duplicate, Reordered, Misrouted, Late *int64 }

// run is one that is shown.
type run struct {
	labels  labels // of all its series
	info    labels // of run_info, beside those
	began   time.Time
	read    func() Reading
	ended   *Reading // nil while it goes on
	sampled *result.Sample
}

// now is where the run stands, or stood at its end.
func (r *run) now() *Reading {
	if r.ended != nil {
		return r.ended
	}
	reading := r.read()
	return &reading
}
