package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sseload/sseload/pkg/result"
)

// Parted is a format of which a file holds one part of a record: where there are
// several, each wants a file of its own.
type Parted interface {
	Format
	// Parts are those of f, of which no two have the same name.
	Parts(f *result.File) ([]Part, error)
}

// Part is what goes to a file of its own.
type Part struct {
	// Name tells it from the other parts. It is made of ASCII letters, digits, "-", "."
	// and "@", and so can be a part of a file's name.
	Name string
	Text []byte
}

// hgrm is the percentile distribution of HdrHistogram, as its plotters and those of
// other tools read it: one a file, in milliseconds.
//
// The columns are those of Java's outputPercentileDistribution with five ticks for each
// half of the distance to 100 %: the value, the share of all that are not above it, how
// many those are, and 1/(1-share), which the last row does not have. Milliseconds have
// six decimals there, where Java has three: latencies of a local server are of
// microseconds.
type hgrm struct{}

func (hgrm) Name() string { return "hgrm" }

func (hgrm) Description() string {
	return "HdrHistogram percentile distributions, for plotters; a file for each run"
}

func (h hgrm) Render(w io.Writer, f *result.File, _ Options) error {
	parts, err := h.Parts(f)
	if err != nil {
		return err
	}
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('\n')
		}
		if len(parts) > 1 {
			b.WriteString("#[" + p.Name + "]\n")
		}
		b.Write(p.Text)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write percentile distribution: %w", err)
	}
	return nil
}

// Parts implements [Parted].
func (hgrm) Parts(f *result.File) ([]Part, error) {
	var parts []Part
	for _, d := range encodedDistributions(f) {
		h, err := d.histogram()
		if err != nil {
			return nil, err
		}
		parts = append(parts, Part{Name: d.name, Text: percentiles(h)})
	}
	return parts, nil
}

// ticksPerHalf is how many rows there are for each half of the distance to 100 %, as
// is usual.
const ticksPerHalf = 5

const nsPerMS = 1e6

func percentiles(h *hdrhistogram.Histogram) []byte {
	b := fmt.Appendf(nil, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")
	rows := h.CumulativeDistributionWithTicks(ticksPerHalf)
	if h.TotalCount() == 0 {
		rows = nil // it has one that says that all of nothing took no time
	}
	for _, r := range rows {
		share := r.Quantile / 100
		b = fmt.Appendf(b, "%12.6f %2.12f %10d", float64(r.ValueAt)/nsPerMS, share, r.Count)
		if share < 1 {
			b = fmt.Appendf(b, " %14.2f", 1/(1-share))
		}
		b = append(b, '\n')
	}
	mean, deviation, most := 0.0, 0.0, int64(0)
	if h.TotalCount() > 0 {
		mean, deviation, most = h.Mean(), h.StdDev(), h.Max()
	}
	// The numbers of cells are those of every histogram of a record: see pkg/metric.
	b = fmt.Appendf(b, "#[Mean    = %12.6f, StdDeviation   = %12.6f]\n", mean/nsPerMS, deviation/nsPerMS)
	b = fmt.Appendf(b, "#[Max     = %12.6f, Total count    = %12d]\n", float64(most)/nsPerMS, h.TotalCount())
	return fmt.Appendf(b, "#[Buckets = %12d, SubBuckets     = %12d]\n", hdrBuckets, hdrSubBuckets)
}

// The geometry of a histogram from 1 ns to an hour with three digits.
const (
	hdrLowest     = 1
	hdrHighest    = 3600_000_000_000
	hdrDigits     = 3
	hdrBuckets    = 32
	hdrSubBuckets = 2048
)

// encodedDistribution is a distribution of a run with a name that no other of the
// record has.
type encodedDistribution struct {
	name    string
	run     *result.Run
	latency *result.Latency
}

// encodedDistributions are those that the histogram format draws, but for those of runs
// that did not get to measure any.
func encodedDistributions(f *result.File) []encodedDistribution {
	var all []encodedDistribution
	times := map[string]int{}
	for i := range f.Runs {
		run := &f.Runs[i]
		for k, d := range (row{run: run}).distributions() {
			if d.latency == nil {
				continue
			}
			name := fileStem(run) + []string{"", "-neighbours", "-slow"}[k]
			times[name]++
			if n := times[name]; n > 1 {
				name += "-" + strconv.Itoa(n)
			}
			all = append(all, encodedDistribution{name, run, d.latency})
		}
	}
	return all
}

// fileStem calls a run by its step, scenario and shape, in characters that file names
// and log formats may have.
func fileStem(run *result.Run) string {
	name := run.Scenario + "-" + strconv.Itoa(run.Params.Clients)
	if run.Step != nil {
		name = *run.Step + "-" + name
	}
	if n := run.Params.Iterations; n != nil && !open(run) {
		name += "x" + strconv.Itoa(*n)
	}
	if r := run.Params.Rate; r != nil && open(run) {
		name += "@" + strings.TrimSuffix(perSecond(*r), "/s")
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-.@", r) {
			return r
		}
		return '-'
	}, name)
}

func (d encodedDistribution) histogram() (*hdrhistogram.Histogram, error) {
	if d.latency.Count == 0 {
		return hdrhistogram.New(hdrLowest, hdrHighest, hdrDigits), nil
	}
	h, err := hdrhistogram.Decode([]byte(d.latency.HDR))
	if err != nil {
		return nil, fmt.Errorf("%s: decode histogram: %w", d.name, err)
	}
	if h.TotalCount() != d.latency.Count {
		return nil, fmt.Errorf("%s: the histogram holds %d durations, the count is %d", d.name, h.TotalCount(), d.latency.Count)
	}
	return h, nil
}
