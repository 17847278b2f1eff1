package report

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sseload/sseload/pkg/cost"
	"github.com/sseload/sseload/pkg/result"
)

// The records of these tests, written by hand with figures as real runs have
// them.

const (
	us = int64(time.Microsecond)
	ms = int64(time.Millisecond)
	s  = int64(time.Second)
)

func fixtures() map[string]*result.File {
	return map[string]*result.File{
		"connect":      connectSeries(),
		"rooms-one":    roomsOne(),
		"rooms-matrix": roomsMatrix(),
		"trouble":      trouble(),
		"connect-fail": connectFailing(),
		"interrupted":  interrupted(),
		"timestamp":    timestamp(),
		"cluster":      cluster(),
		"merged":       merged(),
		"hostile":      hostile(),
		"empty":        file("connect"),
		"open":         openModel(),
		"behind":       behind(),
		"slow":         slowReading(),
		"faults":       faulty(),
		"profiled":     withProfiles(),
		"sharing":      sharing(),
		"backends":     spreadOut(),
		"thresholds":   judged(),
	}
}

func file(args ...string) *result.File {
	return &result.File{
		Schema:  result.Schema,
		Tool:    result.Tool{Version: "v0.1.0", Commit: "4f2c9e1", Go: "go1.26.0"},
		Command: append([]string{"sseload"}, args...),
		Host: result.Host{Name: "roundrobin", OS: "linux", Arch: "amd64", Kernel: new("6.12.9"),
			CPUModel: new("Example CPU @ 2.00GHz"), Cores: 2, MemoryBytes: new(int64(16 << 30))},
		StartedAt: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
	}
}

// spread makes a distribution out of its median.
func spread(n, p50 int64) result.Latency {
	if n == 0 {
		return result.Latency{}
	}
	return result.Latency{
		Count: n, MeanNS: new(float64(p50) * 1.1), MinNS: new(p50 / 4), P50NS: new(p50), P90NS: new(p50 * 2),
		P95NS: new(p50 * 5 / 2), P99NS: new(p50 * 4), P999NS: new(p50 * 7), MaxNS: new(p50 * 11), HDR: spreadHDR(n, p50),
	}
}

// encoded keeps what spreadHDR made: it takes most of the time of these tests.
var encoded = map[[2]int64]string{}

// spreadHDR encodes n durations whose quantiles are those of spread.
func spreadHDR(n, p50 int64) string {
	key := [2]int64{n, p50}
	if encoded[key] == "" {
		encoded[key] = encodeSpread(n, p50)
	}
	return encoded[key]
}

func encodeSpread(n, p50 int64) string {
	h := hdrhistogram.New(1, int64(time.Hour), 3)
	done := int64(0)
	quantile, from := 0.0, p50/4
	for _, step := range []struct {
		quantile float64
		to       int64
	}{{0.5, p50}, {0.9, p50 * 2}, {0.95, p50 * 5 / 2}, {0.99, p50 * 4}, {0.999, p50 * 7}, {1, p50 * 11}} {
		const parts = 16
		for i := range int64(parts) {
			part := float64(i+1) / parts
			upTo := int64(math.Round(float64(n) * (quantile + (step.quantile-quantile)*part)))
			if err := h.RecordValues(from+(step.to-from)*(i+1)/parts, upTo-done); err != nil {
				panic(err)
			}
			done = upTo
		}
		quantile, from = step.quantile, step.to
	}
	hdr, err := h.EncodeV2()
	if err != nil {
		panic(err)
	}
	return string(hdr)
}

func labels() result.Labels {
	return result.Labels{Machine: "roundrobin", Type: "Normal", Env: "Local", Protocol: "EventSource"}
}

