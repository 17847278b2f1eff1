package testserver

import (
	"context"
	"time"
)

// memberFaults is what the injector knows of one client; guarded by room.mu.
type memberFaults struct {
	fate    *activeFault // what befalls the subscription after fate.After copies; nil is nothing
	copies  int          // sent so far
	stalled bool         // gets nothing any more

	held   *parcel      // held back by FaultReorder
	heldBy *activeFault // the fault that holds it

	blocks *activeFault  // FaultBlock, when it is about this client
	taken  chan struct{} // for that, told when the outbox is gone
}

// blockBuffer is the send buffer of a client that FaultBlock is about, in bytes.
// Linux takes twice as much, socket(7).
const blockBuffer = 16 << 10

// refuses is the first stage of a subscription.
func (in *injector) refuses(room string) bool {
	for i := range in.faults {
		if f := &in.faults[i]; f.Kind == FaultRefuse && f.due(room) {
			f.done.Add(1)
			return true
		}
	}
	return false
}

// holdHead is the second stage of a subscription: it waits as long as the
// response head is held back. It returns the context's error when the client
// leaves first, and errStopping when the server stops.
func (in *injector) holdHead(ctx context.Context, room string) error {
	var wait time.Duration
	for i := range in.faults {
		if f := &in.faults[i]; f.Kind == FaultHeaders && f.due(room) {
			wait += f.draw()
			f.done.Add(1)
		}
	}
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-in.over:
		return errStopping
	}
}

// member is the third stage: it prepares a client that joins.
func (in *injector) member(room string) *memberFaults {
	m := &memberFaults{}
	for i := range in.faults {
		f := &in.faults[i]
		switch f.Kind {
		case FaultStall, FaultClose, FaultHalf, FaultGarbage:
			if f.due(room) && (m.fate == nil || f.After < m.fate.After) {
				m.fate = f
			}
		case FaultBlock:
			if f.due(room) {
				m.blocks, m.taken = f, make(chan struct{}, 1)
			}
		}
	}
	m.stalled = m.fate != nil && m.fate.Kind == FaultStall && m.fate.After == 0
	return m
}

// stalled reports whether a fault keeps everything from the client. The lock of
// its room is held.
func (c *client) stalled() bool { return c.faults != nil && c.faults.stalled }
