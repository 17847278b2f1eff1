package report

import (
	"maps"
	"slices"

	"github.com/sseload/sseload/pkg/result"
)

// Detail tables show at most detailRuns runs side by side, fewer where that
// would be wider than detailWidth.
const (
	detailRuns  = 5
	detailWidth = 80
)

// metric is one row of a detail table.
type metric struct {
	name  string
	value func(*result.Run) string
}

// details renders one metric a row and one run a column, in as many tables as
// the width asks for. A limit below detailWidth, if not 0, narrows them.
func (t table) details(limit int, escape func(string) string) ([]string, error) {
	if limit <= 0 || limit > detailWidth {
		limit = detailWidth
	}
	metrics := t.connectMetrics()
	if t.rooms {
		metrics = t.roomsMetrics()
	}
	var out []string
	for rest := t.rows; len(rest) > 0; {
		var text string
		n := min(detailRuns, len(rest))
		for ; n > 0; n-- {
			var err error
			if text, err = t.block(rest[:n], metrics).render(escape); err != nil {
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
		g.columns[0].head = "Clients × Iterat."
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

func (t table) connectMetrics() []metric {
	m := t.engineMetric()
	m = append(m, metric{"opened", func(r *result.Run) string { return count(int64(r.Connect.Opened)) }})
	m = append(m, t.failedMetrics()...)
	if t.any(func(r *result.Run) bool { return r.Params.HoldNS > 0 || r.Connect.Dropped > 0 }) {
		m = append(m, t.droppedMetrics()...)
	}
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
	m = append(m,
		metric{"connections/s", func(r *result.Run) string {
			if e := r.Connect.ElapsedNS; e != nil && *e > 0 {
				return rate(float64(r.Connect.Opened) / float64(*e) * 1e9)
			}
			return unknown
		}},
		metric{"generator mem/client", func(r *result.Run) string { return known(r.Generator.RSSPerClientBytes, size) }},
		metric{"target mem/client", func(r *result.Run) string { return known(r.TargetProcess.BytesPerClient, size) }})
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
	// must reads a figure of the delivery that is always known, may one that can
	// be null.
	must := func(name string, of func(*result.Delivery) int64) metric {
		return metric{name, func(r *result.Run) string {
			if r.Delivery == nil {
				return unknown
			}
			return count(of(r.Delivery))
		}}
	}
	may := func(name string, of func(*result.Delivery) *int64) metric {
		return metric{name, func(r *result.Run) string {
			if r.Delivery == nil {
				return unknown
			}
			return known(of(r.Delivery), count)
		}}
	}
	m := t.engineMetric()
	m = append(m,
		latencyMetric("latency p50", delivered, func(l *result.Latency) *int64 { return l.P50NS }),
		latencyMetric("latency p90", delivered, func(l *result.Latency) *int64 { return l.P90NS }),
		latencyMetric("latency p95", delivered, func(l *result.Latency) *int64 { return l.P95NS }),
		latencyMetric("latency p99", delivered, func(l *result.Latency) *int64 { return l.P99NS }),
		latencyMetric("latency p99.9", delivered, func(l *result.Latency) *int64 { return l.P999NS }),
		latencyMetric("latency max", delivered, func(l *result.Latency) *int64 { return l.MaxNS }),
		latencyMetric("iteration p50", iteration, func(l *result.Latency) *int64 { return l.P50NS }),
		latencyMetric("iteration max", iteration, func(l *result.Latency) *int64 { return l.MaxNS }),
		must("expected", func(d *result.Delivery) int64 { return d.Expected }),
		must("received", func(d *result.Delivery) int64 { return d.Received }),
		may("lost", func(d *result.Delivery) *int64 { return d.Lost }),
		may("duplicate", func(d *result.Delivery) *int64 { return d.Duplicate }),
		may("reordered", func(d *result.Delivery) *int64 { return d.Reordered }),
		may("misrouted", func(d *result.Delivery) *int64 { return d.Misrouted }),
		may("late", func(d *result.Delivery) *int64 { return d.Late }),
	)
	// The rest of the account is silent unless there is something to say.
	has := func(of func(*result.Delivery) int64) bool {
		return t.any(func(r *result.Run) bool { return r.Delivery != nil && of(r.Delivery) > 0 })
	}
	if has(func(d *result.Delivery) int64 { return int64(d.Incomplete) }) {
		m = append(m, must("iterat. incomplete", func(d *result.Delivery) int64 { return int64(d.Incomplete) }))
	}
	if has(func(d *result.Delivery) int64 { return value(d.Foreign) }) {
		m = append(m, may("foreign", func(d *result.Delivery) *int64 { return d.Foreign }))
	}
	if has(func(d *result.Delivery) int64 { return d.OtherEvents }) {
		m = append(m, must("other events", func(d *result.Delivery) int64 { return d.OtherEvents }))
	}
	m = append(m, metric{"deliveries/s", func(r *result.Run) string {
		if r.Delivery == nil {
			return unknown
		}
		return known(r.Delivery.RatePerSecond, rate)
	}})
	if has(func(d *result.Delivery) int64 { return d.Sends.CalledOff }) {
		m = append(m, must("sends called off", func(d *result.Delivery) int64 { return d.Sends.CalledOff }))
	}
	if has(func(d *result.Delivery) int64 { return d.Sends.Failed }) {
		m = append(m, must("sends failed", func(d *result.Delivery) int64 { return d.Sends.Failed }))
		m = append(m, t.classMetrics("sends: ", func(r *result.Run) map[string]int {
			if r.Delivery == nil {
				return nil
			}
			return r.Delivery.Sends.Failures
		})...)
	}
	if t.any(func(r *result.Run) bool { return r.Connect.Failed > 0 }) {
		m = append(m, t.failedMetrics()...)
	}
	if t.any(func(r *result.Run) bool { return r.Connect.Dropped > 0 }) {
		m = append(m, t.droppedMetrics()...)
	}
	return append(m, t.costMetrics()...)
}

// engineMetric tells runs of different engines apart; where there is only one it
// would say nothing.
func (t table) engineMetric() []metric {
	if !t.any(func(r *result.Run) bool { return r.Engine != t.rows[0].run.Engine }) {
		return nil
	}
	return []metric{{"engine", func(r *result.Run) string { return r.Engine }}}
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
	if t.any(func(r *result.Run) bool { return value(r.Machine.ListenOverflows) > 0 }) {
		m = append(m, metric{"listen overflows", func(r *result.Run) string { return known(r.Machine.ListenOverflows, count) }})
	}
	if t.any(func(r *result.Run) bool { return value(r.Machine.TCPRetransmits) > 0 }) {
		m = append(m, metric{"TCP retransmits", func(r *result.Run) string { return known(r.Machine.TCPRetransmits, count) }})
	}
	return m
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
