package telemetry

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// written is a sample that a receiver of remote write got.
type written struct {
	labels map[string]string
	value  float64
	at     int64
	since  int64
	kind   writev2.Metadata_MetricType
	help   string
}

// receiver takes remote write, by the handler of the library. It implements its
// interface of a storage.
type receiver struct {
	t      *testing.T
	mu     sync.Mutex
	pushes [][]written
	heads  []http.Header
	paths  []string
	err    error // what every push is answered with
}

// Store implements the library's interface.
func (r *receiver) Store(request *http.Request, kind remote.WriteMessageType) (*remote.WriteResponse, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heads, r.paths = append(r.heads, request.Header.Clone()), append(r.paths, request.URL.String())
	response := remote.NewWriteResponse()
	if r.err != nil {
		response.SetStatusCode(http.StatusBadGateway)
		return response, r.err
	}
	all := r.decodeV1(body)
	if kind == remote.WriteV2MessageType {
		all = r.decodeV2(body)
		response.Samples = len(all)
	}
	r.pushes = append(r.pushes, all)
	return response, nil
}

func (r *receiver) got() [][]written {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.pushes)
}

func (r *receiver) labels(flat []string) map[string]string {
	all, before := map[string]string{}, ""
	for i := 0; i < len(flat); i += 2 {
		if flat[i] <= before {
			r.t.Errorf("label %q comes after %q", flat[i], before)
		}
		before, all[flat[i]] = flat[i], flat[i+1]
	}
	return all
}

func (r *receiver) decodeV2(body []byte) []written {
	var request writev2.Request
	if err := proto.Unmarshal(body, &request); err != nil {
		r.t.Error(err)
	}
	var all []written
	for _, s := range request.GetTimeseries() {
		if len(s.GetSamples()) != 1 {
			r.t.Errorf("%d samples of a series", len(s.GetSamples()))
		}
		all = append(all, written{
			r.labels(writev2.DesymbolizeLabels(s.GetLabelsRefs(), request.GetSymbols(), nil)),
			s.GetSamples()[0].GetValue(), s.GetSamples()[0].GetTimestamp(), s.GetCreatedTimestamp(),
			s.GetMetadata().GetType(), request.GetSymbols()[s.GetMetadata().GetHelpRef()],
		})
	}
	return all
}

// fields are those of a message: numbers and what they hold, bytes or a number.
func (r *receiver) fields(message []byte, each func(field protowire.Number, bytes []byte, number uint64)) {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			r.t.Fatal("this is no message")
		}
		message = message[n:]
		var bytes []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(message)
		case protowire.Fixed64Type:
			number, n = protowire.ConsumeFixed64(message)
		default:
			number, n = protowire.ConsumeVarint(message)
		}
		if n < 0 {
			r.t.Fatal("a message ends too early")
		}
		message = message[n:]
		each(field, bytes, number)
	}
}

func (r *receiver) decodeV1(body []byte) []written {
	var all []written
	r.fields(body, func(field protowire.Number, series []byte, _ uint64) {
		if field != 1 {
			return
		}
		var w written
		var flat []string
		r.fields(series, func(field protowire.Number, part []byte, _ uint64) {
			r.fields(part, func(inner protowire.Number, text []byte, number uint64) {
				switch {
				case field == 1:
					flat = append(flat, string(text))
				case inner == 1:
					w.value = math.Float64frombits(number)
				default:
					w.at = int64(number)
				}
			})
		})
		w.labels = r.labels(flat)
		all = append(all, w)
	})
	return all
}

