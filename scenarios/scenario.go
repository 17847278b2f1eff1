package scenarios

import (
	"context"
	"errors"
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
	// Show, when not nil, is handed a function that tells where the run stands,
	// to be called until the function that Show returns is.
	Show func(func() Progress) (stop func())
}

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
}

// Progress is where a run stands.
type Progress struct {
	Scenario   string
	Phase      string
	Clients    int
	Iteration  int
	Iterations int // 0: not bounded
	Elapsed    time.Duration
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
	Labels               result.Labels
}

// Series runs scenarios one after the other and returns the records of all that
// were begun. It stops at the first error.
func Series(ctx context.Context, env *Env, all []Scenario) ([]result.Run, error) {
	var runs []result.Run
	for _, s := range all {
		run, err := s.Run(ctx, env)
		if run != nil {
			runs = append(runs, *run)
		}
		if err != nil {
			return runs, err
		}
	}
	return runs, nil
}

// interrupted reports whether err means that the user stopped the run.
func interrupted(err error) bool { return errors.Is(err, context.Canceled) }
