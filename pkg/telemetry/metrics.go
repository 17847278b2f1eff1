package telemetry

import (
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/result"
)

// definition is a metric: what it is called, what it means, and how it is read off a
// run.
type definition struct {
	name, help string
	kind       dto.MetricType
	// values tells those of a run to add, each with the labels that are its own, as pairs
	// of name and value. Nil for histograms.
	values func(r *run, now *Reading, add func(value float64, own ...string))
	// distribution is what a histogram shows; nil: nothing.
	distribution func(*Reading) *metric.Snapshot
}

// definitions are the metrics of a run, by name.
//
//nolint:gochecknoglobals // a constant table
var definitions = []definition{
	{
		name: "sseload_clients", kind: dto.MetricType_GAUGE,
		help: "Clients by state: open now, away until they open their stream again, failed to open, dropped for good.",
		values: func(_ *run, now *Reading, add func(float64, ...string)) {
			add(float64(now.Clients.Open), "state", "open")
			add(float64(now.Clients.Away), "state", "away")
			add(float64(now.Clients.Failed), "state", "failed")
			add(float64(now.Clients.Dropped), "state", "dropped")
		},
	},
	{
		name: "sseload_connects_total", kind: dto.MetricType_COUNTER,
		help: "Clients that opened their first stream, and that failed to.",
		values: func(_ *run, now *Reading, add func(float64, ...string)) {
			add(float64(now.Clients.Opened), "outcome", "opened")
			add(float64(now.Clients.Failed), "outcome", "failed")
		},
	},
	{
		name: "sseload_copies_received_total", kind: dto.MetricType_COUNTER,
		help: "Copies of messages that arrived at clients.",
		values: ofMessages(func(m *Messages, add func(float64, ...string)) {
			add(float64(m.Received))
		}),
	},
	{
		name: "sseload_cpu_usage_ratio", kind: dto.MetricType_GAUGE,
		help: "CPU time per second over the last second or so, of the target's processes, the generator and the whole machine; 1 is one core.",
		values: ofSample(func(s *result.Sample, add func(float64, ...string)) {
			known(add, s.TargetCPUPercent, 0.01, "target")
			known(add, s.GeneratorCPUPercent, 0.01, "generator")
			known(add, s.MachineCPUPercent, 0.01, "machine")
		}),
	},
	{
		name: "sseload_delivery_faults_total", kind: dto.MetricType_COUNTER,
		help: "Copies that were lost (known at a run's end), or came twice, out of order, to the wrong room, or late.",
		values: ofMessages(func(m *Messages, add func(float64, ...string)) {
			fault := func(kind string, n *int64) {
				if n != nil {
					add(float64(*n), "kind", kind)
				}
			}
			fault("lost", m.Faults.Lost)
			fault("duplicate", m.Faults.Duplicate)
			fault("reordered", m.Faults.Reordered)
			fault("misrouted", m.Faults.Misrouted)
			fault("late", m.Faults.Late)
		}),
	},
	{
		name: "sseload_delivery_latency_seconds", kind: dto.MetricType_HISTOGRAM,
		help: "Time from when a message was due to be sent until the kernel received a copy of it, of copies for ordinary clients.",
		distribution: func(now *Reading) *metric.Snapshot {
			if now.Messages == nil {
				return nil
			}
			return &now.Messages.Latency
		},
	},
	{
		name: "sseload_iterations_total", kind: dto.MetricType_COUNTER,
		help: "Iterations begun, in the closed model.",
		values: ofMessages(func(m *Messages, add func(float64, ...string)) {
			if m.Iterations != nil {
				add(float64(*m.Iterations))
			}
		}),
	},
	{
		name: "sseload_memory_bytes", kind: dto.MetricType_GAUGE,
		help: "Resident memory of the target's processes and of the generator, and memory in use of the whole machine.",
		values: ofSample(func(s *result.Sample, add func(float64, ...string)) {
			known(add, s.TargetRSSBytes, 1, "target")
			known(add, s.GeneratorRSSBytes, 1, "generator")
			known(add, s.MachineUsedBytes, 1, "machine")
		}),
	},
	{
		name: "sseload_open_files", kind: dto.MetricType_GAUGE,
		help: "File descriptors in use by the target's processes and the generator.",
		values: ofSample(func(s *result.Sample, add func(float64, ...string)) {
			known(add, s.TargetOpenFiles, 1, "target")
			known(add, s.GeneratorOpenFiles, 1, "generator")
		}),
	},
	{
		name: "sseload_open_latency_seconds", kind: dto.MetricType_HISTOGRAM,
		help:         "Time it took clients to open their first stream.",
		distribution: func(now *Reading) *metric.Snapshot { return &now.Open },
	},
	{
		name: "sseload_run_info", kind: dto.MetricType_GAUGE,
		help: "What the run that goes on is; always 1.",
		values: func(r *run, _ *Reading, add func(float64, ...string)) {
			own := make([]string, 0, 2*len(r.info))
			for _, pair := range r.info {
				own = append(own, pair.GetName(), pair.GetValue())
			}
			add(1, own...)
		},
	},
	{
		name: "sseload_run_phase", kind: dto.MetricType_GAUGE,
		help: "1 for the phase that the run is in.",
		values: func(_ *run, now *Reading, add func(float64, ...string)) {
			if now.Phase != "" {
				add(1, "phase", now.Phase)
			}
		},
	},
	{
		name: "sseload_sends_total", kind: dto.MetricType_COUNTER,
		help: "Sends of messages by what became of them.",
		values: ofMessages(func(m *Messages, add func(float64, ...string)) {
			add(float64(m.Succeeded), "outcome", "succeeded")
			add(float64(m.Failed), "outcome", "failed")
		}),
	},
}

