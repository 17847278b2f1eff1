package cost

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/sseload/sseload/pkg/result"
)

// Of fits the costs of each series of runs in f: those that are alike in all but
// how many clients they had and how much was sent. Runs that were cut short count
// for none, and one that is there twice counts once. A series that shows no slope is
// left out.
func Of(f *result.File) []result.Costs {
	series := map[string][]int{}
	seen := map[string]bool{}
	for i := range f.Runs {
		r, k := &f.Runs[i], common(f, i)
		once := k + r.StartedAt.String()
		if r.Interrupted || r.Aborted != nil || seen[once] {
			continue
		}
		seen[once] = !r.StartedAt.IsZero()
		series[k] = append(series[k], i)
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

// longestMarker is the most bytes of a message that was not padded: what it is then
// follows from how many clients and messages there are.
const longestMarker = 70

// common is what run i has in common with the others of its series.
func common(f *result.File, i int) string {
	r, from := &f.Runs[i], f.SourceOf(i)
	p := r.Params
	// What a series varies, and what follows from it.
	p.Clients, p.RoomSize, p.SendersPerRoom, p.SlowClients = 0, nil, nil, nil
	p.Iterations, p.Rate, p.IntervalNS, p.DurationNS, p.HoldNS = nil, nil, 0, nil, 0
	if p.PayloadBytes != nil && *p.PayloadBytes < longestMarker {
		p.PayloadBytes = nil
	}
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
		if n := r.Params.SendersPerRoom; n != nil {
			senders = min(2, *n) // one, or all
		}
	}
	text, err := json.Marshal([]any{from.Host.Name, from.Tool, r.Scenario, r.Engine, r.Labels, p, t, roomSize, senders})
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
		{&c.TargetBytesPerClient, opened, targetMemory(f, runs)},
		{&c.TargetCPUPerConnectNS, opened, func(r *result.Run) *float64 { return times(r.TargetProcess.CPUPerConnectNS, opened(r)) }},
		{&c.TargetCPUPerCopyNS, copies, func(r *result.Run) *float64 { return times(r.TargetProcess.CPUPerCopyNS, copies(r)) }},
		{&c.GeneratorBytesPerClient, opened, func(r *result.Run) *float64 { return times(r.Generator.LiveBytesPerClient, opened(r)) }},
		{&c.GeneratorCPUPerConnectNS, opened, func(r *result.Run) *float64 { return times(r.Generator.CPUPerConnectNS, opened(r)) }},
		{&c.GeneratorCPUPerCopyNS, copies, func(r *result.Run) *float64 { return times(r.Generator.CPUPerCopyNS, copies(r)) }},
		{&c.SocketBytesPerClient, opened, func(r *result.Run) *float64 { return times(r.Machine.SocketBytesPerClient, opened(r)) }},
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

// targetMemory is how the memory of the targets of a series is to be looked at, see
// the package's documentation.
func targetMemory(f *result.File, runs []int) func(*result.Run) *float64 {
	if f.Runs[runs[0]].Target.Fresh() {
		return func(r *result.Run) *float64 { return times(r.TargetProcess.BytesPerClient, opened(r)) }
	}
	inTime := slices.SortedStableFunc(slices.Values(runs), func(a, b int) int {
		return f.Runs[a].StartedAt.Compare(f.Runs[b].StartedAt)
	})
	var most int64
	for _, i := range inTime {
		held := f.Runs[i].TargetProcess.RSSConnectedBytes
		if again(&f.Runs[i]) {
			continue
		}
		if held != nil && *held <= most {
			return func(*result.Run) *float64 { return nil }
		}
		if held != nil {
			most = *held
		}
	}
	return func(r *result.Run) *float64 {
		if held := r.TargetProcess.RSSConnectedBytes; held != nil && !again(r) {
			return new(float64(*held))
		}
		return nil
	}
}

// again reports whether r is a further run of the same: a server that was there all the
// time keeps memory from the first.
func again(r *result.Run) bool { return r.Repetition != nil && *r.Repetition > 1 }

func opened(r *result.Run) int64 { return int64(r.Connect.Opened) }

func copies(r *result.Run) int64 {
	if r.Delivery == nil {
		return 0
	}
	return r.Delivery.Received
}

// times is what all together cost, where one of n cost each.
func times(each *float64, n int64) *float64 {
	if each == nil {
		return nil
	}
	return new(*each * float64(n))
}
