package compare

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/figure"
	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/result"
)

// latency is the record of the durations.
func latency(t testing.TB, all []int64) result.Latency {
	t.Helper()
	var h metric.Histogram
	for _, ns := range all {
		h.Record(ns)
	}
	s, ok, err := h.Summary()
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return result.Latency{}
	}
	return result.Latency{
		Count: s.Count, MeanNS: &s.Mean, MinNS: &s.Min, P50NS: &s.P50, P90NS: &s.P90, P95NS: &s.P95, P99NS: &s.P99,
		P999NS: &s.P999, MaxNS: &s.Max, HDR: s.HDR,
	}
}

// rooms is a run with these latencies of its copies.
func rooms(t testing.TB, clients int, copies []int64) result.Run {
	t.Helper()
	none := func() *int64 { return new(int64(0)) }
	return result.Run{
		Scenario: "rooms", Engine: "epoll", Labels: result.Labels{Type: "Normal", Protocol: "EventSource"},
		Params: result.Params{Clients: clients, Iterations: new(10), PayloadBytes: new(50 + int(copies[0]%5))},
		Delivery: &result.Delivery{
			Latency: latency(t, copies), Lost: none(), Duplicate: none(), Reordered: none(), Misrouted: none(), Late: none(),
			RatePerSecond: new(1e9 / float64(copies[0])),
		},
	}
}

// noisy are the copies of a run on a machine where runs differ from each other, and
// where now and then something stands still.
func noisy(r *rand.Rand, n int, center float64) []int64 {
	center *= math.Exp(0.15 * r.NormFloat64())
	if r.Float64() < 0.1 {
		center *= 1.5
	}
	out := make([]int64, n)
	for i := range out {
		v := center * math.Exp(0.4*r.NormFloat64())
		if r.Float64() < 0.01 {
			v *= 10
		}
		out[i] = int64(v)
	}
	return out
}

func file(runs ...result.Run) *result.File { return &result.File{Schema: result.Schema, Runs: runs} }

func many(t testing.TB, r *rand.Rand, runs int, center float64) *result.File {
	f := file()
	for range runs {
		f.Runs = append(f.Runs, rooms(t, 600, noisy(r, 600, center)))
	}
	return f
}

