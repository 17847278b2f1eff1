package main

import (
	"slices"
)

// spread is the median of some figures, with the smallest and the largest.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"` // how many figures there were
}

// spreadOf returns nil when there are none.
func spreadOf(figures []float64) *spread {
	n := len(figures)
	if n == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(figures))
	return &spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1], Rounds: n}
}

// measure is one thing that a trial tells.
type measure string

const (
	connectTime  measure = "connect_ns"
	connectCPU   measure = "connect_cpu_ns_per_client"
	sendTime     measure = "send_ns"
	deliveryCPU  measure = "cpu_ns_per_million_copies"
	clientMemory measure = "rss_bytes_per_client"
	addedMemory  measure = "live_bytes_per_added_client"

	serverConnectCPU  measure = "server_cpu_ns_per_client"
	serverDeliveryCPU measure = "server_cpu_ns_per_million_copies"
	serverMemory      measure = "server_rss_bytes_per_client"
	copiesASecond     measure = "copies_per_second"
	serverAddedMemory measure = "server_rss_bytes_per_added_client"
	latencyP50        measure = "latency_p50_ns"
	latencyP99        measure = "latency_p99_ns"
)

// measures are those of a shape's trials where sseload is measured.
func (s *shape) measures() []measure {
	switch {
	case s.Memory:
		return []measure{connectTime, connectCPU, clientMemory}
	case !s.sends():
		return []measure{connectTime, connectCPU}
	case s.Rate > 0: // how long that takes is given
		return []measure{deliveryCPU}
	}
	return []measure{deliveryCPU, sendTime}
}

// judged is what the shape's Budget is about.
func (s *shape) judged() measure {
	if s.sends() {
		return deliveryCPU
	}
	return connectTime
}

// figure is what the trial says of m, if it says anything and is good.
func (t *trial) figure(m measure) (v float64, ok bool) {
	if !t.good() {
		return 0, false
	}
	share := func(of *int64, among float64) (float64, bool) {
		if of == nil || among <= 0 {
			return 0, false
		}
		return float64(*of) / among, true
	}
	switch m {
	case connectTime, sendTime:
		return share(t.ElapsedNS, 1)
	case connectCPU:
		return share(t.CPUNS, float64(t.Clients))
	case deliveryCPU:
		if t.Copies == nil {
			return 0, false
		}
		return share(t.CPUNS, float64(*t.Copies)/1e6)
	case clientMemory:
		if t.RSSPerClientBytes == nil {
			return 0, false
		}
		return *t.RSSPerClientBytes, true
	}
	return 0, false
}

// comparison is one contender's figures of one measure over all rounds.
type comparison struct {
	Shape     string  `json:"shape"`
	Measure   measure `json:"measure"`
	Contender string  `json:"contender"`
	Value     *spread `json:"value"` // null: no trial told
	Ratio     *spread `json:"ratio"` // to the first contender of the shape in the same round; null for itself, for a client's memory, and when no round has both
}

// figures are what all trials told.
type figures map[figureOf]float64

type figureOf struct {
	round     int
	shape     string
	contender string
	measure   measure
}

// add takes in what a trial tells.
func (f figures) add(t *outcome, figure func(measure) (float64, bool)) {
	for _, m := range []measure{
		connectTime, connectCPU, sendTime, deliveryCPU, clientMemory, addedMemory,
		serverConnectCPU, serverDeliveryCPU, serverMemory, serverAddedMemory, copiesASecond, latencyP50, latencyP99,
	} {
		if v, ok := figure(m); ok {
			f[figureOf{t.Round, t.Shape, t.Contender, m}] = v
		}
	}
}

// compare works out all comparisons.
func (f figures) compare(shapes []shape, measures func(*shape) []measure, rounds int) []comparison {
	var all []comparison
	for i := range shapes {
		s := &shapes[i]
		for _, m := range measures(s) {
			for _, contender := range s.Contenders {
				all = append(all, f.comparison(s, m, contender, rounds))
			}
		}
	}
	return all
}