func connectRun(clients int, elapsed int64) result.Run {
	n := int64(clients)
	return result.Run{
		Scenario:  "connect",
		StartedAt: time.Date(2026, 11, 23, 10, 0, clients/1000, 0, time.UTC),
		Labels:    labels(),
		Params:    result.Params{Clients: clients, TimeoutNS: 30 * s, ConnectConcurrency: 256},
		Target:    result.Target{URL: "http://127.0.0.1:41234/events?room={room}", Kind: "reference"},
		Engine:    "epoll",
		Clock:     &result.Clock{Kind: "monotonic"},
		Connect: result.Connect{
			Attempted: clients, Opened: clients, ElapsedNS: new(elapsed),
			OpenLatency: spread(n, 9200*us), TCPLatency: spread(n, 412*us), HeaderLatency: spread(n, 1230*us),
			FirstEventLatency: result.Latency{},
		},
		TotalNS: elapsed + 2*ms,
		Generator: result.Generator{PID: 4242, CPUPercent: new(61.7), RSSBytes: new(11*int64(1<<20) + 215*n),
			LiveBytesPerClient: new(140 + float64(n%3000)/300), CPUPerConnectNS: new(11_204.0 + 2e6/float64(n)),
			RSSPerClientBytes: new(215.0), OpenFiles: new(n + 12), ReadLag: new(spread(n, 38*us)), Overloaded: new(false)},
		TargetProcess: result.TargetProcess{Observed: true, PID: new(4243), Name: new("sseload"), Processes: new(1),
			CPUPercent: new(93.25), RSSBytes: new(int64(14<<20) + 9830*n), BytesPerClient: new(9830.4), OpenFiles: new(n + 9),
			RSSBaseBytes: new(int64(13 << 20)), RSSConnectedBytes: new(int64(14<<20) + 9830*n - n%2000*50), CPUPerConnectNS: new(43_190.0 + float64(n%3000))},
		Machine: result.Machine{CPUPercent: new(171.0), MemoryUsedBytes: new(int64(3 << 30)),
			MemoryTotalBytes: new(int64(16 << 30)), ListenOverflows: new(int64(0)), TCPRetransmits: new(int64(0)),
			KernelSocketBytes: new(6144 * n), ListenDrops: new(int64(0)), TCPSockets: new(2*n + 3), TCPSocketBytes: new(2304 * (2*n + 3)),
			SocketBytesPerClient: new(4608.0)},
		Phases: []result.Phase{{Name: "connect", ElapsedNS: elapsed, TargetCPUPercent: new(93.25),
			GeneratorCPUPercent: new(61.7), MachineCPUPercent: new(171.0)}},
		Samples: []result.Sample{{Phase: "connect"}, {AtNS: elapsed, Phase: "connect", Open: n,
			TargetCPUPercent: new(93.25), TargetRSSBytes: new(int64(14<<20) + 9830*n)}},
	}
}

func connectSeries() *result.File {
	f := file("connect", "--clients", "1000,2000,3000,4000,5000")
	for i, elapsed := range []int64{61423 * us, 118_650 * us, 181 * ms, 1203 * ms, 2249 * ms} {
		f.Runs = append(f.Runs, connectRun((i+1)*1000, elapsed))
	}
	f.Costs = cost.Of(f)
	return f
}

func roomsRun(clients, iterations int, p50, total int64) result.Run {
	run := connectRun(clients, 181*ms)
	copies := int64(clients) * int64(iterations)
	rooms := int64((clients + 5) / 6)
	run.Scenario = "rooms"
	run.Params.Iterations, run.Params.RoomSize, run.Params.SendersPerRoom = new(iterations), new(6), new(1)
	run.Params.Model, run.Params.SendConnections = new("closed"), new(8)
	run.Params.PayloadBytes, run.Params.Payload = new(100), new("marker")
	run.Target.SendURL = new("http://127.0.0.1:41234/rooms/{room}/messages")
	sending := total - 190*ms
	run.Generator.CPUPerCopyNS, run.TargetProcess.CPUPerCopyNS = new(2204.0+5e6/float64(copies)), new(7420.0+7e6/float64(copies))
	run.Delivery = &result.Delivery{
		Sends:    result.Sends{Attempted: rooms * int64(iterations), Latency: spread(rooms*int64(iterations), p50/2)},
		Expected: copies, Received: copies,
		Lost: new(int64(0)), Duplicate: new(int64(0)), Reordered: new(int64(0)), Misrouted: new(int64(0)),
		Late: new(int64(0)), Unordered: new(int64(0)), Foreign: new(int64(0)), Iterations: new(iterations), Incomplete: new(0), ElapsedNS: sending,
		RatePerSecond: new(float64(copies) / float64(sending) * 1e9), Latency: spread(copies, p50), ClientsAffected: new(0),
	}
	run.IterationTime = new(spread(int64(iterations), p50*6))
	run.TotalNS = total
	run.TargetProcess.CPUPercent = new(6.6)
	run.Phases = append(run.Phases, result.Phase{Name: "send", StartNS: 190 * ms, ElapsedNS: sending,
		TargetCPUPercent: new(6.6), GeneratorCPUPercent: new(61.7)})
	return run
}