func compared(t testing.TB, base, fresh *result.File, limits ...string) *Comparison {
	t.Helper()
	o := Options{BaseName: "base", NewName: "new"}
	for _, text := range limits {
		l, err := ParseLimit(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Limits = append(o.Limits, l)
	}
	c, err := Compare([]*result.File{base}, []*result.File{fresh}, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *Row) change(t testing.TB, label string) Change {
	t.Helper()
	at := slices.IndexFunc(r.Changes, func(c Change) bool { return c.Label == label })
	if at < 0 {
		t.Fatalf("no %s in %+v", label, r.Changes)
	}
	return r.Changes[at]
}

// The value of a quantile is that of all copies together, not the average of the runs'.
func TestQuantilesAreOfMergedHistograms(t *testing.T) {
	fast, slow := make([]int64, 900), make([]int64, 100)
	for i := range fast {
		fast[i] = 1000
	}
	for i := range slow {
		slow[i] = 9000
	}
	base := file(rooms(t, 600, fast), rooms(t, 600, slow))
	c := compared(t, base, base)
	row := c.Rows[0]
	for label, want := range map[string]float64{"latency p50": 1000, "latency p90": 1000, "latency p95": 9000, "latency max": 5000} {
		if got := row.change(t, label); math.Abs(*got.Base-want) > want/500 || *got.New != *got.Base {
			t.Errorf("%s is %v and %v, want %v", label, *got.Base, *got.New, want)
		}
	}
	if each := row.change(t, "latency p50").BaseEach; len(each) != 2 || math.Abs(each[1]-9000) > 20 {
		t.Errorf("of each run: %v", each)
	}
}

func TestIdenticalSidesAreTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, runs := range []int{1, 2, 4, 10} {
		f := many(t, r, runs, 1e6)
		c := compared(t, f, f, "delivery.p99 +0%", "delivery.rate -0%", "delivery.lost +0")
		if c.Rows[0].Tested != (runs >= LeastRuns) {
			t.Errorf("%d runs: tested %t", runs, c.Rows[0].Tested)
		}
		for _, change := range c.Rows[0].Changes {
			if change.Verdict != Same && change.Verdict != Noise {
				t.Errorf("%d runs: %s is %s: %+v", runs, change.Label, change.Verdict, change.Absolute)
			}
		}
		for _, f := range c.Findings {
			if f.State != Held {
				t.Errorf("%d runs: %s is %s", runs, f.Limit, f.State)
			}
		}
	}
}

// One noisy server against itself: what is taken for real is so by chance, and that is
// rare. The bound is four standard deviations above what the confidence allows.
func TestFalseAlarms(t *testing.T) {
	const comparisons, runs = 4000, 5
	r := rand.New(rand.NewPCG(3, 4))
	quantile := func() float64 {
		v := 1e6 * math.Exp(0.3*r.NormFloat64())
		if r.Float64() < 0.1 {
			v *= 3
		}
		return v
	}
	draw := func(n int) sample {
		var s sample
		for range n {
			s.each = append(s.each, quantile())
		}
		s.value = new(median(s.each))
		return s
	}
	te := &tester{alpha: 0.05, critical: map[[2]int]int{}}
	real, alarms := 0, 0
	limit := Limit{percent: new(10.0)}
	for range comparisons {
		base, fresh := draw(runs), draw(runs)
		j := te.judge(base, fresh, false)
		change := Change{Base: base.value, New: fresh.value, Absolute: j.absolute, Verdict: Noise}
		if j.real {
			real++
			change.Verdict = Worse
		}
		if limit.state(&change) == Exceeded {
			alarms++
		}
	}
	// 8 of 252 ways in which ten ranks may fall are taken for a difference.
	if most := bound(comparisons, 8.0/252); real > most || real == 0 {
		t.Errorf("%d of %d comparisons found what is not there, at most %d should", real, comparisons, most)
	}
	if most := bound(comparisons, 4.0/252); alarms > most {
		t.Errorf("%d of %d comparisons failed by +10%%, at most %d should", alarms, comparisons, most)
	}
}

// bound is what of n things with probability p does not happen more often than.
func bound(n int, p float64) int {
	return int(float64(n)*p + 4*math.Sqrt(float64(n)*p*(1-p)))
}

// The same for whole comparisons of records, with quantiles of merged histograms.
func TestFalseAlarmsOfRecords(t *testing.T) {
	const comparisons = 25
	r := rand.New(rand.NewPCG(5, 6))
	all := many(t, r, 40, 1e6).Runs
	for runs, p := range map[int]float64{1: 0.005, 3: 0.005, 5: 4.0 / 252} {
		alarms := 0
		for range comparisons {
			r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
			c := compared(t, file(all[:runs]...), file(all[runs:2*runs]...), "delivery.p99 +10%")
			if c.Findings[0].State == Exceeded {
				alarms++
			}
		}
		if most := bound(comparisons, p); alarms > most {
			t.Errorf("%d runs a side: %d of %d comparisons failed, at most %d should", runs, alarms, comparisons, most)
		}
	}
}

// A true change of 30 % is found with ten runs a side, mostly, and its interval mostly
// holds the truth.
func TestPower(t *testing.T) {
	const comparisons = 15
	r := rand.New(rand.NewPCG(7, 8))
	found, held, exceeded := 0, 0, 0
	for range comparisons {
		c := compared(t, many(t, r, 10, 1e6), many(t, r, 10, 1.3e6), "delivery.p50 +5%")
		p50 := c.Rows[0].change(t, "latency p50")
		if p50.Verdict == Worse {
			found++
		}
		if p50.Percent.Lo <= 30 && p50.Percent.Hi >= 30 {
			held++
		}
		if c.Findings[0].State == Exceeded {
			exceeded++
		}
	}
	if found < 11 || held < 11 || exceeded < 4 || exceeded > found {
		t.Errorf("of %d comparisons %d found +30 %%, %d had it in their interval, %d failed by +5 %%", comparisons, found, held, exceeded)
	}
}

// With a single run a side only what is large is seen: 20 ms on top is, a half more is
// not.
func TestSingleRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	base := many(t, r, 1, 1e6)
	for add, want := range map[int64]Verdict{20e6: Worse, 500e3: Noise} {
		copies := noisy(r, 600, 1e6)
		for i := range copies {
			copies[i] += add
		}
		c := compared(t, base, file(rooms(t, 600, copies)), "delivery.p99 +10%")
		p50 := c.Rows[0].change(t, "latency p50")
		if p50.Verdict != want || c.Rows[0].Tested {
			t.Errorf("%d ns more: %s, %+v", add, p50.Verdict, p50.Percent)
		}
	}
	if c := compared(t, base, file(rooms(t, 600, []int64{1e9, 1e9})), "delivery.max +10%"); c.Findings[0].State != Suspected {
		t.Errorf("the maximum of one run says nothing, but: %+v", c.Findings[0])
	}
}

