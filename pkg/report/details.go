package report

import (
	"maps"
	"slices"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// Detail tables show at most detailRuns runs side by side, fewer where that
// would be wider than detailWidth.
const (
	detailRuns  = 5
	detailWidth = 80
)

// behindAfter is by how many nanoseconds a send may be late and still be on time,
// as in the record.
const behindAfter = 1_000_000

// metric is one row of a detail table.
type metric struct {
	name  string
	value func(*result.Run) string
}

// details renders one metric a row and one run a column, in as many tables as
// the width asks for. A limit below detailWidth, if not 0, narrows them.
func (t table) details(limit int, escape func(string) string) ([]string, error) {
	metrics := t.connectMetrics()
	if t.rooms {
		metrics = t.roomsMetrics()
	}
	return t.blocks(limit, escape, func(rows []row) grid { return t.block(rows, metrics) })
}

// blocks renders the rows in tables that are no wider than limit, nor than
// detailWidth; block makes the table of some.
func (t table) blocks(limit int, escape func(string) string, block func([]row) grid) ([]string, error) {
	if limit <= 0 || limit > detailWidth {
		limit = detailWidth
	}
	var out []string
	for rest := t.rows; len(rest) > 0; {
		var text string
		n := min(detailRuns, len(rest))
		for ; n > 0; n-- {
			var err error
			if text, err = block(rest[:n]).render(escape); err != nil {
				return nil, err
			}
			if n == 1 || width(text) <= limit {
				break
			}
		}
		out = append(out, text)
		rest = rest[n:]
	}
	return out, nil
}

func (t table) block(rows []row, metrics []metric) grid {
	g := grid{columns: []column{{head: "Clients"}}}
	if t.rooms {
		g.columns[0].head = t.shape()
	}
	for _, r := range rows {
		g.columns = append(g.columns, column{head: r.name, right: true})
	}
	for _, m := range metrics {
		cells := []string{m.name}
		for _, r := range rows {
			cells = append(cells, m.value(r.run))
		}
		g.rows = append(g.rows, cells)
	}
	return g
}

// shape says what the names of the runs are made of.
func (t table) shape() string {
	closed := t.any(func(r *result.Run) bool { return !open(r) })
	switch {
	case !t.any(open):
		return "Clients × Iterat."
	case !closed:
		return "Clients @ Rate"
	default:
		return "Clients"
	}
}

func (t table) connectMetrics() []metric {
	m := t.engineMetric()
	m = append(m, t.transportMetrics()...)
	m = append(m, metric{"opened", func(r *result.Run) string { return count(int64(r.Connect.Opened)) }})
	m = append(m, t.failedMetrics()...)
	if t.any(func(r *result.Run) bool { return r.Params.HoldNS > 0 || r.Connect.Dropped > 0 }) {
		m = append(m, t.droppedMetrics()...)
	}
	m = append(m, t.reconnectMetrics()...)
	for _, l := range []struct {
		name string
		of   func(*result.Run) *result.Latency
	}{
		{"TCP connect", func(r *result.Run) *result.Latency { return &r.Connect.TCPLatency }},
		{"headers", func(r *result.Run) *result.Latency { return &r.Connect.HeaderLatency }},
		{"first event", func(r *result.Run) *result.Latency { return &r.Connect.FirstEventLatency }},
		{"open", func(r *result.Run) *result.Latency { return &r.Connect.OpenLatency }},
	} {
		m = append(m,
			latencyMetric(l.name+" p50", l.of, func(l *result.Latency) *int64 { return l.P50NS }),
			latencyMetric(l.name+" p99", l.of, func(l *result.Latency) *int64 { return l.P99NS }),
			latencyMetric(l.name+" max", l.of, func(l *result.Latency) *int64 { return l.MaxNS }))
	}
	m = append(m, t.commentsMetric()...)
	m = append(m, t.affinityMetrics()...)
	m = append(m, t.injectedMetrics()...)
	m = append(m,
		metric{"connections/s", func(r *result.Run) string {
			if e := r.Connect.ElapsedNS; e != nil && *e > 0 {
				return rate(float64(r.Connect.Opened) / float64(*e) * 1e9)
			}
			return unknown
		}},
		metric{"generator mem/client", func(r *result.Run) string { return known(r.Generator.RSSPerClientBytes, size) }},
		metric{"target mem/client", func(r *result.Run) string { return known(r.TargetProcess.BytesPerClient, size) }})
	if t.any(func(r *result.Run) bool { return r.Machine.SocketBytesPerClient != nil }) {
		m = append(m, metric{"socket mem/client", func(r *result.Run) string { return known(r.Machine.SocketBytesPerClient, size) }})
	}
	m = append(m, t.timeMetrics("client",
		func(r *result.Run) *float64 { return r.TargetProcess.CPUPerConnectNS },
		func(r *result.Run) *float64 { return r.Generator.CPUPerConnectNS })...)
	return append(m, t.costMetrics()...)
}

func (t table) roomsMetrics() []metric {
	delivered := func(r *result.Run) *result.Latency {
		if r.Delivery == nil {
			return nil
		}
		return &r.Delivery.Latency
	}
	iteration := func(r *result.Run) *result.Latency { return r.IterationTime }
	m := t.engineMetric()
	m = append(m, t.transportMetrics()...)
	m = append(m, t.offeredMetrics()...)
	m = append(m,
		latencyMetric("latency p50", delivered, func(l *result.Latency) *int64 { return l.P50NS }),
		latencyMetric("latency p90", delivered, func(l *result.Latency) *int64 { return l.P90NS }),
		latencyMetric("latency p95", delivered, func(l *result.Latency) *int64 { return l.P95NS }),
		latencyMetric("latency p99", delivered, func(l *result.Latency) *int64 { return l.P99NS }),
		latencyMetric("latency p99.9", delivered, func(l *result.Latency) *int64 { return l.P999NS }),
		latencyMetric("latency max", delivered, func(l *result.Latency) *int64 { return l.MaxNS }),
	)
	if t.any(func(r *result.Run) bool { return r.IterationTime != nil }) {
		m = append(m,
			latencyMetric("iteration p50", iteration, func(l *result.Latency) *int64 { return l.P50NS }),
			latencyMetric("iteration max", iteration, func(l *result.Latency) *int64 { return l.MaxNS }))
	}
	m = append(m,
		copies("expected", func(d *result.Delivery) *int64 { return &d.Expected }),
		copies("received", func(d *result.Delivery) *int64 { return &d.Received }),
		copies("lost", func(d *result.Delivery) *int64 { return d.Lost }),
		copies("duplicate", func(d *result.Delivery) *int64 { return d.Duplicate }),
		copies("reordered", func(d *result.Delivery) *int64 { return d.Reordered }),
		copies("misrouted", func(d *result.Delivery) *int64 { return d.Misrouted }),
		copies("late", func(d *result.Delivery) *int64 { return d.Late }),
	)
	// The rest of the account is silent unless there is something to say.
	m = append(m, t.copiesIfAny("iterat. incomplete", func(d *result.Delivery) *int64 { return wide(d.Incomplete) })...)
	m = append(m, t.copiesIfAny("unordered", func(d *result.Delivery) *int64 { return d.Unordered })...)
	m = append(m, t.copiesIfAny("foreign", func(d *result.Delivery) *int64 { return d.Foreign })...)
	m = append(m, t.copiesIfAny("other events", func(d *result.Delivery) *int64 { return &d.OtherEvents })...)
	m = append(m, t.commentsMetric()...)
	m = append(m, metric{"deliveries/s", func(r *result.Run) string {
		if r.Delivery == nil {
			return unknown
		}
		return known(r.Delivery.RatePerSecond, rate)
	}})
	m = append(m, t.sendMetrics()...)
	m = append(m, t.slowMetrics()...)
	if t.any(func(r *result.Run) bool { return r.Connect.Failed > 0 }) {
		m = append(m, t.failedMetrics()...)
	}
	if t.any(func(r *result.Run) bool { return r.Connect.Dropped > 0 }) {
		m = append(m, t.droppedMetrics()...)
	}
	m = append(m, t.reconnectMetrics()...)
	m = append(m, t.affinityMetrics()...)
	m = append(m, t.injectedMetrics()...)
	m = append(m, t.timeMetrics("copy",
		func(r *result.Run) *float64 { return r.TargetProcess.CPUPerCopyNS },
		func(r *result.Run) *float64 { return r.Generator.CPUPerCopyNS })...)
	return append(m, t.costMetrics()...)
}

// timeMetrics is the CPU time that one of something took on either side, where any
// run knows it.
func (t table) timeMetrics(per string, target, generator func(*result.Run) *float64) []metric {
	var m []metric
	for _, side := range []struct {
		name string
		of   func(*result.Run) *float64
	}{{"target", target}, {"generator", generator}} {
		if t.any(func(r *result.Run) bool { return side.of(r) != nil }) {
			m = append(m, metric{side.name + " CPU/" + per, func(r *result.Run) string { return known(side.of(r), duration) }})
		}
	}
	return m
}

// offeredMetrics is what the open model asked for, and what was sent of it.
func (t table) offeredMetrics() []metric {
	if !t.any(open) {
		return nil
	}
	return []metric{
		{"arrivals", func(r *result.Run) string {
			if !open(r) || r.Params.Rate == nil {
				return unknown
			}
			text := perSecond(*r.Params.Rate)
			if r.Params.Arrivals != nil {
				text += " " + *r.Params.Arrivals
			}
			return text
		}},
		{"sends/s", func(r *result.Run) string {
			if !open(r) || r.Delivery == nil {
				return unknown
			}
			return known(r.Delivery.Sends.RatePerSecond, rate)
		}},
	}
}

// sendMetrics is what became of the messages on their way in, as far as it is
// worth a row.
func (t table) sendMetrics() []metric {
	var m []metric
	if t.any(func(r *result.Run) bool { return r.Delivery != nil && r.Delivery.Sends.Behind != nil }) {
		m = append(m, copies("sends behind", func(d *result.Delivery) *int64 { return d.Sends.Behind }))
	}
	m = append(m, t.copiesIfAny("sends called off", func(d *result.Delivery) *int64 { return &d.Sends.CalledOff })...)
	m = append(m, t.copiesIfAny("sends unanswered", func(d *result.Delivery) *int64 { return d.Sends.Unanswered })...)
	failed := t.copiesIfAny("sends failed", func(d *result.Delivery) *int64 { return &d.Sends.Failed })
	if failed == nil {
		return m
	}
	m = append(m, failed...)
	return append(m, t.classMetrics("sends: ", func(r *result.Run) map[string]int {
		if r.Delivery == nil {
			return nil
		}
		return r.Delivery.Sends.Failures
	})...)
}

// slowMetrics is the account of slow readers, and of those beside them.
func (t table) slowMetrics() []metric {
	slow := func(r *result.Run) *result.Slow {
		if r.Delivery == nil {
			return nil
		}
		return r.Delivery.Slow
	}
	if !t.any(func(r *result.Run) bool { return slow(r) != nil }) {
		return nil
	}
	of := func(figure func(*result.Slow) *int64) func(*result.Delivery) *int64 {
		return func(d *result.Delivery) *int64 {
			if d.Slow == nil {
				return nil
			}
			return figure(d.Slow)
		}
	}
	// Drained copies would have taken longer: the figure is the least it can be.
	atLeast := func(name string, figure func(*result.Latency) *int64) metric {
		return metric{name, func(r *result.Run) string {
			s := slow(r)
			switch {
			case s == nil:
				return unknown
			case s.Drained > 0:
				return known(figure(&s.Latency), func(ns int64) string { return "≥ " + durationNS(ns) })
			}
			return known(figure(&s.Latency), durationNS)
		}}
	}
	neighbours := func(r *result.Run) *result.Latency {
		if s := slow(r); s != nil {
			return &s.Neighbours
		}
		return nil
	}
	m := []metric{
		copies("slow clients", of(func(s *result.Slow) *int64 { return wide(&s.Clients) })),
		atLeast("slow p50", func(l *result.Latency) *int64 { return l.P50NS }),
		atLeast("slow p99", func(l *result.Latency) *int64 { return l.P99NS }),
		atLeast("slow max", func(l *result.Latency) *int64 { return l.MaxNS }),
		copies("slow lost", of(func(s *result.Slow) *int64 { return s.Lost })),
	}
	m = append(m, t.copiesIfAny("slow drained", of(func(s *result.Slow) *int64 { return &s.Drained }))...)
	m = append(m, t.copiesIfAny("slow dropped", of(func(s *result.Slow) *int64 { return wide(&s.Dropped) }))...)
	return append(m,
		latencyMetric("neighbours p50", neighbours, func(l *result.Latency) *int64 { return l.P50NS }),
		latencyMetric("neighbours p99", neighbours, func(l *result.Latency) *int64 { return l.P99NS }),
		copies("neighbours lost", of(func(s *result.Slow) *int64 { return s.NeighboursLost })))
}

// copies is a row for a count in the delivery, which may be unknown.
func copies(name string, of func(*result.Delivery) *int64) metric {
	return metric{name, func(r *result.Run) string {
		if r.Delivery == nil {
			return unknown
		}
		return known(of(r.Delivery), count)
	}}
}

// copiesIfAny is copies where any run has any.
func (t table) copiesIfAny(name string, of func(*result.Delivery) *int64) []metric {
	if !t.any(func(r *result.Run) bool { return r.Delivery != nil && value(of(r.Delivery)) > 0 }) {
		return nil
	}
	return []metric{copies(name, of)}
}

func (t table) commentsMetric() []metric {
	if !t.any(func(r *result.Run) bool { return r.Traffic != nil && r.Traffic.Comments > 0 }) {
		return nil
	}
	return []metric{{"comments", func(r *result.Run) string {
		return known(r.Traffic, func(t result.Traffic) string { return count(t.Comments) })
	}}}
}

// injectedMetrics has a row for each fault that the server of any run of the table
// was told to have.
func (t table) injectedMetrics() []metric {
	var names []string
	for _, r := range t.rows {
		for _, f := range r.run.Target.Faults {
			if !slices.Contains(names, f.Fault) {
				names = append(names, f.Fault)
			}
		}
	}
	var out []metric
	for _, name := range names {
		out = append(out, metric{"injected: " + name, func(r *result.Run) string { return known(injected(r, name), count) }})
	}
	return out
}

// injected is how often the server did a fault, which may have been asked for more
// than once; nil when it was not asked for, or is not known.
func injected(r *result.Run, name string) *int64 {
	var sum *int64
	for _, f := range r.Target.Faults {
		switch {
		case f.Fault != name:
		case f.Injected == nil:
			return nil
		case sum == nil:
			sum = new(*f.Injected)
		default:
			*sum += *f.Injected
		}
	}
	return sum
}

// engineMetric tells runs of different engines apart; where there is only one it
// would say nothing.
func (t table) engineMetric() []metric {
	if !t.any(func(r *result.Run) bool { return r.Engine != t.rows[0].run.Engine }) {
		return nil
	}
	return []metric{{"engine", func(r *result.Run) string { return r.Engine }}}
}

// transportMetrics is over what the streams were, and how many connections those took
// that may be shared.
func (t table) transportMetrics() []metric {
	var m []metric
	if t.any(func(r *result.Run) bool { return transport(r) != plainTransport }) {
		m = append(m, metric{"transport", transport})
	}
	if !t.any(func(r *result.Run) bool { return r.Params.HTTP != nil }) {
		return m
	}
	return append(m, []metric{
		{"streams/connection", func(r *result.Run) string {
			if r.Params.StreamsPerConnection == nil {
				return "1"
			}
			return count(int64(*r.Params.StreamsPerConnection))
		}},
		{"connections made", func(r *result.Run) string { return known(r.Connect.Connections, count) }},
	}...)
}

const plainTransport = "plain"

// transport is what stands behind the protocol's name, in words short enough for a
// column.
func transport(r *result.Run) string {
	name := strings.TrimPrefix(r.Labels.Protocol, "EventSource")
	if name = strings.Trim(name, " ()"); name == "" {
		return plainTransport
	}
	return name
}

func (t table) failedMetrics() []metric {
	total := metric{"failed", func(r *result.Run) string { return count(int64(r.Connect.Failed)) }}
	return append([]metric{total},
		t.classMetrics("failed: ", func(r *result.Run) map[string]int { return r.Connect.Failures })...)
}

func (t table) droppedMetrics() []metric {
	total := metric{"dropped", func(r *result.Run) string { return count(int64(r.Connect.Dropped)) }}
	return append([]metric{total},
		t.classMetrics("dropped: ", func(r *result.Run) map[string]int { return r.Connect.Drops })...)
}

// reconnectMetrics is what became of streams that ended, where any did.
func (t table) reconnectMetrics() []metric {
	if !t.any(func(r *result.Run) bool { return r.Reconnect != nil && r.Reconnect.Clients > 0 }) {
		return nil
	}
	figure := func(name string, of func(*result.Reconnect) *int64) metric {
		return metric{name, func(r *result.Run) string {
			if r.Reconnect == nil {
				return unknown
			}
			return known(of(r.Reconnect), count)
		}}
	}
	downtime := func(r *result.Run) *result.Latency {
		if r.Reconnect == nil {
			return nil
		}
		return &r.Reconnect.Downtime
	}
	replay := func(r *result.Run) *result.Latency {
		if r.Reconnect == nil {
			return nil
		}
		return r.Reconnect.ReplayLatency
	}
	m := []metric{
		figure("streams ended", func(c *result.Reconnect) *int64 { return new(sum(c.Ends)) }),
		figure("reopened", func(c *result.Reconnect) *int64 { return &c.Reopened }),
		figure("attempts failed", func(c *result.Reconnect) *int64 { return new(sum(c.Failures)) }),
		latencyMetric("downtime p50", downtime, func(l *result.Latency) *int64 { return l.P50NS }),
		latencyMetric("downtime p99", downtime, func(l *result.Latency) *int64 { return l.P99NS }),
		latencyMetric("downtime max", downtime, func(l *result.Latency) *int64 { return l.MaxNS }),
	}
	if t.any(func(r *result.Run) bool { return r.Reconnect != nil && r.Reconnect.Missed != nil }) {
		m = append(m,
			figure("sent while away", func(c *result.Reconnect) *int64 { return c.Missed }),
			figure("replayed", func(c *result.Reconnect) *int64 { return c.Replayed }),
			figure("replayed twice", func(c *result.Reconnect) *int64 { return c.ReplayedTwice }))
	}
	if t.any(func(r *result.Run) bool { return r.Reconnect != nil && value(r.Reconnect.Replayed) > 0 }) {
		m = append(m, latencyMetric("replay p99", replay, func(l *result.Latency) *int64 { return l.P99NS }))
	}
	return m
}

// sum adds up what is counted by class.
func sum(counts map[string]int) int64 {
	var n int64
	for _, c := range counts {
		n += int64(c)
	}
	return n
}

// classMetrics has a row for each class that any run of the table knows.
func (t table) classMetrics(prefix string, of func(*result.Run) map[string]int) []metric {
	classes := map[string]bool{}
	for _, r := range t.rows {
		for class := range of(r.run) {
			classes[class] = true
		}
	}
	var out []metric
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		out = append(out, metric{prefix + class, func(r *result.Run) string { return count(int64(of(r)[class])) }})
	}
	return out
}