func roomsOne() *result.File {
	f := file("rooms", "--clients", "4000", "--iterations", "100")
	f.Runs = []result.Run{roomsRun(4000, 100, 3353*us, 3353*ms)}
	return f
}

func roomsMatrix() *result.File {
	f := file("rooms", "--clients", "1000,2000,3000,4000", "--iterations", "1,10,100", "--interval", "1s")
	for i, clients := range []int{1000, 2000, 3000, 4000} {
		for j, iterations := range []int{1, 10, 100} {
			total := []int64{245 * ms, 9_435 * ms, 100_871 * ms}[j] + int64(i)*137*ms
			run := roomsRun(clients, iterations, 412*us*int64(i+1), total)
			run.Params.IntervalNS = 1 * s
			run.TargetProcess.CPUPercent = new([]float64{108.7, 9.33, 0.42}[j])
			f.Runs = append(f.Runs, run)
		}
	}
	f.Costs = cost.Of(f)
	return f
}

// withProfiles has two runs of which profiles were taken, and one of which none could
// be. A target names its functions as it likes.
func withProfiles() *result.File {
	f := file("rooms", "-c", "2000,4000,4000", "-n", "100", "--profile", "cpu,heap", "-o", "json=rooms.json")
	for _, clients := range []int{2000, 4000, 4000} {
		f.Runs = append(f.Runs, roomsRun(clients, 100, 3*ms, 3*s))
	}
	for i, stem := range []string{"rooms-2000x100", "rooms-4000x100"} {
		run := &f.Runs[i]
		part := func(kind, phase, unit string, elapsed, total int64, top ...result.Function) {
			name := "rooms.profiles/" + stem + "-" + phase + "-" + kind
			run.Profiles = append(run.Profiles, result.Profile{Kind: kind, Phase: phase, Source: "pprof", StartNS: 1, ElapsedNS: elapsed,
				File: name + ".pb.gz", Flame: name + ".folded", Unit: unit, Total: total, Samples: 290, Top: top})
		}
		part("cpu", "connect", "nanoseconds", 181*ms, 170*ms)
		part("cpu", "send", "nanoseconds", 3800*ms, 3910*ms,
			result.Function{Name: "internal/runtime/syscall/linux.Syscall6", Flat: 2910 * ms, Cumulative: 2910 * ms},
			result.Function{Name: "github.com/sseload/sseload/testserver.(*Server).deliverToEveryMember.func1.deferwrap2", Flat: 120 * ms, Cumulative: 3190 * ms},
			result.Function{Name: "example.com/a/b.Map[go.shape.string,example.com/c.T]", Flat: 90 * ms, Cumulative: 90 * ms},
			result.Function{Name: "handler *of* (/srv/app|x/server.js:12)", Flat: 30 * ms, Cumulative: 500 * ms},
			result.Function{Name: "main.main", Cumulative: 3900 * ms},
			result.Function{Name: "left.Out", Flat: 1, Cumulative: 1})
		part("heap", "send", "bytes", 0, 18<<20, result.Function{Name: "net/http.newBufioWriterSize", Flat: 9 << 20, Cumulative: 9 << 20})
		part("goroutine", "send", "count", 0, 4007, result.Function{Name: "runtime.gopark", Flat: 4006, Cumulative: 4006})
	}
	f.Runs[2].Notes = append(f.Runs[2].Notes, "no profile was taken: the target is none of this machine's processes")
	return f
}