func TestJudge(t *testing.T) {
	of := func(values ...float64) sample {
		s := sample{each: values, value: new(median(values))}
		for _, v := range values {
			if v > 0 {
				s.bands = append(s.bands, &band{v / 2, v * 2})
			} else {
				s.bands = append(s.bands, nil)
			}
		}
		return s
	}
	for _, test := range []struct {
		name        string
		base, fresh sample
		counts      bool
		real        bool
		lo, hi      float64
	}{
		{"constant and the same", of(5, 5, 5, 5), of(5, 5, 5, 5), false, false, 0, 0},
		{"constant and different", of(5, 5, 5, 5), of(7, 7, 7, 7), false, true, 2, 2},
		{"zeros", of(0, 0, 0, 0), of(0, 0, 0, 0), false, false, 0, 0},
		{"from zero", of(0, 0, 0, 0), of(1, 2, 3, 4), false, true, 1, 4},
		{"apart", of(10, 11, 12, 13), of(20, 21, 22, 23), false, true, 11.5 * (20.0/13 - 1), 11.5 * 1.3},
		{"mixed", of(10, 11, 12, 13), of(12.5, 21, 22, 23), false, false, 11.5 * (12.5/13 - 1), 11.5 * 1.3},
		{"nothing lost, then some in most runs", of(0, 0, 0, 0), of(0, 2, 3, 4), true, true, 2, 4},
		{"nothing lost, then some in one run", of(0, 0, 0, 0), of(0, 0, 0, 4), true, false, 0, 4},
		{"some lost, then nothing", of(3, 2, 3), of(0, 0), true, true, -3, -2},
		{"lost on both sides", of(1, 2, 3, 4), of(2, 3, 4, 5), true, false, -2, 4},
		{"one run, twice", of(10), of(20), false, false, 10 * (0.5 - 1), 70},
		{"one run, five times", of(10), of(50), false, true, 10 * (25.0/20 - 1), 190},
		{"one run, none", of(0), of(0.5), false, false, math.NaN(), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			te := &tester{alpha: 0.05, critical: map[[2]int]int{}}
			got := te.judge(test.base, test.fresh, test.counts)
			if got.real != test.real {
				t.Errorf("real: %t, %+v", got.real, got.absolute)
			}
			if math.IsNaN(test.lo) {
				if got.absolute != nil {
					t.Errorf("an interval %+v where there is none", got.absolute)
				}
				return
			}
			if got.absolute == nil || math.Abs(got.absolute.Lo-test.lo) > 1e-9 || math.Abs(got.absolute.Hi-test.hi) > 1e-9 {
				t.Errorf("%+v, want %v to %v", got.absolute, test.lo, test.hi)
			}
		})
	}
}

