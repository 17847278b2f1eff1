package main

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		figures []float64
		want    spread
	}{
		{[]float64{3}, spread{3, 3, 3, 1}},
		{[]float64{4, 1}, spread{2.5, 1, 4, 2}},
		{[]float64{5, 1, 2}, spread{2, 1, 5, 3}},
		{[]float64{4, 3, 2, 1}, spread{2.5, 1, 4, 4}},
	} {
		given := slices.Clone(c.figures)
		if got := spreadOf(c.figures); got == nil || *got != c.want {
			t.Errorf("of %v: %+v, want %+v", c.figures, got, c.want)
		}
		if !slices.Equal(c.figures, given) {
			t.Errorf("%v has become %v", given, c.figures)
		}
	}
	if got := spreadOf(nil); got != nil {
		t.Errorf("of nothing: %+v, want nil", got)
	}
}

func ptr[T any](v T) *T { return &v }

func TestFigure(t *testing.T) {
	full := trial{Clients: 50, ElapsedNS: ptr(int64(700)), CPUNS: ptr(int64(1000)), Copies: ptr(int64(250_000)), RSSPerClientBytes: ptr(80.0)}
	wrong := full
	wrong.fault("it is")
	for m, want := range map[measure]float64{connectTime: 700, sendTime: 700, connectCPU: 20, deliveryCPU: 4000, clientMemory: 80} {
		if got, ok := full.figure(m); !ok || got != want {
			t.Errorf("%s: %v %v, want %v", m, got, ok, want)
		}
		for _, unknown := range []trial{{}, {Clients: 50, Copies: ptr(int64(0))}, {ElapsedNS: nil, CPUNS: ptr(int64(5))}, wrong} {
			if got, ok := unknown.figure(m); ok {
				t.Errorf("%s of %+v: %v, want that nothing is known", m, unknown, got)
			}
		}
	}
}

// tried is a trial of the one measure that counts for its shape.
func tried(round int, shape, contender string, ns int64, wrong ...string) trial {
	return trial{
		outcome: outcome{Round: round, Shape: shape, Contender: contender, Wrong: wrong},
		Clients: 10, ElapsedNS: &ns, CPUNS: &ns, Copies: ptr(int64(1e6)),
	}
}

func testShapes() []shape {
	both := []string{floorName, judged}
	return []shape{
		{Name: "open", What: "opening", Clients: 10, RoomSize: 6, Contenders: both, Budget: 1.3},
		{Name: "full", What: "sending", Clients: 10, RoomSize: 6, Iterations: 2, Contenders: both, Budget: 1.5},
	}
}

func find(t *testing.T, all []comparison, shape string, m measure, contender string) comparison {
	t.Helper()
	i := slices.IndexFunc(all, func(c comparison) bool { return c.Shape == shape && c.Measure == m && c.Contender == contender })
	if i < 0 {
		t.Fatalf("no comparison of %s, %s, %s in %+v", shape, m, contender, all)
	}
	return all[i]
}

