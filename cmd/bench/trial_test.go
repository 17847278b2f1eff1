package main

import (
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/result"
)

// goodRun is one of rooms in which all is as it should be, 2 iterations of 12 clients.
func goodRun() (*result.Run, *shape) {
	none := func() *int64 { return ptr(int64(0)) }
	return &result.Run{
		Connect: result.Connect{Opened: 12, ElapsedNS: ptr(int64(700))},
		Generator: result.Generator{
			CPUPerConnectNS: ptr(30.04), CPUPerCopyNS: ptr(20.81),
		},
		Delivery: &result.Delivery{
			Expected: 24, Received: 24, ElapsedNS: 1000,
			Lost: none(), Duplicate: none(), Reordered: none(), Misrouted: none(), Late: none(),
		},
	}, &shape{Clients: 12, RoomSize: 6, Iterations: 2}
}

func TestReadRun(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*result.Run)
		wrong string // empty: nothing is
	}{
		{"good", func(*result.Run) {}, ""},
		{"overloaded", func(r *result.Run) { r.Generator.Overloaded = ptr(true); r.Generator.OverloadReason = ptr("it is") }, ""},
		{"a client is missing", func(r *result.Run) { r.Connect.Opened = 11 }, "11 clients of 12 opened"},
		{"a client failed", func(r *result.Run) { r.Connect.Failed = 1 }, "clients failed: 1"},
		{"a client was dropped", func(r *result.Run) { r.Connect.Dropped = 1 }, "clients dropped: 1"},
		{"copies are missing", func(r *result.Run) { r.Delivery.Received = 23 }, "23 copies of 24"},
		{"lost and doubled", func(r *result.Run) { *r.Delivery.Lost, *r.Delivery.Duplicate = 1, 1 }, "copies lost: 1, copies duplicate: 1"},
		{"reordered", func(r *result.Run) { *r.Delivery.Reordered = 2 }, "copies reordered: 2"},
		{"misrouted", func(r *result.Run) { *r.Delivery.Misrouted = 2 }, "copies misrouted: 2"},
		{"late", func(r *result.Run) { *r.Delivery.Late = 2 }, "copies late: 2"},
		{"unknown", func(r *result.Run) { r.Delivery.Lost = nil }, "copies lost: unknown"},
		{"no account", func(r *result.Run) { r.Delivery = nil }, "no account"},
		{"sends failed", func(r *result.Run) { r.Delivery.Sends.Failed = 1 }, "sends failed: 1"},
		{"sends called off", func(r *result.Run) { r.Delivery.Sends.CalledOff = 2 }, "sends called off: 2"},
		{"aborted", func(r *result.Run) { r.Aborted = ptr("the target went away") }, "aborted: the target went away"},
		{"interrupted", func(r *result.Run) { r.Interrupted = true }, "interrupted"},
	} {
		r, s := goodRun()
		c.spoil(r)
		var got trial
		got.readRun(r, s)
		said := strings.Join(got.Wrong, ", ")
		if got.good() != (c.wrong == "") || !strings.Contains(said, c.wrong) {
			t.Errorf("%s: wrong is %q, want %q", c.name, said, c.wrong)
		}
		if (got.Overloaded != nil) != (c.name == "overloaded") {
			t.Errorf("%s: overloaded %v", c.name, got.Overloaded)
		}
		if got.good() && (*got.ElapsedNS != 1000 || *got.CPUNS != 499 || *got.Copies != 24) {
			t.Errorf("%s: %d ns, %d ns CPU, %d copies, want 1000, 499 and 24", c.name, *got.ElapsedNS, *got.CPUNS, *got.Copies)
		}
	}
}

// TestReadRunOfConnecting: nothing was sent, and nothing is known of copies.
func TestReadRunOfConnecting(t *testing.T) {
	r, s := goodRun()
	r.Delivery, s.Iterations = nil, 0
	var got trial
	got.readRun(r, s)
	if !got.good() || *got.ElapsedNS != 700 || *got.CPUNS != 360 || got.Copies != nil {
		t.Errorf("got %+v, want 700 ns, 360 ns CPU and nothing wrong", got)
	}
	r.Generator.CPUPerConnectNS = nil
	got = trial{}
	if got.readRun(r, s); got.CPUNS != nil {
		t.Errorf("got %d ns CPU, want that it is not known", *got.CPUNS)
	}
}

func TestReadFloor(t *testing.T) {
	sending, connecting := &shape{Clients: 12, RoomSize: 6, Iterations: 2}, &shape{Clients: 12, RoomSize: 6}
	for _, c := range []struct {
		s      *shape
		out    string
		wrong  string
		memory float64 // 0: unknown
	}{
		{sending, `{"clients":12,"events":24,"elapsed_ns":5,"cpu_ns":3,"rss_before_bytes":100,"rss_connected_bytes":1300}`, "", 100},
		{connecting, `{"clients":12,"elapsed_ns":5,"cpu_ns":3,"rss_before_bytes":1300,"rss_connected_bytes":100}`, "", 0},
		{connecting, `{"clients":11,"elapsed_ns":5,"cpu_ns":3}`, "11 clients of 12 opened", 0},
		{sending, `{"clients":12,"events":23,"elapsed_ns":5,"cpu_ns":3}`, "23 copies of 24", 0},
	} {
		var got trial
		if err := got.readFloor([]byte(c.out), c.s); err != nil {
			t.Errorf("%s: %v", c.out, err)
			continue
		}
		if said := strings.Join(got.Wrong, ", "); said != c.wrong || *got.ElapsedNS != 5 || *got.CPUNS != 3 || (got.Copies != nil) != c.s.sends() {
			t.Errorf("%s: wrong is %q in %+v, want %q", c.out, said, got, c.wrong)
		}
		if c.memory > 0 && (got.RSSPerClientBytes == nil || *got.RSSPerClientBytes != c.memory) {
			t.Errorf("%s: memory %v, want %v", c.out, got.RSSPerClientBytes, c.memory)
		}
	}
	var got trial
	if err := got.readFloor([]byte("no such thing"), connecting); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("got %v, want an error with what was printed", err)
	}
}

func TestParseBenchmark(t *testing.T) {
	const text = "goos: linux\nBenchmarkDecoder/1_KiB   \t 1 \t 5 ns/op\t 9.00 MB/s\t 7 B/op\t 7 allocs/op\n" +
		"BenchmarkDecoder/100_B   \t   18000\t     26000 ns/op\t2523.10 MB/s\t        39.6 ns/event\t       0 B/op\t       2 allocs/op\nPASS\n"
	got, err := parseBenchmark(text)
	if want := (decoding{BytesPerSecond: 2523.10 * 1e6, AllocsPerPass: 2}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{
		"", "PASS\n",
		"BenchmarkDecoder/100_B 18000 26000 ns/op 0 allocs/op\n",
		"BenchmarkDecoder/100_B 18000 26000 ns/op 2523.10 MB/s\n",
		"BenchmarkDecoder/100_B 18000 x ns/op 2523.10 MB/s 0 allocs/op\n",
	} {
		if got, err := parseBenchmark(text); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

func TestScan(t *testing.T) {
	if speed := scan(1 << 20); speed <= 0 {
		t.Errorf("scanned %v bytes per second: it has not found the line ends", speed)
	}
}
