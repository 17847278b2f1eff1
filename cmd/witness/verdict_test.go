package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = 1_000_000 // nanoseconds

// recorded is a record of what heard is a capture of, with the latencies from the
// send.
func recorded(t *testing.T) record {
	t.Helper()
	return parsed(t, `{"clients":100,"room_size":100,"model":"closed","rate":null,"arrivals":null,"duration_ns":null}`, `{
		"sends":{"attempted":1,"called_off":0,"unanswered":0,"failed":0},
		"expected":100,"received":100,"lost":0,"duplicate":0,"reordered":0,"unordered":0,"misrouted":0,
		"latency":{"count":100,"mean_ns":50500000.4,"p50_ns":50000000,"p90_ns":90000000,"p95_ns":95000000,
			"p99_ns":99000000,"p999_ns":100000000,"max_ns":100000000}}`)
}

// parsed is a record with what is read of it.
func parsed(t *testing.T, params, delivery string) record {
	t.Helper()
	r, err := parseRecord(fmt.Appendf(nil, `{"schema":"sseload.result/v1",
		"host":{"name":"secret","os":"linux","arch":"amd64","kernel":"6.1","cpu_model":null,"cores":2,"memory_bytes":1073741824},
		"runs":[{"engine":"epoll","params":%s,"connect":{"opened":100},"delivery":%s}]}`, params, delivery))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shift makes all latencies of a report longer.
func shift(r *report, by int64) {
	l := &r.Delivery.Latency
	*l.Mean += float64(by)
	for _, q := range []*int64{l.P50, l.P90, l.P95, l.P99, l.P999, l.Max} {
		*q += by
	}
}

// atRate makes a report one of an arrival rate.
func atRate(r *report, rate float64, arrivals string, duration time.Duration) {
	r.Params.Model, r.Params.Rate, r.Params.Arrivals = new("open"), &rate, &arrivals
	r.Params.DurationNS = new(int64(duration))
}

// heard is a capture of a hundred copies that took 1 to 100 ms, of a message that
// was sent 10 ms after it was due.
func heard(t *testing.T) testimony {
	t.Helper()
	segments := []wire{post(10*ms, 100, "POST … "+note(1, 0))}
	for i := int64(1); i <= 100; i++ {
		segments = append(segments, event((10+i)*ms, fmt.Sprintf("127.0.0.1:%d", 1000+i), 1, "data: "+note(1, 0)+"\n\n"))
	}
	return listen(t, segments...)
}

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		name   string
		doctor func(*report)
		want   []string // in the objections, one each; none: they agree
	}{
		{"the same", func(*report) {}, nil},
		{"a record without a model", func(r *report) { r.Params.Model = nil }, nil},
		{"from due", func(r *report) { atRate(r, 1, "constant", time.Second); shift(r, 10*ms) }, nil},
		{"the wrong beginning, closed", func(r *report) { shift(r, 10*ms) }, []string{
			"p50: 50000.0 µs by the packets, 60000.0 µs in the report", "p90: ", "p95: ", "p99: ", "p99.9: ", "max: ", "mean: ",
		}},
		{"the wrong beginning, open", func(r *report) { atRate(r, 1, "constant", time.Second) }, []string{
			"p50: ", "p90: ", "p95: ", "p99: 109000.0 µs by the packets, 99000.0", "p99.9: ", "max: 110000.0 µs by the packets", "mean: 60500.0 µs by",
		}},
		{"within the tolerance, above", func(r *report) { shift(r, 100_000) }, nil},
		{"within the tolerance, below", func(r *report) { shift(r, -100_000) }, nil},
		{"the histogram's digits", func(r *report) { *r.Delivery.Latency.P50 += 150_000; *r.Delivery.Latency.P99 -= 198_000 }, nil},
		{"p50 too large", func(r *report) { *r.Delivery.Latency.P50 += 151_000 }, []string{"p50: "}},
		{"p50 too small", func(r *report) { *r.Delivery.Latency.P50 -= 151_000 }, []string{"p50: "}},
		{"p90 too large", func(r *report) { *r.Delivery.Latency.P90 += 191_000 }, []string{"p90: "}},
		{"p95 too small", func(r *report) { *r.Delivery.Latency.P95 -= 196_000 }, []string{"p95: "}},
		{"p99 too large", func(r *report) { *r.Delivery.Latency.P99 += 200_000 }, []string{"p99: "}},
		{"p99 too small", func(r *report) { *r.Delivery.Latency.P99 -= 200_000 }, []string{"p99: "}},
		{"p99.9 too large", func(r *report) { *r.Delivery.Latency.P999 += 201_000 }, []string{"p99.9: "}},
		{"max is p99", func(r *report) { *r.Delivery.Latency.Max = *r.Delivery.Latency.P99 }, []string{"max: 100000.0 µs by the packets, 99000.0 µs"}},
		{"mean too small", func(r *report) { *r.Delivery.Latency.Mean -= 151_000 }, []string{"mean: 50500.0 µs by the packets, 50349.0 µs"}},

		{"a latency more", func(r *report) { r.Delivery.Latency.Count++ }, []string{"100 copies in the packets, 101 latencies in the report"}},
		{"a latency less", func(r *report) { r.Delivery.Latency.Count-- }, []string{"100 copies in the packets, 99 latencies in the report"}},
		{"a send more", func(r *report) { r.Delivery.Sends.Attempted++ }, []string{"1 messages sent in the packets, 2 in the report"}},
		{"a send less", func(r *report) { r.Delivery.Sends.Attempted-- }, []string{"1 messages sent in the packets, 0 in the report"}},
		{"a failed send that left", func(r *report) { r.Delivery.Sends.Failed = 1 }, nil},
		{"a failed send that did not leave", func(r *report) { r.Delivery.Sends.Attempted, r.Delivery.Sends.Failed = 2, 1 }, nil},
		{"an unanswered send that did not leave", func(r *report) { r.Delivery.Sends.Attempted, r.Delivery.Sends.Unanswered = 2, 1 }, nil},
		{"too few failed", func(r *report) { r.Delivery.Sends.Attempted, r.Delivery.Sends.Failed = 12345, 1 }, []string{
			"1 messages sent in the packets, from 12344 to 12345 in the report: 12345 less 1 that failed",
		}},
		{"more sent than attempted", func(r *report) { r.Delivery.Sends.Attempted, r.Delivery.Sends.Failed = 0, 1 }, []string{"from -1 to 0"}},
		{"received", func(r *report) { r.Delivery.Received = 1 }, []string{"100 copies in the packets, 1 received in the report"}},
		{"duplicate", func(r *report) { *r.Delivery.Duplicate = 4 }, []string{"0 copies in the packets, 4 duplicate in the report"}},
		{"misrouted", func(r *report) { *r.Delivery.Misrouted = 3 }, []string{"0 copies in the packets, 3 misrouted in the report"}},
		{"reordered", func(r *report) { *r.Delivery.Reordered = 5 }, []string{"0 copies in the packets, 5 reordered or unordered in the report"}},
		{"unordered", func(r *report) { *r.Delivery.Unordered = 6 }, []string{"0 copies in the packets, 6 reordered or unordered in the report"}},
		{"lost", func(r *report) { *r.Delivery.Lost = 777 }, []string{"100 copies in the packets, -677 expected and not lost in the report"}},
		{"expected", func(r *report) { r.Delivery.Expected = 3 }, []string{
			"100 copies in the packets, 3 expected and not lost in the report", "100 copies are due of the messages in the packets, 3 expected in the report",
		}},
		{"lost, with as many more expected", func(r *report) { *r.Delivery.Lost += 7; r.Delivery.Expected += 7 }, []string{
			"100 copies are due of the messages in the packets, 107 expected in the report",
		}},
		{"a client that did not open", func(r *report) { r.Params.Clients, r.Params.RoomSize = 101, 101 }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial := trial{testimony: heard(t), report: recorded(t).Runs[0]}
			test.doctor(&trial.report)
			trial.judge(100 * time.Microsecond)
			match(t, trial.wrong, test.want)
		})
	}
}

