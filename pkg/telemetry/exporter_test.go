package telemetry

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/result"
)

// patience bounds waits that end at once when all is well.
const patience = 20 * time.Second

// config is one that pushes when a run ends and at Close alone, unless it is changed.
func config(t *testing.T) Config {
	return Config{
		Interval: time.Hour, Instance: "here", Version: "v1", Labels: map[string]string{"build-id": "7"},
		Env: func(string) (string, bool) { return "", false }, Log: slog.New(slog.DiscardHandler),
		Failed: func(d Destination, err error) { t.Errorf("%s: a push failed: %v", d, err) },
	}
}

func open(t *testing.T, cfg Config) *Exporter {
	t.Helper()
	e, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// snapshot is one of those durations.
func snapshot(all ...time.Duration) metric.Snapshot {
	var l metric.Live
	for _, d := range all {
		l.Record(int64(d))
	}
	var s metric.Snapshot
	l.AddTo(&s)
	return s
}

// began is a run of number n with so many copies until now.
func began(n int, copies int64) Run {
	return Run{
		Number: n,
		Record: &result.Run{
			Scenario: "rooms", Engine: "epoll", Target: result.Target{URL: "http://127.0.0.1:1/events"},
			Params: result.Params{Clients: 12}, Labels: result.Labels{Machine: "m", Type: "Normal", Env: "Local", Protocol: "EventSource"},
		},
		Read: func() Reading { return stands(copies) },
	}
}

func stands(copies int64) Reading {
	return Reading{
		Phase: "send", Clients: Clients{Open: 9, Away: 1, Failed: 2, Dropped: 0, Opened: 10}, Open: snapshot(time.Millisecond, 2*time.Hour),
		Messages: &Messages{
			Succeeded: 4, Failed: 1, Received: copies, Iterations: new(int64(3)),
			Latency: snapshot(time.Microsecond, 100*time.Microsecond, time.Millisecond, time.Second),
		},
	}
}

// ended is a run's end after so many copies, two of which came twice.
func ended(copies int64) Reading {
	final := stands(copies)
	final.Messages.Faults = Faults{Lost: new(int64(0)), Duplicate: new(int64(2))}
	return final
}

// scrape gets the page in a format, parsed by the library that Prometheus uses.
func scrape(t *testing.T, e *Exporter, accept string) map[string]*dto.MetricFamily {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.Addr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	if got := response.Header.Get("Content-Type"); accept != "" && !strings.HasPrefix(got, strings.Split(accept, ";")[0]) {
		t.Fatalf("the answer to %q is %q", accept, got)
	}
	body := io.Reader(response.Body)
	if strings.HasPrefix(accept, openMetrics) {
		text, _ := io.ReadAll(body)
		if !strings.HasSuffix(string(text), "# EOF\n") {
			t.Fatal("a page of OpenMetrics does not end as one")
		}
		// The parser is that of the older format, in which a counter's type stands with its whole name.
		body = strings.NewReader(countersAsBefore(string(text)))
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	page, err := parser.TextToMetricFamilies(body)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

const openMetrics = "application/openmetrics-text"

func countersAsBefore(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if name, ok := strings.CutSuffix(line, " counter"); ok {
			lines[i] = name + "_total counter"
		} else if strings.HasPrefix(line, "# HELP ") {
			lines[i] = "" // the parser would take it for another family's
		}
	}
	return strings.Join(lines, "\n")
}

// value is that of the series of page whose labels hold the pairs.
func value(t *testing.T, page map[string]*dto.MetricFamily, name string, pairs ...string) float64 {
	t.Helper()
	var found []*dto.Metric
	for _, m := range page[name].GetMetric() {
		has := asMap(t, m.GetLabel())
		if holds(has, pairs) {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d series of %s have %v, want 1", len(found), name, pairs)
	}
	switch m := found[0]; {
	case m.Counter != nil:
		return m.GetCounter().GetValue()
	case m.Histogram != nil:
		return float64(m.GetHistogram().GetSampleCount())
	default:
		return m.GetGauge().GetValue()
	}
}

func holds(has map[string]string, pairs []string) bool {
	for i := 0; i < len(pairs); i += 2 {
		if has[pairs[i]] != pairs[i+1] {
			return false
		}
	}
	return true
}

// TestScrape: both formats of the page say the same, and a series of runs is told apart.
func TestScrape(t *testing.T) {
	cfg := config(t)
	cfg.Listen = "127.0.0.1:0"
	e := open(t, cfg)
	defer e.Close(t.Context())
	if page := scrape(t, e, ""); len(page) != 1 || value(t, page, "sseload_runs_total") != 0 {
		t.Errorf("before the first run there are %d metrics", len(page))
	}
	e.Begin(began(1, 40))
	percent, bytes := 150.0, int64(1<<20)
	e.Sample(result.Sample{GeneratorCPUPercent: &percent, TargetRSSBytes: &bytes})
	for _, accept := range []string{"text/plain;version=0.0.4", openMetrics + ";version=1.0.0"} {
		page := scrape(t, e, accept)
		for _, d := range definitions {
			f := page[d.name]
			if d.name == "sseload_delivery_faults_total" || d.name == "sseload_open_files" {
				if f != nil {
					t.Errorf("%s is there, though it is not known", d.name)
				}
				continue
			}
			if f.GetType() != d.kind {
				t.Errorf("%s is a %s, not a %s", d.name, f.GetType(), d.kind)
			}
			if !strings.HasPrefix(accept, openMetrics) && f.GetHelp() != d.help {
				t.Errorf("%s: the help is %q", d.name, f.GetHelp())
			}
		}
		all := []string{"run", "1", "scenario", "rooms", "build_id", "7"}
		for _, want := range []struct {
			name  string
			own   []string
			value float64
		}{
			{"sseload_clients", []string{"state", "open"}, 9},
			{"sseload_clients", []string{"state", "away"}, 1},
			{"sseload_clients", []string{"state", "failed"}, 2},
			{"sseload_clients", []string{"state", "dropped"}, 0},
			{"sseload_connects_total", []string{"outcome", "opened"}, 10},
			{"sseload_connects_total", []string{"outcome", "failed"}, 2},
			{"sseload_copies_received_total", nil, 40},
			{"sseload_cpu_usage_ratio", []string{"side", "generator"}, 1.5},
			{"sseload_memory_bytes", []string{"side", "target"}, 1 << 20},
			{"sseload_iterations_total", nil, 3},
			{"sseload_sends_total", []string{"outcome", "succeeded"}, 4},
			{"sseload_sends_total", []string{"outcome", "failed"}, 1},
			{"sseload_run_phase", []string{"phase", "send"}, 1},
			{"sseload_run_info", []string{"engine", "epoll", "clients", "12", "target", "http://127.0.0.1:1/events", "env", "Local"}, 1},
			{"sseload_delivery_latency_seconds", nil, 4},
			{"sseload_open_latency_seconds", nil, 2},
		} {
			if got := value(t, page, want.name, slices.Concat(all, want.own)...); got != want.value {
				t.Errorf("%s%v = %v, want %v", want.name, want.own, got, want.value)
			}
		}
	}
	e.End(ended(48))
	e.Begin(began(2, 5))
	page := scrape(t, e, "")
	if first, second := value(t, page, "sseload_copies_received_total", "run", "1"), value(t, page, "sseload_copies_received_total", "run", "2"); first != 48 || second != 5 {
		t.Errorf("the runs show %v and %v copies, want 48 and 5", first, second)
	}
	if got := value(t, page, "sseload_delivery_faults_total", "run", "1", "kind", "duplicate"); got != 2 {
		t.Errorf("%v duplicates, want 2", got)
	}
	for _, m := range page["sseload_clients"].GetMetric() {
		if run := asMap(t, m.GetLabel())["run"]; run != "2" {
			t.Errorf("clients of run %s, which is over, are shown", run)
		}
	}
	if got := value(t, page, "sseload_runs_total"); got != 1 {
		t.Errorf("%v runs are over, want 1", got)
	}
}

// TestHistogram: the bounds are those promised, and what is counted below each is exact.
func TestHistogram(t *testing.T) {
	durations := []time.Duration{0, 16383, 16384, 100 * time.Microsecond, time.Millisecond, time.Second, time.Minute, 2 * time.Hour}
	s := snapshot(durations...)
	h := histogram(&s, nil)
	if first, last := h.GetBucket()[0].GetUpperBound(), h.GetBucket()[len(h.GetBucket())-1].GetUpperBound(); first != 16.384e-6 || last != 34.359738368 {
		t.Errorf("the bounds go from %v to %v", first, last)
	}
	if want := 21*4 + 1; len(h.GetBucket()) != want {
		t.Errorf("%d buckets, want %d", len(h.GetBucket()), want)
	}
	before := 0.0
	for _, b := range h.GetBucket() {
		if bound := b.GetUpperBound(); bound <= before || before > 0 && bound/before > 1.2500001 {
			t.Errorf("a bound of %v comes after %v", bound, before)
		}
		before = b.GetUpperBound()
		var want uint64
		for _, d := range durations {
			if d.Seconds() < before {
				want++
			}
		}
		if b.GetCumulativeCount() != want {
			t.Errorf("%d are below %v, want %d", b.GetCumulativeCount(), before, want)
		}
	}
	// The last is recorded as an hour, the most that is.
	if want := 16383e-9 + 16384e-9 + 100e-6 + 1e-3 + 1 + 60 + 3600; h.GetSampleCount() != 8 || math.Abs(h.GetSampleSum()-want) > 1e-6 {
		t.Errorf("%d sum up to %v, want 8 and %v", h.GetSampleCount(), h.GetSampleSum(), want)
	}
}

// TestAddressInUse: it is an error before anything is begun.
func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config(t)
	cfg.Listen = l.Addr().String()
	if _, err := Open(t.Context(), cfg); !errors.Is(err, syscall.EADDRINUSE) && !strings.Contains(fmt.Sprint(err), "Only one usage") {
		t.Errorf("the error is %v", err)
	}
}

// TestCloseEndsScrapes: nobody answers any more.
func TestCloseEndsScrapes(t *testing.T) {
	cfg := config(t)
	cfg.Listen = "127.0.0.1:0"
	e := open(t, cfg)
	addr := e.Addr().String()
	idle, err := net.Dial("tcp", addr) // which asks for nothing
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if pushes := e.Close(t.Context()); pushes != nil {
		t.Errorf("there were pushes to nowhere: %v", pushes)
	}
	if c, err := net.DialTimeout("tcp", addr, patience); err == nil {
		c.Close()
		t.Error("somebody listens still")
	}
}

// BenchmarkScrape makes a page of a run that goes on and one that is over, and writes
// it.
func BenchmarkScrape(b *testing.B) {
	e := &Exporter{}
	e.Begin(began(1, 1))
	e.End(ended(2))
	e.Begin(began(2, 1))
	e.Sample(result.Sample{})
	b.ReportAllocs()
	for b.Loop() {
		page, _ := e.Gather()
		encoder := expfmt.NewEncoder(io.Discard, expfmt.NewFormat(expfmt.TypeOpenMetrics))
		for _, f := range page {
			if err := encoder.Encode(f); err != nil {
				b.Fatal(err)
			}
		}
	}
}
