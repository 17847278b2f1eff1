package scenarios

import "time"

// Extent is how much there is to do in a run, as far as what was asked for tells before
// it begins.
type Extent struct {
	Clients int
	// Connecting is what it takes at least to connect them: with a rate, the time that
	// it gives them.
	Connecting time.Duration
	Copies     int64         // that are to arrive, in whatever time that takes; 0: none, or not known
	Lasts      time.Duration // what takes its time whatever the target does
	Most       time.Duration // no message is sent after this time of sending; 0: no bound
}

// ExtentOf is that of a run of s; ok is false when s does not say.
func ExtentOf(s Scenario) (e Extent, ok bool) {
	switch s := s.(type) {
	case Connect:
		e = s.extent()
		e.Lasts = s.Hold
	case Rooms:
		e = s.extent()
		switch {
		case s.Arrivals != nil || s.Iterations == 0:
			e.Lasts = s.Duration
		default:
			e.Copies, e.Most = s.mostCopies(), s.Duration
			e.Lasts = time.Duration(s.Iterations-1) * s.Interval
		}
	default:
		return e, false
	}
	return e, true
}

func (l *Load) extent() Extent {
	e := Extent{Clients: l.Clients}
	if l.Ramp.Rate > 0 {
		e.Connecting = time.Duration(float64(l.Clients) / l.Ramp.Rate * float64(time.Second))
	}
	return e
}
