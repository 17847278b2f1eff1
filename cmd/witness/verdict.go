package main

import (
	"encoding/json"
	"fmt"
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
	Engine string `json:"engine"`
	Params struct {
		Model *string `json:"model"`
	} `json:"params"`
	Delivery *struct {
		Sends struct {
			Attempted int `json:"attempted"`
			Failed    int `json:"failed"`
		} `json:"sends"`
		Latency struct {
			Count int64  `json:"count"`
			P50   *int64 `json:"p50_ns"`
			P99   *int64 `json:"p99_ns"`
			Max   *int64 `json:"max_ns"`
		} `json:"latency"`
	} `json:"delivery"`
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
	l := r.Runs[0].Delivery
	if l == nil || l.Latency.P50 == nil || l.Latency.P99 == nil || l.Latency.Max == nil {
		return record{}, fmt.Errorf("record: no delivery latencies in it")
	}
	return r, nil
}

// judge tells everything in which testimony and report differ by more than may
// be, nothing when they agree.
func judge(t testimony, r report, tolerance time.Duration) []string {
	var wrong []string
	object := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	reported := r.Delivery.Latency
	if int64(t.copies) != reported.Count {
		object("%d copies in the packets, %d latencies in the report", t.copies, reported.Count)
	}
	if sends := r.Delivery.Sends; sends.Failed == 0 && t.sends != sends.Attempted {
		object("%d messages sent in the packets, %d in the report", t.sends, sends.Attempted)
	}
	if t.runs != 1 {
		object("markers of %d runs in the capture, want one", t.runs)
	}
	for _, loss := range []struct {
		n    int
		what string
	}{
		{t.unsent, "copies of messages whose send was not captured"},
		{t.duplicates, "copies twice at one client"},
		{t.cut, "markers or events cut off by what was not captured; a larger -snaplen may help"},
		{t.damaged, "damaged markers"},
		{t.skipped, "packets that are no whole TCP segment"},
	} {
		if loss.n > 0 {
			object("%d %s", loss.n, loss.what)
		}
	}
	seen := t.compared(r)
	if len(seen) == 0 {
		object("no latency in the packets")
		return wrong
	}
	for _, q := range []struct {
		name     string
		share    float64
		reported int64
	}{{"p50", 0.5, *reported.P50}, {"p99", 0.99, *reported.P99}} {
		witnessed := seen.quantile(q.share)
		if !agree(witnessed, q.reported, tolerance) {
			object("%s: %s by the packets, %s in the report", q.name, micros(witnessed), micros(q.reported))
		}
	}
	return wrong
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
// message says. In iterations a message is due when it is sent, which a packet
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