// match wants objections with these words, one each and in this order.
func match(t *testing.T, wrong, want []string) {
	t.Helper()
	if !slices.EqualFunc(wrong, want, strings.Contains) {
		t.Errorf("%q, want %q", wrong, want)
	}
}

// A capture that is not whole proves nothing, even where the figures agree.
func TestVerdictOnDoubtfulCapture(t *testing.T) {
	for _, test := range []struct {
		change func(*testimony)
		want   string
	}{
		{func(t *testimony) { t.runs = 2 }, "2 runs"},
		{func(t *testimony) { t.unsent = 3 }, "3 copies of messages whose send"},
		{func(t *testimony) { t.altered = 4 }, "4 copies that say another due time"},
		{func(t *testimony) { t.early = 5 }, "5 messages that say they were due after the packet"},
		{func(t *testimony) { t.cut = 5 }, "5 markers or events cut off"},
		{func(t *testimony) { t.damaged = 6 }, "6 damaged"},
		{func(t *testimony) { t.skipped = 7 }, "7 packets"},
		{func(t *testimony) { t.fromSend = nil }, "no latency"},
	} {
		trial := trial{testimony: heard(t), report: recorded(t).Runs[0]}
		test.change(&trial.testimony)
		trial.judge(time.Hour)
		match(t, trial.wrong, []string{test.want})
	}
	empty := trial{report: recorded(t).Runs[0]}
	if empty.judge(time.Hour); len(empty.wrong) < 3 {
		t.Errorf("an empty capture: %q", empty.wrong)
	}
}

