package testserver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// FaultKind names something the server does wrong on purpose.
type FaultKind string

// The kinds, what Fault.Every counts for each, and what is counted as injected.
// A copy is one delivery of one message to one member; where nothing else is
// said, what is counted is the copies, messages or subscriptions acted on.
const (
	// FaultDrop swallows every k-th copy.
	FaultDrop FaultKind = "drop"
	// FaultDuplicate sends every k-th copy twice, in one write.
	FaultDuplicate FaultKind = "duplicate"
	// FaultReorder holds every k-th copy back and sends it right after that
	// member's next one. A member has at most one copy held: while it has, a
	// k-th copy passes. It is counted when the held copy goes out; Stats.Held
	// is the number that still wait for a next message.
	FaultReorder FaultKind = "reorder"
	// FaultMisroute sends every k-th message also, as one extra copy that no
	// other fault sees, to the first member (but a stalled one) of the room
	// whose name follows in sorted order; after the last comes the first. With
	// no other room it does nothing and is not counted.
	FaultMisroute FaultKind = "misroute"
	// FaultDelay delivers every k-th message Fault.Delay later and counts its
	// copies. The order of a room is kept: what follows waits behind it,
	// uncounted, and a message behind a longer delay is later than its own.
	FaultDelay FaultKind = "delay"
	// FaultStall sends nothing more, heartbeats included, to every k-th
	// subscription after Fault.After copies, and leaves its connection open.
	// With 0 nothing follows what goes out with the response head: retry, the
	// greeting, the replay. It counts the copies withheld, one for each message,
	// which is what their client has lost.
	FaultStall FaultKind = "stall"
	// FaultClose closes the connection of every k-th subscription, without an
	// end of the body, right after Fault.After copies were sent to it.
	FaultClose FaultKind = "close"
	// FaultHalf sends every k-th subscription, after Fault.After copies, the
	// first half of the next event and closes its connection, without an end
	// of the body.
	FaultHalf FaultKind = "half"
	// FaultGarbage sends every k-th subscription, after Fault.After copies,
	// random bytes in place of the next copy and closes its connection. Where
	// the body is chunked they are no chunk (RFC 9112 section 7.1); where it is
	// not, they have no line and so no event.
	FaultGarbage FaultKind = "garbage"
	// FaultComments sends Fault.Count comment lines before every k-th copy, in
	// one write with it, and counts the lines.
	FaultComments FaultKind = "comments"
	// FaultBlock gives every k-th subscription a small send buffer, and has
	// whoever sends it a copy wait until the kernel has taken that: a client that
	// does not read holds up its room, and the sender. It counts the copies that
	// had to wait. Behind TLS the send buffer stays as it is. It cannot be
	// combined with FaultFreeze, which waits for those who send.
	FaultBlock FaultKind = "block"
	// FaultRefuse answers every k-th subscription with 503.
	FaultRefuse FaultKind = "refuse"
	// FaultHeaders holds the response head of every k-th subscription back for
	// Fault.Delay. Until then the client is no member and not among
	// Stats.Clients. It is counted as it begins.
	FaultHeaders FaultKind = "headers"
	// FaultFreeze stops the whole server for Fault.Delay when the k-th message
	// comes, before that is delivered: no message is taken or delivered, no
	// request answered, no heartbeat sent. It is counted as it begins. In a
	// cluster a worker counts the messages posted to it and freezes alone.
	FaultFreeze FaultKind = "freeze"
)

// DefaultComments is the Fault.Count of a text that names none.
const DefaultComments = 1000

const (
	maxFaultDelay = 24 * time.Hour
	maxComments   = 1_000_000
)

