package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// Live is a format whose text can be written while the runs go on, a line at a time.
// A run's lines are those that Render writes of its record, with one exception: what
// was thinned out of the samples of a run of more than an hour has had its line.
type Live interface {
	Format
	// Sample is the line of a sample of a run, with its line end. Of run only what is
	// known before the first client connects is looked at. The number counts the runs of
	// the record, from 1.
	Sample(number int, run *result.Run, s result.Sample) ([]byte, error)
	// End is the line of a run that is over, likewise.
	End(number int, run *result.Run) ([]byte, error)
}

// samples is JSON lines: one for each sample, then one for the run that they are of.
// docs/samples.schema.json is the schema of a line.
type samples struct{}

func (samples) Name() string { return "samples" }

func (samples) Description() string {
	return "JSON lines, one a second and one a run, written while runs go on"
}

func (f samples) Render(w io.Writer, file *result.File, _ Options) error {
	var b bytes.Buffer
	for i := range file.Runs {
		run := &file.Runs[i]
		for _, s := range run.Samples {
			line, err := f.Sample(i+1, run, s)
			if err != nil {
				return err
			}
			b.Write(line)
		}
		line, err := f.End(i+1, run)
		if err != nil {
			return err
		}
		b.Write(line)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	return nil
}

// Sample implements [Live].
func (samples) Sample(number int, run *result.Run, s result.Sample) ([]byte, error) {
	return jsonLine(sampleLine{headOf("sample", number, run), s})
}

// End implements [Live].
func (samples) End(number int, run *result.Run) ([]byte, error) {
	c := &run.Connect
	line := runLine{
		lineHead: headOf("run", number, run), TotalNS: run.TotalNS,
		Connect:    connectLine{c.Attempted, c.Opened, c.Failed, c.Dropped, c.ElapsedNS, latencyOf(&c.OpenLatency)},
		Overloaded: run.Generator.Overloaded, Interrupted: run.Interrupted, Aborted: run.Aborted,
	}
	if d := run.Delivery; d != nil {
		line.Delivery = &deliveryLine{d.Expected, d.Received, d.Lost, d.Duplicate, d.Reordered, d.Misrouted, d.Late, d.RatePerSecond, latencyOf(&d.Latency)}
	}
	return jsonLine(line)
}

// lineHead says what a line is and which run it is of, in figures that are known before
// the run begins.
type lineHead struct {
	Type       string    `json:"type"` // "sample" or "run"
	Run        int       `json:"run"`
	Scenario   string    `json:"scenario"`
	StartedAt  time.Time `json:"started_at"`
	Clients    int       `json:"clients"`
	Iterations *int      `json:"iterations,omitempty"`
	Rate       *float64  `json:"rate,omitempty"`
	DurationNS *int64    `json:"duration_ns,omitempty"`
	Step       *string   `json:"step,omitempty"`
	Repetition *int      `json:"repetition,omitempty"`
}

func headOf(kind string, number int, run *result.Run) lineHead {
	p := &run.Params
	return lineHead{
		Type: kind, Run: number, Scenario: run.Scenario, StartedAt: run.StartedAt,
		Clients: p.Clients, Iterations: p.Iterations, Rate: p.Rate, DurationNS: p.DurationNS,
		Step: run.Step, Repetition: run.Repetition,
	}
}

type sampleLine struct {
	lineHead
	result.Sample
}

// runLine has the main figures of a run, at the places that they have in the record.
type runLine struct {
	lineHead

	TotalNS     int64         `json:"total_ns"`
	Connect     connectLine   `json:"connect"`
	Delivery    *deliveryLine `json:"delivery"`
	Overloaded  *bool         `json:"overloaded"`
	Interrupted bool          `json:"interrupted"`
	Aborted     *string       `json:"aborted"`
}

type connectLine struct {
	Attempted   int         `json:"attempted"`
	Opened      int         `json:"opened"`
	Failed      int         `json:"failed"`
	Dropped     int         `json:"dropped"`
	ElapsedNS   *int64      `json:"elapsed_ns"`
	OpenLatency latencyLine `json:"open_latency"`
}

type deliveryLine struct {
	Expected      int64       `json:"expected"`
	Received      int64       `json:"received"`
	Lost          *int64      `json:"lost"`
	Duplicate     *int64      `json:"duplicate"`
	Reordered     *int64      `json:"reordered"`
	Misrouted     *int64      `json:"misrouted"`
	Late          *int64      `json:"late"`
	RatePerSecond *float64    `json:"rate_per_second"`
	Latency       latencyLine `json:"latency"`
}

// latencyLine is a [result.Latency] without its histogram, which is longer than all of
// the line.
type latencyLine struct {
	Count  int64    `json:"count"`
	MeanNS *float64 `json:"mean_ns"`
	P50NS  *int64   `json:"p50_ns"`
	P90NS  *int64   `json:"p90_ns"`
	P95NS  *int64   `json:"p95_ns"`
	P99NS  *int64   `json:"p99_ns"`
	P999NS *int64   `json:"p999_ns"`
	MaxNS  *int64   `json:"max_ns"`
}

func latencyOf(l *result.Latency) latencyLine {
	return latencyLine{l.Count, l.MeanNS, l.P50NS, l.P90NS, l.P95NS, l.P99NS, l.P999NS, l.MaxNS}
}

func jsonLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // as in the record
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode a line: %w", err)
	}
	return b.Bytes(), nil
}
