package report

import (
	"math"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/result"
)

func TestSparkline(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   string
	}{
		{nil, ""},
		{[]float64{0, 0}, "  "},
		{[]float64{5}, "█"},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8}, "▁▂▃▄▅▆▇█"},
		{[]float64{1e-9, 0, 1e9}, "▁ █"},
		{[]float64{-1, math.NaN(), 8, 4}, "  █▄"},
		{[]float64{math.Inf(1), 8, 4}, "██▄"},
	} {
		if got := Sparkline(test.values); got != test.want {
			t.Errorf("Sparkline(%v) = %q, want %q", test.values, got, test.want)
		}
	}
}

// outlined is the block of one run for each distribution.
func outlined(t *testing.T, limit int, all ...result.Latency) string {
	t.Helper()
	f := file("rooms")
	for i := range all {
		run := roomsRun(600*(i+1), 10, 412_000, 1e9)
		run.Delivery.Latency = all[i]
		f.Runs = append(f.Runs, run)
	}
	text, err := tables(f)[0].outlines(limit)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// bounded is l with the figures that stand at its ends.
func bounded(l result.Latency, least, most int64) result.Latency {
	l.MinNS, l.MaxNS = &least, &most
	return l
}

// TestOutlinesHaveOneScale: from 1 µs to 1 ms in 40 cells, each time two humps a decade
// apart must be as far apart, whichever decade.
func TestOutlinesHaveOneScale(t *testing.T) {
	got := outlined(t, 0,
		bounded(recorded(t, map[int64]int64{1e3: 80, 1e4: 40}), 1e3, 1e4),
		bounded(recorded(t, map[int64]int64{1e5: 10, 1e6: 1}), 1e5, 1e6),
		bounded(recorded(t, map[int64]int64{1e6: 7}), 1e6, 1e6))
	want := `delivery latency, all on one logarithmic scale:
600 × 10  1.00 µs █            ▄                           10.0 µs
1200 × 10  100 µs                           █            ▁ 1.00 ms
1800 × 10 1.00 ms                                        █ 1.00 ms
`
	if got != want {
		t.Errorf("it is\n%swant\n%s", got, want)
	}
}

func TestOutlineOfOneRun(t *testing.T) {
	one := bounded(recorded(t, map[int64]int64{119e3: 10, 200e3: 1000, 1e6: 3, 8_280_000: 1}), 119_000, 8_280_000)
	got := outlined(t, 80, one)
	if want := "delivery latency 119 µs ▁    █                ▁                   ▁ 8.28 ms\n"; !strings.HasPrefix(got, "delivery latency 119 µs ▁") ||
		!strings.HasSuffix(got, "▁ 8.28 ms\n") || strings.Count(got, "█") != 1 || Columns(got) != Columns(want)+1 && Columns(got) > 80 {
		t.Errorf("it is %q", got)
	}
	if got := outlined(t, 0, bounded(recorded(t, map[int64]int64{5e3: 4}), 5e3, 5e3)); got != "delivery latency 5.00 µs █ 5.00 µs\n" {
		t.Errorf("of copies that took the same time: %q", got)
	}
	if got := outlined(t, 0, result.Latency{}); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	// Records may hold figures alone.
	one.HDR = ""
	if got := outlined(t, 0, one); got != "" {
		t.Errorf("without a histogram: %q", got)
	}
}

func TestOutlinesAccountForEveryDuration(t *testing.T) {
	l := recorded(t, map[int64]int64{1: 3, 17: 2, 5e3: 7, 3e6: 1, 9e9: 4, 3_599e9: 5})
	bars, err := l.Histogram()
	if err != nil {
		t.Fatal(err)
	}
	scale := axis{cells: 12}
	scale.cover(bars)
	sum := 0.0
	cells := scale.gather(bars)
	for _, n := range cells {
		sum += n
	}
	if sum != float64(l.Count) || cells[0] == 0 || cells[11] != 5 {
		t.Errorf("the cells hold %v, which is %g of %d", cells, sum, l.Count)
	}
}

func TestWords(t *testing.T) {
	for _, test := range []struct {
		s       string
		columns int
		want    string
	}{
		{"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"abcdef", 1, "…"}, {"abcdef", 0, ""}, {"abcdef", -1, ""},
		{"µ×▁", 3, "µ×▁"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"a\x1b[2Jb\n", 9, "a [2Jb "}, {"", 0, ""},
	} {
		if got := Fit(test.s, test.columns); got != test.want {
			t.Errorf("Fit(%q, %d) = %q, want %q", test.s, test.columns, got, test.want)
		}
	}
	for _, test := range []struct {
		share float64
		want  string
	}{{0, "░░░░"}, {0.5, "██░░"}, {0.3, "█▎░░"}, {1, "████"}, {1.5, "████"}, {-1, "░░░░"}} {
		if got := Bar(test.share, 4); got != test.want {
			t.Errorf("Bar(%g, 4) = %q, want %q", test.share, got, test.want)
		}
	}
}
