package scenarios

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/profile"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
)

// Scenario is something that clients are made to do.
type Scenario interface {
	// Name is the scenario's name in records and messages.
	Name() string
	// Run carries the scenario out. The record is good, if partial, also beside an
	// error, unless the error is that nothing could be started: then it is nil. An
	// error that wraps [context.Canceled] means that ctx was done.
	Run(ctx context.Context, env *Env) (*result.Run, error)
}

// Env is what a scenario is given from outside.
type Env struct {
	Server Server
	// Profiles says which profiles of the target to take; nil: none.
	Profiles *Profiles
	// Observers are told of each run, in this order.
	Observers []Observer
	// Repeat is how often the whole series is made; 0 is once.
	Repeat int
	// Repetition is the number of the first repetition, for who repeats the series by
	// other means than Repeat. 0: it is 1 if Repeat is above 1, else runs have none.
	Repetition int
	// Step is as in [result.Run]; empty: the runs are of no plan.
	Step string

	going Going // what [Series] knows of the run
}

// Observer is told of a run while it goes on.
type Observer interface {
	// Begin is called before the first client connects.
	Begin(Going)
	// Sample is called with each sample of the run, once a second and at its begin and
	// end, from any goroutine, but never twice at a time. It must not block.
	Sample(result.Sample)
	// End is called when the run is over, with its record. It comes after the last
	// Sample, and only when Begin was called.
	End(*result.Run)
}

// Going is a run that goes on.
type Going struct {
	Number, Of int // which run of a series it is, from 1; 0 of 0 outside of one
	Repetition int // as in [result.Run]; 0: it has none
	// Run is what is known before the first client connects: scenario, labels, params,
	// target and engine. It is for reading, until the run's End.
	Run *result.Run
	// Progress and Latencies tell where the run stands, to any goroutine, until its End.
	Progress  func() Progress
	Latencies func() load.Latencies
	// CallOff ends the run early, and the series with it. Its record is then marked as
	// aborted, with the reason. It may be called from any goroutine. Once the run is over
	// it ends the series alone, until the run's End has returned.
	CallOff func(reason string)
}

// ErrCalledOff is wrapped by the error of a run that an [Observer] ended.
var ErrCalledOff = errors.New("called off")

// Server provides the server for a run.
type Server interface {
	Start(ctx context.Context) (*Site, error)
}

// Site is a server to run against.
type Site struct {
	Target *target.Target // resolved
	Kind   string         // as in [result.Target]
	PID    int            // of the process to observe; 0 when it is not known
	Stop   func()         // ends what Start started
	// Profile is a way to take profiles of the server, or the reason why there is
	// none. It is called only when profiles are asked for.
	Profile func() (profile.Source, error)
	// Gone is closed when the server has ended by itself; nil when that cannot be seen.
	Gone <-chan struct{}
	// Faults asks the server what it did wrong on purpose; nil when nothing.
	Faults func(context.Context) []result.Fault
	// Command is the line of the shell that started it, without secrets; nil: none did.
	Command *string
}

// Progress is where a run stands.
type Progress struct {
	Scenario   string
	Phase      string
	Clients    int
	Iteration  int
	Iterations int // 0: not bounded
	Elapsed    time.Duration
	// Total is what the run's total is by now, as in [result.Run].
	Total time.Duration
	// PhaseElapsed is how long the phase has been under way, and PhaseLasts how long it
	// takes; 0: that is not known before.
	PhaseElapsed, PhaseLasts time.Duration
	// MostCopies is how many copies may be due by the end of the run, at most; 0: that
	// is not known before, or nothing is sent.
	MostCopies int64
	Live       load.Live
}

// Load is what every scenario that makes load is asked for.
type Load struct {
	Clients         int
	RoomSize        int
	Engine          stream.Kind
	Ramp            load.Ramp
	Timeout         time.Duration
	Sources         []netip.Addr
	SendConnections int // how many sends may be under way at once
	MaxEventSize    int
	// StreamsPerConnection is as in [stream.Config].
	StreamsPerConnection int
	EventType            string // empty: events of every type count
	Slow                 load.SlowReaders
	Reconnect            *stream.Jitter // as in [load.Config]
	Affinity             load.Affinity  // how the backends of the clients show
	// Labels describe the run. An empty Protocol is the target's.
	Labels result.Labels
}

// Series runs scenarios one after the other, all of them as often as env.Repeat says,
// and returns the records of all that were begun. It stops at the first error.
//
// Repetitions go round robin, so that what changes on the machine meanwhile is spread
// over all rows.
func Series(ctx context.Context, env *Env, all []Scenario) ([]result.Run, error) {
	times, first := max(1, env.Repeat), env.Repetition
	if times > 1 && first == 0 {
		first = 1
	}
	var runs []result.Run
	for i := range times * len(all) {
		its := Going{Number: i + 1, Of: times * len(all)}
		if first > 0 {
			its.Repetition = first + i/len(all)
		}
		run, err := runOne(ctx, env, all[i%len(all)], its)
		if run != nil {
			runs = append(runs, *run)
		}
		if err != nil {
			return runs, err
		}
	}
	return runs, nil
}

// runOne carries out the scenario s as one of a series.
func runOne(ctx context.Context, env *Env, s Scenario, going Going) (*result.Run, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	its := *env
	its.going = going
	its.going.CallOff = func(reason string) {
		cancel(fmt.Errorf("%w: %s", ErrCalledOff, reason))
	}
	run, err := s.Run(ctx, &its)
	if run != nil {
		for _, o := range env.Observers {
			o.End(run)
		}
	}
	if cause := context.Cause(ctx); err == nil && errors.Is(cause, ErrCalledOff) {
		err = cause // the run had come to its end by then, but the series ends with it
	}
	return run, err
}

// interrupted reports whether err means that the user stopped the run.
func interrupted(err error) bool { return errors.Is(err, context.Canceled) }
