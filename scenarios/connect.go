package scenarios

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
)

// Connect asks how long it takes to connect N clients.
type Connect struct {
	Load
	Hold time.Duration // how long to keep them; drops are counted
}

// Name implements [Scenario].
func (c Connect) Name() string { return "connect" }

// Run implements [Scenario].
func (c Connect) Run(ctx context.Context, env *Env) (*result.Run, error) {
	s, err := open(ctx, env, c.Load, load.Config{}, c.Name(), strconv.Itoa(c.Clients))
	if err != nil {
		return nil, err
	}
	s.run.Params.HoldNS = int64(c.Hold)
	if err = s.connect(ctx); errors.Is(err, load.ErrGone) && c.Hold == 0 {
		err = nil // they had opened, which is all that was asked
	}
	if err == nil && c.Hold > 0 {
		s.enter(ctx, phaseHold, c.Hold)
		err = s.people.Hold(ctx, c.Hold)
	}
	return s.close(ctx, err, phaseConnect)
}