// Fault is one thing to do wrong. ParseFault makes one of text, which is also its
// form in JSON.
//
// Faults act in the order of Config.Faults: each counts what those before it let
// through. Only what befalls a subscription as a whole (stall, close, half,
// garbage) comes before all that befalls single copies; where several would
// befall one, the one with the smallest After does, of equals the first. What was
// done to a copy is counted when the copy is sent, so that a client that has read
// it finds it counted: what a fault did to one that a later fault swallowed has not
// happened. The number of receivers told to the sender of a message does not show
// faults, as that of a broken server would not.
//
// A new kind is a constant above, a line in faultForms, and a case at the stage
// where it acts: a subscription (fault_subscription.go), a message
// (fault_message.go) or a copy (fault_copy.go).
type Fault struct {
	Kind  FaultKind
	Every int           // k: acts on the k-th, 2k-th, …; 1 is all
	Delay time.Duration // for FaultDelay, FaultHeaders, FaultFreeze: how long, in the mean
	// Spread is how delays differ; the zero value is a fixed delay.
	Spread Spread
	After  int // for FaultStall, FaultClose, FaultHalf, FaultGarbage: in copies
	Count  int // for FaultComments: in lines
	// Room limits the fault to subscriptions to this room, messages to it and
	// copies to its members; it neither sees nor counts others. Empty is all.
	Room string
}

// Shape is the distribution that delays are drawn from.
type Shape string

// The shapes. Fault.Delay is the mean of each.
const (
	Fixed       Shape = ""
	Uniform     Shape = "uniform" // Width is from the shortest to the longest delay
	Exponential Shape = "exp"     // has no Width
	Normal      Shape = "normal"  // Width is the standard deviation; below 0 becomes 0
)

// Spread is how the delays of a fault differ.
type Spread struct {
	Shape Shape
	Width time.Duration
}

// faultForm is what a kind of fault has.
type faultForm struct {
	kind     FaultKind
	value    valueForm
	hasAfter bool
	after    int // the least After, and the default in a text
}

type valueForm int

const (
	noValue    valueForm = iota
	delayValue           // Delay and Spread, needed
	countValue           // Count, or the default
)

//nolint:gochecknoglobals // a constant table
var faultForms = []faultForm{
	{kind: FaultDrop}, {kind: FaultDuplicate}, {kind: FaultReorder}, {kind: FaultMisroute},
	{kind: FaultDelay, value: delayValue},
	{kind: FaultStall, hasAfter: true},
	{kind: FaultClose, hasAfter: true, after: 1},
	{kind: FaultHalf, hasAfter: true},
	{kind: FaultGarbage, hasAfter: true},
	{kind: FaultComments, value: countValue},
	{kind: FaultBlock},
	{kind: FaultRefuse},
	{kind: FaultHeaders, value: delayValue},
	{kind: FaultFreeze, value: delayValue},
}

func formOf(kind FaultKind) (faultForm, error) {
	var names []string
	for _, form := range faultForms {
		if form.kind == kind {
			return form, nil
		}
		names = append(names, string(form.kind))
	}
	return faultForm{}, fmt.Errorf("unknown kind %q: choose one of %s", string(kind), strings.Join(names, ", "))
}

func (f Fault) check() error {
	form, err := formOf(f.Kind)
	if err != nil {
		return err
	}
	if f.Every < 1 {
		return fmt.Errorf("every=%d: must be at least 1", f.Every)
	}
	if f.After < form.after {
		return fmt.Errorf("after=%d: must be at least %d", f.After, form.after)
	}
	if !form.hasAfter && f.After != 0 {
		return fmt.Errorf("%s has no after", f.Kind)
	}
	if form.value == countValue && (f.Count < 1 || f.Count > maxComments) {
		return fmt.Errorf("%d %s: must be from 1 to %d", f.Count, f.Kind, maxComments)
	}
	if form.value != countValue && f.Count != 0 {
		return fmt.Errorf("%s has no count", f.Kind)
	}
	if form.value != delayValue && (f.Delay != 0 || f.Spread != Spread{}) {
		return fmt.Errorf("%s has no delay", f.Kind)
	}
	if f.Room != "" {
		if err := checkRoom(f.Room); err != nil {
			return err
		}
	}
	if form.value == delayValue {
		return f.checkDelay()
	}
	return nil
}

