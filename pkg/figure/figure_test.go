package figure

import (
	"errors"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/result"
)

func latency(t *testing.T, all ...int64) result.Latency {
	t.Helper()
	var h metric.Histogram
	for _, ns := range all {
		h.Record(ns)
	}
	s, _, err := h.Summary()
	if err != nil {
		t.Fatal(err)
	}
	return result.Latency{
		Count: s.Count, MeanNS: &s.Mean, MinNS: &s.Min, P50NS: &s.P50, P90NS: &s.P90, P95NS: &s.P95, P99NS: &s.P99,
		P999NS: &s.P999, MaxNS: &s.Max, HDR: s.HDR,
	}
}

func TestLookup(t *testing.T) {
	run := &result.Run{
		TotalNS: 3e9, Params: result.Params{Clients: 6},
		Connect:       result.Connect{Failed: 2, Failures: map[string]int{"refused": 2}, OpenLatency: latency(t, 5000)},
		Delivery:      &result.Delivery{Lost: new(int64(4)), RatePerSecond: new(7.5), Latency: latency(t, 1000, 2000, 3000, 4000)},
		Generator:     result.Generator{CPUPercent: new(68.5), Overloaded: new(true)},
		TargetProcess: result.TargetProcess{RSSBytes: new(int64(1 << 20)), BytesPerClient: new(512.0)},
		Phases:        []result.Phase{{Name: "send", ElapsedNS: 5, TargetCPUPercent: new(90.0)}},
		Samples:       []result.Sample{{Open: 1}, {Open: 5, TargetRSSBytes: new(int64(9))}, {Open: 3}},
	}
	for _, test := range []struct {
		name, full string
		unit       Unit
		value      float64
		unknown    bool
	}{
		{name: "delivery.p99", full: "delivery.latency.p99", unit: Nanoseconds, value: 4000},
		{name: "delivery.latency.p99", full: "delivery.latency.p99", unit: Nanoseconds, value: 4000},
		{name: "delivery.mean", full: "delivery.latency.mean", unit: Nanoseconds, value: 2500},
		{name: "delivery.p99.9", full: "delivery.latency.p999", unit: Nanoseconds, value: 4000},
		{name: "delivery.p25", full: "delivery.latency.p25", unit: Nanoseconds, value: 1000},
		{name: "delivery.p100", full: "delivery.latency.p100", unit: Nanoseconds, value: 4000},
		{name: "delivery.p9995", full: "delivery.latency.p9995", unit: Nanoseconds, value: 4000},
		{name: "delivery.lost", full: "delivery.lost", value: 4},
		{name: "delivery.rate", full: "delivery.rate", unit: PerSecond, value: 7.5},
		{name: "connect.failed", full: "connect.failed", value: 2},
		{name: "connect.open.p50", full: "connect.open_latency.p50", unit: Nanoseconds, value: 5000},
		{name: "connect.failures.refused", full: "connect.failures.refused", value: 2},
		{name: "connect.failures.timed out", full: "connect.failures.timed out", value: 0},
		{name: "generator.cpu", full: "generator.cpu", unit: Percent, value: 68.5},
		{name: "generator.overloaded", full: "generator.overloaded", value: 1},
		{name: "target.rss", full: "target_process.rss", unit: Bytes, value: 1 << 20},
		{name: "target.bytes_per_client", full: "target_process.bytes_per_client", unit: Bytes, value: 512},
		{name: "total", full: "total", unit: Nanoseconds, value: 3e9},
		{name: "params.clients", full: "params.clients", value: 6},
		{name: "phases.send.target_cpu", full: "phases.send.target_cpu", unit: Percent, value: 90},
		{name: "phases.hold.target_cpu", full: "phases.hold.target_cpu", unit: Percent, unknown: true},
		{name: "samples.open.max", full: "samples.open.max", value: 5},
		{name: "samples.open.mean", full: "samples.open.mean", value: 3},
		{name: "samples.open.last", full: "samples.open.last", value: 3},
		{name: "samples.target_rss.min", full: "samples.target_rss.min", unit: Bytes, value: 9},
		{name: "samples.target_cpu.max", full: "samples.target_cpu.max", unit: Percent, unknown: true},
		{name: "iteration.p50", full: "iteration_time.p50", unit: Nanoseconds, unknown: true},
		{name: "iteration.p42", full: "iteration_time.p42", unit: Nanoseconds, unknown: true},
		{name: "reconnect.ends.reset", full: "reconnect.ends.reset", unknown: true},
		{name: "sends.p50", full: "delivery.sends.latency.p50", unit: Nanoseconds, unknown: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := Lookup(test.name)
			if err != nil {
				t.Fatal(err)
			}
			v, ok := f.Of(run)
			if f.Name != test.full || f.Unit != test.unit || v != test.value || ok == test.unknown {
				t.Errorf("%s in %s is %v, %v; want %s in %s, %v, %v", f.Name, f.Unit, v, ok, test.full, test.unit, test.value, !test.unknown)
			}
		})
	}
}

