package threshold

import (
	"slices"
	"strings"

	"github.com/sseload/sseload/pkg/figure"
	"github.com/sseload/sseload/pkg/result"
)

// Asked is what a run is asked to do, as far as that decides which figures it can have.
type Asked struct {
	Sends     bool // messages
	Open      bool // at an arrival rate, and not in iterations
	Named     bool // and they carry names, so that each copy is known
	Slow      bool // some clients read slowly
	Reconnect bool // streams that end are opened again
	Affinity  bool // it is to show which backend clients are on
	Shared    bool // clients may share connections
	Hold      bool // clients are kept for a while, and nothing is sent
}

// Anything is what has every figure that there is, but for those of the open model.
func Anything() Asked {
	return Asked{Sends: true, Named: true, Slow: true, Reconnect: true, Affinity: true, Shared: true, Hold: true}
}

// AskedOf is what was asked of the run of a record.
func AskedOf(run *result.Run) Asked {
	p := &run.Params
	return Asked{
		Sends: run.Delivery != nil, Open: p.Model != nil && *p.Model == "open", Named: p.Payload == nil || *p.Payload == "marker",
		Slow: p.SlowClients != nil, Reconnect: !p.NoReconnect, Affinity: run.Affinity != nil, Shared: p.HTTP != nil, Hold: p.HoldNS > 0,
	}
}

// need is why a run has no such figure.
type need struct {
	met       func(Asked) bool
	why, hint string
	of        []string // full names; one that ends with a dot or a low line stands for all that begin with it
}

// needs are looked through in order.
//
//nolint:gochecknoglobals // a constant table
var needs = []need{
	{func(a Asked) bool { return a.Sends }, "nothing is sent", "it is a figure of sseload rooms; here there are those of connecting, such as connect.failed and connect.open.p99", []string{
		"delivery.", "iteration_time.", "generator.send_lag.", "generator.dispatch_lag.", "generator.cpu_per_copy", "target_process.cpu_per_copy",
		"phases.send.", "phases.drain.", "samples.sent.", "samples.latency_",
		"reconnect.missed", "reconnect.replayed", "reconnect.replayed_twice", "reconnect.replay_latency.", "affinity.lost_",
		"params.iterations", "params.room_size", "params.senders_per_room", "params.rate", "params.send_connections", "params.slow_", "params.payload",
	}},
	{func(a Asked) bool { return a.Slow }, "no client reads slowly", "add --slow-clients", []string{"delivery.slow.", "params.slow_"}},
	{func(a Asked) bool { return a.Named }, "copies of a timestamp have no names, so that it cannot be told", "leave --payload timestamp out", []string{
		"delivery.lost", "delivery.duplicate", "delivery.reordered", "delivery.misrouted", "delivery.late", "delivery.unordered", "delivery.foreign",
		"delivery.clients_affected", "reconnect.replayed_twice", "affinity.lost_",
	}},
	{func(a Asked) bool { return !a.Open }, "with --rate there are no iterations", "take a figure of the copies, such as delivery.p99", []string{
		"iteration_time.", "delivery.iterations", "delivery.incomplete", "params.iterations",
	}},
	{func(a Asked) bool { return a.Open }, "without --rate no send is late, as none has its time", "add --rate and --duration", []string{
		"delivery.sends.behind", "delivery.sends.crowded", "generator.send_lag.", "generator.dispatch_lag.", "params.rate",
	}},
	{func(a Asked) bool { return a.Reconnect }, "with --no-reconnect no stream is opened again", "take connect.dropped", []string{"reconnect."}},
	{func(a Asked) bool { return a.Affinity }, "it was not asked which backend clients are on", "add --affinity-cookie or --affinity-header", []string{"affinity."}},
	{func(a Asked) bool { return a.Shared }, "over HTTP/1.1 each client has a connection of its own", "add --http 2 or --http 3", []string{
		"connect.connections", "params.streams_per_connection",
	}},
	{func(a Asked) bool { return a.Hold }, "clients are not held", "add --hold to sseload connect", []string{"phases.hold."}},
}

// covers reports whether the figure of that full name is one of those that n is about.
func (n need) covers(name string) bool {
	return slices.ContainsFunc(n.of, func(of string) bool {
		return name == of || strings.HasPrefix(name, of) && strings.ContainsRune("._", rune(of[len(of)-1]))
	})
}

// Has reports whether a run that is asked for so much can have the figure. why says
// why it cannot.
func (a Asked) Has(f figure.Figure) (ok bool, why string) {
	n := a.unmet(f)
	if n == nil {
		return true, ""
	}
	return false, n.why
}

func (a Asked) unmet(f figure.Figure) *need {
	for i := range needs {
		if n := &needs[i]; n.covers(f.Name) && !n.met(a) {
			return n
		}
	}
	if phase, ok := strings.CutPrefix(f.Name, "phases."); ok {
		if phase, _, _ = strings.Cut(phase, "."); !slices.Contains(phases, phase) {
			return &need{why: "there is no such phase", hint: "the phases are " + strings.Join(phases, ", ")}
		}
	}
	return nil
}

//nolint:gochecknoglobals // a constant table
var phases = []string{"connect", "hold", "send", "drain", "profile"}

// Check finds out whether a run that is asked for so much can have the threshold's
// figures. Its error is an [*Error].
func (t Threshold) Check(a Asked) error {
	n := a.unmet(t.figure)
	if n == nil {
		return nil
	}
	return errorf(n.hint, "such a run has no %s: %s", t.figure.Short(), n.why)
}