// CheckFaults finds what is wrong with faults, each by itself and together.
func CheckFaults(all []Fault) error {
	has := map[FaultKind]bool{}
	for i, f := range all {
		if err := f.check(); err != nil {
			return fmt.Errorf("fault %d (%s): %w", i+1, f.Kind, err)
		}
		has[f.Kind] = true
	}
	if has[FaultBlock] && has[FaultFreeze] {
		return fmt.Errorf("the faults %s and %s cannot be combined", FaultBlock, FaultFreeze)
	}
	return nil
}

func (f Fault) checkDelay() error {
	if f.Delay <= 0 || f.Delay > maxFaultDelay || f.Spread.Width > maxFaultDelay {
		return fmt.Errorf("a delay must be above 0 and no more than %v", maxFaultDelay)
	}
	switch f.Spread.Shape {
	case Fixed, Exponential:
		if f.Spread.Width != 0 {
			return errors.New("a fixed or exponential delay has no width")
		}
	case Uniform:
		if f.Spread.Width <= 0 || f.shortest() < 0 {
			return errors.New("a uniform delay must be from one of at least 0 to a longer one")
		}
	case Normal:
		if f.Spread.Width <= 0 {
			return errors.New("the deviation of a normal delay must be above 0")
		}
	default:
		return fmt.Errorf("unknown shape %q: choose one of %s, %s, %s", string(f.Spread.Shape), Uniform, Exponential, Normal)
	}
	return nil
}

// shortest is the shortest uniform delay. A width in odd nanoseconds has its
// middle rounded down, by the same here as in Delay.
func (f Fault) shortest() time.Duration { return f.Delay - f.Spread.Width/2 }

// draw is the length of one delay.
func (f Fault) draw() time.Duration {
	switch f.Spread.Shape {
	case Uniform:
		return f.shortest() + rand.N(f.Spread.Width+1)
	case Exponential:
		return time.Duration(rand.ExpFloat64() * float64(f.Delay))
	case Normal:
		return max(0, f.Delay+time.Duration(rand.NormFloat64()*float64(f.Spread.Width)))
	}
	return f.Delay
}

// FaultCount is how often a fault was carried out.
type FaultCount struct {
	Fault    Fault `json:"fault"` // as text, see ParseFault
	Injected int64 `json:"injected"`
}

// injector carries out the faults. A server without faults has none.
type injector struct {
	faults  []activeFault
	held    atomic.Int64 // copies that FaultReorder holds back
	delayNS atomic.Int64 // delay added, over all copies of delayed messages
	line    delayLine
	ice     ice

	over     chan struct{} // closed when the server stops: nothing is held up any more
	overOnce sync.Once
}

type activeFault struct {
	Fault
	flood frame // what FaultComments sends first
	seen  atomic.Uint64
	done  atomic.Int64
}

func newInjector(faults []Fault) *injector {
	if len(faults) == 0 {
		return nil
	}
	in := &injector{faults: make([]activeFault, len(faults)), over: make(chan struct{})}
	in.line.wake = make(chan struct{}, 1)
	for i, f := range faults {
		in.faults[i].Fault = f
		if f.Kind == FaultComments {
			in.faults[i].flood = newFlood(f.Count)
		}
	}
	return in
}

// stop lets go of everything that faults hold up.
func (in *injector) stop() {
	in.overOnce.Do(func() { close(in.over) })
}

// due counts one more in a room and reports whether it is a k-th.
func (f *activeFault) due(room string) bool {
	return (f.Room == "" || f.Room == room) && f.seen.Add(1)%uint64(f.Every) == 0
}

// counts lists what was done, in the order of Config.Faults.
func (in *injector) counts() []FaultCount {
	list := make([]FaultCount, len(in.faults))
	for i := range in.faults {
		list[i] = FaultCount{Fault: in.faults[i].Fault, Injected: in.faults[i].done.Load()}
	}
	return list
}