func TestLookupUnknown(t *testing.T) {
	for name, nearest := range map[string]string{
		"delivery.p9x": "delivery.p90", "delivery.lots": "delivery.lost", "delivery.latency.p9x": "delivery.p90",
		"conect.failed": "connect.failed", "": "", "delivery.p101": "delivery.p50", "phases.send": "", "samples.open.sum": "",

		"p99": "delivery.p99", "p99.95": "delivery.p99.95", "lost": "delivery.lost", "failed": "connect.failed", "cpu": "target.cpu", "rss": "target.rss",
		"latency": "delivery.p99", "delivery": "delivery.p99", "connect.open": "connect.open.p99", "delivery.latency.p99_ns": "delivery.p99",
		"latency.avg": "delivery.mean", "delivery.median": "delivery.p50", "latency_p99": "delivery.p99", "p(95)": "delivery.p95",
		"connect.errors": "connect.failed", "send.errors": "sends.failed", "errors": "connect.failed", "delivery.duplicates": "delivery.duplicate",
		"server.memory": "target.rss", "server_cpu": "target.cpu", "delivery.missing": "delivery.lost", "Delivery.P99": "delivery.p99",
		"delivery.throughput": "delivery.rate", "connect.time": "connect.elapsed", "connect.disconnects": "connect.dropped",
		"target.cpu_percent": "target.cpu",
	} {
		_, err := Lookup(name)
		var unknown *UnknownError
		if !errors.As(err, &unknown) || unknown.Name != name {
			t.Errorf("%q: %v", name, err)
		} else if nearest != "" && unknown.Nearest != nearest {
			t.Errorf("%q: nearest is %q, want %q", name, unknown.Nearest, nearest)
		}
	}
}

// Short names are names of one figure each, and every one is found.
func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range Names() {
		if seen[name] {
			t.Errorf("%s names two figures", name)
		}
		seen[name] = true
		if _, err := Lookup(name); err != nil {
			t.Error(err)
		}
	}
	if len(seen) < 150 || !seen["delivery.p99"] || !seen["target.cpu"] {
		t.Errorf("%d names: %s", len(seen), strings.Join(Names(), " "))
	}
}

func TestParseValue(t *testing.T) {
	for _, test := range []struct {
		text string
		unit Unit
		want float64
	}{
		{"100ms", Nanoseconds, 1e8}, {"100 ms", Nanoseconds, 1e8}, {"1.5s", Nanoseconds, 1.5e9}, {"20µs", Nanoseconds, 2e4}, {"20us", Nanoseconds, 2e4},
		{"0", Nanoseconds, 0}, {"0", Bytes, 0}, {"64MiB", Bytes, 64 << 20}, {"1.5 kB", Bytes, 1500}, {"90%", Percent, 90}, {"90.5 %", Percent, 90.5},
		{"500/s", PerSecond, 500}, {"500", PerSecond, 500}, {"60/m", PerSecond, 1}, {"1KB", Bytes, 1000}, {"3", Count, 3}, {"1e3", Count, 1000},
	} {
		if got, err := ParseValue(test.text, test.unit); err != nil || got != test.want {
			t.Errorf("%q in %s is %v, %v; want %v", test.text, test.unit, got, err, test.want)
		}
	}
	for _, test := range []struct {
		text string
		unit Unit
		want string
	}{
		{"100", Nanoseconds, `"100" is a number without a unit, not a time`},
		{"100MiB", Nanoseconds, `"100MiB" is a size, not a time`},
		{"10ms", Count, `"10ms" is a time, not a count`},
		{"fast", Percent, `"fast" is not a percentage`}, {"1 0", Count, `"1 0" is not a count`}, {"1 0ms", Nanoseconds, `"1 0ms" is not a time`},
		{"", Count, `"" is not a count`}, {"NaN", Count, `"NaN" is not a count`}, {"Inf/s", PerSecond, `"Inf/s" is not a rate`},
	} {
		_, err := ParseValue(test.text, test.unit)
		var value *ValueError
		if !errors.As(err, &value) || err.Error() != test.want || value.Hint() == "" {
			t.Errorf("%q in %s: %v, want %s", test.text, test.unit, err, test.want)
		}
	}
}

// Figures of families are found once their words are filled in.
func TestFamilies(t *testing.T) {
	fill := strings.NewReplacer("CLASS", "refused", "PHASE", "send", "max|min|mean|last", "max")
	families := Families()
	for _, f := range families {
		name := fill.Replace(f.Name)
		found, err := Lookup(name)
		if err != nil || found.Unit != f.Unit || name == f.Name {
			t.Errorf("%s of %s is %s in %s, %v; want %s", name, f.Name, found.Name, found.Unit, err, f.Unit)
		}
	}
	if len(families) < 20 {
		t.Errorf("%d families", len(families))
	}
}

func TestQuantileOfAFigure(t *testing.T) {
	for name, want := range map[string]struct {
		distribution string
		q            float64
	}{
		"delivery.p99": {"delivery.latency", 0.99}, "connect.open.p99.9": {"connect.open_latency", 0.999}, "delivery.p25": {"delivery.latency", 0.25},
		"delivery.max": {}, "total": {},
	} {
		f, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		distribution, q, ok := f.Quantile()
		if distribution != want.distribution || q != want.q || ok != (want.q > 0) {
			t.Errorf("%s is q %v of %q, %v", name, q, distribution, ok)
		}
		if short := f.Short(); name != "connect.open.p99.9" && short != name {
			t.Errorf("%s is %s for short", name, short)
		}
	}
}