// trouble is a run in which everything went wrong that can.
func trouble() *result.File {
	f := file("rooms", "http://10.0.0.7/events/{room}", "--send-url", "http://10.0.0.7/publish/{room}", "-c", "600",
		"-n", "10", "-H", "X-Team: it's us")
	run := roomsRun(600, 10, 2*ms, 34*s)
	run.Labels.Env = "Netw"
	run.Labels.Extra = map[string]string{"build": "42", "why": "a=b;c"}
	run.Target = result.Target{URL: "http://10.0.0.7/events/{room}", SendURL: new("http://10.0.0.7/publish/{room}"), Kind: "url"}
	run.Connect.Opened, run.Connect.Failed, run.Connect.Dropped = 590, 10, 4
	run.Connect.Failures = map[string]int{"refused": 2, "timed out": 1, "status 503": 7}
	run.Connect.Drops = map[string]int{"reset": 3, "closed early": 1}
	run.Connect.Examples = []result.FailureExample{
		{Class: "refused", Text: "dial tcp 10.0.0.7:80: connect: connection refused"},
		{Class: "timed out", Text: "dial tcp 10.0.0.7:80: no answer within 30s, which is the timeout of this run for opening one client"},
		{Class: "status 503", Text: "the server answered 503"},
		{Class: "reset", Text: "read tcp 10.0.0.9:50123->10.0.0.7:80: connection reset by peer"},
	}
	run.Connect.FirstEventLatency = spread(590, 11*ms)
	run.Reconnect = &result.Reconnect{
		Clients: 20, Ends: map[string]int{"reset": 19, "ended": 5}, Attempts: 31, Failures: map[string]int{"refused": 9, "status 204": 1},
		Reopened: 20, GaveUp: 1, Away: 3, FirstEndNS: new(5 * s), LastOpenNS: new(21 * s), Downtime: spread(20, 3100*ms),
		Missed: new(int64(55)), Replayed: new(int64(17)), ReplayedTwice: new(int64(4)), ReplayLatency: new(spread(17, 2900*ms)),
	}
	d := run.Delivery
	d.Sends.CalledOff = 5
	d.Sends.Failed, d.Sends.Failures = 3, map[string]int{"status 500": 2, "timed out": 1}
	d.Sends.Examples = []result.FailureExample{{Class: "status 500", Text: "the server answered 500: \"no such room\""}}
	d.Expected, d.Received = 5882, 5860
	d.Lost, d.Duplicate, d.Misrouted = new(int64(40)), new(int64(12)), new(int64(6))
	d.Reordered, d.Late, d.Foreign, d.OtherEvents = new(int64(5)), new(int64(9)), new(int64(2)), 590
	d.Incomplete, d.ClientsAffected = new(1), new(31)
	for i := range 7 {
		n := int64(9 - i)
		d.Clients = append(d.Clients, result.ClientDetail{Client: 6*i + 2, Room: i, Expected: 10, Received: 10 - n, Lost: n})
	}
	d.Clients[0].Duplicate, d.Clients[0].Received = 1, 2
	run.Aborted = new("the target went away: connection refused while sending iteration 10 of 10")
	run.Generator.Overloaded = new(true)
	run.Generator.OverloadReason = new("read lag p99 was 3.1 ms, the bound is 1 ms")
	run.Generator.GC = &result.GC{Cycles: 8, PauseTotalNS: 12 * ms, PauseMaxNS: 4 * ms}
	run.Generator.RunQueueNS = new(2380 * ms)
	run.Machine.ListenOverflows, run.Machine.ListenDrops, run.Machine.TCPRetransmits = new(int64(17)), new(int64(19)), new(int64(1204))
	run.TargetProcess = result.TargetProcess{}
	run.Notes = []string{"the target runs on another machine: its process was not observed, and neither was anything else there"}
	f.Runs = []result.Run{run}
	return f
}

