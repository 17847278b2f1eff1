package main

import (
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

func TestPhaseCost(t *testing.T) {
	phase := func(name string, elapsed time.Duration, percent float64) result.Phase {
		p := result.Phase{Name: name, ElapsedNS: int64(elapsed)}
		if percent >= 0 {
			p.GeneratorCPUPercent = &percent
		}
		return p
	}
	const unknown = -1
	connect := phase(connectPhase, time.Second, 80)
	for _, c := range []struct {
		name         string
		phases       []result.Phase
		elapsed, cpu time.Duration // unknown: nil
	}{
		{"sending", []result.Phase{connect, phase(sendPhase, 2*time.Second, 25)}, 2 * time.Second, 500 * time.Millisecond},
		{"draining counts", []result.Phase{connect, phase(sendPhase, 2*time.Second, 25), phase(drainPhase, time.Second, 10)}, 3 * time.Second, 600 * time.Millisecond},
		{"a brief drain counts as a core", []result.Phase{phase(sendPhase, 2*time.Second, 25), phase(drainPhase, time.Millisecond, unknown)}, 2001 * time.Millisecond, 501 * time.Millisecond},
		{"a long one does not", []result.Phase{phase(sendPhase, 2*time.Second, 25), phase(drainPhase, time.Second, unknown)}, 3 * time.Second, unknown},
		{"nothing known", []result.Phase{phase(sendPhase, time.Millisecond, unknown)}, time.Millisecond, unknown},
		{"no such phase", []result.Phase{connect}, unknown, unknown},
	} {
		elapsed, cpu := phaseCost(c.phases, sendPhase, drainPhase)
		check := func(what string, got *int64, want time.Duration) {
			t.Helper()
			if (got == nil) != (want == unknown) || got != nil && time.Duration(*got) != want {
				t.Errorf("%s: %s %v, want %v", c.name, what, got, want)
			}
		}
		check("elapsed", elapsed, c.elapsed)
		check("CPU", cpu, c.cpu)
	}
}

// goodRun is one of rooms in which all is as it should be, 2 iterations of 12 clients.
func goodRun() (*result.Run, *shape) {
	none := func() *int64 { return ptr(int64(0)) }
	return &result.Run{
		Connect: result.Connect{Opened: 12},
		Phases:  []result.Phase{{Name: sendPhase, ElapsedNS: 1000, GeneratorCPUPercent: ptr(50.0)}},
		Delivery: &result.Delivery{
			Expected: 24, Received: 24,
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
		{"a client failed", func(r *result.Run) { r.Connect.Opened = 11 }, "11 clients of 12 opened"},
		{"a client was dropped", func(r *result.Run) { r.Connect.Dropped = 1 }, "1 of them were dropped"},
		{"copies are missing", func(r *result.Run) { r.Delivery.Received = 23 }, "23 copies of 24"},
		{"lost and doubled", func(r *result.Run) { *r.Delivery.Lost, *r.Delivery.Duplicate = 1, 1 }, "1 copies lost, 1 copies duplicate"},
		{"reordered", func(r *result.Run) { *r.Delivery.Reordered = 2 }, "2 copies reordered"},
		{"misrouted", func(r *result.Run) { *r.Delivery.Misrouted = 2 }, "2 copies misrouted"},
		{"late", func(r *result.Run) { *r.Delivery.Late = 2 }, "2 copies late"},
		{"unknown", func(r *result.Run) { r.Delivery.Lost = nil }, "not known how many copies were lost"},
		{"no account", func(r *result.Run) { r.Delivery = nil }, "no account"},
		{"sends failed", func(r *result.Run) { r.Delivery.Sends.Failed = 1 }, "1 sends failed"},
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
		if got.good() && (*got.ElapsedNS != 1000 || *got.CPUNS != 500 || *got.Copies != 24) {
			t.Errorf("%s: %d ns, %d ns CPU, %d copies, want 1000, 500 and 24", c.name, *got.ElapsedNS, *got.CPUNS, *got.Copies)
		}
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
		{connecting, `{"clients":11,"elapsed_ns":5,"cpu_ns":3}`, "11 clients of 12", 0},
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
