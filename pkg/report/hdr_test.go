package report

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sseload/sseload/pkg/result"
)

// The log is read by the library's reader, and holds what the record holds.
func TestHistogramLogIsReadBack(t *testing.T) {
	f := openModel()
	f.Runs = append(f.Runs, slowReading().Runs...)
	r := hdrhistogram.NewHistogramLogReader(strings.NewReader(render(t, "hlog", f, Options{})))
	want := []struct {
		tag     string
		run     int
		latency *result.Latency
	}{
		{"rooms-600@500", 0, &f.Runs[0].Delivery.Latency},
		{"rooms-600@1500.5", 1, &f.Runs[1].Delivery.Latency},
		{"rooms-600x10", 2, &f.Runs[2].Delivery.Latency},
		{"rooms-1200x100", 3, &f.Runs[3].Delivery.Latency},
		{"rooms-1200x100-neighbours", 3, &f.Runs[3].Delivery.Slow.Neighbours},
		{"rooms-1200x100-slow", 3, &f.Runs[3].Delivery.Slow.Latency},
		{"rooms-1200x100-2", 4, &f.Runs[4].Delivery.Latency},
		{"rooms-1200x100-neighbours-2", 4, &f.Runs[4].Delivery.Slow.Neighbours},
		{"rooms-1200x100-slow-2", 4, &f.Runs[4].Delivery.Slow.Latency},
	}
	for _, w := range want {
		h, err := r.NextIntervalHistogram()
		if err != nil || h == nil {
			t.Fatalf("%s: %v, %v", w.tag, h, err)
		}
		run := &f.Runs[w.run]
		if h.Tag() != w.tag || h.TotalCount() != w.latency.Count {
			t.Errorf("%q with %d, want %q with %d", h.Tag(), h.TotalCount(), w.tag, w.latency.Count)
		}
		if from, to := run.StartedAt.UnixMilli(), run.StartedAt.UnixMilli()+run.TotalNS/1e6; h.StartTimeMs() != from || h.EndTimeMs() != to {
			t.Errorf("%s: from %d to %d, want from %d to %d", w.tag, h.StartTimeMs(), h.EndTimeMs(), from, to)
		}
		if w.latency.Count == 0 {
			continue
		}
		for q, ns := range map[float64]int64{50: *w.latency.P50NS, 90: *w.latency.P90NS, 99: *w.latency.P99NS} {
			if got := h.ValueAtQuantile(q); math.Abs(float64(got-ns)) > float64(ns)/1000 {
				t.Errorf("%s: %v%% is %d, want %d", w.tag, q, got, ns)
			}
		}
	}
	if h, err := r.NextIntervalHistogram(); h != nil || err != nil {
		t.Errorf("there is more: %v, %v", h, err)
	}
}

// The distribution's columns are what they say of one another, and of the histogram.
func TestPercentileDistribution(t *testing.T) {
	f := roomsOne()
	l := &f.Runs[0].Delivery.Latency
	h, err := hdrhistogram.Decode([]byte(l.HDR))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(render(t, "hgrm", f, Options{}), "\n"), "\n")
	if got := strings.Join(strings.Fields(lines[0]), " "); got != "Value Percentile TotalCount 1/(1-Percentile)" || lines[1] != "" {
		t.Errorf("the head is %q, %q", lines[0], lines[1])
	}
	rows, last := lines[2:len(lines)-3], [2]float64{}
	if len(rows) < 20 {
		t.Fatalf("only %d rows", len(rows))
	}
	for i, line := range rows {
		cells := strings.Fields(line)
		want := 4
		if i == len(rows)-1 {
			want = 3 // 1/0
		}
		if len(cells) != want {
			t.Fatalf("%d columns: %q", len(cells), line)
		}
		var x [4]float64
		for k, c := range cells {
			if x[k], err = strconv.ParseFloat(c, 64); err != nil {
				t.Fatal(err)
			}
		}
		if x[0] < last[0] || x[2] < last[1] || x[2]/float64(l.Count) < x[1]-1e-9 {
			t.Errorf("row %d: %q after %v", i, line, last)
		}
		if within := h.ValueAtQuantile(x[1] * 100); math.Abs(float64(within)/1e6-x[0]) > x[0]/1000 {
			t.Errorf("row %d: %q, but that quantile is %d", i, line, within)
		}
		if want == 4 && math.Abs(1/(1-x[1])-x[3]) > 0.005+x[3]*1e-6 {
			t.Errorf("row %d: %q, but 1/(1-p) is %v", i, line, 1/(1-x[1]))
		}
		last = [2]float64{x[0], x[2]}
	}
	if last != [2]float64{float64(h.Max()) / 1e6, float64(l.Count)} {
		t.Errorf("it ends with %v", last)
	}

	// The lines below are the library's, but for the decimals.
	var b strings.Builder
	if _, err := h.PercentilesPrint(&b, ticksPerHalf, nsPerMS); err != nil {
		t.Fatal(err)
	}
	theirs := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	number := regexp.MustCompile(`[0-9.]+`)
	for i := range 3 {
		got, want := lines[len(lines)-3+i], theirs[len(theirs)-3+i]
		if words := number.ReplaceAllString(strings.Join(strings.Fields(got), " "), "N"); words != number.ReplaceAllString(strings.Join(strings.Fields(want), " "), "N") {
			t.Errorf("got %q, want %q", got, want)
		}
		numbers := number.FindAllString(want, -1)
		for k, text := range number.FindAllString(got, -1) {
			x, err := strconv.ParseFloat(text, 64)
			y, wrong := strconv.ParseFloat(numbers[k], 64)
			if err != nil || wrong != nil || math.Abs(x-y) > 0.0006 {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
}

func TestPartsHaveNamesOfTheirOwn(t *testing.T) {
	fs := fixtures()
	fs["pipeline"] = pipeline()
	safe := regexp.MustCompile(`^[A-Za-z0-9.@-]+$`)
	for name, f := range fs {
		parts, err := hgrm{}.Parts(f)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, p := range parts {
			if seen[p.Name] || !safe.MatchString(p.Name) {
				t.Errorf("%s: a part is called %q", name, p.Name)
			}
			seen[p.Name] = true
		}
	}
}