// sharing has clients of HTTP/2 share connections, beside one that did not.
func sharing() *result.File {
	f := file("connect", "-c", "2000", "--http", "2", "--streams-per-connection", "100")
	a, b := connectRun(2000, 180*ms), connectRun(2000, 410*ms)
	a.Labels.Protocol = "EventSource (h2c)"
	a.Params.HTTP, a.Params.StreamsPerConnection, a.Connect.Connections = new("2"), new(100), new(int64(20))
	f.Runs = []result.Run{a, b}
	return f
}

// connectFailing held its clients and lost some; a second one opened none.
func connectFailing() *result.File {
	f := file("connect", "-c", "5000,6000", "--hold", "30s")
	a := connectRun(5000, 2249*ms)
	a.Params.HoldNS = 30 * s
	a.Connect.Opened, a.Connect.Failed, a.Connect.Dropped = 4900, 100, 12
	a.Connect.Failures, a.Connect.Drops = map[string]int{"refused": 100}, map[string]int{"closed early": 12}
	a.Connect.Examples = []result.FailureExample{{Class: "refused", Text: "connection refused"}}
	a.Notes = []string{"first note", "a note of both"}
	b := connectRun(6000, 0)
	b.Params.HoldNS = 30 * s
	b.Connect = result.Connect{Attempted: 6000, Failed: 6000, Failures: map[string]int{"content type": 6000},
		Examples: []result.FailureExample{{Class: "content type", Text: `the content type is "text/html", not text/event-stream`}}}
	b.Aborted = new("no client opened")
	b.Generator.RSSPerClientBytes, b.TargetProcess.BytesPerClient = nil, nil
	b.Notes = []string{"a note of both"}
	f.Runs = []result.Run{a, b}
	return f
}

// interrupted also has a second run of the same shape, and one of another engine.
func interrupted() *result.File {
	f := file("rooms", "-c", "4000", "-n", "100")
	a, b := roomsRun(4000, 100, 3*ms, 3*s), roomsRun(4000, 100, 3*ms, 2*s)
	b.Engine = "conn"
	b.Interrupted = true
	b.Delivery.Iterations = new(37)
	b.Delivery.Expected, b.Delivery.Received = 148_000, 147_990
	b.Delivery.Lost = new(int64(10))
	b.Delivery.ClientsAffected = nil
	f.Runs = []result.Run{a, b}
	return f
}

// timestamp sent the payload of 2014, which proves nothing: what it would take a
// sequence to know is unknown. Nor was any CPU measured in the second run.
func timestamp() *result.File {
	f := file("rooms", "-c", "1000", "-n", "10", "--payload", "timestamp")
	run := roomsRun(1000, 10, 412*us, 13595*ms)
	run.Params.Payload = new("timestamp")
	d := run.Delivery
	d.Lost, d.Duplicate, d.Reordered, d.Misrouted, d.Late, d.Foreign, d.ClientsAffected = nil, nil, nil, nil, nil, nil, nil
	d.Unordered = nil
	run.TargetProcess = result.TargetProcess{}
	run.Generator.ReadLag = nil
	blind := run
	blind.Generator = result.Generator{PID: 4242}
	blind.Machine = result.Machine{}
	run.Notes = []string{"the payload carries no sequence: loss, duplicates and order are unknown"}
	f.Runs = []result.Run{run, blind}
	return f
}

// cluster has every member send, and one run that only time bounded and that
// ended before it sent.
func cluster() *result.File {
	f := file("rooms", "-c", "1000", "--senders", "all", "--label", "type=Cluster")
	run := roomsRun(1000, 10, 820*us, 2100*ms)
	run.Labels.Type = "Cluster"
	run.Params.SendersPerRoom = new(6)
	// 166 rooms of 6 and one of 4, in which everyone sends to everyone.
	run.Delivery.Sends.Attempted = 10 * 1000
	run.Delivery.Expected = 10 * (166*36 + 16)
	run.Delivery.Received = run.Delivery.Expected
	run.Delivery.RatePerSecond = new(float64(run.Delivery.Received) / float64(run.Delivery.ElapsedNS) * 1e9)
	run.TargetProcess.Processes = new(5)
	timed := run
	timed.Params.Iterations, timed.Params.DurationNS = nil, new(10*s)
	early := run
	early.Params.Iterations = nil
	early.Delivery, early.IterationTime = nil, nil
	early.Interrupted = true
	early.Connect.Attempted, early.Connect.Opened = 700, 690
	f.Runs = []result.Run{run, timed, early}
	return f
}