// The interval is the rank test turned round: it leaves no change out exactly when the
// test finds one.
func TestIntervalAndTestAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, alpha := range []float64{0.1, 0.05, 0.01} {
		te := &tester{alpha: alpha, critical: map[[2]int]int{}}
		for range 300 {
			a, b := make([]float64, 5+r.IntN(5)), make([]float64, 5+r.IntN(5))
			for i := range a {
				a[i] = math.Exp(r.NormFloat64())
			}
			for i := range b {
				b[i] = math.Exp(1.2 + r.NormFloat64())
			}
			i, p := te.shift(a, b, true), te.rankTest(a, b)
			if i.excludesZero() != (p <= alpha) {
				t.Fatalf("%v and %v at %v: %+v, but p = %v", a, b, alpha, i, p)
			}
		}
	}
	for n, want := range map[int]bool{3: false, 4: true, 60: true} {
		te := &tester{alpha: 0.05, critical: map[[2]int]int{}}
		if te.tells(n, n) != want {
			t.Errorf("%d runs a side tell: %t", n, !want)
		}
	}
	exact, normal := &tester{alpha: 0.05, critical: map[[2]int]int{}}, &tester{alpha: 0.05, critical: map[[2]int]int{}}
	if a, b := exact.criticalOf(50, 50), normal.criticalOf(50, 51); a > b || b-a > 25 {
		t.Errorf("the exact distribution has %d, the normal one %d", a, b)
	}
	if (&tester{alpha: 0.01, critical: map[[2]int]int{}}).tells(4, 4) {
		t.Error("four runs a side cannot tell at 99 %")
	}
}

func TestLostMessagesAreWorse(t *testing.T) {
	base, fresh := file(rooms(t, 600, []int64{1000})), file(rooms(t, 600, []int64{1000}))
	fresh.Runs[0].Delivery.Lost = new(int64(7))
	c := compared(t, base, fresh, "delivery.lost +0", "delivery.lost +10%", "delivery.lost +10", "delivery.lost -0")
	if lost := c.Rows[0].change(t, "lost"); lost.Verdict != Worse || lost.Absolute.Value != 7 || lost.Percent != nil {
		t.Errorf("%+v", lost)
	}
	for i, want := range []State{Exceeded, Exceeded, Held, Held} {
		if f := c.Findings[i]; f.State != want {
			t.Errorf("%s is %s, want %s", f.Limit, f.State, want)
		}
	}
	c = compared(t, fresh, base)
	if lost := c.Rows[0].change(t, "lost"); lost.Verdict != Better || lost.Percent.Value != -100 {
		t.Errorf("the other way: %+v", lost)
	}
}

func TestOneSideUnknown(t *testing.T) {
	base, fresh := file(rooms(t, 600, []int64{1000})), file(rooms(t, 600, []int64{1000}))
	fresh.Runs[0].Delivery.Latency = result.Latency{}
	c := compared(t, base, fresh, "delivery.p99 +10%", "iteration.p99 +10%")
	if p99 := c.Rows[0].change(t, "latency p99"); p99.Verdict != Unknown || p99.Base == nil || p99.New != nil || p99.Percent != nil {
		t.Errorf("%+v", p99)
	}
	if c.Findings[0].State != Unjudged || c.Findings[1].State != Unjudged {
		t.Errorf("%+v", c.Findings)
	}
	if slices.ContainsFunc(c.Rows[0].Changes, func(c Change) bool { return c.Label == "iteration p99" }) {
		t.Error("what no side knows is compared")
	}
	broken := file(rooms(t, 600, []int64{1000}))
	broken.Runs[0].Delivery.Latency.HDR = "nonsense"
	if _, err := Compare([]*result.File{base}, []*result.File{broken}, Options{}); err == nil {
		t.Error("a broken histogram was compared")
	}
}

