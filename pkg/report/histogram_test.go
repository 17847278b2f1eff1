package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sseload/sseload/pkg/result"
)

// recorded is a distribution of counts by duration in nanoseconds.
func recorded(t *testing.T, counts map[int64]int64) result.Latency {
	t.Helper()
	h := hdrhistogram.New(1, int64(time.Hour), 3)
	for v, n := range counts {
		if err := h.RecordValues(v, n); err != nil {
			t.Fatal(err)
		}
	}
	hdr, err := h.EncodeV2()
	if err != nil {
		t.Fatal(err)
	}
	return result.Latency{Count: h.TotalCount(), HDR: string(hdr)}
}

// rowsOf takes the rows of a drawn histogram apart.
func rowsOf(t *testing.T, drawn string) (rows [][]string, sum int64) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(drawn), "\n")[2:] {
		cells := splitRow(line)
		n, err := strconv.ParseInt(strings.ReplaceAll(cells[1], ",", ""), 10, 64)
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		sum += n
		rows = append(rows, cells)
	}
	return rows, sum
}

// Every duration is in a row, and every row that holds one has a mark.
func TestHistogramAccountsForEveryDuration(t *testing.T) {
	drawn := 0
	for name, f := range fixtures() {
		for _, table := range tables(f) {
			for _, r := range table.rows {
				for _, d := range r.distributions() {
					if d.latency == nil || d.latency.Count == 0 {
						continue
					}
					text, err := draw(d.latency, histogramWidth)
					if err != nil {
						t.Fatal(err)
					}
					rows, sum := rowsOf(t, text)
					if sum != d.latency.Count {
						t.Errorf("%s, %s: rows hold %d of %d", name, d.name, sum, d.latency.Count)
					}
					for _, row := range rows {
						if (row[1] == "0") != (row[4] == "") {
							t.Errorf("%s, %s: row %q", name, d.name, row)
						}
					}
					if last := rows[len(rows)-1]; last[3] != "100.0 %" {
						t.Errorf("%s, %s: the last row ends at %s", name, d.name, last[3])
					}
					drawn++
				}
			}
		}
	}
	if drawn < 40 {
		t.Errorf("only %d histograms were drawn", drawn)
	}
}

// A second in which nothing moved stands apart, however few it hit.
func TestHistogramShowsALonelyTail(t *testing.T) {
	l := recorded(t, map[int64]int64{1200 * us: 1_000_000, 900 * ms: 1})
	text, err := draw(&l, 80)
	if err != nil {
		t.Fatal(err)
	}
	rows, sum := rowsOf(t, text)
	if sum != 1_000_001 {
		t.Errorf("rows hold %d", sum)
	}
	var spans, bars []string
	for _, r := range rows {
		spans, bars = append(spans, r[0]), append(bars, r[4])
	}
	want := []string{"1–2 ms", "2–5 ms", "5–10 ms", "10–20 ms", "20–50 ms", "50–100 ms", "100–200 ms", "200–500 ms", "500 ms–1 s"}
	if !slices.Equal(spans, want) {
		t.Errorf("rows %q, want %q", spans, want)
	}
	if last := len(bars) - 1; bars[last] != "▏" || strings.Join(bars[1:last], "") != "" || !strings.HasPrefix(bars[0], "████████") {
		t.Errorf("bars %q", bars)
	}
	if rows[0][3] != "99.99990 %" || rows[len(rows)-1][2] != "0.00010 %" {
		t.Errorf("shares %q", rows)
	}
	for line := range strings.Lines(text) {
		if w := width(line); w != 80 {
			t.Errorf("%d columns: %s", w, line)
		}
	}
}

