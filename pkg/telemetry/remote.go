package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
)

// writer is a receiver of remote write. It is spoken to in version 2.0, and in 1.0 once
// it turns out to know no other.
type writer struct {
	api       *remote.API
	transport *http.Transport
	status    int   // of the last answer; 0: there was none
	failed    error // why there was none
	header    http.Header
	own       []string // labels of every series, as pairs of name and value
	old       bool     // it speaks 1.0 alone
	// gauges are those of the last push that it took.
	gauges map[string]sample
}

func newWriter(cfg *Config) (*writer, error) {
	u, header := credentials(cfg.RemoteWrite, cfg.Header)
	header.Set("User-Agent", "sseload/"+cfg.Version)
	w := &writer{header: header, own: []string{"instance", cfg.Instance, "job", "sseload"}}
	w.transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 1}
	options := []remote.APIOption{
		remote.WithAPIHTTPClient(&http.Client{
			Transport: (*writerTransport)(w),
			// Credentials are for the URL that the user named.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		// What a push had is in the next.
		remote.WithAPIBackoff(remote.BackoffConfig{Min: retryAfter, Max: time.Second, MaxRetries: 1}),
	}
	if strings.Trim(u.Path, "/") != "" {
		options = append(options, remote.WithAPIPath("")) // it is a whole one
	}
	var err error
	w.api, err = remote.NewAPI(u.String(), options...)
	return w, err
}

// retryAfter is how soon a push that failed is tried again.
const retryAfter = 200 * time.Millisecond

func (w *writer) close(context.Context) { w.transport.CloseIdleConnections() }

// mostAnswer bounds what is read of an answer, in bytes: what went wrong is said in less.
const mostAnswer = 16 << 10

// writerTransport sends a writer's requests.
type writerTransport writer

// RoundTrip implements [http.RoundTripper].
func (t *writerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range t.header {
		r.Header[name] = values
	}
	response, err := t.transport.RoundTrip(r)
	if err != nil {
		t.status, t.failed = 0, err
		return nil, err
	}
	t.status, t.failed = response.StatusCode, nil
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, mostAnswer), response.Body}
	return response, nil
}

func (w *writer) push(ctx context.Context, page []*dto.MetricFamily) error {
	now := w.samples(page)
	all := slices.Concat(now, w.vanished(now, page))
	err := w.write(ctx, all)
	if err != nil {
		return err
	}
	w.gauges = make(map[string]sample)
	for _, s := range now {
		if s.kind == writev2.Metadata_METRIC_TYPE_GAUGE {
			w.gauges[s.key()] = s
		}
	}
	return nil
}

func (w *writer) write(ctx context.Context, all []sample) error {
	if w.old {
		return w.send(ctx, remote.WriteV1MessageType, encodedV1(all))
	}
	err := w.send(ctx, remote.WriteV2MessageType, messageV2(all))
	if err == nil || !w.mayBeOld() {
		return err
	}
	if w.send(ctx, remote.WriteV1MessageType, encodedV1(all)) != nil {
		return err
	}
	w.old = true
	return nil
}

// mayBeOld reports whether the answer is one that a receiver of version 1.0 gives to a
// message of 2.0: that it does not know the type, or cannot read it, or that all was
// well, without a word of what was written (Remote-Write 2.0, "Retries and backward
// compatibility").
func (w *writer) mayBeOld() bool {
	return w.status == http.StatusUnsupportedMediaType || w.status == http.StatusBadRequest || w.status/100 == 2
}

func (w *writer) send(ctx context.Context, kind remote.WriteMessageType, message any) error {
	_, err := w.api.Write(ctx, kind, message)
	if err != nil && w.failed != nil {
		return w.failed // without the URL, which may hold secrets, and which the user knows
	}
	return err
}

// sample is one series with its value.
type sample struct {
	labels []string // pairs of name and value, sorted by name
	value  float64
	at     int64 // ms since the epoch
	since  int64 // when a counter began; 0: it is none
	kind   writev2.Metadata_MetricType
	help   string
}

func (s *sample) key() string { return strings.Join(s.labels, "\xff") }

// staleness is the value that ends a series (Remote-Write 2.0, "Stale Markers").
const staleness = 0x7ff0000000000002

// vanished ends the gauges that were there before and are not any more, as their last
// values would stand on for minutes. Those of counters may: they are true.
func (w *writer) vanished(now []sample, page []*dto.MetricFamily) []sample {
	here := make(map[string]bool, len(now))
	for i := range now {
		here[now[i].key()] = true
	}
	var gone []sample
	for key, s := range w.gauges {
		if !here[key] {
			s.value, s.at = math.Float64frombits(staleness), page[0].GetMetric()[0].GetTimestampMs()
			gone = append(gone, s)
		}
	}
	return gone
}

