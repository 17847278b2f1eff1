package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	prw "github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"

	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/testserver"
)

// heard is what is written to stderr, while it is.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// metricsAt is where metrics are said to be.
var metricsAt = regexp.MustCompile(`metrics are at (\S+)`)

// watcher takes remote write, and scrapes the run at every push, which is while it goes
// on: by the time of the last one it is over.
type watcher struct {
	t      *testing.T
	stderr *heard
	mu     sync.Mutex
	pages  []map[string]*dto.MetricFamily
	last   map[string]float64 // of the series of the last push, by name, run and outcome or kind
}

// Store implements the storage of the library's handler.
func (w *watcher) Store(r *http.Request, _ prw.WriteMessageType) (*prw.WriteResponse, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var request writev2.Request
	if err := proto.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = map[string]float64{}
	for _, s := range request.GetTimeseries() {
		labels := map[string]string{}
		flat := writev2.DesymbolizeLabels(s.GetLabelsRefs(), request.GetSymbols(), nil)
		for i := 0; i < len(flat); i += 2 {
			labels[flat[i]] = flat[i+1]
		}
		w.last[labels["__name__"]+" "+labels["run"]+labels["outcome"]+labels["kind"]+labels["le"]] = s.GetSamples()[0].GetValue()
	}
	w.scrape()
	response := prw.NewWriteResponse()
	response.Samples = len(request.GetTimeseries())
	return response, nil
}

func (w *watcher) scrape() {
	at := metricsAt.FindStringSubmatch(w.stderr.String())
	if at == nil {
		w.t.Error("it is not said where metrics are")
		return
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Get(at[1])
	if err != nil {
		w.t.Error(err)
		return
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	page, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		w.t.Error(err)
	}
	w.pages = append(w.pages, page)
}

// copiesOf are the copies received that a page shows.
func copiesOf(page map[string]*dto.MetricFamily) (n float64) {
	for _, m := range page["sseload_copies_received_total"].GetMetric() {
		n += m.GetCounter().GetValue()
	}
	return n
}

// serveHere is a reference server in this process.
func serveHere(t *testing.T) string {
	t.Helper()
	s, err := testserver.New(testserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context()) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return s.URL()
}

// TestTelemetryOfASeries: what a run shows while it goes on only grows, and in the end it
// is what the record says.
func TestTelemetryOfASeries(t *testing.T) {
	var stdout bytes.Buffer
	stderr := &heard{}
	w := &watcher{t: t, stderr: stderr}
	receiver := httptest.NewServer(prw.NewWriteHandler(w, prw.MessageTypes{prw.WriteV2MessageType}))
	defer receiver.Close()
	a := &App{
		Args: []string{
			"rooms", serveHere(t), "-c", "12,18", "--rate", "300/s", "--duration", "700ms", "-o", "json",
			"--prometheus", "127.0.0.1:0", "--prometheus-write", receiver.URL, "--telemetry-interval", "100ms", "--label", "build-id=7",
		},
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: stderr,
		Env: func(string) (string, bool) { return "", false }, Exit: func(code int) { t.Errorf("exit %d", code) },
	}
	if code := a.Run(); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var file result.File
	if err := json.Unmarshal(stdout.Bytes(), &file); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stderr.String(), "warning") {
		t.Errorf("it says %s", stderr)
	}
	d := file.Runs[1].Delivery
	buckets := 0
	for series, want := range map[string]float64{
		"sseload_copies_received_total 2":               float64(d.Received),
		"sseload_delivery_latency_seconds_count 2":      float64(d.Latency.Count),
		"sseload_delivery_latency_seconds_bucket 2+Inf": float64(d.Latency.Count),
		"sseload_open_latency_seconds_count 2":          float64(file.Runs[1].Connect.Opened),
		"sseload_sends_total 2succeeded":                float64(d.Sends.Attempted - d.Sends.Failed - d.Sends.CalledOff - *d.Sends.Unanswered),
		"sseload_sends_total 2failed":                   float64(d.Sends.Failed),
		"sseload_connects_total 2opened":                18,
		"sseload_delivery_faults_total 2lost":           float64(*d.Lost),
		"sseload_delivery_faults_total 2misrouted":      float64(*d.Misrouted),
		"sseload_runs_total ":                           2,
	} {
		if got, ok := w.last[series]; !ok || got != want {
			t.Errorf("%s is %v (%t) in the end, want %v", series, got, ok, want)
		}
	}
	for series := range w.last {
		if strings.HasPrefix(series, "sseload_delivery_latency_seconds_bucket 2") {
			buckets++
		}
	}
	if d.Received == 0 || buckets < 50 {
		t.Errorf("%d copies and %d buckets show nothing", d.Received, buckets)
	}
	checkPages(t, w.pages)
}