// costMetrics is what the load cost both sides.
func (t table) costMetrics() []metric {
	m := []metric{
		{"CPU target", func(r *result.Run) string { return known(r.TargetProcess.CPUPercent, percent) }},
		{"CPU generator", func(r *result.Run) string { return known(r.Generator.CPUPercent, percent) }},
		{"CPU machine", func(r *result.Run) string { return known(r.Machine.CPUPercent, percent) }},
		{"memory target", func(r *result.Run) string { return known(r.TargetProcess.RSSBytes, sizeBytes) }},
		{"memory generator", func(r *result.Run) string { return known(r.Generator.RSSBytes, sizeBytes) }},
	}
	if t.any(func(r *result.Run) bool { return r.Generator.ReadLag != nil }) {
		m = append(m, latencyMetric("read lag p99", func(r *result.Run) *result.Latency { return r.Generator.ReadLag },
			func(l *result.Latency) *int64 { return l.P99NS }))
	}
	if t.any(func(r *result.Run) bool { return r.Generator.SendLag != nil }) {
		m = append(m, latencyMetric("send lag p99", func(r *result.Run) *result.Latency { return r.Generator.SendLag },
			func(l *result.Latency) *int64 { return l.P99NS }))
	}
	if t.any(func(r *result.Run) bool { return r.Generator.DispatchLag != nil }) {
		dispatch := func(r *result.Run) *result.Latency { return r.Generator.DispatchLag }
		m = append(m,
			latencyMetric("dispatch lag p50", dispatch, func(l *result.Latency) *int64 { return l.P50NS }),
			latencyMetric("dispatch lag p99", dispatch, func(l *result.Latency) *int64 { return l.P99NS }))
	}
	if t.any(strained) {
		m = append(m, t.strainMetrics()...)
	}
	if t.any(func(r *result.Run) bool { return value(r.Machine.ListenOverflows) > 0 }) {
		m = append(m, metric{"listen overflows", func(r *result.Run) string { return known(r.Machine.ListenOverflows, count) }})
	}
	if t.any(func(r *result.Run) bool { return value(r.Machine.ListenDrops) > 0 }) {
		m = append(m, metric{"listen drops", func(r *result.Run) string { return known(r.Machine.ListenDrops, count) }})
	}
	if t.any(func(r *result.Run) bool { return value(r.Machine.TCPRetransmits) > 0 }) {
		m = append(m, metric{"TCP retransmits", func(r *result.Run) string { return known(r.Machine.TCPRetransmits, count) }})
	}
	return m
}