func merged() *result.File {
	other := roomsOne()
	other.Host.Name, other.Host.Cores, other.Host.Kernel, other.Host.CPUModel, other.Host.MemoryBytes = "ci-7", 1, nil, nil, nil
	other.Runs[0].Labels.Machine = ""
	other.Runs[0].Interrupted = true
	f, err := result.Merge(connectSeries(), roomsMatrix(), other)
	if err != nil {
		panic(err)
	}
	return f
}

// hostile carries text meant to break out of tables, terminals and documents.
func hostile() *result.File {
	f := file("connect", "-c", "10", "--label", "machine=```\nrm -rf $HOME")
	run := connectRun(10, 4*ms)
	run.Labels.Machine = "a|b\\|c\x1b[31m\r\n<script>"
	run.Connect.Opened, run.Connect.Failed = 9, 1
	run.Connect.Failures = map[string]int{"protocol": 1}
	run.Connect.Examples = []result.FailureExample{{Class: "protocol", Text: "status line \"\x1b]0;owned\x07`**x** <img src=x> \u202e|\xff\""}}
	run.Target.Faults = []result.Fault{{Fault: "drop|\x1b[1m\n`**every**`", Injected: new(int64(1))}}
	run.Profiles = []result.Profile{{Kind: "cpu", Source: "perf", Phase: "con\x1b[1mnect", File: "a`b|c\n# heading", Flame: "\x1b`", Unit: "bytes",
		Total: 2, Top: []result.Function{{Name: "f|\x1b[2J\n# heading <b>", Flat: 1}}}}
	run.Notes = []string{"see [this](http://example.invalid) <b>*now*</b>\n# heading"}
	f.Runs = []result.Run{run}
	f.Host.Name = "host\x1b[2J"
	return f
}

// longSeries has more runs than a detail table takes.
func longSeries() *result.File {
	f := file("connect")
	for i := range 12 {
		f.Runs = append(f.Runs, connectRun(100_000+i, 61423*ms))
	}
	f.Command = append(f.Command, "-c", strconv.Itoa(100_000)+",…")
	return f
}

// openRun is a run of the open model that met its rate.
func openRun(clients int, offered float64, duration, p50 int64) result.Run {
	run := roomsRun(clients, 1, p50, 190*ms+duration+40*ms)
	sends := int64(offered * float64(duration) / 1e9)
	run.Params.Iterations = nil
	run.Params.Model, run.Params.Rate, run.Params.Arrivals = new("open"), new(offered), new("constant")
	run.Params.SendConnections, run.Params.DurationNS = new(64), new(duration)
	d := run.Delivery
	d.Iterations, d.Incomplete, run.IterationTime = nil, nil, nil
	d.Sends = result.Sends{Attempted: sends, Behind: new(int64(0)), Crowded: new(int64(0)), RatePerSecond: new(float64(sends) / 20), Latency: spread(sends, p50/2)}
	d.Expected, d.Received, d.Latency = sends*6, sends*6, spread(sends*6, p50)
	d.RatePerSecond = new(float64(d.Received) / float64(d.ElapsedNS) * 1e9)
	run.Generator.SendLag, run.Generator.DispatchLag = new(spread(sends, 22*us)), new(spread(sends, 19*us))
	run.Generator.GC = &result.GC{Cycles: 3, PauseTotalNS: 210 * us, PauseMaxNS: 80 * us}
	run.Generator.RunQueueNS = new(41 * ms)
	run.Traffic = &result.Traffic{Events: sends * 6}
	return run
}

