package result_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/result/resulttest"
)

func TestWriteThenReadGivesTheSameRecord(t *testing.T) {
	want := full()
	data := encode(t, want)
	resulttest.Validate(t, data)
	got, err := result.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the record changed on its way:\n%s\nand then\n%s", data, encode(t, got))
	}
	if !bytes.HasSuffix(data, []byte("\n}\n")) {
		t.Errorf("no single newline at the end: %q", data[len(data)-5:])
	}
	if !bytes.Contains(data, []byte("a=1&b=<2>")) {
		t.Error("the command is escaped for HTML")
	}
}

func TestWriteNeverSaysNullForAnEmptyList(t *testing.T) {
	f := minimal()
	f.Schema = ""
	f.Command, f.Sources = nil, []result.Source{{Host: result.Host{Cores: 1}, Runs: 1}}
	f.Runs[0].Delivery = &result.Delivery{}
	f.Runs[0].Profiles = []result.Profile{{Kind: "cpu", Phase: "send", Source: "perf", File: "a", Flame: "b", Unit: "count"}}
	before := *f
	data := encode(t, f)
	resulttest.Validate(t, data)
	if !reflect.DeepEqual(*f, before) || f.Runs[0].Notes != nil || f.Runs[0].Delivery.Clients != nil || f.Sources[0].Command != nil {
		t.Error("Write changed the record")
	}
	f.Runs, f.Sources = nil, nil
	resulttest.Validate(t, encode(t, f))
}

func TestWriteErrors(t *testing.T) {
	f := minimal()
	if err := f.Write(failingWriter{}); !errors.Is(err, errFull) {
		t.Errorf("a failing writer gave %v", err)
	}
	f.Runs[0].Params.ConnectRate = math.NaN()
	if err := f.Write(io.Discard); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("NaN gave %v", err)
	}
}

