package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// trial is one contender's try at one shape. What is unknown is nil.
type trial struct {
	Round     int    `json:"round"` // from 1
	Place     int    `json:"place"` // in the order of the round, from 1
	Shape     string `json:"shape"`
	Contender string `json:"contender"`

	Clients   int    `json:"clients"`
	ElapsedNS *int64 `json:"elapsed_ns"` // of connecting, or of sending, until the last copy
	CPUNS     *int64 `json:"cpu_ns"`     // of the generator, user and system, over that
	Copies    *int64 `json:"copies"`     // delivered; nil where nothing is sent
	// RSSPerClientBytes is the memory in use with all clients connected, less that
	// before, per client.
	RSSPerClientBytes *float64 `json:"rss_per_client_bytes"`
	// ProcessCPUNS is of the whole process, as its end told, beside CPUNS.
	ProcessCPUNS int64 `json:"process_cpu_ns"`

	Overloaded *string  `json:"overloaded"` // why sseload found itself overloaded
	Wrong      []string `json:"wrong"`      // why its figures are not used
}

// good reports whether its figures count.
func (t *trial) good() bool { return len(t.Wrong) == 0 }

func (t *trial) fault(format string, args ...any) {
	t.Wrong = append(t.Wrong, fmt.Sprintf(format, args...))
}

// run has a contender try. The record is that of sseload, and nil of another. An
// error is one that no further trial would survive.
func (t *trial) run(ctx context.Context, o *options, s *shape) (record *result.File, err error) {
	at, err := startServer(ctx, o.sseload)
	if err != nil {
		return nil, err
	}
	defer func() {
		if serr := at.stop(); serr != nil {
			t.fault("the server: %v", serr)
		}
	}()
	program, args := o.sseload, s.sseload(at.url, t.Contender)
	if t.Contender == floorName {
		program, args = o.floor, s.floor(at.addr)
	}
	out, cpu, err := output(ctx, program, args...)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	t.ProcessCPUNS = int64(cpu)
	if err != nil {
		t.fault("%v", err)
		return nil, nil
	}
	if t.Contender == floorName {
		return nil, t.readFloor(out, s)
	}
	record, err = result.Read(bytes.NewReader(out))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.sseload, err)
	}
	if len(record.Runs) != 1 {
		return nil, fmt.Errorf("%s: %d runs in its record instead of one", o.sseload, len(record.Runs))
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
	if r.Clients != s.Clients {
		t.fault("%d clients of %d", r.Clients, s.Clients)
	}
	if s.sends() {
		t.Copies = &r.Events
		t.complete(s)
	}
	if r.RSSConnectedBytes >= r.RSSBeforeBytes && r.Clients > 0 {
		each := float64(r.RSSConnectedBytes-r.RSSBeforeBytes) / float64(r.Clients)
		t.RSSPerClientBytes = &each
	}
	return nil
}

// complete faults a trial with other copies than there must be.
func (t *trial) complete(s *shape) {
	if *t.Copies != s.copies() {
		t.fault("%d copies of %d", *t.Copies, s.copies())
	}
}

// The phases of sseload's record.
const (
	connectPhase = "connect"
	sendPhase    = "send"
	drainPhase   = "drain"
)

// readRun takes the figures out of a run's record.
func (t *trial) readRun(r *result.Run, s *shape) {
	t.Clients, t.RSSPerClientBytes = r.Connect.Opened, r.Generator.RSSPerClientBytes
	if r.Connect.Opened != s.Clients || r.Connect.Dropped > 0 {
		t.fault("%d clients of %d opened, %d of them were dropped", r.Connect.Opened, s.Clients, r.Connect.Dropped)
	}
	if r.Aborted != nil {
		t.fault("aborted: %s", *r.Aborted)
	}
	if r.Interrupted {
		t.fault("interrupted")
	}
	if g := r.Generator; g.Overloaded != nil && *g.Overloaded {
		reason := "for no reason that it tells"
		if g.OverloadReason != nil {
			reason = *g.OverloadReason
		}
		t.Overloaded = &reason
	}
	if !s.sends() {
		t.ElapsedNS = r.Connect.ElapsedNS
		_, t.CPUNS = phaseCost(r.Phases, connectPhase)
		return
	}
	t.ElapsedNS, t.CPUNS = phaseCost(r.Phases, sendPhase, drainPhase)
	if r.Delivery == nil {
		t.fault("no account of the delivery")
		return
	}
	t.Copies = &r.Delivery.Received
	t.complete(s)
	t.judgeDelivery(r.Delivery)
}

// judgeDelivery faults what a right delivery does not have.
func (t *trial) judgeDelivery(d *result.Delivery) {
	for _, c := range []struct {
		what  string
		count *int64
	}{
		{"lost", d.Lost}, {"duplicate", d.Duplicate}, {"reordered", d.Reordered},
		{"misrouted", d.Misrouted}, {"late", d.Late},
	} {
		switch {
		case c.count == nil:
			t.fault("it is not known how many copies were %s", c.what)
		case *c.count > 0:
			t.fault("%d copies %s", *c.count, c.what)
		}
	}
	if d.Sends.Failed > 0 || d.Sends.CalledOff > 0 {
		t.fault("%d sends failed and %d were called off", d.Sends.Failed, d.Sends.CalledOff)
	}
}

// briefly is for how long a phase may last of which the CPU time is not known, and
// is taken for a whole core's.
const briefly = 100 * time.Millisecond

// phaseCost is the time of the named phases together, and the CPU time of the
// generator in them. The first must be there.
func phaseCost(phases []result.Phase, names ...string) (elapsed, cpu *int64) {
	first := slices.IndexFunc(phases, func(p result.Phase) bool { return p.Name == names[0] })
	if first < 0 {
		return nil, nil
	}
	var took int64
	spent, known := 0.0, true
	for _, p := range phases {
		if !slices.Contains(names, p.Name) {
			continue
		}
		took += p.ElapsedNS
		switch {
		case p.GeneratorCPUPercent != nil:
			spent += *p.GeneratorCPUPercent / 100 * float64(p.ElapsedNS)
		case time.Duration(p.ElapsedNS) <= briefly && p.Name != names[0]:
			spent += float64(p.ElapsedNS)
		default:
			known = false
		}
	}
	if !known {
		return &took, nil
	}
	ns := int64(spent)
	return &took, &ns
}
