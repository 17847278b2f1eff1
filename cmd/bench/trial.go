package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/sseload/sseload/pkg/result"
)

// trial is a try of the floor, or of an engine of sseload. What is unknown is nil.
type trial struct {
	outcome
	Clients   int    `json:"clients"`
	ElapsedNS *int64 `json:"elapsed_ns"` // of connecting, or of the sending
	CPUNS     *int64 `json:"cpu_ns"`     // of the generator, user and system, over that, until the last copy
	Copies    *int64 `json:"copies"`     // delivered; nil where nothing is sent
	// RSSPerClientBytes is the memory in use with all clients connected, less that
	// before, per client.
	RSSPerClientBytes *float64 `json:"rss_per_client_bytes"`
	// ProcessCPUNS is of the whole process, as its end told, beside CPUNS.
	ProcessCPUNS int64 `json:"process_cpu_ns"`
}

// run has a contender try. The record is that of sseload, and nil of another. An
// error is one that no further trial would survive.
func (t *trial) run(ctx context.Context, o *options, s *shape) (record *result.File, err error) {
	a, err := against(ctx, o.reference(), func(at *server) []string {
		if t.Contender == floorName {
			return append([]string{o.floor}, s.floor(at.addr)...)
		}
		return append([]string{o.sseload}, s.sseload(at.url, "--engine", t.Contender)...)
	})
	if err != nil {
		return nil, err
	}
	t.ProcessCPUNS = int64(a.cpu)
	if a.err != nil {
		t.fault("%v", a.err)
		return nil, nil
	}
	if t.Contender == floorName {
		return nil, t.readFloor(a.out, s)
	}
	if record, err = recorded(a.out, 1); err != nil {
		return nil, err
	}
	t.readRun(&record.Runs[0], s)
	return record, nil
}

// readFloor takes the figures out of what floor printed.
func (t *trial) readFloor(out []byte, s *shape) error {
	var r struct {
		Clients           int   `json:"clients"`
		Events            int64 `json:"events"`
		ElapsedNS         int64 `json:"elapsed_ns"`
		CPUNS             int64 `json:"cpu_ns"`
		RSSBeforeBytes    int64 `json:"rss_before_bytes"`
		RSSConnectedBytes int64 `json:"rss_connected_bytes"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return fmt.Errorf("floor printed %q: %w", out, err)
	}
	t.Clients, t.ElapsedNS, t.CPUNS = r.Clients, &r.ElapsedNS, &r.CPUNS
	t.clients(r.Clients, s)
	if s.sends() {
		t.Copies = &r.Events
		t.copies(r.Events, s)
	}
	if r.RSSConnectedBytes >= r.RSSBeforeBytes && r.Clients > 0 {
		each := float64(r.RSSConnectedBytes-r.RSSBeforeBytes) / float64(r.Clients)
		t.RSSPerClientBytes = &each
	}
	return nil
}

// readRun takes the figures out of a run's record.
func (t *trial) readRun(r *result.Run, s *shape) {
	t.judge(r, s)
	t.Clients, t.RSSPerClientBytes = r.Connect.Opened, r.Generator.RSSPerClientBytes
	switch {
	case !s.sends():
		t.ElapsedNS = r.Connect.ElapsedNS
		t.CPUNS = times(r.Generator.CPUPerConnectNS, int64(r.Connect.Opened))
	case r.Delivery != nil:
		t.ElapsedNS, t.Copies = &r.Delivery.ElapsedNS, &r.Delivery.Received
		t.CPUNS = times(r.Generator.CPUPerCopyNS, r.Delivery.Received)
	}
}

// times is the cost of n, of which one costs each.
func times(each *float64, n int64) *int64 {
	if each == nil {
		return nil
	}
	return new(int64(math.Round(*each * float64(n))))
}
