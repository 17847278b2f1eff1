package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// outcome is what became of one contender's try at one shape.
type outcome struct {
	Round      int      `json:"round"` // from 1
	Place      int      `json:"place"` // in the order of the round, from 1
	Shape      string   `json:"shape"`
	Contender  string   `json:"contender"`
	Overloaded *string  `json:"overloaded"` // why sseload found itself overloaded
	Wrong      []string `json:"wrong"`      // what was not as it should be
}

func (t *outcome) good() bool { return len(t.Wrong) == 0 }

func (t *outcome) fault(format string, args ...any) {
	t.Wrong = append(t.Wrong, fmt.Sprintf(format, args...))
}

// attempt is a program's run against a fresh server.
type attempt struct {
	out []byte        // what it wrote
	cpu time.Duration // of the whole process
	err error         // what went wrong with it, or with the server
}

// against starts a server, runs a program against it, and ends both. An error is one
// that no further trial would survive.
func against(ctx context.Context, serve []string, command func(*server) []string) (a attempt, err error) {
	at, err := startServer(ctx, serve)
	if err != nil {
		return a, err
	}
	a, err = alone(ctx, command(at))
	if err := at.stop(); err != nil {
		a.err = errors.Join(a.err, fmt.Errorf("the server: %w", err))
	}
	return a, err
}

// alone runs a program that needs no server, or starts its own. An error is one that no
// further trial would survive.
func alone(ctx context.Context, command []string) (a attempt, err error) {
	a.out, a.cpu, a.err = output(ctx, command[0], command[1:]...)
	return a, ctx.Err()
}

// recorded is the record of so many runs that sseload wrote.
func recorded(out []byte, runs int) (*result.File, error) {
	record, err := result.Read(bytes.NewReader(out))
	if err != nil {
		return nil, fmt.Errorf("the record of sseload: %w", err)
	}
	if len(record.Runs) != runs {
		return nil, fmt.Errorf("%d runs in the record of sseload instead of %d", len(record.Runs), runs)
	}
	return record, nil
}

// flaw is something that a right run has none of.
type flaw struct {
	name  string
	count *int64 // nil: unknown
}

// flaws are what a run had of each, those of the delivery only where there was one.
func flaws(r *result.Run) []flaw {
	all := []flaw{
		{"clients failed", new(int64(r.Connect.Failed))},
		{"clients dropped", new(int64(r.Connect.Dropped))},
	}
	d := r.Delivery
	if d == nil {
		return all
	}
	return append(all,
		flaw{"copies lost", d.Lost}, flaw{"copies duplicate", d.Duplicate}, flaw{"copies reordered", d.Reordered},
		flaw{"copies misrouted", d.Misrouted}, flaw{"copies late", d.Late},
		flaw{"sends failed", &d.Sends.Failed}, flaw{"sends called off", &d.Sends.CalledOff})
}

// judge finds what is wrong in a run's record.
func (t *outcome) judge(r *result.Run, s *shape) {
	if r.Aborted != nil {
		t.fault("aborted: %s", *r.Aborted)
	}
	if r.Interrupted {
		t.fault("interrupted")
	}
	t.clients(r.Connect.Opened, s)
	for _, f := range flaws(r) {
		switch {
		case f.count == nil:
			t.fault("%s: unknown", f.name)
		case *f.count > 0:
			t.fault("%s: %d", f.name, *f.count)
		}
	}
	switch {
	case !s.sends():
	case r.Delivery == nil:
		t.fault("no account of the delivery")
	default:
		t.copies(r.Delivery.Received, s)
	}
	if g := r.Generator; g.Overloaded != nil && *g.Overloaded {
		reason := "for no reason that it tells"
		if g.OverloadReason != nil {
			reason = *g.OverloadReason
		}
		t.Overloaded = &reason
	}
}

// clients faults a trial in which not all opened.
func (t *outcome) clients(opened int, s *shape) {
	if opened != s.Clients {
		t.fault("%d clients of %d opened", opened, s.Clients)
	}
}

// copies faults a trial with other copies than there must be.
func (t *outcome) copies(received int64, s *shape) {
	if received != s.copies() {
		t.fault("%d copies of %d", received, s.copies())
	}
}

// line is a trial in a few words: what was wrong, and its figures.
func (t *outcome) line(measures []measure, figure func(measure) (float64, bool)) string {
	var words []string
	if !t.good() {
		words = append(words, "wrong: "+strings.Join(t.Wrong, ", "))
	}
	for _, m := range measures {
		if v, ok := figure(m); ok {
			words = append(words, m.name()+" "+m.shown(v))
		}
	}
	if t.Overloaded != nil {
		words = append(words, "overloaded")
	}
	return strings.Join(words, ", ")
}
