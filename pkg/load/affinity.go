package load

import (
	"bytes"
	"slices"
	"time"

	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
)

// Affinity says by what it shows which of several servers, a backend, a client's stream
// is on. The zero value does not ask.
type Affinity struct {
	By   AffinityKind
	Name string // of the cookie or the header
}

// AffinityKind is what names the backend.
type AffinityKind int

// What may name the backend.
const (
	NoAffinity       AffinityKind = iota
	AffinityByCookie              // that the response sets, or else the one that the client sent
	AffinityByHeader              // of the response
)

// String is the kind as records have it.
func (k AffinityKind) String() string {
	switch k {
	case AffinityByCookie:
		return "cookie"
	case AffinityByHeader:
		return "header"
	case NoAffinity:
	}
	return "none"
}

// Backends is which backends the clients that opened were on: those still open at the
// end, and the others where they were last.
type Backends struct {
	Clients                    map[string]int // by name, at most 256 of them
	Other                      int            // clients on backends beyond those
	Unknown                    int            // clients of which it does not show
	Rooms                      int            // with a client that opened
	Split                      int            // of those, with open clients on more than one backend at some time
	Moved                      int            // clients that came back to another backend
	LostInSplit, LostElsewhere int64          // copies, by whether their room is one of Split
}

const (
	// mostBackends bounds what is kept of names that a server makes up.
	mostBackends = 256
	// longestBackend is how much of a name is kept, in bytes.
	longestBackend = 128
)

// whereabouts is which backends the clients of a shard are on.
type whereabouts struct {
	names []string
	of    []place // by client; nil: nobody asks
	split []bool  // by room: open members were on several at some time
}

// place is where a client is, and whether it was elsewhere before.
type place uint16

const (
	unknownPlace place = 0                // and names[p-1] from 1 on
	otherPlace   place = mostBackends + 1 // one that is not in names
	movedMark    place = 1 << 15
)

func (p place) backend() place { return p &^ movedMark }

// hears reports whether the heads of responses have anything to say to the shard.
func (s *shard) hears() bool {
	return s.p.cfg.Affinity.By != NoAffinity || s.p.cfg.Target.Jar != nil
}

// head is told of each response.
func (s *shard) head(v target.Vars, h stream.ResponseHead) {
	if s.where.of != nil && !h.Send && h.Status == 200 && !s.frozen {
		id := v.Client - s.first
		s.where.locate(id, s.backend(v, h))
		s.compare(id)
	}
	if jar := s.p.cfg.Target.Jar; jar != nil {
		jar.Keep(v.Client, h.URL, h.Fields)
	}
}

// backend is the name of that which h comes from; empty when it does not show.
func (s *shard) backend(v target.Vars, h stream.ResponseHead) string {
	name := s.p.cfg.Affinity.Name
	if s.p.cfg.Affinity.By == AffinityByHeader {
		for field, value := range h.Fields {
			if bytes.EqualFold(field, []byte(name)) {
				return string(value)
			}
		}
		return ""
	}
	for _, c := range target.SetCookies(h.Fields) {
		if gone := !c.Expires.IsZero() && c.Expires.Before(time.Now()); c.Name == name && c.MaxAge >= 0 && (!gone || c.MaxAge > 0) {
			return c.Value
		}
	}
	sent, _ := s.p.cfg.Target.Subscribe.CookieNamed(name, v, h.URL)
	return sent
}

// locate notes that client id is on the backend called name.
func (w *whereabouts) locate(id int, name string) {
	before, now := w.of[id], w.placeOf(name)
	if now == unknownPlace {
		return
	}
	mark := before & movedMark
	if b := before.backend(); b != unknownPlace && b != now {
		mark = movedMark
	}
	w.of[id] = now | mark
}

// compare notes whether client id, who is about to open, is elsewhere than another of
// its room who is open. Backends beyond those with a name are taken for different ones.
func (s *shard) compare(id int) {
	at := s.where.of[id].backend()
	for other, to := s.members(id); other < to && at != unknownPlace; other++ {
		if s.clients[other].state != isOpen || other == id {
			continue
		}
		if there := s.where.of[other].backend(); there != unknownPlace && (there != at || at == otherPlace) {
			s.where.split[id/s.p.cfg.RoomSize] = true
			return
		}
	}
}

func (w *whereabouts) placeOf(name string) place {
	if name == "" {
		return unknownPlace
	}
	name = name[:min(len(name), longestBackend)]
	i := slices.Index(w.names, name)
	switch {
	case i >= 0:
	case len(w.names) == mostBackends:
		return otherPlace
	default:
		i = len(w.names)
		w.names = append(w.names, name)
	}
	return place(i + 1)
}

// findWhereabouts enters where the clients that opened are. lost is told of the copies
// that they lost afterwards.
func (s *shard) findWhereabouts() {
	if s.where.of == nil {
		return
	}
	b := &s.recorder.Backends
	for r := range s.rooms {
		from, to := s.members(r * s.p.cfg.RoomSize)
		any := false
		for id := from; id < to; id++ {
			if s.clients[id].opened() {
				any = true
				s.count(s.where.of[id])
			}
		}
		if any {
			b.Rooms++
		}
		if s.where.split[r] {
			b.Split++
		}
	}
}

// count enters a client that is at p.
func (s *shard) count(p place) {
	b := &s.recorder.Backends
	switch at := p.backend(); at {
	case unknownPlace:
		b.Unknown++
	case otherPlace:
		b.Other++
	default:
		b.Clients[s.where.names[at-1]]++
	}
	if p&movedMark != 0 {
		b.Moved++
	}
}

// lost enters copies that client id lost.
func (s *shard) lost(id int, copies int64) {
	switch {
	case s.where.of == nil:
	case s.where.split[id/s.p.cfg.RoomSize]:
		s.recorder.Backends.LostInSplit += copies
	default:
		s.recorder.Backends.LostElsewhere += copies
	}
}

// merge adds o, a shard's, to b. Names beyond the bound become others.
func (b *Backends) merge(o *Backends) {
	for name, clients := range o.Clients {
		if _, known := b.Clients[name]; !known && len(b.Clients) == mostBackends {
			b.Other += clients
			continue
		}
		b.Clients[name] += clients
	}
	b.Other += o.Other
	b.Unknown += o.Unknown
	b.Rooms += o.Rooms
	b.Split += o.Split
	b.Moved += o.Moved
	b.LostInSplit += o.LostInSplit
	b.LostElsewhere += o.LostElsewhere
}