var errFull = errors.New("disk full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

func TestReadTellsWhatItFound(t *testing.T) {
	for _, test := range []struct {
		name, in, want string
		schema         bool // wraps ErrSchema
	}{
		{"empty", " \n", "the input is empty", false},
		{"not JSON", "{\n\"schema\": ,\n}", "not JSON: line 2", false},
		{"cut off", `{"schema": "sseload.result/v1", "runs": [`, "not JSON: line 1", false},
		{"more behind", `{"schema": "sseload.result/v1", "runs": []} {}`, "not JSON", false},
		{"a list", `[1]`, "found a JSON array", true},
		{"no schema", `{"runs": []}`, "no schema name", true},
		{"later schema", `{"schema": "sseload.result/v2", "runs": []}`, `schema is "sseload.result/v2"`, true},
		{"null schema", `{"schema": null, "runs": []}`, "schema is null", true},
		{"schema a number", `{"schema": 1, "runs": []}`, "schema is 1", true},
		{"no runs", `{"schema": "sseload.result/v1"}`, "no list of runs", false},
		{"null runs", `{"schema": "sseload.result/v1", "runs": null}`, "no list of runs", false},
		{"wrong kind", "{\"schema\": \"sseload.result/v1\",\n\"runs\": [{\"total_ns\": \"1s\"}]}", "line 2: field runs.total_ns: found a JSON string", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run.json")
			if err := os.WriteFile(path, []byte(test.in), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := result.ReadFile(path)
			if err == nil {
				t.Fatalf("read %+v", f)
			}
			if !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want the path and %q", err, test.want)
			}
			if errors.Is(err, result.ErrSchema) != test.schema {
				t.Errorf("%q is ErrSchema: %t", err, !test.schema)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func TestReadFileThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.json")
	if _, err := result.ReadFile(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestReadPassesOnTheReadersError(t *testing.T) {
	if _, err := result.Read(iotest.ErrReader(errFull)); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestReadToleratesUnknownFields(t *testing.T) {
	want := full()
	data := encode(t, want)
	data = bytes.Replace(data, []byte(`"expected":`), []byte(`"from_the_future": {"a": [1]}, "expected":`), 1)
	got, err := result.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte("from_the_future")) || !reflect.DeepEqual(got, want) {
		t.Error("the known fields changed")
	}
}

func TestMerge(t *testing.T) {
	a, b, c := full(), minimal(), minimal()
	b.Host.Name, c.Host.Name = "b", "c"
	c.Runs = nil
	b.Runs = append(b.Runs, b.Runs[0])
	aBytes := encode(t, a)

	if one, err := result.Merge(a); err != nil || !bytes.Equal(encode(t, one), aBytes) {
		t.Errorf("merging one record changed it (error %v)", err)
	}

	m, err := result.Merge(a, b, c)
	if err != nil {
		t.Fatal(err)
	}
	resulttest.Validate(t, encode(t, m))
	if len(m.Runs) != len(a.Runs)+2 || m.Host.Name != a.Host.Name || !m.StartedAt.Equal(a.StartedAt) {
		t.Errorf("got %d runs of %s at %s", len(m.Runs), m.Host.Name, m.StartedAt)
	}
	checkSources(t, m, []string{a.Host.Name, "b", "c"}, []int{len(a.Runs), 2, 0})

	again, err := result.Merge(b, m)
	if err != nil {
		t.Fatal(err)
	}
	checkSources(t, again, []string{"b", a.Host.Name, "b", "c"}, []int{2, len(a.Runs), 2, 0})
	for i, want := range []string{"b", "b", a.Host.Name, a.Host.Name, "b", "b"} {
		if got := again.SourceOf(i).Host.Name; got != want {
			t.Errorf("run %d is from %q, want %q", i, got, want)
		}
	}
	if got := b.SourceOf(1); got.Host.Name != "b" || got.Runs != 2 {
		t.Errorf("a record that was not merged is from %+v", got)
	}
	if !bytes.Equal(encode(t, a), aBytes) {
		t.Error("merging changed its input")
	}

	if _, err := result.Merge(); err == nil {
		t.Error("merged nothing")
	}
	m.Sources[1].Runs++
	if _, err := result.Merge(b, m); err == nil || !strings.Contains(err.Error(), "record 2 of 2") {
		t.Errorf("sources that do not add up gave %v", err)
	}
}

func checkSources(t *testing.T, f *result.File, hosts []string, runs []int) {
	t.Helper()
	if len(f.Sources) != len(hosts) {
		t.Fatalf("%d sources, want %d", len(f.Sources), len(hosts))
	}
	for i, s := range f.Sources {
		if s.Host.Name != hosts[i] || s.Runs != runs[i] {
			t.Errorf("source %d: %d runs of %q, want %d of %q", i, s.Runs, s.Host.Name, runs[i], hosts[i])
		}
	}
}

func encode(t *testing.T, f *result.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// minimal has one run of which nothing is known but what is always known.
func minimal() *result.File {
	return &result.File{
		Schema:    result.Schema,
		Host:      result.Host{Cores: 1},
		StartedAt: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC),
		Runs: []result.Run{{
			Scenario: "connect",
			Params:   result.Params{Clients: 1},
			Target:   result.Target{Kind: "url"},
			Engine:   "conn",
			Clock:    &result.Clock{Kind: "monotonic"},
		}},
	}
}

// full has a value in every field: no nil pointer, no empty list or map.
func full() *result.File {
	at := time.Date(2026, 11, 23, 10, 0, 0, 125_000_000, time.UTC)
	latency := result.Latency{
		Count: 10, MeanNS: new(412_345.5), MinNS: new(int64(90_000)), P50NS: new(int64(400_000)),
		P90NS: new(int64(700_000)), P95NS: new(int64(800_000)), P99NS: new(int64(900_000)),
		P999NS: new(int64(950_000)), MaxNS: new(int64(990_000)), Capped: 1, HDR: "HISTFAAAAB4=",
	}
	run := result.Run{
		Scenario:  "rooms",
		StartedAt: at,
		Labels: result.Labels{Machine: "roundrobin", Type: "Normal", Env: "Local", Protocol: "EventSource",
			Extra: map[string]string{"build": "42"}},
		Params: result.Params{
			Clients: 6, Iterations: new(2), RoomSize: new(6), SendersPerRoom: new(1), Model: new("open"), Rate: new(1.5),
			Arrivals: new("poisson"), SendConnections: new(8), SlowClients: new(1), SlowRate: new(int64(1024)),
			NoReconnect: true, ReconnectJitter: new("50%"), IntervalNS: 1e9,
			TimeoutNS: 30e9, HoldNS: 1e9, DurationNS: new(int64(60e9)), ConnectRate: 2.5, ConnectConcurrency: 64,
			PayloadBytes: new(100), Payload: new("marker"), EventType: new("chat"), HTTP: new("2"), StreamsPerConnection: new(10),
		},
		Target: result.Target{URL: "http://127.0.0.1:8123/events?room={room}", Command: new("node server.js"), Proxy: new("http://proxy.example.test:3128"),
			SendURL: new("http://127.0.0.1:8123/rooms/{room}/messages"), Kind: "reference",
			Faults: []result.Fault{{Fault: "drop,every=7", Injected: new(int64(2))}}},
		Engine: "epoll",
		Clock:  &result.Clock{Kind: "monotonic", Receipt: new("kernel"), OffsetNS: new(int64(-1500)), OffsetErrorNS: new(int64(200))},
		Connect: result.Connect{
			Attempted: 8, Opened: 6, Failed: 2, ElapsedNS: new(int64(3e6)),
			Failures: map[string]int{"refused": 1, "status 503": 1},
			Dropped:  2, Drops: map[string]int{"reset": 1, "status 204": 1},
			Examples:    []result.FailureExample{{Class: "refused", Text: "dial tcp 127.0.0.1:8123: connection refused"}},
			Connections: new(int64(100)), OpenLatency: latency, TCPLatency: latency, HeaderLatency: latency, FirstEventLatency: latency,
		},
		Reconnect: &result.Reconnect{
			Clients: 4, Ends: map[string]int{"reset": 12}, Attempts: 12, Failures: map[string]int{"refused": 1, "status 204": 1},
			Reopened: 10, GaveUp: 1, Away: 1, FirstEndNS: new(int64(5e9)), LastOpenNS: new(int64(9e9)), Downtime: latency,
			Missed: new(int64(4)), Replayed: new(int64(10)), ReplayedTwice: new(int64(1)), ReplayLatency: &latency,
		},
		Traffic: &result.Traffic{Events: 18, Comments: 3},
		Delivery: &result.Delivery{
			Sends: result.Sends{Attempted: 2, Behind: new(int64(1)), Crowded: new(int64(1)), CalledOff: 1, Unanswered: new(int64(1)), Failed: 1, Failures: map[string]int{"status 500": 1}, Examples: []result.FailureExample{{Class: "status 500", Text: "the server answered 500"}}, RatePerSecond: new(1.5), Latency: latency},
			// 12 - 2 + 1 + 1
			Expected: 12, Received: 12, Lost: new(int64(2)), Duplicate: new(int64(1)), Reordered: new(int64(1)),
			Misrouted: new(int64(1)), Late: new(int64(1)), Unordered: new(int64(1)), Foreign: new(int64(1)), OtherEvents: 6,
			Iterations: new(2), Incomplete: new(1), ElapsedNS: 2e9, RatePerSecond: new(6.0), Latency: latency,
			Slow: &result.Slow{Clients: 1, Dropped: 1, Expected: 2, Received: 1, Lost: new(int64(1)), Drained: 1,
				Latency: latency, NeighboursExpected: 5, NeighboursLost: new(int64(1)), Neighbours: latency},
			ClientsAffected: new(1),
			Clients: []result.ClientDetail{{Client: 3, Room: 1, Expected: 2, Received: 2, Lost: 2,
				Duplicate: 1, Reordered: 1, Misrouted: 1, Late: 1}},
		},
		IterationTime: &latency,
		TotalNS:       3e9,
		Generator: result.Generator{PID: 100, CPUPercent: new(12.5), RSSBytes: new(int64(20 << 20)),
			RSSPerClientBytes: new(210.5), LiveBytesPerClient: new(150.5), OpenFiles: new(int64(20)),
			CPUPerConnectNS: new(12_000.5), CPUPerCopyNS: new(2_500.5), ReadLag: &latency, SendLag: &latency,
			DispatchLag: &latency, RunQueueNS: new(int64(1e6)), GC: &result.GC{Cycles: 3, PauseTotalNS: 90_000, PauseMaxNS: 40_000}, Stalls: &result.Stalls{Count: 1, TotalNS: 2e6, MaxNS: 2e6},
			Overloaded: new(true), OverloadReason: new("read lag p99 1.2 ms")},
		TargetProcess: result.TargetProcess{Observed: true, PID: new(101), Name: new("sseload"), Processes: new(1),
			CPUPercent: new(6.6), RSSBytes: new(int64(30 << 20)), BytesPerClient: new(4096.5), OpenFiles: new(int64(15)),
			RSSBaseBytes: new(int64(9 << 20)), RSSConnectedBytes: new(int64(29 << 20)), CPUPerConnectNS: new(40_000.5), CPUPerCopyNS: new(7_500.5)},
		Machine: result.Machine{CPUPercent: new(40.5), MemoryUsedBytes: new(int64(1 << 30)),
			MemoryTotalBytes: new(int64(16 << 30)), ListenOverflows: new(int64(1)), TCPRetransmits: new(int64(1)),
			ListenDrops: new(int64(2)), KernelSocketBytes: new(int64(1 << 20)), TCPSockets: new(int64(14)),
			TCPSocketBytes: new(int64(14 * 2304)), SocketBytesPerClient: new(4608.5)},
		Phases: []result.Phase{{Name: "connect", StartNS: 1, ElapsedNS: 3e6, TargetCPUPercent: new(1.5),
			GeneratorCPUPercent: new(1.5), MachineCPUPercent: new(1.5), GeneratorRunQueueNS: new(int64(1))}},
		Samples: []result.Sample{{AtNS: 1e9, Phase: "send", Open: 6, Failed: 2, Received: 6, TargetCPUPercent: new(1.5),
			TargetRSSBytes: new(int64(1)), TargetOpenFiles: new(int64(1)), GeneratorCPUPercent: new(1.5),
			GeneratorRSSBytes: new(int64(1)), GeneratorOpenFiles: new(int64(1)), MachineCPUPercent: new(1.5),
			MachineUsedBytes: new(int64(1)), Away: new(int64(1)), Sent: new(int64(1)), LatencyP50NS: new(int64(1)),
			LatencyP99NS: new(int64(2)), LatencyMaxNS: new(int64(3))}},
		Profiles: []result.Profile{{Kind: "cpu", Phase: "send", Source: "pprof", StartNS: 3e6, ElapsedNS: 2e9,
			File: "run.profiles/rooms-6-send-cpu.pb.gz", Flame: "run.profiles/rooms-6-send-cpu.folded", Unit: "nanoseconds",
			Total: 2e9, Samples: 200, Top: []result.Function{{Name: "main.serve", Flat: 1e9, Cumulative: 2e9}}}},
		Affinity: &result.Affinity{By: "cookie", Name: "SRV", Backends: []result.Backend{{Name: "b1", Clients: 2}, {Name: "b2", Clients: 1}},
			Other: 1, Unknown: 1, Rooms: 2, RoomsSplit: 1, Moved: 1, LostInSplitRooms: new(int64(1)), LostInOtherRooms: new(int64(1))},
		Interrupted: true,
		Aborted:     new("the target went away"),
		Notes:       []string{"a note"},
		Thresholds: []result.Verdict{{Threshold: "delivery.p99 < 1ms", Figure: "delivery.latency.p99", Unit: "ns", Limit: 1e6,
			Actual: new(9e5), Held: true, Abort: true}},
		Repetition: new(2),
		Step:       new("steady"),
	}
	host := result.Host{Name: "roundrobin", OS: "linux", Arch: "amd64", Kernel: new("6.12.0"),
		CPUModel: new("a processor"), Cores: 2, MemoryBytes: new(int64(16 << 30))}
	tool := result.Tool{Version: "v0.1.0", Commit: "0123abc", Go: "go1.26.0"}
	command := []string{"sseload", "rooms", "http://127.0.0.1:8123/?a=1&b=<2>"}
	slope := &result.Slope{Value: 4096.5, Error: 12.5, Base: 10 << 20, Runs: 3}
	return &result.File{
		Schema: result.Schema, Tool: tool, Command: command, Host: host, StartedAt: at,
		Runs: []result.Run{run, run},
		Costs: []result.Costs{{
			Runs: []int{1, 1, 1}, TargetBytesPerClient: slope, TargetCPUPerConnectNS: slope, TargetCPUPerCopyNS: slope,
			GeneratorBytesPerClient: slope, GeneratorCPUPerConnectNS: slope, GeneratorCPUPerCopyNS: slope, SocketBytesPerClient: slope,
		}},
		Sources: []result.Source{{Tool: tool, Command: command, Host: host, StartedAt: at, Runs: 2}},
	}
}
