package threshold

import (
	"math"
	"strings"
	"time"

	"github.com/sseload/sseload/pkg/figure"
	"github.com/sseload/sseload/pkg/metric"
	"github.com/sseload/sseload/pkg/result"
)

// Standing is where a run stands. Counts are those of the record, as far as they have
// come.
type Standing struct {
	Total time.Duration // as the run's total counts it

	Clients                 int64 // that are to connect
	Opened, Failed, Dropped int64

	Begun, Unsent                         int64 // sends, and those that failed
	Received                              int64
	Duplicate, Reordered, Misrouted, Late int64
	// Missing copies had not come when their iteration ended; those that came since
	// are Late.
	Missing int64

	// MostCopies and MostSends are how many there may be by the end; 0: that is not
	// known.
	MostCopies, MostSends int64

	Open, Delivery metric.Snapshot
}

// Bound is what is known of a figure before the run is over: it will be that much, or
// more. In the unit of the threshold.
type Bound struct {
	Value float64
	Most  bool // or less
}

// Broken reports whether the threshold cannot hold any more, whatever comes, and what of
// the figure shows it. That is known
//   - of counts of what went wrong once there are too many;
//   - of connect.opened once too many failed;
//   - of total, and of connect.elapsed while clients are still connecting, once the
//     time has passed;
//   - of the largest latency once it was seen;
//   - of a quantile once more latencies are above the limit than may be of all that
//     there can be;
//   - of the mean once their sum is too much for as many.
//
// Copies that have not come when their iteration has ended, by the timeout, count as lost
// until they do. All else is known when the run is over.
func (t Threshold) Broken(s *Standing) (b Bound, broken bool) {
	least, most := s.reach(t.figure)
	if t.whole != nil {
		most = math.Inf(1)
		if least, broken = share(least, s.most(t.whole.Name)); !broken {
			return Bound{}, false
		}
	}
	if t.op.possible(least, most, t.limit) {
		return Bound{}, false
	}
	if t.op != different && t.op.possible(least, math.Inf(1), t.limit) {
		return Bound{Value: most, Most: true}, true
	}
	return Bound{Value: least}, true
}

// share is least in percent of a whole that is no more than most; 0: that is not known.
func share(least float64, most int64) (percent float64, ok bool) {
	if most <= 0 {
		return 0, false
	}
	return 100 * least / float64(most), true
}

// reach is between which values a figure will be at the end.
func (s *Standing) reach(f figure.Figure) (least, most float64) {
	most = math.Inf(1)
	switch f.Name {
	case "total":
		return float64(s.Total), most
	case "connect.opened":
		return float64(s.Opened), float64(s.Clients - s.Failed)
	case "connect.failed":
		return float64(s.Failed), float64(s.Clients - s.Opened)
	case "connect.dropped":
		return float64(s.Dropped), float64(s.Clients - s.Failed)
	case "delivery.sends.attempted":
		return float64(s.Begun), most
	case "delivery.sends.failed":
		return float64(s.Unsent), most
	case "delivery.received":
		return float64(s.Received), most
	case "delivery.duplicate":
		return float64(s.Duplicate), most
	case "delivery.reordered":
		return float64(s.Reordered), most
	case "delivery.misrouted":
		return float64(s.Misrouted), most
	case "delivery.late":
		return float64(s.Late), most
	case "delivery.lost":
		return float64(max(0, s.Missing-s.Late)), most
	}
	if own, ok := strings.CutPrefix(f.Name, "delivery.latency."); ok {
		return leastOf(f, own, &s.Delivery, s.MostCopies), most
	}
	if own, ok := strings.CutPrefix(f.Name, "connect.open_latency."); ok {
		return leastOf(f, own, &s.Open, s.Clients), most
	}
	return math.Inf(-1), most
}

// leastOf is what the figure own of a distribution will be at least, by what there is of
// it already; all is how many values there may be in the end, 0 if that is not known.
func leastOf(f figure.Figure, own string, seen *metric.Snapshot, all int64) float64 {
	switch own {
	case "count":
		return float64(seen.Count())
	case "max":
		return largest(seen, 1)
	case "mean":
		if all > 0 {
			return float64(seen.Sum()) / float64(all)
		}
		return 0
	}
	_, q, ok := f.Quantile()
	switch {
	case !ok:
		return 0
	case q == 1:
		return largest(seen, 1)
	case all <= 0:
		return 0
	}
	// Of all, so many stand at the quantile or above it.
	rank := max(1, int64(math.Ceil(q*float64(all)-1e-6)))
	return largest(seen, all-rank+1)
}

func largest(seen *metric.Snapshot, n int64) float64 {
	ns, _ := seen.Largest(n)
	return float64(ns)
}

// most is how much a whole of that full name can be at the end; 0: that is not known.
func (s *Standing) most(name string) int64 {
	switch name {
	case "connect.attempted":
		return s.Clients
	case "connect.opened":
		return s.Clients - s.Failed
	case "delivery.expected":
		return s.MostCopies
	case "delivery.sends.attempted":
		return s.MostSends
	}
	return 0
}

// MostSends is how many messages a run with these parameters sends at most; 0: that is
// not known before, or it sends none.
func MostSends(p *result.Params) int64 {
	switch {
	case p.Model == nil:
	case *p.Model == "closed" && p.Iterations != nil && p.RoomSize != nil && p.SendersPerRoom != nil:
		size := int64(*p.RoomSize)
		rooms := (int64(p.Clients) + size - 1) / size
		return int64(*p.Iterations) * rooms * int64(*p.SendersPerRoom)
	case *p.Model == "open" && p.Rate != nil && p.DurationNS != nil && p.Arrivals != nil && *p.Arrivals == "constant":
		return int64(*p.Rate*time.Duration(*p.DurationNS).Seconds() + 1)
	}
	return 0
}

// JudgeAt is Judge for a threshold that could not hold any more when the run was
// ended, which the record of what was left of it may not show: it does not hold.
func (t Threshold) JudgeAt(b Bound, run *result.Run) result.Verdict {
	v := t.Judge(run)
	if v.Held || v.Actual == nil {
		v.Actual, v.Held = &b.Value, false
	}
	return v
}
