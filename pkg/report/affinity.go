package report

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/sseload/sseload/pkg/result"
)

const (
	// mostBackends is how many backends have a row; the record has more.
	mostBackends = 20
	// longestBackend bounds their names, in characters, so that a run fits beside them.
	longestBackend = 40
)

// backends are tables of how many clients each backend had, one run a column, where any
// run asked for that.
func (t table) backends(limit int, escape func(string) string) ([]string, error) {
	asked := table{rooms: t.rooms}
	for _, r := range t.rows {
		if r.run.Affinity != nil {
			asked.rows = append(asked.rows, r)
		}
	}
	lines := asked.backendLines()
	return asked.blocks(limit, escape, func(rows []row) grid {
		g := grid{columns: []column{{head: "Backend"}}}
		for _, r := range rows {
			g.columns = append(g.columns, column{head: r.name, right: true})
		}
		for _, l := range lines {
			cells := []string{l.name}
			for _, r := range rows {
				cells = append(cells, l.value(r.run))
			}
			g.rows = append(g.rows, cells)
		}
		return g
	})
}

// backendLines has a row for each backend, those with the most clients first, one for
// the backends beyond mostBackends, and one for the clients of which it does not show.
func (t table) backendLines() []metric {
	totals := map[string]int{}
	for _, r := range t.rows {
		for _, b := range r.run.Affinity.Backends {
			totals[b.Name] += b.Clients
		}
	}
	var names []string
	for name := range totals {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(totals[b], totals[a]), cmp.Compare(a, b)) })
	shown := names[:min(len(names), mostBackends)]
	var lines []metric
	for _, name := range shown {
		lines = append(lines, metric{shortened(clean(name)), func(r *result.Run) string {
			return count(clientsOn(r.Affinity, func(n string) bool { return n == name }))
		}})
	}
	if len(names) > len(shown) || t.any(func(r *result.Run) bool { return r.Affinity.Other > 0 }) {
		lines = append(lines, metric{"other backends", func(r *result.Run) string {
			return count(int64(r.Affinity.Other) + clientsOn(r.Affinity, func(n string) bool { return !slices.Contains(shown, n) }))
		}})
	}
	if len(lines) == 0 || t.any(func(r *result.Run) bool { return r.Affinity.Unknown > 0 }) {
		lines = append(lines, metric{"unknown", func(r *result.Run) string { return count(int64(r.Affinity.Unknown)) }})
	}
	return lines
}

// clientsOn is how many clients were on the backends whose names are those asked for.
func clientsOn(a *result.Affinity, asked func(name string) bool) int64 {
	n := 0
	for _, b := range a.Backends {
		if asked(b.Name) {
			n += b.Clients
		}
	}
	return int64(n)
}

// shortened is a name of at most longestBackend characters: its beginning and its end,
// where names tend to differ.
func shortened(name string) string {
	r := []rune(name)
	if len(r) <= longestBackend {
		return name
	}
	const end = longestBackend / 2
	return string(r[:longestBackend-end-1]) + "…" + string(r[len(r)-end:])
}

// shows reports whether the backend of any client is known.
func shows(a *result.Affinity) bool { return len(a.Backends) > 0 || a.Other > 0 }

// affinityMetrics is what the spread over backends did to rooms, where any run asked.
func (t table) affinityMetrics() []metric {
	if !t.any(func(r *result.Run) bool { return r.Affinity != nil }) {
		return nil
	}
	figure := func(name string, of func(*result.Affinity) string) metric {
		return metric{name, func(r *result.Run) string {
			if r.Affinity == nil {
				return unknown
			}
			return of(r.Affinity)
		}}
	}
	m := []metric{
		figure("rooms split", func(a *result.Affinity) string {
			if !shows(a) || a.Rooms == 0 {
				return unknown
			}
			return count(int64(a.RoomsSplit)) + " of " + count(int64(a.Rooms))
		}),
	}
	if t.any(func(r *result.Run) bool {
		return r.Affinity != nil && value(r.Affinity.LostInSplitRooms)+value(r.Affinity.LostInOtherRooms) > 0
	}) {
		m = append(m,
			figure("lost in split rooms", func(a *result.Affinity) string { return known(a.LostInSplitRooms, count) }),
			figure("lost in other rooms", func(a *result.Affinity) string { return known(a.LostInOtherRooms, count) }))
	}
	if t.any(func(r *result.Run) bool { return r.Affinity != nil && r.Affinity.Moved > 0 }) {
		m = append(m, figure("backend changed", func(a *result.Affinity) string { return count(int64(a.Moved)) }))
	}
	return m
}

// affinity says which rooms span several backends, and what that explains.
func (s *speech) affinity(a *result.Affinity) {
	if a == nil {
		return
	}
	if !shows(a) {
		s.say(failure, "backends", "no response showed one, by the %s %s: is that its name?", a.By, a.Name)
		return
	}
	if a.Rooms == 0 {
		return
	}
	k, text := note, "none of "+count(int64(a.Rooms))
	if a.RoomsSplit > 0 {
		text = count(int64(a.RoomsSplit)) + " of " + count(int64(a.Rooms))
	}
	text += ", by the " + a.By + " " + a.Name
	split := value(a.LostInSplitRooms)
	if lost := split + value(a.LostInOtherRooms); lost > 0 && a.RoomsSplit > 0 {
		text += "; " + count(split) + " of " + count(lost) + " lost copies are theirs"
		if split > 0 {
			k = failure
		}
	}
	if a.Moved > 0 {
		text += "; clients that came back to another backend: " + count(int64(a.Moved))
	}
	if a.Unknown > 0 {
		text += "; clients whose backend does not show: " + count(int64(a.Unknown))
	}
	if a.Other > 0 {
		text += "; " + strconv.Itoa(len(a.Backends)) + " backends are told apart, there are more"
	}
	s.say(k, "rooms that span several backends", "%s", text)
}