const (
	runsName = "sseload_runs_total"
	runsHelp = "Runs that are over."
)

func ofMessages(read func(*Messages, func(float64, ...string))) func(*run, *Reading, func(float64, ...string)) {
	return func(_ *run, now *Reading, add func(float64, ...string)) {
		if now.Messages != nil {
			read(now.Messages, add)
		}
	}
}

func ofSample(read func(*result.Sample, func(float64, ...string))) func(*run, *Reading, func(float64, ...string)) {
	return func(r *run, _ *Reading, add func(float64, ...string)) {
		if r.sampled != nil {
			read(r.sampled, add)
		}
	}
}

// known adds a figure of one side, if it is known.
func known[N int64 | float64](add func(float64, ...string), n *N, unit float64, side string) {
	if n != nil {
		add(float64(*n)*unit, "side", side)
	}
}

// pageOf is what all metrics of some runs are now. It belongs to the caller.
func pageOf(runs []*run, over int64, since time.Time) []*dto.MetricFamily {
	readings := make([]*Reading, len(runs))
	for i, r := range runs {
		readings[i] = r.now()
	}
	page := make([]*dto.MetricFamily, 0, len(definitions)+1)
	for i := range definitions {
		d := &definitions[i]
		f := &dto.MetricFamily{Name: &d.name, Help: &d.help, Type: d.kind.Enum()}
		for j, r := range runs {
			if d.kind != dto.MetricType_GAUGE || r.ended == nil {
				d.add(f, r, readings[j])
			}
		}
		if len(f.GetMetric()) > 0 {
			page = append(page, f)
		}
	}
	return append(page, runsFamily(over, since))
}

func runsFamily(over int64, since time.Time) *dto.MetricFamily {
	name, help := runsName, runsHelp
	return &dto.MetricFamily{
		Name: &name, Help: &help, Type: dto.MetricType_COUNTER.Enum(),
		Metric: []*dto.Metric{{Counter: counter(float64(over), timestamppb.New(since))}},
	}
}

func counter(v float64, since *timestamppb.Timestamp) *dto.Counter {
	return &dto.Counter{Value: &v, CreatedTimestamp: since}
}

// add adds the metrics of one run to f.
func (d *definition) add(f *dto.MetricFamily, r *run, now *Reading) {
	since := timestamppb.New(r.began)
	if d.distribution != nil {
		if s := d.distribution(now); s != nil {
			f.Metric = append(f.Metric, &dto.Metric{Label: r.labels, Histogram: histogram(s, since)})
		}
		return
	}
	d.values(r, now, func(v float64, own ...string) {
		m := &dto.Metric{Label: r.labels.with(own...)}
		if d.kind == dto.MetricType_COUNTER {
			m.Counter = counter(v, since)
		} else {
			m.Gauge = &dto.Gauge{Value: &v}
		}
		f.Metric = append(f.Metric, m)
	})
}

// The bounds of the buckets that are shown, of those that a snapshot has.
const (
	leastBound = 16 << 10 // 16.4 µs
	mostBound  = 32 << 30 // 34.4 s
)

// isBound reports whether a bucket that ends at ns is shown: four of each doubling are,
// whose ends are 4, 5, 6 and 7 times a power of two.
func isBound(ns int64) bool {
	if ns < leastBound || ns > mostBound {
		return false
	}
	for ns >= 8 {
		if ns&1 != 0 {
			return false
		}
		ns >>= 1
	}
	return true
}

func histogram(s *metric.Snapshot, since *timestamppb.Timestamp) *dto.Histogram {
	h := &dto.Histogram{CreatedTimestamp: since}
	var all uint64
	for end, below := range s.Buckets() {
		all = uint64(below)
		if isBound(end) {
			bound, count := float64(end)/1e9, all
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &count})
		}
	}
	sum := float64(s.Sum()) / 1e9
	h.SampleCount, h.SampleSum = &all, &sum
	return h
}