func (f figures) comparison(s *shape, m measure, contender string, rounds int) comparison {
	var values, ratios []float64
	for round := 1; round <= rounds; round++ {
		v, ok := f[figureOf{round, s.Name, contender, m}]
		if !ok {
			continue
		}
		values = append(values, v)
		first := s.Contenders[0]
		// The floor and epoll hold next to nothing for a client: a ratio to that says nothing.
		if base := f[figureOf{round, s.Name, first, m}]; base > 0 && m != clientMemory && m != addedMemory && contender != first {
			ratios = append(ratios, v/base)
		}
	}
	return comparison{Shape: s.Name, Measure: m, Contender: contender, Value: spreadOf(values), Ratio: spreadOf(ratios)}
}

// The verdicts.
const (
	kept        = "kept"
	missed      = "missed"
	notMeasured = "not measured"
	notJudged   = "not judged" // from too few rounds
)

// unit is what a budget is in.
type unit string

const (
	floors         unit = "floors"
	bytesPerClient unit = "bytes a client"
	bytesPerSecond unit = "bytes per second"
	allocations    unit = "allocations"
)

// verdict is one budget with what was measured.
type verdict struct {
	What     string  `json:"what"`
	Unit     unit    `json:"unit"`
	AtLeast  bool    `json:"at_least"` // the budget is the least, not the most
	Budget   float64 `json:"budget"`
	Measured *spread `json:"measured"`
	Verdict  string  `json:"verdict"`
}

// The budgets that are no ratio to the floor.
const (
	memoryBudget = 512 // bytes a client
	speedBudget  = 1e9 // bytes of 100-byte events per second, on one core
)

// judge holds everything against its budget. The budget of allocations holds for
// every run, the others for the median.
func judge(shapes []shape, comparisons []comparison, decodings []decoding) []verdict {
	find := func(s *shape, m measure) comparison {
		i := slices.IndexFunc(comparisons, func(c comparison) bool {
			return c.Shape == s.Name && c.Measure == m && c.Contender == judged
		})
		if i < 0 {
			return comparison{}
		}
		return comparisons[i]
	}
	var all []verdict
	for i := range shapes {
		s := &shapes[i]
		what := "time of " + s.What
		if s.sends() {
			what = "CPU per million copies, " + s.What
		}
		all = append(all, verdict{What: what, Unit: floors, Budget: s.Budget, Measured: find(s, s.judged()).Ratio})
		if s.Memory {
			all = append(all, verdict{
				What: "user memory a client, of " + grouped(s.Clients), Unit: bytesPerClient, Budget: memoryBudget,
				Measured: find(s, clientMemory).Value,
			})
		}
	}
	if len(decodings) > 0 {
		var speeds, allocs []float64
		for _, d := range decodings {
			speeds, allocs = append(speeds, d.BytesPerSecond), append(allocs, d.AllocsPerPass)
		}
		all = append(all,
			verdict{What: "decoding 100-byte events, one core", Unit: bytesPerSecond, AtLeast: true, Budget: speedBudget, Measured: spreadOf(speeds)},
			verdict{What: "allocations of the decoder", Unit: allocations, Measured: spreadOf(allocs)})
	}
	for i := range all {
		all[i].Verdict = all[i].decide()
	}
	return all
}

func (v *verdict) decide() string {
	switch {
	case v.Measured == nil:
		return notMeasured
	case v.Measured.Rounds < leastRounds:
		return notJudged
	}
	measured := v.Measured.Median
	if v.Unit == allocations {
		measured = v.Measured.Max
	}
	if v.AtLeast && measured >= v.Budget || !v.AtLeast && measured <= v.Budget {
		return kept
	}
	return missed
}

// passed reports whether all is as it should be. With enough rounds that takes a
// verdict on every budget.
func (b *book) passed() bool {
	if slices.ContainsFunc(b.Trials, func(t trial) bool { return !t.good() }) {
		return false
	}
	return !b.enough() || !slices.ContainsFunc(b.Verdicts, func(v verdict) bool { return v.Verdict != kept })
}
