package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/compare"
	"github.com/sseload/sseload/pkg/result"
)

// comparedAll are comparisons with one of everything: what got worse, better or neither,
// what is not known, what was not matched, and what limits came to.
func comparedAll(t *testing.T) []*compare.Comparison {
	t.Helper()
	limit, err := compare.ParseLimit("delivery.p99 +10%")
	if err != nil {
		t.Fatal(err)
	}
	change := func(label, unit string, base, fresh, lo, hi float64, v compare.Verdict) compare.Change {
		c := compare.Change{
			Figure: label, Label: label, Unit: unit, Base: &base, New: &fresh, BaseEach: []float64{base}, NewEach: []float64{fresh},
			Absolute: &compare.Interval{Value: fresh - base, Lo: lo, Hi: hi}, P: new(0.01), Verdict: v,
		}
		if base > 0 {
			c.Percent = &compare.Interval{Value: 100 * (fresh/base - 1), Lo: 100 * lo / base, Hi: 100 * hi / base}
		}
		return c
	}
	one := func() compare.Row {
		return compare.Row{
			Name: "rooms 600 × 10", Scenario: "rooms", Params: result.Params{Clients: 600}, BaseRuns: 5, NewRuns: 5, Tested: true,
			Changes: []compare.Change{
				change("latency p50", "ns", 400_000, 390_000, -20_000, 15_000, compare.Noise),
				change("latency p99", "ns", 1.2e6, 21.4e6, 18e6, 23e6, compare.Worse),
				{Figure: "latency max", Label: "latency max", Unit: "ns", Base: new(2e6), New: new(9e6), Verdict: compare.Noise},
				change("iteration p50", "ns", 1e6, 1e6, 0, 0, compare.Same),
				change("deliveries/s", "per second", 60_000, 66_000, 3000, 9000, compare.Better),
				change("lost", "count", 0, 3, 1, 4, compare.Worse),
				change("duplicate", "count", 0, 0, 0, 0, compare.Same),
				change("affinity.moved", "count", 4, 2.5, -2, -1, compare.Lower),
				change("target mem/client", "bytes", 6553, 8000, -500, 3000, compare.Noise),
				{Figure: "target CPU/copy", Label: "target CPU/copy", Unit: "ns", Base: new(5000.0), Verdict: compare.Unknown},
			},
		}
	}
	two := one()
	two.Name, two.Tested, two.BaseRuns, two.NewRuns = "rooms 1200 × 10", false, 1, 2
	two.Doubts = []string{"the generator was overloaded in 1 of 1 base runs: read lag <&> | \x1b[1m"}
	two.Differences = []string{"type is Normal in the base and Cluster in the new"}
	two.Changes = two.Changes[:1]
	findings := []compare.Finding{
		{Limit: limit.String(), Figure: "delivery.p99", Row: "rooms 600 × 10", State: compare.Exceeded, Change: &[]compare.Change{one().Changes[1]}[0]},
		{Limit: limit.String(), Figure: "delivery.p99", Row: "rooms 1200 × 10", State: compare.Suspected, Change: &[]compare.Change{one().Changes[0]}[0]},
		{Limit: "target.cpu_per_copy +5µs", Figure: "target.cpu_per_copy", Row: "rooms 600 × 10", State: compare.Unjudged, Change: &[]compare.Change{one().Changes[9]}[0]},
		{Limit: "iteration.p99 +5%", Figure: "iteration.p99", State: compare.Unjudged},
		{Limit: "delivery.late +0", Figure: "delivery.late", Row: "rooms 600 × 10", State: compare.Held, Change: &[]compare.Change{one().Changes[6]}[0]},
	}
	base := compare.Side{Name: "before.json", Runs: 6}
	return []*compare.Comparison{
		{
			Base: base, New: compare.Side{Name: "after.json", Runs: 7}, Confidence: 0.9, Rows: []compare.Row{one(), two}, Findings: findings,
			Unmatched: []compare.Unmatched{{Side: "base", Name: "rooms 6 × 1", Runs: 1}, {Side: "new", Name: "rooms 6 × 2", Runs: 2, Nearest: "iterations is 2, not 1"}},
			Warnings:  []string{"the kernel is not the same: 6.1 in the base, 6.2 in the new"},
		},
		{
			Base: base, New: compare.Side{Name: "rooms -c 600 | tee", Runs: 1}, Confidence: 0.95,
			Rows: []compare.Row{{Name: "rooms 1200 × 10", Scenario: "rooms", BaseRuns: 1, NewRuns: 1, Changes: one().Changes[3:4]}},
		},
	}
}

func renderComparisons(t *testing.T, format string, all []*compare.Comparison) string {
	t.Helper()
	f, err := LookupComparison(format)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.RenderComparisons(&b, all, Options{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestComparisonGolden(t *testing.T) {
	for format, suffix := range map[string]string{"table": ".table", "markdown": ".md", "csv": ".csv", "junit": ".junit.xml"} {
		golden := filepath.Join("testdata", "comparison"+suffix)
		t.Run(format, func(t *testing.T) {
			got := renderComparisons(t, format, comparedAll(t))
			matchGolden(t, golden, got)
		})
	}
}

func TestComparisonTableIsNarrow(t *testing.T) {
	text := renderComparisons(t, "table", comparedAll(t))
	if n := width(text); n > detailWidth {
		t.Errorf("%d columns", n)
	}
	if strings.Contains(text, "\x1b") {
		t.Error("what a server said may move the cursor")
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := lines[len(lines)-1]; last != "no change: nothing got worse or better" {
		t.Errorf("the last line is %q", last)
	}
}

func TestComparisonJSONAndCSV(t *testing.T) {
	all := comparedAll(t)
	var read struct {
		Schema      string
		Comparisons []*compare.Comparison
	}
	if err := json.Unmarshal([]byte(renderComparisons(t, "json", all)), &read); err != nil {
		t.Fatal(err)
	}
	if read.Schema != compare.Schema || len(read.Comparisons) != 2 || *read.Comparisons[0].Rows[0].Changes[1].New != 21.4e6 {
		t.Errorf("%+v", read)
	}
	rows, err := csv.NewReader(strings.NewReader(renderComparisons(t, "csv", all))).ReadAll()
	if err != nil || len(rows) != 1+10+1+1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if _, err := LookupComparison("pdf"); err == nil || !strings.Contains(err.Error(), "known are table, markdown, csv, json, junit, github") {
		t.Error(err)
	}
}
