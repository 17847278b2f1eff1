package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// findings prints the tables of the 2014 findings, then details, then the lines
// that a reader must not miss.
type findings struct{}

func (findings) Name() string { return "findings" }

func (findings) Description() string {
	return "the findings tables, then details; for a terminal"
}

func (findings) Render(w io.Writer, f *result.File, o Options) error {
	var b strings.Builder
	blocks := []string{}
	for _, t := range tables(f) {
		text, err := fit(t.summary(), o.Width)
		if err != nil {
			return err
		}
		if note := t.generatorNote(); note != "" {
			text += "\n" + wrap(note, o.Width) + "\n"
		}
		blocks = append(blocks, text)
		outlines, err := t.outlines(o.Width)
		if err != nil {
			return err
		}
		if outlines != "" {
			blocks = append(blocks, outlines)
		}
		details, err := t.details(o.Width, plain)
		if err != nil {
			return err
		}
		for i := range details {
			details[i] = o.paintTable(details[i], detailStyle)
		}
		blocks = append(blocks, details...)
		thresholds, err := t.thresholds(o.Width, plain)
		if err != nil {
			return err
		}
		for i := range thresholds {
			thresholds[i] = o.paintTable(thresholds[i], verdictStyle)
		}
		blocks = append(blocks, thresholds...)
		backends, err := t.backends(o.Width, plain)
		if err != nil {
			return err
		}
		blocks = append(blocks, backends...)
		costs, err := t.costs(f, plain)
		if err != nil {
			return err
		}
		for i := range costs {
			if !strings.HasPrefix(costs[i], "|") {
				costs[i] = wrap(strings.TrimSuffix(costs[i], "\n"), o.Width) + "\n"
			}
		}
		blocks = append(blocks, costs...)
		profiles, err := t.terminalProfiles(o.Width)
		if err != nil {
			return err
		}
		blocks = append(blocks, profiles...)
	}
	if len(f.Runs) == 0 {
		blocks = append(blocks, "no runs\n")
	}
	b.WriteString(strings.Join(blocks, "\n"))
	lines := remarks(f)
	if len(lines) > 0 {
		b.WriteByte('\n')
	}
	for _, l := range lines {
		b.WriteString(o.paintRemark(l, wrap(l.String(), o.Width)) + "\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	return nil
}

// fit renders a findings table. One that is wider than the terminal loses the
// columns that say the same in every row to a line above it.
func fit(g grid, limit int) (string, error) {
	text, err := g.render(plain)
	if err != nil || limit <= 0 || width(text) <= limit {
		return text, err
	}
	kept, caption := g.lift()
	text, err = kept.render(plain)
	if err != nil || caption == "" {
		return text, err
	}
	return wrap(caption, limit) + "\n\n" + text, nil
}

// table is one of the two findings tables, with the runs that it shows.
type table struct {
	rooms bool // table 2: messages were sent; otherwise table 1
	rows  []row
}

type row struct {
	run  *result.Run
	host string // name of the machine that generated the load
	name string // what the run is called among the others
}

// tables sorts the runs into the findings tables. A scenario that is in neither
// counts by whether it sent anything.
func tables(f *result.File) []table {
	connect, rooms := table{}, table{rooms: true}
	for i := range f.Runs {
		r := row{run: &f.Runs[i], host: f.SourceOf(i).Host.Name}
		if sends(r.run) {
			rooms.rows = append(rooms.rows, r)
		} else {
			connect.rows = append(connect.rows, r)
		}
	}
	var out []table
	for _, t := range []table{connect, rooms} {
		if len(t.rows) > 0 {
			t.nameRows()
			out = append(out, t)
		}
	}
	return out
}

// step is the name of the run's step of a plan, to stand before what else it is called,
// where a run of another step would be called the same; else empty.
func (t table) step(run *result.Run) string {
	if run.Step == nil {
		return ""
	}
	alike := func(a, b *result.Run) bool {
		return a.Params.Clients == b.Params.Clients && open(a) == open(b) &&
			same(iterations(a), iterations(b)) && same(a.Params.Rate, b.Params.Rate)
	}
	if t.any(func(other *result.Run) bool { return alike(run, other) && !same(run.Step, other.Step) }) {
		return *run.Step + ": "
	}
	return ""
}

// same reports whether two values that may be unknown are the same.
func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// nameRows calls each run by what distinguishes it: clients, or clients and
// iterations or the arrival rate, and a number where that is not enough, which is that
// of the repetition unless another record's run has it.
func (t table) nameRows() {
	times, taken := map[string]int{}, map[string]bool{}
	for i := range t.rows {
		r := &t.rows[i]
		plain := t.step(r.run) + shape(r.run)
		r.name = plain
		times[plain]++
		n := times[plain]
		if again := r.run.Repetition; again != nil {
			n = *again
		}
		if n > 1 || r.run.Repetition != nil {
			r.name = plain + " #" + strconv.Itoa(n)
		}
		for taken[r.name] {
			n++
			r.name = plain + " #" + strconv.Itoa(n)
		}
		taken[r.name] = true
	}
}

// shape is what distinguishes a run from others of its scenario.
func shape(r *result.Run) string {
	name := strconv.Itoa(r.Params.Clients)
	if !sends(r) {
		return name
	}
	if n := iterations(r); n != nil {
		name += " × " + strconv.Itoa(*n)
	}
	if offered := r.Params.Rate; open(r) && offered != nil {
		name += " @ " + perSecond(*offered)
	}
	return name
}

// sends tells whether a run is one of those that send messages.
func sends(r *result.Run) bool {
	return r.Scenario == "rooms" || r.Scenario != "connect" && r.Delivery != nil
}

// open tells whether messages were sent at an arrival rate, whatever became of
// those before.
func open(r *result.Run) bool { return r.Params.Model != nil && *r.Params.Model == "open" }

// iterations is how many were asked for or, when only time bounded them, begun.
// The open model has none.
func iterations(r *result.Run) *int {
	if open(r) {
		return nil
	}
	if r.Params.Iterations != nil && r.Params.DurationNS == nil {
		return r.Params.Iterations
	}
	if r.Delivery != nil {
		return r.Delivery.Iterations
	}
	return nil
}

// question is what the table answers.
func (t table) question() string {
	if t.rooms {
		return "How long does a message take to reach everyone in its room?"
	}
	return "How long does it take to connect clients?"
}

// summary is the findings table, column for column; before them, where only the steps of
// a plan tell its rows apart, is that of the steps.
func (t table) summary() grid {
	var g grid
	if t.rooms {
		g.columns = []column{
			{head: "Type", words: true}, {head: "Test", words: true}, {head: "Machine", words: true},
			{head: "Senders", words: true}, {head: "Clients", right: true}, {head: "Iterat.", right: true},
			{head: "Avg Time", right: true}, {head: "Total", right: true}, {head: "CPU Avg", right: true},
			{head: "#Msg", right: true},
		}
	} else {
		g.columns = []column{
			{head: "Type", words: true}, {head: "Test", words: true}, {head: "Machine", words: true},
			{head: "Number Clients", right: true}, {head: "Time in seconds"},
			{head: "Protocol", words: true}, {head: "Env", words: true},
		}
	}
	for _, r := range t.rows {
		if t.rooms {
			g.rows = append(g.rows, r.roomsCells())
		} else {
			g.rows = append(g.rows, r.connectCells())
		}
	}
	if t.any(func(r *result.Run) bool { return t.step(r) != "" }) {
		g.columns = slices.Insert(g.columns, 0, column{head: "Step", words: true})
		for i, r := range t.rows {
			g.rows[i] = slices.Insert(g.rows[i], 0, known(r.run.Step, func(name string) string { return name }))
		}
	}
	return g
}

func (r row) connectCells() []string {
	return []string{
		r.run.Labels.Type, r.test(), r.machine(), strconv.Itoa(r.run.Params.Clients),
		known(r.run.Connect.ElapsedNS, func(ns int64) string { return seconds(float64(ns)) + " S" }),
		r.run.Labels.Protocol, r.run.Labels.Env,
	}
}

func (r row) roomsCells() []string {
	average, messages := unknown, unknown
	if d := r.run.Delivery; d != nil {
		average = known(d.Latency.MeanNS, func(ns float64) string { return seconds(ns) + " s" })
		messages = strconv.FormatInt(d.Received, 10)
	}
	cpu, mark := averageCPU(r.run)
	return []string{
		r.run.Labels.Type, r.test(), r.machine(),
		known(r.run.Params.SendersPerRoom, func(n int) string { return strconv.Itoa(n) + " per room" }),
		strconv.Itoa(r.run.Params.Clients), known(iterations(r.run), strconv.Itoa),
		average, seconds(float64(r.run.TotalNS)) + " s", known(cpu, percent) + mark, messages,
	}
}

// test is the findings' word for what a run did.
func (r row) test() string {
	switch r.run.Scenario {
	case "connect":
		return "Create Clients"
	case "rooms":
		return "Send Msg"
	default:
		return r.run.Scenario
	}
}

func (r row) machine() string {
	if r.run.Labels.Machine != "" {
		return r.run.Labels.Machine
	}
	return r.host
}

// averageCPU is the target's CPU or, marked, the generator's where the target's
// is unknown.
func averageCPU(r *result.Run) (cpu *float64, mark string) {
	switch {
	case r.TargetProcess.CPUPercent != nil:
		return r.TargetProcess.CPUPercent, ""
	case r.Generator.CPUPercent != nil:
		return r.Generator.CPUPercent, " †"
	default:
		return nil, ""
	}
}

// generatorNote explains the mark of averageCPU, if the table has one.
func (t table) generatorNote() string {
	if !t.rooms {
		return ""
	}
	for _, r := range t.rows {
		if _, mark := averageCPU(r.run); mark != "" {
			return "† CPU of the load generator: the target's process could not be observed."
		}
	}
	return ""
}
