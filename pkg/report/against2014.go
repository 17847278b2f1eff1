package report

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// against2014 puts the rows of the 2014 findings beside the measured ones.
type against2014 struct{}

func (against2014) Name() string { return "against-2014" }

func (against2014) Description() string {
	return "the rows of the 2014 findings beside the new ones, as markdown"
}

func (against2014) Render(w io.Writer, f *result.File, _ Options) error {
	d := document{}
	d.add("# Against the findings of 2014")
	quiet := func(r remark) bool { return !r.loud() }
	d.add(bullets(slices.DeleteFunc(remarks(f), quiet)))
	d.add(source2014, "New:")
	d.origins(f)
	for _, t := range tables(f) {
		g, note := t.connectsAgainst2014()
		if t.rooms {
			g, note = t.roomsAgainst2014()
		}
		text, err := g.render(escapeMarkdown)
		if err != nil {
			return err
		}
		d.add("## "+t.question(), text, note, t.generatorNote())
	}
	if len(f.Runs) == 0 {
		d.add("No runs.")
	}
	return d.write(w)
}

const ratioNote = "Ratio: the figure of 2014 divided by the new one."

func (t table) connectsAgainst2014() (grid, string) {
	g := grid{columns: []column{
		{head: "Number Clients", right: true},
		{head: "2014", right: true}, {head: "New", right: true}, {head: "Ratio", right: true},
	}}
	var rows []compared
	add := func(clients int, old *float64, now *int64) {
		rows = append(rows, compared{clients: clients, cells: []string{
			strconv.Itoa(clients),
			known(old, func(v float64) string { return asPrinted(v) + " S" }),
			known(now, func(ns int64) string { return seconds(float64(ns)) + " S" }),
			times(old, now),
		}})
	}
	shown := map[*result.Run]bool{}
	for _, old := range connects2014() {
		found := false
		for _, r := range t.rows {
			if r.run.Params.Clients == old.clients {
				found, shown[r.run] = true, true
				add(old.clients, &old.seconds, r.run.Connect.ElapsedNS)
			}
		}
		if !found {
			add(old.clients, &old.seconds, nil)
		}
	}
	for _, r := range t.rows {
		if !shown[r.run] {
			add(r.run.Params.Clients, nil, r.run.Connect.ElapsedNS)
		}
	}
	g.rows = inOrder(rows)
	return g, ratioNote
}

func (t table) roomsAgainst2014() (grid, string) {
	g := grid{columns: []column{
		{head: "Senders"}, {head: "Clients", right: true}, {head: "Iterat.", right: true},
		{head: "Avg Time 2014", right: true}, {head: "New", right: true}, {head: "Ratio", right: true},
		{head: "Total 2014", right: true}, {head: "New", right: true}, {head: "Ratio", right: true},
		{head: "CPU Avg 2014", right: true}, {head: "New", right: true},
		{head: "#Msg 2014", right: true}, {head: "New", right: true},
	}}
	var rows []compared
	add := func(old *rooms2014, r *row) {
		c := compared{}
		cells := slices.Repeat([]string{unknown}, len(g.columns))
		var oldAverage, oldTotal, average, total *float64
		if old != nil {
			cells[0], cells[1], cells[2] = "1 per room", strconv.Itoa(old.clients), strconv.Itoa(old.iterations)
			cells[3] = asPrinted(old.average) + " s"
			cells[6] = asPrinted(old.total) + " s"
			cells[9] = asPrinted(old.cpu) + " %"
			cells[11] = strconv.FormatInt(old.messages, 10)
			oldAverage, oldTotal = &old.average, &old.total
			c.clients, c.iterations = old.clients, old.iterations
		}
		if r != nil {
			now := r.roomsCells()
			cells[0], cells[1], cells[2] = now[3], now[4], now[5]
			cells[4], cells[7], cells[10], cells[12] = now[6], now[7], now[8], now[9]
			if r.run.Delivery != nil {
				average = r.run.Delivery.Latency.MeanNS
			}
			total = new(float64(r.run.TotalNS))
			c.clients = r.run.Params.Clients
			if n := iterations(r.run); n != nil {
				c.iterations = *n
			}
		}
		cells[5], cells[8] = times(oldAverage, average), times(oldTotal, total)
		c.cells = cells
		rows = append(rows, c)
	}

	shown := map[*result.Run]bool{}
	for _, old := range allRooms2014() {
		found := false
		for _, r := range t.rows {
			if same2014(r.run, old) {
				found, shown[r.run] = true, true
				add(&old, &r)
			}
		}
		if !found {
			add(&old, nil)
		}
	}
	var pauses []string
	for _, r := range t.rows {
		if !shown[r.run] {
			add(nil, &r)
		}
		if open(r.run) {
			continue
		}
		p := "none"
		if n := r.run.Params.IntervalNS; n > 0 {
			p = durationNS(n)
		}
		if !slices.Contains(pauses, p) {
			pauses = append(pauses, p)
		}
	}
	g.rows = inOrder(rows)
	if len(pauses) == 0 {
		return g, ratioNote
	}
	return g, ratioNote + " Total holds the pauses between iterations: about 1 s in 2014, " +
		strings.Join(pauses, " or ") + " in the new runs."
}

// compared is a row of a comparison with what orders it.
type compared struct {
	clients, iterations int
	cells               []string
}

// inOrder sorts by size; of the same size, those of 2014 stay first.
func inOrder(rows []compared) [][]string {
	slices.SortStableFunc(rows, func(a, b compared) int {
		return cmp.Or(cmp.Compare(a.clients, b.clients), cmp.Compare(a.iterations, b.iterations))
	})
	var out [][]string
	for _, r := range rows {
		out = append(out, r.cells)
	}
	return out
}

// same2014 tells whether a run measured what a row of 2014 did: with a server that
// did its best, and clients that did too.
func same2014(r *result.Run, old rooms2014) bool {
	p := r.Params
	return p.Clients == old.clients && p.Iterations != nil && *p.Iterations == old.iterations &&
		p.SendersPerRoom != nil && *p.SendersPerRoom == 1 && p.RoomSize != nil && *p.RoomSize == 6 &&
		p.SlowClients == nil && len(r.Target.Faults) == 0
}

// asPrinted writes a figure of 2014 with the digits of its document.
func asPrinted(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// times is how many times a number of seconds is a number of nanoseconds.
func times[T int64 | float64](oldSeconds *float64, nowNS *T) string {
	if oldSeconds == nil || nowNS == nil || *nowNS <= 0 {
		return unknown
	}
	return ratio(*oldSeconds * 1e9 / float64(*nowNS))
}