// find is the one sample of all that has those labels, given as pairs.
func find(t *testing.T, all []written, name string, pairs ...string) written {
	t.Helper()
	pairs = append(pairs, "__name__", name)
	var found []written
	for _, w := range all {
		if holds(w.labels, pairs) {
			found = append(found, w)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d samples have %v, want 1", len(found), pairs)
	}
	return found[0]
}

func serve(t *testing.T, h http.Handler) *url.URL {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func isStale(v float64) bool { return math.Float64bits(v) == staleness }

// TestRemoteWrite: the end of each run is pushed, with all of it, and what is over is
// marked so.
func TestRemoteWrite(t *testing.T) {
	r := &receiver{t: t}
	cfg := config(t)
	cfg.RemoteWrite = serve(t, remote.NewWriteHandler(r, remote.MessageTypes{remote.WriteV2MessageType}))
	cfg.RemoteWrite.User = url.UserPassword("me", "secret")
	cfg.Header = http.Header{"X-Scope-Orgid": {"load"}}
	e := open(t, cfg)
	before := time.Now().UnixMilli()
	e.Begin(began(1, 40))
	e.End(ended(48))
	e.Begin(began(2, 5))
	want := Pushes{To: RemoteWrite, All: 2}
	if got := e.Close(t.Context()); !slices.Equal(got, []Pushes{want}) {
		t.Errorf("the pushes were %v, want %v", got, want)
	}
	pushes := r.got()
	if len(pushes) != 2 {
		t.Fatalf("%d pushes arrived, want 2", len(pushes))
	}
	if path := r.paths[0]; path != "/api/v1/write" {
		t.Errorf("it was written to %s", path)
	}
	head := r.heads[0]
	if user, password, _ := (&http.Request{Header: head}).BasicAuth(); user != "me" || password != "secret" {
		t.Errorf("who writes is %s:%s", user, password)
	}
	if head.Get("X-Scope-Orgid") != "load" || head.Get("User-Agent") != "sseload/v1" {
		t.Errorf("the headers are %v", head)
	}
	copies := find(t, pushes[0], "sseload_copies_received_total", "run", "1")
	if !maps.Equal(copies.labels, map[string]string{
		"__name__": "sseload_copies_received_total", "build_id": "7", "instance": "here", "job": "sseload", "run": "1", "scenario": "rooms",
	}) {
		t.Errorf("the labels are %v", copies.labels)
	}
	if now := time.Now().UnixMilli(); copies.value != 48 || copies.at < before || copies.at > now || copies.since < before || copies.since > copies.at ||
		copies.kind != writev2.Metadata_METRIC_TYPE_COUNTER || copies.help == "" {
		t.Errorf("the copies are %+v", copies)
	}
	if n := find(t, pushes[0], "sseload_delivery_latency_seconds_bucket", "le", "0.001048576"); n.value != 3 || n.kind != writev2.Metadata_METRIC_TYPE_HISTOGRAM {
		t.Errorf("below a millisecond are %+v, want 3", n)
	}
	if inf, n := find(t, pushes[0], "sseload_delivery_latency_seconds_bucket", "le", "+Inf"), find(t, pushes[0], "sseload_delivery_latency_seconds_count"); inf.value != 4 || n.value != 4 {
		t.Errorf("all are %v and %v, want 4", inf.value, n.value)
	}
	for _, w := range pushes[0] {
		if w.kind == writev2.Metadata_METRIC_TYPE_GAUGE {
			t.Errorf("a gauge of a run that is over: %v", w.labels)
		}
	}
	if open := find(t, pushes[1], "sseload_clients", "run", "2", "state", "open"); open.value != 9 || open.since != 0 {
		t.Errorf("open are %+v", open)
	}
}

// TestStaleGauges: what does not go on is ended, once.
func TestStaleGauges(t *testing.T) {
	r := &receiver{t: t}
	cfg := config(t)
	cfg.RemoteWrite = serve(t, remote.NewWriteHandler(r, remote.MessageTypes{remote.WriteV2MessageType}))
	e := open(t, cfg)
	e.Begin(began(1, 40))
	e.pushers[0].runEnded() // as at an interval
	e.End(ended(48))
	e.Close(t.Context())
	pushes := r.got()
	if len(pushes) != 3 {
		t.Fatalf("%d pushes, want 3", len(pushes))
	}
	for i, stale := range []int{0, 6, 0} { // four states, the phase, what the run is
		got := 0
		for _, w := range pushes[i] {
			if isStale(w.value) {
				got++
				if w.kind != writev2.Metadata_METRIC_TYPE_GAUGE || w.at < find(t, pushes[i-1], "sseload_runs_total").at {
					t.Errorf("a series is ended: %+v", w)
				}
			}
		}
		if got != stale {
			t.Errorf("push %d ends %d series, want %d", i, got, stale)
		}
	}
}

// TestOldReceivers: receivers of version 1.0 are written to in their version, whether
// they refuse what they do not know or pass over it.
func TestOldReceivers(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler func(*receiver) http.Handler
	}{
		{"refuses", func(r *receiver) http.Handler {
			return remote.NewWriteHandler(r, remote.MessageTypes{remote.WriteV1MessageType})
		}},
		{"does not look", func(r *receiver) http.Handler {
			old := remote.NewWriteHandler(r, remote.MessageTypes{remote.WriteV1MessageType})
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				q.Header.Set("Content-Type", "application/x-protobuf")
				old.ServeHTTP(w, q)
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &receiver{t: t}
			cfg := config(t)
			cfg.RemoteWrite = serve(t, test.handler(r))
			cfg.RemoteWrite.Path, cfg.RemoteWrite.RawQuery = "/prefix/push", "tenant=a"
			e := open(t, cfg)
			e.Begin(began(1, 40))
			e.End(ended(48))
			if got := e.Close(t.Context()); len(got) != 1 || got[0].Failed != 0 {
				t.Errorf("the pushes were %v", got)
			}
			pushes := slices.DeleteFunc(r.got(), func(all []written) bool { return len(all) == 0 }) // read of a 2.0
			if len(pushes) != 2 {
				t.Fatalf("%d pushes, want 2", len(pushes))
			}
			if copies := find(t, pushes[0], "sseload_copies_received_total", "job", "sseload"); copies.value != 48 || time.Since(time.UnixMilli(copies.at)) > patience {
				t.Errorf("the copies are %+v", copies)
			}
			if path := r.paths[0]; path != "/prefix/push?tenant=a" {
				t.Errorf("it was written to %s", path)
			}
		})
	}
}

// collected is a stand-in for a collector.
type collected struct {
	mu     sync.Mutex
	pushes []*colmetricpb.ExportMetricsServiceRequest
	heads  []http.Header
	paths  []string
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	message, _ := io.ReadAll(body)
	request := &colmetricpb.ExportMetricsServiceRequest{}
	if err := proto.Unmarshal(message, request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushes, c.heads, c.paths = append(c.pushes, request), append(c.heads, r.Header.Clone()), append(c.paths, r.URL.Path)
}

func texts(all []*commonpb.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range all {
		out[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return out
}

// TestOTLP: a collector gets the same metrics, cumulative since the run's begin.
func TestOTLP(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=ci")
	c := &collected{}
	cfg := config(t)
	cfg.OTLP = serve(t, c)
	cfg.Header = http.Header{"X-Both": {"ours"}}
	cfg.Env = func(name string) (string, bool) {
		value, ok := map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "x-both=theirs, api-key=a%20b,"}[name]
		return value, ok
	}
	e := open(t, cfg)
	before := time.Now()
	e.Begin(began(1, 40))
	e.End(ended(48))
	if got, want := e.Close(t.Context()), (Pushes{To: OTLP, All: 2}); !slices.Equal(got, []Pushes{want}) {
		t.Errorf("the pushes were %v, want %v", got, want)
	}
	if len(c.pushes) != 2 || c.paths[0] != "/v1/metrics" {
		t.Fatalf("%d pushes to %v, want 2", len(c.pushes), c.paths)
	}
	if h := c.heads[0]; h.Get("Content-Encoding") != "gzip" || h.Get("X-Both") != "ours" || h.Get("Api-Key") != "a b" {
		t.Errorf("the headers are %v", h)
	}
	all := c.pushes[0].GetResourceMetrics()[0]
	resource := texts(all.GetResource().GetAttributes())
	if !holds(resource, []string{"service.name", "sseload", "service.version", "v1", "service.instance.id", "here", "deployment.environment", "ci"}) {
		t.Errorf("the resource is %v", resource)
	}
	found := map[string]*metricpb.Metric{}
	for _, m := range all.GetScopeMetrics()[0].GetMetrics() {
		found[m.GetName()] = m
	}
	sum := found["sseload_copies_received_total"].GetSum()
	if !sum.GetIsMonotonic() || sum.GetAggregationTemporality() != metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE {
		t.Errorf("the copies are %v", sum)
	}
	p := sum.GetDataPoints()[0]
	if since := time.Unix(0, int64(p.GetStartTimeUnixNano())); p.GetAsDouble() != 48 || since.Before(before) || p.GetTimeUnixNano() < uint64(before.Add(-time.Millisecond).UnixNano()) {
		t.Errorf("the copies are %v", p)
	}
	if own := texts(p.GetAttributes()); !maps.Equal(own, map[string]string{"run": "1", "scenario": "rooms", "build_id": "7"}) {
		t.Errorf("the attributes are %v", own)
	}
	h := found["sseload_delivery_latency_seconds"].GetHistogram().GetDataPoints()[0]
	counted := uint64(0)
	for _, n := range h.GetBucketCounts() {
		counted += n
	}
	if h.GetCount() != 4 || counted != 4 || len(h.GetBucketCounts()) != len(h.GetExplicitBounds())+1 {
		t.Errorf("%d are counted, %d in buckets", h.GetCount(), counted)
	}
	if found["sseload_clients"] != nil {
		t.Error("clients of a run that is over are shown")
	}
}

// TestBadEnvironment: what cannot be honoured is said before any load, without the secret.
func TestBadEnvironment(t *testing.T) {
	cfg := config(t)
	cfg.OTLP = serve(t, http.NotFoundHandler())
	cfg.Env = func(name string) (string, bool) { return "secret", name == "OTEL_EXPORTER_OTLP_METRICS_HEADERS" }
	_, err := Open(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_METRICS_HEADERS") || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
}

// TestFailures: each failed push is counted, the first is told, without what is secret.
func TestFailures(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	gone, _ := url.Parse(closed.URL)
	closed.Close()
	gone.User, gone.RawQuery = url.UserPassword("me", "hush"), "token=hush"
	for _, test := range []struct {
		name   string
		at     *url.URL
		pushed func(*Config, *url.URL)
		want   string
	}{
		{"nobody takes remote write", gone, func(c *Config, u *url.URL) { c.RemoteWrite = u }, "refused"},
		{"nobody collects", gone, func(c *Config, u *url.URL) { c.OTLP = u }, "refused"},
		{"not a receiver", serve(t, http.NotFoundHandler()), func(c *Config, u *url.URL) { c.RemoteWrite = u }, "404 Not Found"},
		{"not a collector", serve(t, http.NotFoundHandler()), func(c *Config, u *url.URL) { c.OTLP = u }, "404 Not Found"},
		{"its storage fails", serve(t, remote.NewWriteHandler(&receiver{t: t, err: errors.New("disk full")}, remote.MessageTypes{remote.WriteV2MessageType})),
			func(c *Config, u *url.URL) { c.RemoteWrite = u }, "disk full"},
		{"sends elsewhere", serve(t, http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect)), func(c *Config, u *url.URL) { c.RemoteWrite = u }, "307"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := config(t)
			test.pushed(&cfg, test.at)
			var told []string
			cfg.Failed = func(_ Destination, err error) { told = append(told, err.Error()) }
			e := open(t, cfg)
			e.Begin(began(1, 40))
			e.End(ended(48))
			if got := e.Close(t.Context()); len(got) != 1 || got[0].All != 2 || got[0].Failed != 2 {
				t.Errorf("the pushes were %v, want 2 that failed", got)
			}
			if len(told) != 1 || !strings.Contains(told[0], test.want) || strings.Contains(told[0], "hush") {
				t.Errorf("told was %q, want %q once", told, test.want)
			}
		})
	}
}

// TestHangingReceiver: one that never answers holds up neither a run nor, for long, the
// end, and not the other destination.
func TestHangingReceiver(t *testing.T) {
	hang := make(chan struct{})
	asked := make(chan struct{}, 10)
	never := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-hang
	}))
	defer close(hang)
	c := &collected{}
	cfg := config(t)
	cfg.RemoteWrite, cfg.OTLP, cfg.Interval = never, serve(t, c), time.Millisecond
	cfg.Failed = func(d Destination, err error) {
		if d != RemoteWrite || !errors.Is(err, errNoAnswer) {
			t.Errorf("%s: %v", d, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	e, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.Begin(began(1, 40))
	<-asked
	cancel() // as by Ctrl-C
	for range waiting + 10 {
		e.End(ended(48))
	}
	begun := time.Now()
	got := e.Close(t.Context())
	if took := time.Since(begun); took > closing+patience {
		t.Errorf("the end took %s", took)
	}
	if len(got) != 2 || got[0].Failed != got[0].All || got[0].All < waiting+10 || got[1].Failed > 10 { // for which there was no room
		t.Errorf("the pushes were %v", got)
	}
	last := c.pushes[len(c.pushes)-1].GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()
	if i := slices.IndexFunc(last, func(m *metricpb.Metric) bool { return m.GetName() == "sseload_runs_total" }); i < 0 || last[i].GetSum().GetDataPoints()[0].GetAsDouble() != 1 {
		t.Error("the run's end was not pushed to the one that answers")
	}
}