// What went wrong on the way is no fault of a report that says so.
func TestVerdictOnUnlikelyDelivery(t *testing.T) {
	const other = "127.0.0.1:50003"
	copies := func(notes ...string) string { return "data: " + strings.Join(notes, "\n\ndata: ") + "\n\n" }
	stray := "sseload:R:1:0:1:0:"
	capture := listen(t,
		post(1000, 100, note(1, 0)+note(2, 0)+note(3, 0)+stray),
		event(2000, alice, 1, copies(note(1, 0), note(3, 0), note(2, 0), note(3, 0), stray)),
		event(2000, bob, 1, copies(note(1, 0), note(2, 0))),
		event(2000, other, 1, copies(stray)))
	r := parsed(t, `{"clients":4,"room_size":2,"model":"closed"}`, `{
		"sends":{"attempted":4,"failed":0},
		"expected":8,"received":8,"lost":2,"duplicate":1,"reordered":0,"unordered":1,"misrouted":1,
		"latency":{"count":6,"mean_ns":1000,"p50_ns":1000,"p90_ns":1000,"p95_ns":1000,"p99_ns":1000,"p999_ns":1000,"max_ns":1000}}`).Runs[0]
	r.Connect.Opened = 4
	honest := trial{testimony: capture, report: r}
	honest.judge(0)
	match(t, honest.wrong, nil)
	*r.Delivery.Duplicate, *r.Delivery.Unordered, *r.Delivery.Misrouted, *r.Delivery.Lost = 0, 0, 0, 0
	silent := trial{testimony: capture, report: r}
	silent.judge(0)
	match(t, silent.wrong, []string{
		"1 copies in the packets, 0 duplicate", "1 copies in the packets, 0 misrouted",
		"1 copies in the packets, 0 reordered or unordered", "6 copies in the packets, 8 expected and not lost",
	})
}

// The latencies of a limit are shown and not judged; its counts are.
func TestVerdictOnLimit(t *testing.T) {
	limit := trial{shape: shape{limit: true}, testimony: heard(t), report: recorded(t).Runs[0]}
	*limit.report.Delivery.Latency.P95 += ms
	limit.judge(100 * time.Microsecond)
	match(t, limit.wrong, nil)
	match(t, limit.beyond, []string{"p95: 95000.0 µs by the packets, 96000.0 µs in the report"})
	if v := limit.verdict(); v != "(limit)" {
		t.Errorf("verdict %s", v)
	}
	limit.report.Delivery.Received++
	limit.judge(100 * time.Microsecond)
	match(t, limit.wrong, []string{"101 received"})
	if v := limit.verdict(); v != "**FAIL**" {
		t.Errorf("verdict %s", v)
	}
}

func TestParseRecordRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "unexpected end",
		"[]":                             "cannot unmarshal",
		`{"schema":"sseload.result/v2"}`: `schema "sseload.result/v2"`,
		`{"schema":"sseload.result/v1","runs":[]}`:                  "0 runs",
		`{"schema":"sseload.result/v1","runs":[{},{}]}`:             "2 runs",
		`{"schema":"sseload.result/v1","runs":[{}]}`:                "no whole account of deliveries",
		`{"schema":"sseload.result/v1","runs":[{"delivery":{}}]}`:   "no whole account of deliveries",
		`{"schema":"sseload.result/v1","runs":[{"delivery":null}]}`: "no whole account of deliveries",
	} {
		if _, err := parseRecord([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", text, err, want)
		}
	}
}

func TestPage(t *testing.T) {
	r := recorded(t)
	*r.Runs[0].Delivery.Latency.P99 += 30_000
	good := trial{shape: shape{spec: "-c 600 -n 50"}, number: 1, testimony: heard(t), report: r.Runs[0], host: r.Host}
	bad := good
	bad.number, bad.wrong = 2, []string{"something differs"}
	bad.testimony.gapBytes, bad.testimony.fromSend = 12, nil
	limit := good
	limit.shape = shape{spec: "-c 300 -n 50 --senders all", limit: true}
	limit.beyond = []string{"p90 differs", "mean differs"}
	s := setting{
		options: options{sseload: "/home/someone/sseload", runs: specs{"-c 600 -n 50"}, limits: specs{limit.spec}, tolerance: 100 * time.Microsecond, snaplen: 512},
		at:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		sseload: "sseload v1, commit abc",
		tcpdump: "tcpdump version 4\nlibpcap",
	}
	text := page(s, []trial{good, bad, limit})
	for _, want := range []string{
		"**FAIL: 2 of 3 runs agree; limits among them, judged by their counts alone: 1**, 2026-01-02 03:04:05 UTC · linux/amd64 · kernel 6.1 · 2 cores · 1.0 GiB\n",
		"sseload v1, commit abc · tcpdump version 4\n",
		"| `-c 600 -n 50` | 1 | packet of the send | 100 | 100 | 50000.0 | 50000.0 | +0.0 | 99000.0 | 99030.0 | +30.0 | 100000.0 | 100000.0 | **PASS** |\n",
		"| `-c 600 -n 50` | 1 | due time | 100 | 100 | 60000.0 | 50000.0 | -10000.0 | 109000.0 | 99030.0 | -9970.0 | 110000.0 | 100000.0 |  |\n",
		"| `-c 600 -n 50` | 2 | packet of the send | 100 | 100 | – | 50000.0 | – | – | 99030.0 | – | – | 100000.0 | **FAIL** |\n",
		"- FAIL: `-c 600 -n 50`, #2: something differs\n- `-c 600 -n 50`, #2: 12 bytes were not captured\n",
		"| 100000.0 | 100000.0 | (limit) |\n",
		"- (limit): `-c 300 -n 50 --senders all`, #1: p90 differs; mean differs\n",
		"\nsseload rooms http://127.0.0.1:PORT -c 300 -n 50 --senders all -o json=record.json -q\n",
		"\ntcpdump -i lo -n -U -B 65536 --time-stamp-precision=nano -s 512 -w - tcp port PORT > capture.pcap\n",
		"\nsseload serve --addr 127.0.0.1:PORT --heartbeat 0s --status-interval 0s\n",
		"\nsseload rooms http://127.0.0.1:PORT -c 600 -n 50 -o json=record.json -q\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	for _, never := range []string{"/home", "secret"} {
		if strings.Contains(text, never) {
			t.Errorf("%q is this machine's own, in:\n%s", never, text)
		}
	}
	s.options.sseload = "bin/sseload"
	if text := page(s, []trial{good}); !strings.Contains(text, "**PASS: all 1 runs agree**") || !strings.Contains(text, "\nbin/sseload rooms") {
		t.Errorf("a good run:\n%s", text)
	}
	atRate(&r.Runs[0], 1, "constant", time.Second)
	good.report = r.Runs[0]
	if lines := strings.Split(table([]trial{good}), "\n"); !strings.HasSuffix(lines[3], "| **PASS** |") || strings.Contains(lines[2], "PASS") {
		t.Errorf("the verdict on an open model is not on its due times:\n%s", strings.Join(lines, "\n"))
	}
}