// openModel has two rates, and a closed run beside them.
func openModel() *result.File {
	f := file("rooms", "-c", "600", "--rate", "500/s,1500.5/s", "--duration", "20s")
	second := openRun(600, 1500.5, 20*s, 470*us)
	second.Params.Arrivals = new("poisson")
	second.Delivery.Sends.Behind, second.Delivery.Unordered = new(int64(4)), new(int64(31))
	second.Generator.SendLag.MaxNS, second.Generator.DispatchLag.MaxNS = new(1700*us), new(1650*us)
	second.Traffic.Comments = 1200
	f.Runs = []result.Run{openRun(600, 500, 20*s, 412*us), second, roomsRun(600, 10, 398*us, 2*s)}
	return f
}

// behind could not send when it should have: the first run for want of
// connections, the second for itself, until it was interrupted.
func behind() *result.File {
	f := file("rooms", "-c", "600", "--rate", "500/s", "--duration", "30s")
	stalled := openRun(600, 500, 30*s, 2*ms)
	d := stalled.Delivery
	d.Sends.Attempted, d.Sends.CalledOff, d.Sends.Behind, d.Sends.Crowded = 14_200, 800, new(int64(1012)), new(int64(990))
	d.Expected, d.Received, d.Late = 85_200, 85_200, new(int64(37))
	d.Latency = spread(85_200-37, 2*ms)
	stalled.Generator.SendLag = new(spread(14_200, 200*ms))
	starved := openRun(600, 500, 30*s, 9*ms)
	starved.Interrupted = true
	d = starved.Delivery
	d.ElapsedNS = 12 * s
	d.Sends.Attempted, d.Sends.Behind = 6000, new(int64(2400))
	d.Expected, d.Received = 36_000, 36_000
	d.Latency = spread(36_000, 9*ms)
	starved.Generator.SendLag, starved.Generator.DispatchLag = new(spread(6000, 3*ms)), new(spread(6000, 2*ms))
	starved.Generator.GC = &result.GC{Cycles: 40, PauseTotalNS: 61 * ms, PauseMaxNS: 9 * ms}
	starved.Generator.RunQueueNS = new(8 * s)
	starved.Generator.Overloaded = new(true)
	starved.Generator.OverloadReason = new("dispatch lag p99 was 8.0 ms, the bound is 1 ms")
	f.Runs = []result.Run{stalled, starved}
	return f
}

// slowReading has slow readers that the server put up with, and others of which it
// dropped some.
func slowReading() *result.File {
	f := file("rooms", "-c", "1200", "-n", "100", "--slow-clients", "5%", "--slow-rate", "1KiB/s")
	patient := roomsRun(1200, 100, 412*us, 9*s)
	patient.Params.SlowClients, patient.Params.SlowRate = new(60), new(int64(1024))
	patient.Delivery.Latency = spread(114_000, 412*us)
	patient.Delivery.Slow = &result.Slow{Clients: 60, Expected: 6000, Received: 6000, Lost: new(int64(0)), Drained: 240,
		Latency: spread(6000, 1030*ms), NeighboursExpected: 30_000, NeighboursLost: new(int64(0)), Neighbours: spread(30_000, 440*us)}
	strict := roomsRun(1200, 100, 412*us, 9*s)
	strict.Params.SlowClients, strict.Params.SlowRate = new(30), new(int64(64))
	strict.Connect.Dropped, strict.Connect.Drops = 12, map[string]int{"reset": 12}
	d := strict.Delivery
	d.Lost, d.Received, d.ClientsAffected = new(int64(1100)), d.Expected-1100, new(12)
	d.Latency = spread(117_000, 412*us)
	d.Slow = &result.Slow{Clients: 30, Dropped: 12, Expected: 3000, Received: 1900, Lost: new(int64(1100)),
		Latency: spread(1900, 700*ms), NeighboursLost: new(int64(0))}
	f.Runs = []result.Run{patient, strict}
	return f
}