func TestGather(t *testing.T) {
	bar := func(from, to, n int64) result.Bar { return result.Bar{FromNS: from, ToNS: to, Count: n} }
	for _, test := range []struct {
		name string
		bars []result.Bar
		want []bucket
	}{
		{"nothing", nil, nil},
		{"nought", []result.Bar{bar(0, 0, 3)}, []bucket{{0, 1, 3}}},
		{"a step is the start of its row", []result.Bar{bar(199, 199, 1), bar(200, 200, 1)}, []bucket{{100, 200, 1}, {200, 500, 1}}},
		{"a cell across a step counts where its middle is", []result.Bar{bar(999_936, 1_000_447, 4)}, []bucket{{1_000_000, 2_000_000, 4}}},
		{"rows add up", []result.Bar{bar(10, 10, 1), bar(11, 11, 2), bar(19, 19, 4)}, []bucket{{10, 20, 7}}},
		{"empty rows between", []result.Bar{bar(1, 1, 1), bar(10, 10, 1)}, []bucket{{1, 2, 1}, {2, 5, 0}, {5, 10, 0}, {10, 20, 1}}},
		{"none before the first", []result.Bar{bar(3_000_000, 3_000_000, 1)}, []bucket{{2_000_000, 5_000_000, 1}}},
		{"the longest there is", []result.Bar{bar(math.MaxInt64-1, math.MaxInt64, 1)}, []bucket{{5_000_000_000_000_000_000, math.MaxInt64, 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := gather(test.bars); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestBucketNames(t *testing.T) {
	for want, b := range map[string]bucket{
		"0–1 ns": {from: 0, to: 1}, "500 ns–1 µs": {from: 500, to: 1000}, "100–200 µs": {from: 100_000, to: 200_000},
		"500 ms–1 s": {from: 500_000_000, to: 1e9}, "2,000–5,000 s": {from: 2e12, to: 5e12},
	} {
		if got := b.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestUpTo(t *testing.T) {
	for _, test := range []struct {
		n, of int64
		want  string
	}{
		{1, 1, "100.0 %"}, {1, 2, "50.0 %"}, {1, 1000, "0.10 %"}, {99, 100, "99.0 %"}, {999, 1000, "99.90 %"},
		{9_999_999, 10_000_000, "99.999990 %"}, {0, 5, "0.0 %"},
	} {
		if got := upTo(test.n, test.of); got != test.want {
			t.Errorf("%d of %d: %s, want %s", test.n, test.of, got, test.want)
		}
	}
}

func TestBar(t *testing.T) {
	for _, test := range []struct {
		n, most int64
		want    string
	}{
		{0, 100, ""}, {100, 100, "████"}, {50, 100, "██"}, {1, 1_000_000, "▏"}, {99_999, 100_000, "████"}, {39, 100, "█▌"}, {97, 100, "███▉"},
	} {
		if got := bar(test.n, test.most, 4); got != test.want {
			t.Errorf("%d of %d: %q, want %q", test.n, test.most, got, test.want)
		}
	}
}

func TestHistogramOfADamagedRecord(t *testing.T) {
	for name, hdr := range map[string]string{"none": "", "damaged": "HISTFAAAAB4=", "another": spreadHDR(7, ms)} {
		f := roomsOne()
		f.Runs[0].Delivery.Latency.HDR = hdr
		var b strings.Builder
		err := histogram{}.Render(&b, f, Options{})
		if err == nil || !strings.Contains(err.Error(), "rooms 4000 × 100: delivery latency: ") || b.Len() > 0 {
			t.Errorf("%s: wrote %q, error %v", name, b.String(), err)
		}
	}
}

func TestHistogramSaysWhatItLeavesOut(t *testing.T) {
	out := strings.Join(strings.Fields(render(t, "histogram", slowReading(), Options{})), " ")
	for _, want := range []string{
		"rooms 1200 × 100: delivery latency (slow readers), 6,000 copies; 240 of them, read only once the sending was over, would have taken longer |",
		"rooms 1200 × 100 #2: delivery latency (neighbours of slow readers): none measured rooms",
		" dropped (1200 × 100 #2): 12 of 1,200 open clients ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("not said: %q\n%s", want, out)
		}
	}
	f := roomsOne()
	f.Runs[0].Delivery.Latency.Capped = 3
	if out := strings.Join(strings.Fields(render(t, "histogram", f, Options{})), " "); !strings.Contains(out, "3 beyond the histogram's range, counted at its edge") {
		t.Errorf("capped durations are silent:\n%s", out)
	}
}
