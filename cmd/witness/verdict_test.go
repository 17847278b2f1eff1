package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = 1_000_000 // nanoseconds

// recorded is a record with what is read of it.
func recorded(t *testing.T, model string, sends, count, p50, p99 int64) record {
	t.Helper()
	r, err := parseRecord(fmt.Appendf(nil, `{"schema":"sseload.result/v1",
		"host":{"name":"secret","os":"linux","arch":"amd64","kernel":"6.1","cpu_model":null,"cores":2,"memory_bytes":1073741824},
		"runs":[{"engine":"epoll","params":{"model":%s},"delivery":{"sends":{"attempted":%d,"failed":0},
		"latency":{"count":%d,"p50_ns":%d,"p99_ns":%d,"max_ns":%d}}}]}`, model, sends, count, p50, p99, p99))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// heard is a capture of a hundred copies that took 1 to 100 ms, of messages that
// were sent 10 ms after they were due.
func heard(t *testing.T) testimony {
	t.Helper()
	segments := []wire{post(10*ms, 100, "POST … "+note(1, 0))}
	for i := int64(1); i <= 100; i++ {
		segments = append(segments, event((10+i)*ms, fmt.Sprintf("127.0.0.1:%d", 1000+i), 1, "data: "+note(1, 0)+"\n\n"))
	}
	return listen(t, segments...)
}

func TestVerdict(t *testing.T) {
	const tolerance = 100 * time.Microsecond
	for _, test := range []struct {
		name                   string
		model                  string
		sends, count, p50, p99 int64
		want                   string // "": they agree
	}{
		{"the same", `"closed"`, 1, 100, 50 * ms, 99 * ms, ""},
		{"a record without a model", `null`, 1, 100, 50 * ms, 99 * ms, ""},
		{"from due", `"open"`, 1, 100, 60 * ms, 109 * ms, ""},
		{"the wrong beginning, closed", `"closed"`, 1, 100, 60 * ms, 109 * ms, "p50: 50000.0 µs by the packets, 60000.0 µs in the report"},
		{"the wrong beginning, open", `"open"`, 1, 100, 50 * ms, 99 * ms, "p99: 109000.0 µs by the packets"},
		{"within the tolerance, above", `"closed"`, 1, 100, 50*ms + 100_000, 99*ms + 100_000, ""},
		{"within the tolerance, below", `"closed"`, 1, 100, 50*ms - 100_000, 99*ms - 100_000, ""},
		{"the histogram's digits", `"closed"`, 1, 100, 50*ms + 150_000, 99*ms - 198_000, ""},
		{"p50 too large", `"closed"`, 1, 100, 50*ms + 151_000, 99 * ms, "p50: "},
		{"p50 too small", `"closed"`, 1, 100, 50*ms - 151_000, 99 * ms, "p50: "},
		{"p99 too large", `"closed"`, 1, 100, 50 * ms, 99*ms + 200_000, "p99: "},
		{"p99 too small", `"closed"`, 1, 100, 50 * ms, 99*ms - 200_000, "p99: "},
		{"a copy more", `"closed"`, 1, 101, 50 * ms, 99 * ms, "100 copies in the packets, 101 latencies in the report"},
		{"a copy less", `"closed"`, 1, 99, 50 * ms, 99 * ms, "100 copies in the packets, 99 latencies in the report"},
		{"a send more", `"closed"`, 2, 100, 50 * ms, 99 * ms, "1 messages sent in the packets, 2 in the report"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := recorded(t, test.model, test.sends, test.count, test.p50, test.p99)
			wrong := judge(heard(t), r.Runs[0], tolerance)
			if test.want == "" && len(wrong) > 0 {
				t.Errorf("differs: %q", wrong)
			}
			if test.want != "" && !slices.ContainsFunc(wrong, func(s string) bool { return strings.Contains(s, test.want) }) {
				t.Errorf("%q, want %q in it", wrong, test.want)
			}
		})
	}
}