// spreadOut has clients on two backends that know nothing of each other, then on one for
// each room, then where it hardly shows, and one run that nobody asked about.
func spreadOut() *result.File {
	f := file("rooms", "-c", "600", "-n", "10", "--affinity-header", "X-Server")
	robin := roomsRun(600, 10, 2*ms, 3*s)
	robin.Delivery.Lost, robin.Delivery.Received, robin.Delivery.ClientsAffected = new(int64(3000)), 3000, new(600)
	robin.Delivery.Latency = spread(3000, 2*ms)
	robin.Affinity = &result.Affinity{By: "header", Name: "X-Server", Backends: []result.Backend{{Name: "b1", Clients: 302}, {Name: "b|2", Clients: 298}},
		Rooms: 100, RoomsSplit: 97, LostInSplitRooms: new(int64(2990)), LostInOtherRooms: new(int64(10))}
	byRoom := roomsRun(600, 10, 2*ms, 3*s)
	byRoom.Affinity = &result.Affinity{By: "header", Name: "X-Server", Backends: []result.Backend{{Name: "b|2", Clients: 300}, {Name: "b1", Clients: 300}},
		Rooms: 100, LostInSplitRooms: new(int64(0)), LostInOtherRooms: new(int64(0))}
	many := roomsRun(600, 10, 2*ms, 3*s)
	many.Affinity = &result.Affinity{By: "cookie", Name: "SRV", Other: 40, Unknown: 12, Rooms: 100, RoomsSplit: 100, Moved: 3,
		LostInSplitRooms: new(int64(0)), LostInOtherRooms: new(int64(0))}
	for i := range 256 {
		many.Affinity.Backends = append(many.Affinity.Backends, result.Backend{Name: fmt.Sprintf("application-server-%03d.example.test", i), Clients: 2})
	}
	nobody := roomsRun(600, 10, 2*ms, 3*s)
	f.Runs = []result.Run{robin, byRoom, many, nobody}
	return f
}

// faulty had its server do wrong, as it was asked to.
func faulty() *result.File {
	f := file("rooms", "-c", "600", "-n", "10", "--fault", "drop,every=7", "--fault", "delay,by=5ms,room=3")
	run := roomsRun(600, 10, 2*ms, 3*s)
	run.Target.Faults = []result.Fault{
		{Fault: "drop,every=7", Injected: new(int64(857))},
		{Fault: "delay,by=5ms,room=3", Injected: nil},
	}
	run.Delivery.Lost, run.Delivery.Received, run.Delivery.ClientsAffected = new(int64(857)), 6000-857, new(600)
	run.Delivery.Incomplete = new(10)
	run.Delivery.Latency = spread(6000-857, 2*ms)
	whole := roomsRun(600, 10, 2*ms, 3*s)
	f.Runs = []result.Run{run, whole}
	return f
}

// judged is a series with thresholds: some hold in each run, or in none, and some are
// not known.
func judged() *result.File {
	f := roomsMatrix()
	for i := range f.Runs {
		run := &f.Runs[i]
		run.Thresholds = []result.Verdict{
			verdictOn("delivery.p99 < 4ms", "delivery.latency.p99", "ns", 4e6, new(float64(*run.Delivery.Latency.P99NS)), *run.Delivery.Latency.P99NS < 4*ms),
			verdictOn("delivery.lost == 0", "delivery.lost", "count", 0, new(0.0), true),
			verdictOn("connect.failures.closed early <= 0.5%", "connect.failures.closed early", "percent", 0.5, new(0.5001), false),
			verdictOn("target.rss < 64MiB", "target_process.rss", "bytes", 64<<20, nil, false),
		}
		run.Thresholds[0].Abort = true
	}
	f.Runs[1].Thresholds[3] = verdictOn("target.rss < 64MiB", "target_process.rss", "bytes", 64<<20, new(float64(80<<20)), false)
	return f
}

func verdictOn(text, figure, unit string, limit float64, actual *float64, held bool) result.Verdict {
	return result.Verdict{Threshold: text, Figure: figure, Unit: unit, Limit: limit, Actual: actual, Held: held}
}
