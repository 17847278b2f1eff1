package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// record is what is read of the record that sseload writes with -o json. A null
// is nil: unknown.
type record struct {
	Schema string   `json:"schema"`
	Host   host     `json:"host"`
	Runs   []report `json:"runs"`
}

type host struct {
	Name        *string `json:"name"`
	OS          string  `json:"os"`
	Arch        string  `json:"arch"`
	Kernel      *string `json:"kernel"`
	CPUModel    *string `json:"cpu_model"`
	Cores       int     `json:"cores"`
	MemoryBytes *int64  `json:"memory_bytes"`
}

// report is what sseload says about one run.
type report struct {
	Engine  string `json:"engine"`
	Params  params `json:"params"`
	Connect struct {
		Opened int64 `json:"opened"`
	} `json:"connect"`
	Delivery *account `json:"delivery"`
}

// params is what was asked for.
type params struct {
	Clients    int64    `json:"clients"`
	RoomSize   int64    `json:"room_size"`
	Model      *string  `json:"model"`
	Rate       *float64 `json:"rate"`
	Arrivals   *string  `json:"arrivals"`
	DurationNS *int64   `json:"duration_ns"`
}

// account is of messages and their copies.
type account struct {
	Sends struct {
		Attempted  int64 `json:"attempted"`
		CalledOff  int64 `json:"called_off"`
		Unanswered int64 `json:"unanswered"`
		Failed     int64 `json:"failed"`
	} `json:"sends"`
	Expected  int64  `json:"expected"`
	Received  int64  `json:"received"`
	Lost      *int64 `json:"lost"`
	Duplicate *int64 `json:"duplicate"`
	Reordered *int64 `json:"reordered"`
	Unordered *int64 `json:"unordered"`
	Misrouted *int64 `json:"misrouted"`
	Latency   struct {
		Count int64    `json:"count"`
		Mean  *float64 `json:"mean_ns"`
		P50   *int64   `json:"p50_ns"`
		P90   *int64   `json:"p90_ns"`
		P95   *int64   `json:"p95_ns"`
		P99   *int64   `json:"p99_ns"`
		P999  *int64   `json:"p999_ns"`
		Max   *int64   `json:"max_ns"`
	} `json:"latency"`
}

// whole tells whether nothing that is compared is unknown.
func (a *account) whole() bool {
	if a == nil || a.Latency.Mean == nil {
		return false
	}
	l := a.Latency
	return !slices.Contains([]*int64{
		a.Lost, a.Duplicate, a.Reordered, a.Unordered, a.Misrouted, l.P50, l.P90, l.P95, l.P99, l.P999, l.Max,
	}, nil)
}

// open tells an arrival rate from iterations.
func (r report) open() bool { return r.Params.Model != nil && *r.Params.Model == "open" }

const schema = "sseload.result/v1"

func parseRecord(b []byte) (record, error) {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return record{}, fmt.Errorf("record: %w", err)
	}
	if r.Schema != schema {
		return record{}, fmt.Errorf("record: schema %q, want %q", r.Schema, schema)
	}
	if len(r.Runs) != 1 {
		return record{}, fmt.Errorf("record: %d runs, want one: lists of values make a series, which is several captures", len(r.Runs))
	}
	if !r.Runs[0].Delivery.whole() {
		return record{}, fmt.Errorf("record: no whole account of deliveries and their latencies in it")
	}
	return r, nil
}

// judge finds everything in which testimony and report differ by more than may be.
func (t *trial) judge(tolerance time.Duration) {
	var counts, times objections
	counts.doubts(t.testimony)
	counts.sends(t.testimony, t.report)
	counts.copies(t.testimony, t.report)
	if t.report.open() {
		counts.schedule(t.testimony, t.report)
		counts.arrivals(t.spec, t.report)
	}
	seen := t.testimony.compared(t.report)
	if len(seen) == 0 {
		counts.add("no latency in the packets")
	} else {
		times.latencies(seen, t.report, tolerance)
	}
	if t.limit {
		t.wrong, t.beyond = counts, times
		return
	}
	t.wrong, t.beyond = append(counts, times...), nil
}

// objections are what speaks against a report, in words.
type objections []string

func (o *objections) add(format string, args ...any) { *o = append(*o, fmt.Sprintf(format, args...)) }

// doubts are about the capture: one that is not whole proves nothing.
func (o *objections) doubts(t testimony) {
	if t.runs != 1 {
		o.add("markers of %d runs in the capture, want one", t.runs)
	}
	for _, doubt := range []struct {
		n    int
		what string
	}{
		{t.unsent, "copies of messages whose send was not captured"},
		{t.altered, "copies that say another due time than their send"},
		{t.early, "messages that say they were due after the packet that they are in"},
		{t.cut, "markers or events cut off by what was not captured; a larger -snaplen may help"},
		{t.damaged, "damaged markers"},
		{t.skipped, "packets that are no whole TCP segment"},
	} {
		if doubt.n > 0 {
			o.add("%d %s", doubt.n, doubt.what)
		}
	}
}

