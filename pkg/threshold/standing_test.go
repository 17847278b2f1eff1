package threshold

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/result"
)

// latencies is n durations each of so many milliseconds.
func latencies(n int, ms ...int) metric.Snapshot {
	var l metric.Live
	for _, m := range ms {
		for range n {
			l.Record(int64(m) * 1e6)
		}
	}
	var s metric.Snapshot
	l.AddTo(&s)
	return s
}

func TestBroken(t *testing.T) {
	for name, c := range map[string]struct {
		threshold string
		at        Standing
		broken    bool
		most      bool
	}{
		"a count that may be":            {"connect.failed <= 2", Standing{Clients: 10, Failed: 2}, false, false},
		"a count too many":               {"connect.failed <= 2", Standing{Clients: 10, Failed: 3}, true, false},
		"none, and one is":               {"connect.failed == 0", Standing{Clients: 10, Failed: 1}, true, false},
		"so many exactly, not yet":       {"connect.failed == 3", Standing{Clients: 10, Failed: 1}, false, false},
		"so many exactly, not any more":  {"connect.failed == 3", Standing{Clients: 10, Opened: 8}, true, true},
		"not so many, may change":        {"connect.failed != 1", Standing{Clients: 10, Failed: 1}, false, false},
		"not so many, all is over":       {"connect.failed != 1", Standing{Clients: 10, Failed: 1, Opened: 9}, true, false},
		"more failures than can be":      {"connect.failed > 2", Standing{Clients: 10, Opened: 8}, true, true},
		"more failures than there are":   {"connect.failed > 2", Standing{Clients: 10, Opened: 7}, false, false},
		"enough may open":                {"connect.opened >= 9", Standing{Clients: 10, Failed: 1}, false, false},
		"too few can open":               {"connect.opened >= 9", Standing{Clients: 10, Failed: 2}, true, true},
		"dropped":                        {"connect.dropped < 1", Standing{Clients: 10, Opened: 10, Dropped: 1}, true, false},
		"share of clients, may be":       {"connect.failed < 10%", Standing{Clients: 100, Failed: 9}, false, false},
		"share of clients":               {"connect.failed < 10%", Standing{Clients: 100, Failed: 10}, true, false},
		"share of those that can open":   {"connect.dropped <= 10%", Standing{Clients: 100, Failed: 50, Opened: 20, Dropped: 6}, true, false},
		"and that is not too much":       {"connect.dropped <= 10%", Standing{Clients: 100, Failed: 50, Opened: 20, Dropped: 5}, false, false},
		"duplicate":                      {"delivery.duplicate == 0", Standing{Duplicate: 1}, true, false},
		"reordered":                      {"delivery.reordered == 0", Standing{Reordered: 1}, true, false},
		"misrouted":                      {"delivery.misrouted == 0", Standing{Misrouted: 1}, true, false},
		"late":                           {"delivery.late == 0", Standing{Late: 1}, true, false},
		"sends failed":                   {"sends.failed == 0", Standing{Unsent: 1}, true, false},
		"share of sends, may be":         {"sends.failed < 1%", Standing{Unsent: 9, MostSends: 1000}, false, false},
		"share of sends":                 {"sends.failed < 1%", Standing{Unsent: 10, MostSends: 1000}, true, false},
		"share of nobody knows what":     {"sends.failed < 1%", Standing{Unsent: 10}, false, false},
		"missing":                        {"delivery.lost == 0", Standing{Missing: 1}, true, false},
		"missing, and come since":        {"delivery.lost == 0", Standing{Missing: 2, Late: 2}, false, false},
		"late, and never missing":        {"delivery.lost == 0", Standing{Missing: 1, Late: 2}, false, false},
		"share of copies, may be":        {"delivery.lost < 1%", Standing{Missing: 9, MostCopies: 1000}, false, false},
		"share of copies":                {"delivery.lost < 1%", Standing{Missing: 10, MostCopies: 1000}, true, false},
		"more copies than wanted":        {"delivery.received <= 5", Standing{Received: 6}, true, false},
		"time left":                      {"total < 2s", Standing{Total: 1999 * time.Millisecond}, false, false},
		"time over":                      {"total < 2s", Standing{Total: 2 * time.Second}, true, false},
		"clients that may yet fail":      {"connect.elapsed < 2s", Standing{Total: 3 * time.Second}, false, false},
		"the largest":                    {"delivery.max < 10ms", Standing{Delivery: latencies(1, 1, 11)}, true, false},
		"the largest, in the bucket":     {"delivery.max < 10.3ms", Standing{Delivery: latencies(1, 1, 10)}, false, false},
		"p100":                           {"delivery.p100 < 10ms", Standing{Delivery: latencies(1, 1, 11)}, true, false},
		"p99, as many as may be":         {"delivery.p99 < 10ms", Standing{Delivery: latencies(10, 20), MostCopies: 1000}, false, false},
		"p99, one more":                  {"delivery.p99 < 10ms", Standing{Delivery: latencies(11, 20), MostCopies: 1000}, true, false},
		"p99 of nobody knows how many":   {"delivery.p99 < 10ms", Standing{Delivery: latencies(500, 20)}, false, false},
		"p99.9":                          {"delivery.p99.9 < 10ms", Standing{Delivery: latencies(2, 20), MostCopies: 1000}, true, false},
		"p50":                            {"delivery.p50 < 10ms", Standing{Delivery: latencies(500, 20), MostCopies: 1000}, false, false},
		"p50, one more":                  {"delivery.p50 < 10ms", Standing{Delivery: latencies(501, 20), MostCopies: 1000}, true, false},
		"fast ones do not count":         {"delivery.p99 < 10ms", Standing{Delivery: latencies(500, 1), MostCopies: 1000}, false, false},
		"p99 of opening":                 {"connect.open.p99 < 10ms", Standing{Open: latencies(2, 20), Clients: 100}, true, false},
		"p99 of opening, may be":         {"connect.open.p99 < 10ms", Standing{Open: latencies(1, 20), Clients: 100}, false, false},
		"the mean, may be":               {"delivery.mean < 10ms", Standing{Delivery: latencies(499, 20), MostCopies: 1000}, false, false},
		"the mean":                       {"delivery.mean < 10ms", Standing{Delivery: latencies(500, 20), MostCopies: 1000}, true, false},
		"the mean of nobody knows what":  {"delivery.mean < 10ms", Standing{Delivery: latencies(500, 20)}, false, false},
		"slow is wanted":                 {"delivery.p99 > 10ms", Standing{Delivery: latencies(500, 1), MostCopies: 1000}, false, false},
		"judged at the end":              {"target.cpu < 1%", Standing{Total: time.Hour}, false, false},
		"what may be below nothing":      {"clock.offset < 0", Standing{}, false, false},
		"a minimum is judged at the end": {"delivery.min < 1ms", Standing{Delivery: latencies(5, 20), MostCopies: 10}, false, false},
	} {
		at := c.at
		b, broken := parse(t, c.threshold).Broken(&at)
		if broken != c.broken || b.Most != c.most {
			t.Errorf("%s: %s is broken %v, %+v; want %v, most %v", name, c.threshold, broken, b, c.broken, c.most)
		}
	}
}