// A capture that is not whole proves nothing, even where the figures agree.
func TestVerdictOnDoubtfulCapture(t *testing.T) {
	r := recorded(t, `"closed"`, 1, 100, 50*ms, 99*ms).Runs[0]
	for _, test := range []struct {
		change func(*testimony)
		want   string
	}{
		{func(t *testimony) { t.runs = 2 }, "2 runs"},
		{func(t *testimony) { t.unsent = 3 }, "3 copies of messages whose send"},
		{func(t *testimony) { t.duplicates = 4 }, "4 copies twice"},
		{func(t *testimony) { t.cut = 5 }, "5 markers or events cut off"},
		{func(t *testimony) { t.damaged = 6 }, "6 damaged"},
		{func(t *testimony) { t.skipped = 7 }, "7 packets"},
		{func(t *testimony) { t.fromSend = nil }, "no latency"},
	} {
		capture := heard(t)
		test.change(&capture)
		if wrong := judge(capture, r, time.Hour); len(wrong) != 1 || !strings.Contains(wrong[0], test.want) {
			t.Errorf("%q, want %q alone", wrong, test.want)
		}
	}
	if empty := judge(testimony{}, r, time.Hour); len(empty) < 3 {
		t.Errorf("an empty capture: %q", empty)
	}
}

func TestParseRecordRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "unexpected end",
		"[]":                             "cannot unmarshal",
		`{"schema":"sseload.result/v2"}`: `schema "sseload.result/v2"`,
		`{"schema":"sseload.result/v1","runs":[]}`:                  "0 runs",
		`{"schema":"sseload.result/v1","runs":[{},{}]}`:             "2 runs",
		`{"schema":"sseload.result/v1","runs":[{}]}`:                "no delivery latencies",
		`{"schema":"sseload.result/v1","runs":[{"delivery":{}}]}`:   "no delivery latencies",
		`{"schema":"sseload.result/v1","runs":[{"delivery":null}]}`: "no delivery latencies",
	} {
		if _, err := parseRecord([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", text, err, want)
		}
	}
}

func TestPage(t *testing.T) {
	r := recorded(t, `"closed"`, 1, 100, 50*ms, 99*ms+30_000)
	good := trial{spec: "-c 600 -n 50", number: 1, testimony: heard(t), report: r.Runs[0], host: r.Host}
	bad := good
	bad.number, bad.wrong = 2, []string{"something differs"}
	bad.testimony.gapBytes, bad.testimony.fromSend = 12, nil
	s := setting{
		options: options{sseload: "/home/someone/sseload", runs: specs{"-c 600 -n 50"}, tolerance: 100 * time.Microsecond, snaplen: 512},
		at:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		sseload: "sseload v1, commit abc",
		tcpdump: "tcpdump version 4\nlibpcap",
	}
	text := page(s, []trial{good, bad})
	for _, want := range []string{
		"**FAIL: 1 of 2 runs agree**, 2026-01-02 03:04:05 UTC · linux/amd64 · kernel 6.1 · 2 cores · 1.0 GiB\n",
		"sseload v1, commit abc · tcpdump version 4\n",
		"| `-c 600 -n 50` | 1 | packet of the send | 100 | 100 | 50000.0 | 50000.0 | +0.0 | 99000.0 | 99030.0 | +30.0 | 100000.0 | 99030.0 | **PASS** |\n",
		"| `-c 600 -n 50` | 1 | due time | 100 | 100 | 60000.0 | 50000.0 | -10000.0 | 109000.0 | 99030.0 | -9970.0 | 110000.0 | 99030.0 |  |\n",
		"| `-c 600 -n 50` | 2 | packet of the send | 100 | 100 | – | 50000.0 | – | – | 99030.0 | – | – | 99030.0 | **FAIL** |\n",
		"- FAIL: `-c 600 -n 50`, #2: something differs\n- `-c 600 -n 50`, #2: 12 bytes were not captured\n",
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
	r.Runs[0].Params.Model = new(string)
	if err := json.Unmarshal([]byte(`"open"`), r.Runs[0].Params.Model); err != nil {
		t.Fatal(err)
	}
	good.report = r.Runs[0]
	if lines := strings.Split(table([]trial{good}), "\n"); !strings.HasSuffix(lines[3], "| **PASS** |") || strings.Contains(lines[2], "PASS") {
		t.Errorf("the verdict on an open model is not on its due times:\n%s", strings.Join(lines, "\n"))
	}
}