// strained tells whether the generator was slow in a way that its own runtime or
// the system's scheduler may explain. What these did to a generator that kept up
// is nothing that a reader needs to know.
func strained(r *result.Run) bool {
	g := &r.Generator
	return g.Overloaded != nil && *g.Overloaded ||
		g.DispatchLag != nil && value(g.DispatchLag.P99NS) > behindAfter ||
		g.GC != nil && g.GC.PauseMaxNS > behindAfter
}

// strainMetrics is for how long nothing of the generator could run, and for how
// long its threads had to wait for a core.
func (t table) strainMetrics() []metric {
	var m []metric
	if t.any(func(r *result.Run) bool { return r.Generator.GC != nil }) {
		m = append(m, metric{"GC pauses", func(r *result.Run) string {
			return known(r.Generator.GC, func(gc result.GC) string { return durationNS(gc.PauseTotalNS) + " in " + cycles(gc.Cycles) })
		}})
	}
	if t.any(func(r *result.Run) bool { return r.Generator.RunQueueNS != nil }) {
		m = append(m, metric{"waits for a core", func(r *result.Run) string { return known(r.Generator.RunQueueNS, durationNS) }})
	}
	return m
}

func cycles(n int64) string {
	if n == 1 {
		return "1 cycle"
	}
	return count(n) + " cycles"
}

func latencyMetric(name string, of func(*result.Run) *result.Latency, figure func(*result.Latency) *int64) metric {
	return metric{name, func(r *result.Run) string {
		l := of(r)
		if l == nil {
			return unknown
		}
		return known(figure(l), durationNS)
	}}
}

func (t table) any(is func(*result.Run) bool) bool {
	return slices.ContainsFunc(t.rows, func(r row) bool { return is(r.run) })
}

// value is a count for the question whether there were any: unknown is none.
func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// wide is a count as most are kept.
func wide(n *int) *int64 {
	if n == nil {
		return nil
	}
	return new(int64(*n))
}