// Whatever is said to be broken in the middle of a run is so in its record.
func TestBrokenIsSoInTheEnd(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	thresholds := []Threshold{parse(t, "delivery.p99 < 30ms"), parse(t, "delivery.p50 <= 20ms"), parse(t, "delivery.mean < 20ms"), parse(t, "delivery.max < 60ms"), parse(t, "delivery.p99.9 < 45ms")}
	said := 0
	for range 60 {
		n := 1 + r.IntN(400)
		scale := 5e6 + r.Float64()*30e6
		var l metric.Live
		var h metric.Histogram
		broken := make([]bool, len(thresholds))
		for k := range n {
			ns := int64(r.ExpFloat64() * scale)
			l.Record(ns)
			h.Record(ns)
			if k%10 != 9 && k != n-1 {
				continue
			}
			at := Standing{MostCopies: int64(n)}
			l.AddTo(&at.Delivery)
			for i, th := range thresholds {
				_, b := th.Broken(&at)
				broken[i] = broken[i] || b
			}
		}
		sum, _, err := h.Summary()
		if err != nil {
			t.Fatal(err)
		}
		run := &result.Run{Delivery: &result.Delivery{Latency: result.Latency{
			Count: sum.Count, MeanNS: &sum.Mean, P50NS: &sum.P50, P99NS: &sum.P99, P999NS: &sum.P999, MaxNS: &sum.Max,
		}}}
		for i, th := range thresholds {
			if broken[i] {
				said++
				if v := th.Judge(run); v.Held {
					t.Fatalf("%s was said to be broken, of %d copies, and is %v", th, n, *v.Actual)
				}
			}
		}
	}
	if said < 50 {
		t.Errorf("only %d were broken", said)
	}
}

func TestJudgeAt(t *testing.T) {
	th := parse(t, "connect.elapsed < 1s")
	run := &result.Run{Connect: result.Connect{ElapsedNS: new(int64(5e8))}}
	v := th.JudgeAt(Bound{Value: 1.2e9}, run)
	if v.Held || *v.Actual != 1.2e9 {
		t.Errorf("%+v", v)
	}
	run.Connect.ElapsedNS = new(int64(3e9))
	if v = th.JudgeAt(Bound{Value: 1.2e9}, run); v.Held || *v.Actual != 3e9 {
		t.Errorf("%+v", v)
	}
}

func TestMostSends(t *testing.T) {
	closed, open := new("closed"), new("open")
	for name, c := range map[string]struct {
		of   result.Params
		want int64
	}{
		"connect":            {result.Params{Clients: 5}, 0},
		"closed":             {result.Params{Clients: 13, Model: closed, Iterations: new(10), RoomSize: new(6), SendersPerRoom: new(1)}, 30},
		"all send":           {result.Params{Clients: 12, Model: closed, Iterations: new(10), RoomSize: new(6), SendersPerRoom: new(6)}, 120},
		"bounded by time":    {result.Params{Clients: 13, Model: closed, RoomSize: new(6), SendersPerRoom: new(1), DurationNS: new(int64(1e9))}, 0},
		"open":               {result.Params{Model: open, Rate: new(100.0), Arrivals: new("constant"), DurationNS: new(int64(2e9))}, 201},
		"open and at random": {result.Params{Model: open, Rate: new(100.0), Arrivals: new("poisson"), DurationNS: new(int64(2e9))}, 0},
	} {
		if got := MostSends(&c.of); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