func TestMatching(t *testing.T) {
	run := func(clients int, change func(*result.Run)) result.Run {
		r := rooms(t, clients, []int64{1000})
		if change != nil {
			change(&r)
		}
		return r
	}
	base := file(run(600, nil), run(1200, nil), run(1200, nil), run(2400, nil))
	fresh := file(
		run(1200, func(r *result.Run) {
			r.Target = result.Target{URL: "http://elsewhere", Faults: []result.Fault{{Fault: "delay=20ms"}}}
		}),
		run(600, func(r *result.Run) { r.Labels.Type, r.Params.SendConnections = "Cluster", new(64) }),
		run(2400, func(r *result.Run) { r.Params.PayloadBytes = new(4096) }),
		run(2400, func(r *result.Run) { r.Params.PayloadBytes = new(8192) }),
	)
	c := compared(t, base, fresh)
	var rows []string
	for _, r := range c.Rows {
		rows = append(rows, fmt.Sprintf("%s: %d and %d %q", r.Name, r.BaseRuns, r.NewRuns, r.Differences))
	}
	want := []string{
		`rooms 600 × 10: 1 and 1 ["send_connections is none in the base and 64 in the new" "type is Normal in the base and Cluster in the new"]`,
		`rooms 1200 × 10: 2 and 1 []`,
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	var rest []string
	for _, u := range c.Unmatched {
		rest = append(rest, u.Side+" "+u.Name+": "+u.Nearest)
	}
	want = []string{
		"base rooms 2400 × 10, payload_bytes none: payload_bytes is none, not 4096",
		"new rooms 2400 × 10, payload_bytes 4096: payload_bytes is 4096, not none",
		"new rooms 2400 × 10, payload_bytes 8192: payload_bytes is 8192, not none",
	}
	if !slices.Equal(rest, want) {
		t.Errorf("left over\n%s\nwant\n%s", strings.Join(rest, "\n"), strings.Join(want, "\n"))
	}
	if _, err := Compare([]*result.File{file(run(6, nil))}, []*result.File{file(run(12, nil))}, Options{}); !errors.Is(err, ErrNothing) {
		t.Error(err)
	}
	if _, err := Compare([]*result.File{file()}, []*result.File{file(run(12, nil))}, Options{BaseName: "old.json"}); err == nil || err.Error() != "old.json holds no runs" {
		t.Error(err)
	}
}

func TestDoubtsAndWarnings(t *testing.T) {
	base, fresh := file(rooms(t, 600, []int64{1000})), file(rooms(t, 600, []int64{1000}))
	base.Host = result.Host{Name: "a", Kernel: new("6.1"), Cores: 2}
	fresh.Host = result.Host{Name: "a", Kernel: new("6.2"), Cores: 2}
	fresh.Tool.Version = "v9"
	base.Runs[0].StartedAt = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	fresh.Runs[0].StartedAt = base.Runs[0].StartedAt.Add(48 * time.Hour)
	fresh.Runs[0].Generator = result.Generator{Overloaded: new(true), OverloadReason: new("read lag")}
	fresh.Runs[0].Interrupted, fresh.Runs[0].Aborted = true, new("the target went away")
	c := compared(t, base, fresh)
	text := strings.Join(append(c.Warnings, c.Rows[0].Doubts...), "\n")
	for _, want := range []string{
		"the kernel is not the same: 6.1 in the base, 6.2 in the new", "sseload is not the same", "48h0m0s apart",
		"overloaded in 1 of 1 new runs: read lag", "1 of 1 new runs were interrupted", "a new run was aborted: the target went away",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing says %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "machine that made") {
		t.Errorf("the machine is the same:\n%s", text)
	}
}

func TestParseLimit(t *testing.T) {
	for _, test := range []struct {
		text, figure    string
		falls           bool
		percent, amount float64 // 0: none
	}{
		{"delivery.p99 +10%", "delivery.latency.p99", false, 10, 0},
		{"delivery.p99+10%", "delivery.latency.p99", false, 10, 0},
		{"delivery.p99 +10% +5ms", "delivery.latency.p99", false, 10, 5e6},
		{"delivery.p99 +5ms,+10%", "delivery.latency.p99", false, 10, 5e6},
		{"delivery.rate -10%", "delivery.rate", true, 10, 0},
		{"target.bytes_per_client +2KiB", "target_process.bytes_per_client", false, 0, 2048},
		{"delivery.lost +3", "delivery.lost", false, 0, 3},
	} {
		l, err := ParseLimit(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		value := func(p *float64) float64 {
			if p == nil {
				return 0
			}
			return *p
		}
		if l.figure.Name != test.figure || l.falls != test.falls || value(l.percent) != test.percent || value(l.amount) != test.amount || l.String() != test.text {
			t.Errorf("%s: %+v", test.text, l)
		}
	}
	for text, want := range map[string][2]string{
		"delivery.p99":              {"does not say by how much", "+10%"},
		"+10%":                      {"names no figure", "+10%"},
		"delivery.p9x +10%":         {`unknown figure "delivery.p9x"`, "did you mean delivery.p9"},
		"delivery.p99 +10":          {`"10" is a number without a unit, not a time`, "100ms"},
		"delivery.p99 +10MiB":       {`"10MiB" is a size, not a time`, "100ms"},
		"delivery.p99 +":            {`"" is not a time`, "100ms"},
		"delivery.p99 +fast%":       {`"fast%" is not a percentage`, "90%"},
		"delivery.p99 +10% -5ms":    {"a rise and a fall", "one --fail-if for each"},
		"delivery.p99 +10% +20%":    {"two limits of one kind", "one --fail-if for each"},
		"delivery.rate -110%":       {"nothing falls by more than 100%", ""},
		"delivery.p99 +1ms +2s +1%": {"two limits of one kind", ""},
	} {
		_, err := ParseLimit(text)
		var wrong *LimitError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want[0]) || !strings.Contains(wrong.Hint(), want[1]) {
			t.Errorf("%s: %v (%+v), want %q", text, err, wrong, want)
		}
	}
}

func TestLimitState(t *testing.T) {
	limit := func(text string) Limit {
		l, err := ParseLimit(text)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	change := func(base, value, lo, hi float64, v Verdict) *Change {
		return &Change{Base: &base, New: new(base + value), Absolute: &Interval{value, lo, hi}, Verdict: v}
	}
	for _, test := range []struct {
		limit  string
		change *Change
		want   State
	}{
		{"delivery.p99 +10%", change(1e6, 200e3, 150e3, 250e3, Worse), Exceeded},
		{"delivery.p99 +10%", change(1e6, 200e3, 50e3, 250e3, Worse), Suspected},
		{"delivery.p99 +10%", change(1e6, 200e3, -50e3, 250e3, Noise), Suspected},
		{"delivery.p99 +10%", change(1e6, 50e3, 20e3, 90e3, Worse), Held},
		{"delivery.p99 +10%", change(1e6, -500e3, -600e3, -400e3, Better), Held},
		{"delivery.p99 +10% +1ms", change(1e6, 200e3, 150e3, 250e3, Worse), Held},
		{"delivery.p99 +10% +1ms", change(1e6, 3e6, 2e6, 4e6, Worse), Exceeded},
		{"delivery.rate -10%", change(1000, -200, -300, -150, Worse), Exceeded},
		{"delivery.rate -10%", change(1000, 200, 150, 300, Better), Held},
	} {
		if got := limit(test.limit).state(test.change); got != test.want {
			t.Errorf("%s by %+v of %v: %s, want %s", test.limit, *test.change.Absolute, *test.change.Base, got, test.want)
		}
	}
}

// Every usual figure is one of package figure, by its short name or the full one.
func TestUsualFigures(t *testing.T) {
	for _, m := range usual() {
		if _, err := figure.Lookup(m.figure.Name); err != nil {
			t.Error(err)
		}
		if len([]rune(m.label)) > 20 {
			t.Errorf("%q is longer than a row's label may be", m.label)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	r := rand.New(rand.NewPCG(13, 14))
	base, fresh := many(b, r, 20, 1e6), many(b, r, 20, 1e6)
	for b.Loop() {
		compared(b, base, fresh)
	}
}