// samples are the series of a page.
func (w *writer) samples(page []*dto.MetricFamily) []sample {
	var all []sample
	for _, f := range page {
		for _, m := range f.GetMetric() {
			s := sample{at: m.GetTimestampMs(), help: f.GetHelp()}
			add := func(suffix string, v float64, own ...string) {
				s.value, s.labels = v, w.labels(f.GetName()+suffix, m.GetLabel(), own)
				all = append(all, s)
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				s.kind, s.since = writev2.Metadata_METRIC_TYPE_COUNTER, m.GetCounter().GetCreatedTimestamp().AsTime().UnixMilli()
				add("", m.GetCounter().GetValue())
			case dto.MetricType_HISTOGRAM:
				s.kind, s.since = writev2.Metadata_METRIC_TYPE_HISTOGRAM, m.GetHistogram().GetCreatedTimestamp().AsTime().UnixMilli()
				addHistogram(m.GetHistogram(), add)
			default:
				s.kind = writev2.Metadata_METRIC_TYPE_GAUGE
				add("", m.GetGauge().GetValue())
			}
		}
	}
	return all
}

func addHistogram(h *dto.Histogram, add func(string, float64, ...string)) {
	for _, b := range h.GetBucket() {
		add("_bucket", float64(b.GetCumulativeCount()), "le", strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
	}
	add("_bucket", float64(h.GetSampleCount()), "le", "+Inf")
	add("_sum", h.GetSampleSum())
	add("_count", float64(h.GetSampleCount()))
}

// labels are those of a series, sorted by name, as receivers want them. What the user
// calls job or instance stays.
func (w *writer) labels(name string, pairs []*dto.LabelPair, own []string) []string {
	all := [][2]string{{"__name__", name}}
	for _, p := range pairs {
		all = append(all, [2]string{p.GetName(), p.GetValue()})
	}
	for _, more := range [][]string{own, w.own} {
		for i := 0; i < len(more); i += 2 {
			if !slices.ContainsFunc(all, func(l [2]string) bool { return l[0] == more[i] }) {
				all = append(all, [2]string(more[i:i+2]))
			}
		}
	}
	slices.SortFunc(all, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	flat := make([]string, 0, 2*len(all))
	for i := range all {
		flat = append(flat, all[i][:]...)
	}
	return flat
}

// messageV2 is a message of version 2.0.
func messageV2(all []sample) *writev2.Request {
	symbols := writev2.NewSymbolTable()
	series := make([]*writev2.TimeSeries, len(all))
	for i := range all {
		s := &all[i]
		series[i] = &writev2.TimeSeries{
			LabelsRefs: symbols.SymbolizeLabels(s.labels, nil),
			Samples:    []*writev2.Sample{{Value: s.value, Timestamp: s.at}},
			Metadata:   &writev2.Metadata{Type: s.kind, HelpRef: symbols.Symbolize(s.help)},

			CreatedTimestamp: s.since,
		}
	}
	return &writev2.Request{Symbols: symbols.Symbols(), Timeseries: series}
}

// encoded is a message that is encoded already.
type encoded []byte

// Size is its length.
func (e encoded) Size() int { return len(e) }

// MarshalToSizedBuffer puts it at the end of a buffer.
func (e encoded) MarshalToSizedBuffer(to []byte) (int, error) {
	if len(to) < len(e) {
		return 0, fmt.Errorf("a message of %d bytes does not fit into %d", len(e), len(to))
	}
	return copy(to[len(to)-len(e):], e), nil
}

// encodedV1 is a message of version 1.0, which the library transports, but has no type
// for: WriteRequest{1: TimeSeries{1: Label{1: name, 2: value}, 2: Sample{1: value,
// 2: timestamp}}} (Remote-Write 1.0, "Protocol").
func encodedV1(all []sample) encoded {
	var request, series, part []byte
	for i := range all {
		s := &all[i]
		series = series[:0]
		for j := 0; j < len(s.labels); j += 2 {
			part = appendText(appendText(part[:0], 1, s.labels[j]), 2, s.labels[j+1])
			series = appendMessage(series, 1, part)
		}
		part = protowire.AppendFixed64(protowire.AppendTag(part[:0], 1, protowire.Fixed64Type), math.Float64bits(s.value))
		part = protowire.AppendVarint(protowire.AppendTag(part, 2, protowire.VarintType), uint64(s.at))
		series = appendMessage(series, 2, part)
		request = appendMessage(request, 1, series)
	}
	return request
}

func appendText(to []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(to, field, protowire.BytesType), text)
}

func appendMessage(to []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), message)
}
