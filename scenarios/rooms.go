package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/stream"
)

// Rooms asks how long a message takes to reach everyone in its room.
type Rooms struct {
	Load
	Senders     load.Senders
	Payload     load.PayloadKind
	PayloadSize int // bytes, at least; 0: no padding
	// Duration is for how long messages are due or, in the closed model, after
	// which no iteration begins; there 0 is no bound.
	Duration time.Duration

	// Arrivals make the model an open one. Nil is the closed model, for which
	// alone the fields below are.
	Arrivals   *load.Arrivals
	Iterations int           // 0: as many as Duration allows
	Interval   time.Duration // between iterations
}

// drainAfterInterrupt is how long an iteration that the user stopped may still
// go on, so that what is under way is counted and not lost.
const drainAfterInterrupt = 2 * time.Second

// mostSilence is for how long a server that took messages may refuse them all, while its
// streams are open and would be opened again.
const mostSilence = time.Second

// ErrNotSent says that the target takes no messages. It comes with the first
// [*stream.Failure] of a send, if there was one.
var ErrNotSent = errors.New("no message could be sent")

// Name implements [Scenario].
func (r Rooms) Name() string { return "rooms" }

// shape is what the run is called among others: how many clients, and how much is
// sent.
func (r Rooms) shape() string {
	text := strconv.Itoa(r.Clients)
	switch {
	case r.Arrivals != nil:
		return text + "@" + strconv.FormatFloat(r.Arrivals.Rate, 'f', -1, 64)
	case r.Iterations > 0:
		return text + "x" + strconv.Itoa(r.Iterations)
	}
	return text
}

// mostCopies is as in [Progress].
func (r Rooms) mostCopies() int64 {
	size := int64(min(r.RoomSize, r.Clients))
	switch {
	case r.Arrivals == nil && r.Senders == load.AllInRoom:
		return int64(r.Iterations) * int64(r.Clients) * size
	case r.Arrivals == nil:
		return int64(r.Iterations) * int64(r.Clients)
	case r.Arrivals.Kind == load.Constant:
		return int64(r.Arrivals.Rate*r.Duration.Seconds()+1) * size
	}
	return 0
}

// Run implements [Scenario].
func (r Rooms) Run(ctx context.Context, env *Env) (*result.Run, error) {
	s, err := open(ctx, env, r.Load, load.Config{Senders: r.Senders, Payload: r.Payload, PayloadSize: r.PayloadSize}, r.Name(), r.shape())
	if err != nil {
		return nil, err
	}
	s.iterations, s.mostCopies = r.Iterations, r.mostCopies()
	r.params(&s.run.Params)

	var sent sending
	if err = s.connect(ctx); err == nil {
		err = r.send(ctx, s, &sent)
	}
	run, err := s.close(ctx, err, phaseSend)
	return run, errors.Join(err, r.record(s, &sent))
}

// sending is what is known of the sending phase itself.
type sending struct {
	elapsed           time.Duration
	live              load.Live // where the run stood at its end
	begun, incomplete int       // iterations
	times             metric.Histogram
}

// send is the sending phase, and the wait for what it left under way.
func (r Rooms) send(ctx context.Context, s *session, sent *sending) error {
	s.enter(ctx, phaseSend, r.Duration)
	began := s.people.Clock().Now()
	var err error
	if r.Arrivals != nil {
		began, err = s.people.Offer(ctx, *r.Arrivals, r.Duration)
	} else {
		err = r.iterate(ctx, s, sent)
	}
	sent.elapsed = max(0, time.Duration(s.people.Clock().Now()-began)) // an offering begins a little later
	sent.live = s.people.Live()
	if r.Arrivals == nil && r.Slow.Count == 0 && sent.live.Away == 0 {
		return err // the iterations have waited for all
	}
	s.enter(ctx, phaseDrain, 0)
	if derr := s.people.Drain(ctx, r.Timeout, drainAfterInterrupt); err == nil {
		err = derr
	}
	if silent, f := s.people.Silent(); err == nil && silent {
		return silence("", f)
	}
	return err
}

func (r Rooms) params(p *result.Params) {
	senders, size := 1, min(r.RoomSize, r.Clients)
	if r.Senders == load.AllInRoom {
		senders = size
	}
	kind, model := r.Payload.String(), "closed"
	if a := r.Arrivals; a != nil {
		model = "open"
		arrivals := a.Kind.String()
		p.Rate, p.Arrivals = &a.Rate, &arrivals
	}
	p.Model, p.SendConnections = &model, &r.SendConnections
	p.RoomSize, p.SendersPerRoom, p.Payload = &size, &senders, &kind
	p.IntervalNS = int64(r.Interval)
	if r.Iterations > 0 {
		p.Iterations = &r.Iterations
	}
	if r.Duration > 0 {
		ns := int64(r.Duration)
		p.DurationNS = &ns
	}
}

