package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// The contenders where servers are measured. All but the reference server are peers of
// testserver/peer, by the names that it knows them by.
const referenceName = "reference"

// serverEngine makes the load on servers: the best that the system has.
const serverEngine = "auto"

// serverShapes are the loads on servers: some of those on sseload.
func serverShapes(quick bool) []shape {
	some := []string{"connect-few", "rooms-full", "rooms-rate"}
	chosen := slices.DeleteFunc(shapes(quick), func(s shape) bool { return !slices.Contains(some, s.Name) })
	for i := range chosen {
		chosen[i].Contenders = []string{referenceName, "nethttp", "r3labs"}
	}
	return chosen
}

// serverMeasures are those of a shape's trials where servers are measured. The median
// of the first says which trial's record is kept.
func (s *shape) serverMeasures() []measure {
	if s.sends() {
		return []measure{serverDeliveryCPU, copiesASecond, latencyP50, latencyP99}
	}
	return []measure{connectTime, serverConnectCPU, serverMemory}
}

// contest is what was measured of servers.
type contest struct {
	session
	trials      []serverTrial
	comparisons []comparison
}

// serverTrial is a server's try at one shape.
type serverTrial struct {
	outcome
	run  *result.Run // nil: there is no record
	text []byte      // the record, as it was written
	// cut tells that the run did not come to its end, so that its figures are no
	// measure of anything. Its counts are.
	cut bool
}

func (c *contest) fill(ctx context.Context, o *options, stderr io.Writer) error {
	try := func(one outcome, s *shape) (string, *result.File, error) {
		t := serverTrial{outcome: one}
		record, err := t.try(ctx, o, s)
		c.trials = append(c.trials, t)
		return t.line(s.serverMeasures(), t.figure), record, err
	}
	for round := 1; round <= c.Rounds; round++ {
		if err := c.round(round, stderr, try); err != nil {
			return err
		}
	}
	c.conclude()
	c.ElapsedNS = int64(time.Since(c.StartedAt))
	return nil
}

// conclude works out what follows from the trials.
func (c *contest) conclude() {
	told := figures{}
	for i := range c.trials {
		t := &c.trials[i]
		told.add(&t.outcome, t.figure)
	}
	c.comparisons = told.compare(c.Shapes, (*shape).serverMeasures, c.Rounds)
}

// try puts the load to the server. An error is one that no further trial would
// survive.
func (t *serverTrial) try(ctx context.Context, o *options, s *shape) (*result.File, error) {
	serve := o.reference()
	if t.Contender != referenceName {
		serve = []string{o.peer, t.Contender}
	}
	a, err := against(ctx, serve, func(at *server) []string {
		return append([]string{o.sseload}, s.sseload(at.url, serverEngine)...)
	})
	if err != nil {
		return nil, err
	}
	if a.err != nil {
		t.fault("%v", a.err)
		t.cut = true
	}
	record, err := recorded(a.out)
	switch {
	case err != nil && t.cut:
		return nil, nil // it has said why
	case err != nil:
		return nil, err
	}
	t.read(record, a.out, s)
	return record, nil
}

// read takes a record in, which is that of one run.
func (t *serverTrial) read(record *result.File, text []byte, s *shape) {
	t.run, t.text = &record.Runs[0], text
	t.cut = t.cut || t.run.Aborted != nil || t.run.Interrupted
	t.judge(t.run, s)
}

// figure is what the trial says of m, if it says anything.
func (t *serverTrial) figure(m measure) (v float64, ok bool) {
	if t.run == nil || t.cut {
		return 0, false
	}
	switch p := &t.run.TargetProcess; m {
	case connectTime:
		return known(t.run.Connect.ElapsedNS)
	case serverConnectCPU:
		return known(p.CPUPerConnectNS)
	case serverMemory:
		return known(p.BytesPerClient)
	case serverDeliveryCPU:
		v, ok = known(p.CPUPerCopyNS)
		return v * 1e6, ok
	}
	d := t.run.Delivery
	if d == nil {
		return 0, false
	}
	switch m {
	case copiesASecond:
		return known(d.RatePerSecond)
	case latencyP50:
		return known(d.Latency.P50NS)
	case latencyP99:
		return known(d.Latency.P99NS)
	}
	return 0, false
}

func known[T int64 | float64](v *T) (float64, bool) {
	if v == nil {
		return 0, false
	}
	return float64(*v), true
}

// of are the trials of a server at a shape, by round.
func (c *contest) of(s *shape, contender string) []*serverTrial {
	var some []*serverTrial
	for i := range c.trials {
		if t := &c.trials[i]; t.Shape == s.Name && t.Contender == contender {
			some = append(some, t)
		}
	}
	return some
}

// middle is the trial that has the median of the shape's first measure, or of an even
// number the lower one of both; nil when no trial has that figure.
func (c *contest) middle(s *shape, contender string) *serverTrial {
	first := s.serverMeasures()[0]
	some := slices.DeleteFunc(c.of(s, contender), func(t *serverTrial) bool {
		_, ok := t.figure(first)
		return !ok
	})
	if len(some) == 0 {
		return nil
	}
	slices.SortStableFunc(some, func(a, b *serverTrial) int {
		x, _ := a.figure(first)
		y, _ := b.figure(first)
		return cmp.Compare(x, y)
	})
	return some[(len(some)-1)/2]
}

// wrong is how many trials of a server were.
func (c *contest) wrong(contender string) (n int) {
	for i := range c.trials {
		if t := &c.trials[i]; t.Contender == contender && !t.good() {
			n++
		}
	}
	return n
}

// fine: what a peer does wrong is a result.
func (c *contest) fine() bool { return c.wrong(referenceName) == 0 }

// write puts the page, and the records that it links to, into a folder. A record that
// there is none of any more goes.
func (c *contest) write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	files := map[string][]byte{"README.md": []byte(c.page())}
	for i := range c.Shapes {
		s := &c.Shapes[i]
		for _, contender := range s.Contenders {
			files[recordName(s, contender)] = nil
			if t := c.middle(s, contender); t != nil {
				files[recordName(s, contender)] = t.text
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path, text := filepath.Join(folder, name), files[name]
		var err error
		if text != nil {
			err = save(path, text)
		} else if err = os.Remove(path); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func recordName(s *shape, contender string) string { return s.Name + "-" + contender + ".json" }