// sends compares the messages. One that failed, or that nobody answered, may be in
// the packets or not.
func (o *objections) sends(t testimony, r report) {
	s := r.Delivery.Sends
	most := s.Attempted
	least := most - s.Failed - s.Unanswered
	n := int64(t.sends)
	switch {
	case n >= least && n <= most:
	case least == most:
		o.add("%d messages sent in the packets, %d in the report", n, most)
	default:
		o.add("%d messages sent in the packets, from %d to %d in the report: %d less %d that failed and %d unanswered",
			n, least, most, most, s.Failed, s.Unanswered)
	}
}

// copies compares the account of them. What is said to be lost cannot be in the
// packets, but what was expected follows from the sizes of the rooms: client i of
// all is in room i / room size.
func (o *objections) copies(t testimony, r report) {
	d := r.Delivery
	routed := int64(t.copies - t.strays)
	for _, count := range []struct {
		seen, reported int64
		what           string
	}{
		{routed, d.Latency.Count, "latencies"},
		{int64(t.copies + t.duplicates), d.Received, "received"},
		{int64(t.duplicates), *d.Duplicate, "duplicate"},
		{int64(t.strays), *d.Misrouted, "misrouted"},
		{int64(t.overtaken), *d.Reordered + *d.Unordered, "reordered or unordered"},
		{routed, d.Expected - *d.Lost, "expected and not lost"},
	} {
		if count.seen != count.reported {
			o.add("%d copies in the packets, %d %s in the report", count.seen, count.reported, count.what)
		}
	}
	// Where a client failed to open, or a send to leave, the packets do not tell
	// whose copies were due.
	if r.Connect.Opened != r.Params.Clients || int64(t.sends) != d.Sends.Attempted {
		return
	}
	due := int64(0)
	for room, sends := range t.rooms {
		due += int64(sends) * min(max(r.Params.Clients-room*r.Params.RoomSize, 0), r.Params.RoomSize)
	}
	if due != d.Expected {
		o.add("%d copies are due of the messages in the packets, %d expected in the report", due, d.Expected)
	}
}

// figure is one number that is made of all latencies.
type figure struct {
	name                string
	witnessed, reported int64
}

// figures are those that a report has and what they are by the latencies seen, of
// which there must be some.
func figures(seen latencies, r report) []figure {
	l := r.Delivery.Latency
	return []figure{
		{"p50", seen.quantile(0.5), *l.P50},
		{"p90", seen.quantile(0.9), *l.P90},
		{"p95", seen.quantile(0.95), *l.P95},
		{"p99", seen.quantile(0.99), *l.P99},
		{"p99.9", seen.quantile(0.999), *l.P999},
		{"max", seen.quantile(1), *l.Max},
		{"mean", seen.mean(), int64(math.Round(*l.Mean))},
	}
}

func (o *objections) latencies(seen latencies, r report, tolerance time.Duration) {
	for _, f := range figures(seen, r) {
		if !agree(f.witnessed, f.reported, tolerance) {
			o.add("%s: %s by the packets, %s in the report", f.name, micros(f.witnessed), micros(f.reported))
		}
	}
}

// remarks tells what was unusual in a capture and need not make a difference.
func (t testimony) remarks() []string {
	var remarks []string
	if t.gapBytes > 0 {
		remarks = append(remarks, fmt.Sprintf("%d bytes were not captured", t.gapBytes))
	}
	if t.repeated > 0 {
		remarks = append(remarks, fmt.Sprintf("%d segments came again", t.repeated))
	}
	return remarks
}

// compared gives the latencies that begin where those of the report do. With an
// arrival rate that is when a message was due, which no packet shows but the
// message says, and the schedule bears out. In iterations a message is due when it is sent, which a packet
// shows: a beginning that owes nothing to sseload.
func (t testimony) compared(r report) latencies {
	if r.open() {
		return t.fromDue
	}
	return t.fromSend
}

// agree allows for the three digits of the report's histogram beside the
// tolerance.
func agree(witnessed, reported int64, tolerance time.Duration) bool {
	difference := reported - witnessed
	return max(difference, -difference) <= int64(tolerance)+reported/1000
}

// micros writes nanoseconds as microseconds.
func micros(ns int64) string { return fmt.Sprintf("%.1f µs", float64(ns)/1e3) }