// checkPages: some were taken in the middle of a run, and no counter goes back.
func checkPages(t *testing.T, pages []map[string]*dto.MetricFamily) {
	t.Helper()
	middle := 0
	before := map[string]float64{}
	for _, page := range pages {
		if copiesOf(page) > 0 && page["sseload_clients"] != nil {
			middle++
		}
		for name, f := range page {
			if f.GetHelp() == "" {
				t.Errorf("%s has no help", name)
			}
			for _, m := range f.GetMetric() {
				checkGrows(t, before, name, m)
			}
		}
	}
	if middle == 0 {
		t.Errorf("none of %d pages is of the middle of a run", len(pages))
	}
}

func checkGrows(t *testing.T, before map[string]float64, name string, m *dto.Metric) {
	t.Helper()
	var labels []string
	for _, l := range m.GetLabel() {
		labels = append(labels, l.GetName()+"="+l.GetValue())
	}
	series, now := name+" "+strings.Join(labels, ","), 0.0
	switch {
	case m.Counter != nil:
		now = m.GetCounter().GetValue()
	case m.Histogram != nil:
		now = float64(m.GetHistogram().GetSampleCount())
		below := uint64(0)
		for _, b := range m.GetHistogram().GetBucket() {
			if b.GetCumulativeCount() < below {
				t.Errorf("%s: %d below %v, and %d before that", series, b.GetCumulativeCount(), b.GetUpperBound(), below)
			}
			below = b.GetCumulativeCount()
		}
		if below != m.GetHistogram().GetSampleCount() {
			t.Errorf("%s: %d in all, and %d in buckets", series, m.GetHistogram().GetSampleCount(), below)
		}
	default:
		return
	}
	if now < before[series] {
		t.Errorf("%s went from %v to %v", series, before[series], now)
	}
	before[series] = now
}

// TestOpenTelemetryIsQuiet: what its library has to say goes to the log, not past it.
func TestOpenTelemetryIsQuiet(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", filepath.Join(t.TempDir(), "none.pem"))
	stderr := &heard{}
	a := &App{Stderr: stderr, Env: func(string) (string, bool) { return "", false }}
	cmd := a.connectCommand()
	if err := cmd.Flags().Set("otlp", "http://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	f := telemetryFlags{otlp: "http://127.0.0.1:1", flags: cmd.Flags(), interval: leastTelemetryInterval}
	e, err := f.open(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.close(t.Context())
	if !strings.Contains(stderr.String(), "none.pem") {
		t.Errorf("nothing is said of a certificate that is not there: %s", stderr)
	}
}

// TestNoTelemetry: who asks for none pays for none.
func TestNoTelemetry(t *testing.T) {
	f := telemetryFlags{interval: leastTelemetryInterval}
	e, err := f.open(t.Context(), nil, nil)
	if e != nil || err != nil {
		t.Fatalf("open: %v, %v", e, err)
	}
	if others := e.beside(nil); others != nil {
		t.Errorf("there is an observer: %v", others)
	}
	e.close(t.Context())
}
