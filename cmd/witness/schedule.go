package main

import (
	"math"
	"strings"
	"time"
)

// clockReading is how far two readings of what should be one time may be apart.
const clockReading = time.Microsecond

// schedule holds the times at which messages say that they were due against what
// an arrival rate makes of them: message k of all is due k / rate after the first.
// So a report cannot call due what is only when it came to send. Arrivals at random
// show nothing of the kind.
func (o *objections) schedule(t testimony, r report) {
	p, s := r.Params, r.Delivery.Sends
	if p.Rate == nil || *p.Rate <= 0 || p.Arrivals == nil || p.DurationNS == nil {
		o.add("an open model without rate, arrivals and duration in the report")
		return
	}
	if *p.Arrivals == "poisson" {
		return
	}
	duration := time.Duration(*p.DurationNS)
	all := s.Attempted + s.CalledOff
	if planned := planned(*p.Rate, duration); all != planned {
		o.add("%d messages attempted or called off in the report, %d are due at %v/s for %v", all, planned, *p.Rate, duration)
	}
	if len(t.dues) == 0 {
		return
	}
	found := lay(t.dues, *p.Rate)
	absent := max(0, all-int64(t.sends)) // in no packet, so that their places are empty
	switch {
	case found.off > 0:
		o.add("%d of %d messages say that they were due when none is at %v/s: up to %s from the schedule",
			found.off, len(t.dues), *p.Rate, micros(found.worst))
	case found.empty > absent:
		o.add("%d places of the schedule of %v/s are empty, for %d messages that are in no packet", found.empty, *p.Rate, absent)
	}
}

// arrivals refuses a report that claims arrivals at random, which excuse it from the
// schedule, when they were not asked for.
func (o *objections) arrivals(spec string, r report) {
	if a := r.Params.Arrivals; a != nil && *a != "constant" && !strings.Contains(spec, *a) {
		o.add("arrivals are %s in the report, which was not asked for", *a)
	}
}

// planned is how many messages are due before the duration is over: those with
// k / rate < duration.
func planned(rate float64, duration time.Duration) int64 {
	const rounding = 1e-6 // of a product that should be whole
	return int64(math.Ceil(rate*duration.Seconds() - rounding))
}

// placing is how times lie on a schedule.
type placing struct {
	off   int   // how many are not where a place is, or on one that is taken
	worst int64 // how far off, in nanoseconds
	empty int64 // places between the first and the last that have none
}

// lay puts times, which are in order, on a schedule that begins with the first.
func lay(dues []int64, rate float64) placing {
	var p placing
	interval := float64(time.Second) / rate
	taken := int64(-1)
	used := int64(0)
	for _, due := range dues {
		after := due - dues[0]
		place := int64(math.Round(float64(after) / interval))
		distance := after - int64(math.Round(float64(place)*interval))
		distance = max(distance, -distance)
		if place == taken {
			distance = int64(interval) // it should have been at another
		}
		if distance > int64(clockReading) {
			p.off++
			p.worst = max(p.worst, distance)
			continue
		}
		taken = place
		used++
	}
	p.empty = taken + 1 - used
	return p
}
