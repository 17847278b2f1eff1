package scenarios

import (
	"sync"

	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/observe"
	"github.com/sseload/sseload/pkg/result"
)

// recent is the latency of each stretch between two samples.
type recent struct {
	mu     sync.Mutex
	before metric.Snapshot
	of     map[int64]stretch // by the time of the sample at its end
}

// stretch is the latency of the copies between two samples.
type stretch struct{ p50, p99, most *int64 }

// sampled takes a sample while the run goes on, and hands it on.
func (s *session) sampled(m observe.Sample) {
	now := s.people.Latencies().Delivery
	s.recent.mu.Lock()
	since := now.Since(&s.recent.before)
	s.recent.before = now
	if since.Count() > 0 {
		at := func(q float64) *int64 {
			ns, _ := since.Quantile(q)
			return &ns
		}
		if s.recent.of == nil {
			s.recent.of = map[int64]stretch{}
		}
		s.recent.of[m.AtNS] = stretch{at(0.5), at(0.99), at(1)}
	}
	s.recent.mu.Unlock()
	sample := s.sample(&m)
	for _, o := range s.observers {
		o.Sample(sample)
	}
}

// sample is m as the record has it.
func (s *session) sample(m *observe.Sample) result.Sample {
	s.recent.mu.Lock()
	l := s.recent.of[m.AtNS]
	s.recent.mu.Unlock()
	return result.Sample{
		AtNS: m.AtNS, Phase: m.Phase, Open: m.Open, Failed: m.Failed, Received: m.Received, Away: &m.Away, Sent: &m.Sent,
		TargetCPUPercent: m.TargetCPUPercent, TargetRSSBytes: m.TargetRSSBytes, TargetOpenFiles: m.TargetOpenFiles,
		GeneratorCPUPercent: m.GeneratorCPUPercent, GeneratorRSSBytes: m.GeneratorRSSBytes, GeneratorOpenFiles: m.GeneratorOpenFiles,
		MachineCPUPercent: m.MachineCPUPercent, MachineUsedBytes: m.MachineUsedBytes,
		LatencyP50NS: l.p50, LatencyP99NS: l.p99, LatencyMaxNS: l.most,
	}
}
