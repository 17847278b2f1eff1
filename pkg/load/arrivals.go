package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// ArrivalKind is how the arrivals of an open model are spread in time.
type ArrivalKind int

// The kinds of arrivals.
const (
	Constant ArrivalKind = iota // evenly
	Poisson                     // at random, without memory, as independent users do
)

// ArrivalKinds are those that there are.
//
//nolint:gochecknoglobals // a constant table
var ArrivalKinds = []ArrivalKind{Constant, Poisson}

// String is the name users know k by.
func (k ArrivalKind) String() string {
	switch k {
	case Constant:
		return "constant"
	case Poisson:
		return "poisson"
	}
	return fmt.Sprintf("ArrivalKind(%d)", int(k))
}

// Arrivals says when the messages of an open model are due. It does not depend on
// what became of those before.
type Arrivals struct {
	Rate float64 // messages per second, over all senders; above 0
	Kind ArrivalKind
}

// arrival is one message of a schedule.
type arrival struct {
	after  time.Duration // since the schedule's start
	sender int           // of those whose schedule it is, from 0
}

// schedule yields the arrivals of one shard, which has count of all senders, from
// number first on. The schedules of all shards together are the arrivals.
//
// Constant arrivals take the senders in turn: message k of all, counted from 0,
// is due k / rate seconds after the start and is sent by sender k mod all.
//
// For Poisson arrivals the time between two messages of this shard is exponential
// with the mean all / (rate × count), and each sender is as likely as another.
// Shards may draw on their own: what independent Poisson processes yield together
// is one with the sum of their rates.
type schedule struct {
	Arrivals
	first, count, all int
	random            *rand.Rand // for Poisson arrivals

	n    int64   // arrivals so far
	last float64 // of the one before, in seconds
}

// next is the next arrival. There must be a sender.
func (s *schedule) next() arrival {
	n := s.n
	s.n++
	if s.Kind == Poisson {
		s.last += s.random.ExpFloat64() * float64(s.all) / (s.Rate * float64(s.count))
		return arrival{after: seconds(s.last), sender: s.random.IntN(s.count)}
	}
	round, sender := n/int64(s.count), int(n%int64(s.count))
	k := round*int64(s.all) + int64(s.first+sender)
	return arrival{after: seconds(float64(k) / s.Rate), sender: sender}
}

// seconds is s seconds, rounded to nanoseconds; what no Duration can hold is the longest one.
func seconds(s float64) time.Duration {
	const most = 1<<63 - 1
	if ns := math.Round(s * float64(time.Second)); ns < most {
		return time.Duration(ns)
	}
	return most
}