// TestCompare: ratios are to the floor of the same round, and what went wrong is out.
func TestCompare(t *testing.T) {
	b := &book{session: session{Rounds: 4, Shapes: testShapes()}, Trials: []trial{
		tried(1, "open", floorName, 100), tried(1, "open", judged, 110),
		tried(2, "open", judged, 600), tried(2, "open", floorName, 400), // in another order, on a slow machine
		tried(3, "open", floorName, 100), tried(3, "open", judged, 1, "lost a copy"),
		tried(4, "open", floorName, 1, "no server"), tried(4, "open", judged, 300),
		tried(1, "full", judged, 50),
	}}
	b.conclude()
	all := b.Comparisons
	got := find(t, all, "open", connectTime, judged)
	if want := (spread{300, 110, 600, 3}); *got.Value != want {
		t.Errorf("values %+v, want %+v: of rounds 1, 2 and 4", *got.Value, want)
	}
	if r := got.Ratio; r.Rounds != 2 || math.Abs(r.Min-1.1) > 1e-9 || r.Max != 1.5 || math.Abs(r.Median-1.3) > 1e-9 {
		t.Errorf("ratios %+v, want 1.1 and 1.5 of rounds 1 and 2", *r)
	}
	floor := find(t, all, "open", connectTime, floorName)
	if want := (spread{100, 100, 400, 3}); *floor.Value != want || floor.Ratio != nil {
		t.Errorf("floor %+v, want %+v and no ratio", floor, want)
	}
	if got := find(t, all, "full", deliveryCPU, judged); got.Ratio != nil || got.Value.Median != 50 {
		t.Errorf("without a floor: %+v, want 50 and no ratio", got)
	}
	if got := find(t, all, "full", deliveryCPU, floorName); got.Value != nil || got.Ratio != nil {
		t.Errorf("without a trial: %+v, want nothing", got)
	}
}

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		v    verdict
		want string
	}{
		{verdict{Unit: floors, Budget: 1.3, Measured: &spread{Median: 1.3, Max: 9, Rounds: 5}}, kept},
		{verdict{Unit: floors, Budget: 1.3, Measured: &spread{Median: 1.301, Min: 1, Rounds: 5}}, missed},
		{verdict{Unit: floors, Budget: 1.3}, notMeasured},
		{verdict{Unit: floors, Budget: 1.3, Measured: &spread{Median: 5, Rounds: 4}}, notJudged},
		{verdict{Unit: floors, Budget: 1.3, Measured: &spread{Median: 1, Rounds: 4}}, notJudged},
		{verdict{Unit: bytesPerSecond, AtLeast: true, Budget: 1e9, Measured: &spread{Median: 1e9, Rounds: 5}}, kept},
		{verdict{Unit: bytesPerSecond, AtLeast: true, Budget: 1e9, Measured: &spread{Median: 9e8, Max: 2e9, Rounds: 7}}, missed},
		{verdict{Unit: allocations, Measured: &spread{Rounds: 5}}, kept},
		{verdict{Unit: allocations, Measured: &spread{Median: 0, Max: 1, Rounds: 5}}, missed}, // in one round
	} {
		if got := c.v.decide(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.v, got, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	b := &book{session: session{Rounds: 5, Shapes: testShapes()}}
	b.Shapes[0].Memory = true
	for round := 1; round <= 5; round++ {
		b.Trials = append(b.Trials,
			tried(round, "open", floorName, 100), tried(round, "open", judged, 120),
			tried(round, "full", floorName, 100), tried(round, "full", judged, 160))
		if round > 1 {
			b.Trials[4*round-3].RSSPerClientBytes = ptr(300.0)
		}
		b.Decodings = append(b.Decodings, decoding{BytesPerSecond: 2e9})
	}
	b.conclude()
	var got []string
	for _, v := range b.Verdicts {
		got = append(got, v.What+": "+v.Verdict)
	}
	want := []string{
		"time of opening: kept",
		"user memory a client, of 10: not judged", // it is known of four rounds
		"CPU per million copies, sending: missed",
		"decoding 100-byte events, one core: kept",
		"allocations of the decoder: kept",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPassed(t *testing.T) {
	good, bad := trial{}, trial{outcome: outcome{Wrong: []string{"copies lost: 1"}}}
	for _, c := range []struct {
		rounds   int
		verdicts []string
		trials   []trial
		want     bool
	}{
		{5, []string{kept, kept}, []trial{good}, true},
		{5, []string{kept, missed}, []trial{good}, false},
		{5, []string{kept, notMeasured}, []trial{good}, false},
		{5, []string{kept, notJudged}, []trial{good}, false},
		{5, []string{kept}, []trial{good, bad}, false}, // a lost copy fails it, budgets kept or not
		{4, []string{notJudged, notMeasured}, []trial{good}, true},
		{4, []string{notJudged}, []trial{good, bad}, false},
	} {
		b := &book{session: session{Rounds: c.rounds}, Trials: c.trials}
		for _, v := range c.verdicts {
			b.Verdicts = append(b.Verdicts, verdict{Verdict: v})
		}
		if got := b.passed(); got != c.want {
			t.Errorf("%d rounds, %v with %+v: %v, want %v", c.rounds, c.verdicts, c.trials, got, c.want)
		}
	}
}
