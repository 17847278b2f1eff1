package report

import (
	"bytes"
	"fmt"
	"io"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sseload/sseload/pkg/result"
)

// hlog is the log of HdrHistogram, version 1.3: the whole distribution of each run as a
// line with the run's name for a tag and its times since the epoch, for the tools that
// read such logs. The values in the histograms are nanoseconds, the maxima beside them
// milliseconds.
type hlog struct{}

func (hlog) Name() string { return "hlog" }

func (hlog) Description() string {
	return "HdrHistogram log, one tagged line a run, for its tools"
}

func (hlog) Render(w io.Writer, f *result.File, _ Options) error {
	var b bytes.Buffer
	log := hdrhistogram.NewHistogramLogWriter(&b)
	for _, head := range []func() error{
		func() error { return log.OutputComment("[Logged with sseload " + clean(f.Tool.Version) + "]") },
		log.OutputLogFormatVersion,
		func() error { return log.OutputStartTime(f.StartedAt.UnixMilli()) },
		log.OutputLegend,
	} {
		if err := head(); err != nil {
			return fmt.Errorf("write histogram log: %w", err)
		}
	}
	for _, d := range encodedDistributions(f) {
		h, err := d.histogram()
		if err != nil {
			return err
		}
		h.SetTag(d.name)
		h.SetStartTimeMs(d.run.StartedAt.UnixMilli())
		h.SetEndTimeMs(d.run.StartedAt.UnixMilli() + d.run.TotalNS/nsPerMS)
		if err := log.OutputIntervalHistogram(h); err != nil {
			return fmt.Errorf("%s: encode histogram: %w", d.name, err)
		}
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write histogram log: %w", err)
	}
	return nil
}
