package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// rivals are who a contest is between, and what is put to them: all that makes one
// contest another.
type rivals interface {
	words() words
	// flags are those of this contest alone.
	flags(*flag.FlagSet)
	// programs are those that it takes beside sseload.
	programs() []string
	// shapes are the loads, with all contenders in each. A cell's ratio is to the first.
	shapes(quick bool) []shape
	// measures are those of a shape's trials. The median of the first says which
	// trial's record is kept.
	measures(*shape) []measure
	// try puts a load to a contender. An error is one that no further trial would
	// survive.
	try(ctx context.Context, o *options, s *shape, contender string) (attempt, error)
	// blamed reports whether a trial of the contender that goes wrong fails the
	// benchmark.
	blamed(contender string) bool
	// tables are those of the comparisons.
	tables(*contest) string
	// commands are the lines of a shell that make the trials.
	commands([]shape) []string
}

// words are what a contest is called, and what its page says.
type words struct {
	mode  string // on the command line, of make, and the folder in results
	noun  string // what a contender is
	title string
	how   string // the figures came about
	wrong string // how to read the counts of what went wrong; empty: they are not shown
	trial string // stands above the commands
	epoll bool   // it takes an engine that only Linux has
}

// contests are all there are.
func contests() []rivals { return []rivals{&servers{}, transports{}} }

// contest is what was measured of rivals.
type contest struct {
	session
	rivals      rivals
	trials      []bout
	comparisons []comparison
}

// bout is a contender's try at one shape.
type bout struct {
	outcome
	record *result.File // nil: there is none
	text   []byte       // the record, as it was written
	// cut tells that a run did not come to its end, so that the figures are no
	// measure of anything. The counts are.
	cut bool
}

func (c *contest) fill(ctx context.Context, o *options, stderr io.Writer) error {
	try := func(one outcome, s *shape) (string, *result.File, error) {
		t := bout{outcome: one}
		a, err := c.rivals.try(ctx, o, s, one.Contender)
		if err != nil {
			return "", nil, err
		}
		record, err := t.take(a, s)
		c.trials = append(c.trials, t)
		return t.line(c.rivals.measures(s), t.figure), record, err
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
	c.comparisons = told.compare(c.Shapes, c.rivals.measures, c.Rounds)
}

// take takes in what a contender's try gave. An error is one that no further trial
// would survive.
func (t *bout) take(a attempt, s *shape) (*result.File, error) {
	if a.err != nil {
		t.fault("%v", a.err)
		t.cut = true
	}
	record, err := recorded(a.out, len(s.runs()))
	switch {
	case err != nil && t.cut:
		return nil, nil // it has said why
	case err != nil:
		return nil, err
	}
	t.read(record, a.out, s)
	return record, nil
}

// read takes a record in, which is that of the shape's runs.
func (t *bout) read(record *result.File, text []byte, s *shape) {
	t.record, t.text = record, text
	one := *s
	for i, clients := range s.runs() {
		one.Clients = clients
		r := &record.Runs[i]
		t.cut = t.cut || r.Aborted != nil || r.Interrupted
		t.judge(r, &one)
	}
}

// figure is what the trial says of m, if it says anything.
func (t *bout) figure(m measure) (v float64, ok bool) {
	if t.record == nil || t.cut {
		return 0, false
	}
	r := &t.record.Runs[len(t.record.Runs)-1]
	switch m {
	case connectTime:
		return known(r.Connect.ElapsedNS)
	case connectCPU:
		return known(r.Generator.CPUPerConnectNS)
	case serverConnectCPU:
		return known(r.TargetProcess.CPUPerConnectNS)
	case serverMemory:
		return known(r.TargetProcess.BytesPerClient)
	case deliveryCPU:
		v, ok = known(r.Generator.CPUPerCopyNS)
		return v * 1e6, ok
	case serverDeliveryCPU:
		v, ok = known(r.TargetProcess.CPUPerCopyNS)
		return v * 1e6, ok
	case addedMemory:
		return t.slope(func(c *result.Costs) *result.Slope { return c.GeneratorBytesPerClient })
	case serverAddedMemory:
		return t.slope(func(c *result.Costs) *result.Slope { return c.TargetBytesPerClient })
	}
	return delivered(r.Delivery, m)
}

// slope is one of those through the runs, of which there is one series.
func (t *bout) slope(of func(*result.Costs) *result.Slope) (float64, bool) {
	if len(t.record.Costs) == 0 {
		return 0, false
	}
	line := of(&t.record.Costs[0])
	if line == nil {
		return 0, false
	}
	return line.Value, true
}

// delivered is what the account of a delivery says of m. There is none where nothing
// was sent.
func delivered(d *result.Delivery, m measure) (float64, bool) {
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

// of are the trials of a contender at a shape, by round.
func (c *contest) of(s *shape, contender string) []*bout {
	var some []*bout
	for i := range c.trials {
		if t := &c.trials[i]; t.Shape == s.Name && t.Contender == contender {
			some = append(some, t)
		}
	}
	return some
}

// middle is the trial that has the median of the shape's first measure, or of an even
// number the lower one of both; nil when no trial has that figure.
func (c *contest) middle(s *shape, contender string) *bout {
	first := c.rivals.measures(s)[0]
	some := slices.DeleteFunc(c.of(s, contender), func(t *bout) bool {
		_, ok := t.figure(first)
		return !ok
	})
	if len(some) == 0 {
		return nil
	}
	slices.SortStableFunc(some, func(a, b *bout) int {
		x, _ := a.figure(first)
		y, _ := b.figure(first)
		return cmp.Compare(x, y)
	})
	return some[(len(some)-1)/2]
}

// wrong is how many trials of a contender were.
func (c *contest) wrong(contender string) (n int) {
	for i := range c.trials {
		if t := &c.trials[i]; t.Contender == contender && !t.good() {
			n++
		}
	}
	return n
}

// fine reports whether nobody went wrong who is blamed for it.
func (c *contest) fine() bool {
	return !slices.ContainsFunc(c.trials, func(t bout) bool { return !t.good() && c.rivals.blamed(t.Contender) })
}

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
