package cost

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/sseload/sseload/pkg/result"
)

// Of fits the costs of each series of runs in f: those that are alike in all but
// how many clients they had and how much was sent. Runs that were cut short count
// for none. A series that shows no slope is left out.
func Of(f *result.File) []result.Costs {
	series := map[string][]int{}
	for i := range f.Runs {
		if r := &f.Runs[i]; !r.Interrupted && r.Aborted == nil {
			k := common(r, f.SourceOf(i).Host.Name)
			series[k] = append(series[k], i)
		}
	}
	var out []result.Costs
	for _, runs := range series {
		if c, ok := of(f, runs); ok {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b result.Costs) int { return cmp.Compare(a.Runs[0], b.Runs[0]) })
	return out
}

// common is what the runs of a series have in common.
func common(r *result.Run, host string) string {
	p := r.Params
	// What a series varies, and what follows from it.
	p.Clients, p.RoomSize, p.SendersPerRoom, p.SlowClients, p.PayloadBytes = 0, nil, nil, nil, nil
	p.Iterations, p.Rate, p.IntervalNS, p.DurationNS, p.HoldNS = nil, nil, 0, nil, 0
	t := r.Target
	if t.Kind == "reference" { // which listens on a port of its own in each run
		t.URL, t.SendURL = "", nil
	}
	t.Faults = slices.Clone(t.Faults)
	for i := range t.Faults {
		t.Faults[i].Injected = nil
	}
	var roomSize, senders int
	if size := r.Params.RoomSize; size != nil && *size < r.Params.Clients {
		roomSize = *size
		senders = min(2, *r.Params.SendersPerRoom) // one, or all
	}
	text, err := json.Marshal([]any{host, r.Scenario, r.Engine, r.Labels, p, t, roomSize, senders})
	if err != nil {
		return err.Error() // a figure that JSON does not know; such a record cannot be written either
	}
	return string(text)
}

// of fits one series. It has at least one run.
func of(f *result.File, runs []int) (result.Costs, bool) {
	c := result.Costs{Runs: runs}
	some := false
	for _, s := range []struct {
		to    **result.Slope
		count func(*result.Run) int64
		cost  func(*result.Run) *float64
	}{
		{&c.TargetBytesPerClient, opened, func(r *result.Run) *float64 { return float(r.TargetProcess.RSSConnectedBytes) }},
		{&c.TargetCPUPerConnectNS, opened, func(r *result.Run) *float64 { return times(r.TargetProcess.CPUPerConnectNS, opened(r)) }},
		{&c.TargetCPUPerCopyNS, copies, func(r *result.Run) *float64 { return times(r.TargetProcess.CPUPerCopyNS, copies(r)) }},
		{&c.GeneratorBytesPerClient, opened, func(r *result.Run) *float64 { return float(r.Generator.RSSConnectedBytes) }},
		{&c.GeneratorCPUPerConnectNS, opened, func(r *result.Run) *float64 { return times(r.Generator.CPUPerConnectNS, opened(r)) }},
		{&c.GeneratorCPUPerCopyNS, copies, func(r *result.Run) *float64 { return times(r.Generator.CPUPerCopyNS, copies(r)) }},
		{&c.KernelBytesPerClient, opened, func(r *result.Run) *float64 { return float(r.Machine.SlabBytes) }},
	} {
		*s.to = slope(f, runs, s.count, s.cost)
		some = some || *s.to != nil
	}
	return c, some
}

// slope is the line through what runs cost; nil when they show none.
func slope(f *result.File, runs []int, count func(*result.Run) int64, cost func(*result.Run) *float64) *result.Slope {
	var points []point
	for _, i := range runs {
		r := &f.Runs[i]
		if y := cost(r); y != nil {
			points = append(points, point{float64(count(r)), *y})
		}
	}
	l, ok := fit(points)
	if !ok {
		return nil
	}
	return &result.Slope{Value: l.slope, Error: l.slopeError, Base: l.base, Runs: len(points)}
}

func opened(r *result.Run) int64 { return int64(r.Connect.Opened) }

func copies(r *result.Run) int64 {
	if r.Delivery == nil {
		return 0
	}
	return r.Delivery.Received
}

func float(n *int64) *float64 {
	if n == nil {
		return nil
	}
	return new(float64(*n))
}

// times is what all together cost, where one of n cost each.
func times(each *float64, n int64) *float64 {
	if each == nil {
		return nil
	}
	return new(*each * float64(n))
}
