package scenarios

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
)

// recordAffinity enters how the clients spread over backends, if that was asked for.
func (s *session) recordAffinity(t *load.Totals) {
	asked, b := s.ask.Affinity, &t.Backends
	if asked.By == load.NoAffinity {
		return
	}
	out := &result.Affinity{
		By: asked.By.String(), Name: asked.Name, Backends: []result.Backend{},
		Other: b.Other, Unknown: b.Unknown, Rooms: b.Rooms, RoomsSplit: b.Split, Moved: b.Moved,
	}
	if !s.site.Target.AddressesRooms() {
		out.Rooms, out.RoomsSplit = 0, 0 // there are none
	}
	for _, name := range slices.Sorted(maps.Keys(b.Clients)) {
		out.Backends = append(out.Backends, result.Backend{Name: name, Clients: b.Clients[name]})
	}
	slices.SortStableFunc(out.Backends, func(a, b result.Backend) int { return cmp.Compare(b.Clients, a.Clients) })
	s.run.Affinity = out
}