func (r Rooms) iterate(ctx context.Context, s *session, sent *sending) error {
	var over <-chan time.Time
	if r.Duration > 0 {
		timer := time.NewTimer(r.Duration)
		defer timer.Stop()
		over = timer.C
	}
	var silent time.Time // since when no send has come to anything; zero when one has
	for r.Iterations == 0 || sent.begun < r.Iterations {
		if sent.begun > 0 && r.Interval > 0 {
			if err := s.people.Hold(ctx, r.Interval); err != nil {
				return err
			}
		}
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		switch err := s.people.Await(ctx, over); {
		case errors.Is(err, load.ErrOver):
			return nil
		case err != nil:
			return err
		}
		received := s.people.Live().Received
		sent.begun++
		s.iteration.Store(int64(sent.begun))
		it, err := s.people.Iterate(ctx, drainAfterInterrupt)
		sent.times.Record(int64(it.Elapsed))
		if !it.Complete {
			sent.incomplete++
		}
		if err != nil {
			return err
		}
		if !it.Silent {
			silent = time.Time{}
			continue
		}
		if silent.IsZero() {
			silent = time.Now()
		}
		// A server that ends may refuse sends before the streams are seen to end, and one
		// that refuses what it has delivered may do so before the copies are seen.
		if err := s.people.Hold(ctx, settleQuiet); err != nil {
			return err
		}
		if s.people.Live().Received == received && !r.mayPass(s, silent) {
			return silence(fmt.Sprintf(" of iteration %d", sent.begun), it.Failure)
		}
	}
	return nil
}

// mayPass reports whether a silence since a time may be that of a server that is being
// started anew, whose clients will be back.
func (r Rooms) mayPass(s *session, since time.Time) bool {
	if r.Reconnect == nil {
		return false
	}
	live := s.people.Live()
	return live.Open == 0 || live.Sent > 0 && time.Since(since) < mostSilence
}

// silence is the error of sends, of an iteration or of the run, that came to
// nothing.
func silence(of string, f *stream.Failure) error {
	if f == nil {
		return fmt.Errorf("%w: no send%s was answered", ErrNotSent, of)
	}
	return fmt.Errorf("%w: not one send%s succeeded: %w", ErrNotSent, of, f)
}

// record completes the run's record with what is known once all is over.
func (r Rooms) record(s *session, sent *sending) error {
	t, d := &s.totals.Sends, &s.totals.Delivery
	out := &result.Delivery{
		Sends:    result.Sends{Attempted: t.Attempted, CalledOff: t.CalledOff, Unanswered: &t.Unanswered, Failed: t.Failed(), Failures: t.Failures, Examples: examples(t.Texts)},
		Expected: d.Expected, Received: d.Received, OtherEvents: d.Other,
		ElapsedNS: int64(sent.elapsed),
		Clients:   []result.ClientDetail{},
	}
	if r.Payload == load.Marker {
		out.Lost, out.Duplicate, out.Reordered = &d.Lost, &d.Duplicate, &d.Reordered
		out.Misrouted, out.Late, out.Foreign = &d.Misrouted, &d.Late, &d.Foreign
		out.Unordered = &d.Unordered
		out.ClientsAffected = &d.Affected
		if a := s.run.Affinity; a != nil {
			a.LostInSplitRooms, a.LostInOtherRooms = &s.totals.Backends.LostInSplit, &s.totals.Backends.LostElsewhere
		}
	}
	for _, c := range d.Worst {
		out.Clients = append(out.Clients, result.ClientDetail(c))
	}
	if seconds := sent.elapsed.Seconds(); seconds > 0 {
		copies, sends := float64(sent.live.Received)/seconds, float64(sent.live.Begun)/seconds
		out.RatePerSecond, out.Sends.RatePerSecond = &copies, &sends
	}
	s.run.Params.PayloadBytes = &t.PayloadBytes
	if n := d.Latency.Count(); n > 0 {
		receipt := "mixed"
		switch d.Stamped {
		case n:
			receipt = "kernel"
		case 0:
			receipt = "read"
			s.run.Notes = append(s.run.Notes, "times of receipt are those of the reads, as the kernel's are not to be had with this engine, TLS or system: the generator's own delay is in every latency")
		}
		s.run.Clock.Receipt = &receipt
	}
	s.run.Delivery = out

	var errs [4]error
	errs[3] = r.recordReplay(s, &s.totals.Reconnect)
	out.Sends.Latency, errs[0] = latency(&t.Latency)
	out.Latency, errs[1] = latency(&d.Latency)
	if r.Arrivals == nil {
		out.Iterations, out.Incomplete = &sent.begun, &sent.incomplete
		times, err := latency(&sent.times)
		errs[2] = err
		s.run.IterationTime = &times
	} else {
		out.Sends.Behind, out.Sends.Crowded = &t.Behind, &t.Crowded
	}
	return errors.Join(append(errs[:], r.recordSlow(s, out))...)
}

// recordReplay enters what became of the copies for clients that lost their stream.
func (r Rooms) recordReplay(s *session, t *load.Reconnecting) error {
	out := s.run.Reconnect
	if out == nil {
		return nil
	}
	out.Missed, out.Replayed = &t.Missed, &t.Replayed
	if r.Payload == load.Marker {
		out.ReplayedTwice = &t.ReplayedTwice
	}
	replay, err := latency(&t.Replay)
	out.ReplayLatency = &replay
	return err
}

// recordSlow enters the account of the slow readers, if there are any.
func (r Rooms) recordSlow(s *session, out *result.Delivery) error {
	if r.Slow.Count == 0 {
		return nil
	}
	t := &s.totals.Slow
	slow := &result.Slow{
		Clients: t.Clients, Dropped: t.Dropped, Expected: t.Expected, Received: t.Received, Drained: t.Drained,
		NeighboursExpected: t.NeighboursExpected,
	}
	if r.Payload == load.Marker {
		slow.Lost, slow.NeighboursLost = &t.Lost, &t.NeighboursLost
	}
	out.Slow = slow
	var errs [2]error
	slow.Latency, errs[0] = latency(&t.Latency)
	slow.Neighbours, errs[1] = latency(&t.Neighbours)
	return errors.Join(errs[:]...)
}
