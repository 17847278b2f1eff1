package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// known is a run with where it came from.
type known struct {
	run    *result.Run
	source result.Source
}

func runsOf(files []*result.File) []known {
	var all []known
	for _, f := range files {
		for i := range f.Runs {
			all = append(all, known{&f.Runs[i], f.SourceOf(i)})
		}
	}
	return all
}

// Unmatched is a row that one side alone has.
type Unmatched struct {
	Side string `json:"side"` // "base" or "new"
	Name string `json:"name"`
	Runs int    `json:"runs"`
	// Nearest says what sets it apart from the row of the other side that is most like
	// it; empty when none is like it.
	Nearest string `json:"nearest"`
}

// pair is a row on both sides.
type pair struct {
	name        string
	base, fresh []known
	differences []string
}

// asked is what was asked of runs: those of one key are repetitions.
type asked struct {
	key    string
	runs   []known
	fields map[string]string // of the key
}

// longestMarker is the most bytes of a message that was not padded: its length follows
// from how many clients and messages there are, and from the time.
const longestMarker = 70

// fieldsOf is what was asked of a run, flat.
func fieldsOf(r *result.Run) map[string]string {
	p := r.Params
	if p.PayloadBytes != nil && *p.PayloadBytes < longestMarker {
		p.PayloadBytes = nil
	}
	fields := map[string]string{"scenario": r.Scenario, "type": r.Labels.Type, "protocol": r.Labels.Protocol}
	if r.Step != nil {
		fields["step"] = *r.Step
	}
	var flat map[string]any
	text, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(text, &flat)
	}
	if err != nil { // a number that JSON does not know; such a record cannot be read either
		fields["params"] = fmt.Sprint(p)
	}
	for name, v := range flat {
		switch v := v.(type) {
		case nil:
		case float64:
			fields[name] = strconv.FormatFloat(v, 'f', -1, 64)
		default:
			fields[name] = fmt.Sprint(v)
		}
	}
	return fields
}

func rowsOf(runs []known) []asked {
	var rows []asked
	for _, k := range runs {
		fields := fieldsOf(k.run)
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			fmt.Fprintf(&b, "%q=%q ", name, fields[name])
		}
		key := b.String()
		at := slices.IndexFunc(rows, func(r asked) bool { return r.key == key })
		if at < 0 {
			at = len(rows)
			rows = append(rows, asked{key: key, fields: fields})
		}
		rows[at].runs = append(rows[at].runs, k)
	}
	return rows
}

// only reports whether nothing of n is so but the one at i.
func only(n, i int, so func(int) bool) bool {
	for k := range n {
		if k != i && so(k) {
			return false
		}
	}
	return true
}

// match finds the rows that both sides have, in the order of the base, and those that
// one alone has. Rows left over that differ only in what follows from where the server
// is, or in what it is called, are matched all the same, and that is said.
func match(base, fresh []known) ([]pair, []Unmatched) {
	one, other := rowsOf(base), rowsOf(fresh)
	partner := make([]int, len(one)) // in other
	taken := make([]bool, len(other))
	for i := range one {
		partner[i] = slices.IndexFunc(other, func(r asked) bool { return r.key == one[i].key })
		if partner[i] >= 0 {
			taken[partner[i]] = true
		}
	}
	// Of several that it may be, on either side, which one it is cannot be known.
	free := func(i, j int) bool { return partner[i] < 0 && !taken[j] && alike(one[i].fields, other[j].fields) }
	var found [][2]int
	for i := range one {
		for j := range other {
			if free(i, j) && only(len(other), j, func(k int) bool { return free(i, k) }) && only(len(one), i, func(k int) bool { return free(k, j) }) {
				found = append(found, [2]int{i, j})
			}
		}
	}
	for _, f := range found {
		partner[f[0]], taken[f[1]] = f[1], true
	}
	var alone []asked
	for j, r := range other {
		if !taken[j] {
			alone = append(alone, r)
		}
	}
	names := nameRows(one, alone)
	var pairs []pair
	var rest []Unmatched
	for i, r := range one {
		if j := partner[i]; j >= 0 {
			pairs = append(pairs, pair{names[r.key], r.runs, other[j].runs, differences(r.fields, other[j].fields)})
		} else {
			rest = append(rest, Unmatched{"base", names[r.key], len(r.runs), nearest(r, other)})
		}
	}
	for _, r := range alone {
		rest = append(rest, Unmatched{"new", names[r.key], len(r.runs), nearest(r, one)})
	}
	return pairs, rest
}

// lenient are the fields in which rows may differ and still be compared: what a server
// is called, and defaults that follow from where it is.
//
//nolint:gochecknoglobals // a constant table
var lenient = []string{"type", "protocol", "send_connections", "connect_concurrency"}

func alike(a, b map[string]string) bool {
	for _, name := range differing(a, b) {
		if !slices.Contains(lenient, name) {
			return false
		}
	}
	return true
}

// differing are the names of the fields that are not the same, in order.
func differing(a, b map[string]string) []string {
	var names []string
	for name := range a {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func differences(a, b map[string]string) []string {
	var out []string
	for _, name := range differing(a, b) {
		out = append(out, fmt.Sprintf("%s is %s in the base and %s in the new", name, orNone(a[name]), orNone(b[name])))
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// nearest says what sets a row apart from the one of others that is most like it.
func nearest(r asked, others []asked) string {
	var best []string
	var of asked
	for _, o := range others {
		d := differing(r.fields, o.fields)
		same := rowName(r.runs[0].run) == rowName(o.runs[0].run)
		if o.fields["scenario"] == r.fields["scenario"] && (best == nil || same || len(d) < len(best)) {
			best, of = d, o
			if same {
				break
			}
		}
	}
	var words []string
	for _, name := range best {
		words = append(words, fmt.Sprintf("%s is %s, not %s", name, orNone(r.fields[name]), orNone(of.fields[name])))
	}
	return strings.Join(words, ", ")
}

// nameRows gives each row a name, by its key: what tables call it, and what else it
// takes to tell it from the others.
func nameRows(sides ...[]asked) map[string]string {
	names := map[string]string{}
	alsoCalled := map[string][]asked{}
	for _, rows := range sides {
		for _, r := range rows {
			if _, again := names[r.key]; !again {
				name := rowName(r.runs[0].run)
				names[r.key] = name
				alsoCalled[name] = append(alsoCalled[name], r)
			}
		}
	}
	for _, rows := range alsoCalled {
		apart := map[string]bool{}
		for _, r := range rows[1:] {
			for _, field := range differing(rows[0].fields, r.fields) {
				apart[field] = true
			}
		}
		for _, r := range rows {
			for _, field := range slices.Sorted(maps.Keys(apart)) {
				names[r.key] += fmt.Sprintf(", %s %s", field, orNone(r.fields[field]))
			}
		}
	}
	return names
}

func rowName(r *result.Run) string {
	name := r.Scenario + " " + strconv.Itoa(r.Params.Clients)
	switch p := &r.Params; {
	case p.Rate != nil:
		name += " @ " + strconv.FormatFloat(*p.Rate, 'g', 6, 64) + "/s"
	case p.Iterations != nil && *p.Iterations > 0:
		name += " × " + strconv.Itoa(*p.Iterations)
	case p.DurationNS != nil:
		name += " for " + time.Duration(*p.DurationNS).String()
	}
	return name
}

// doubts say why the figures of runs may not be trusted.
func doubts(side string, runs []known) []string {
	var interrupted, overloaded int
	var why string
	var out []string
	for _, k := range runs {
		if k.run.Interrupted {
			interrupted++
		}
		if over := k.run.Generator.Overloaded; over != nil && *over {
			if overloaded++; why == "" && k.run.Generator.OverloadReason != nil {
				why = ": " + *k.run.Generator.OverloadReason
			}
		}
		if k.run.Aborted != nil {
			out = append(out, fmt.Sprintf("a %s run was aborted: %s", side, *k.run.Aborted))
		}
	}
	if interrupted > 0 {
		out = append(out, fmt.Sprintf("%d of %d %s runs were interrupted, their figures are partial", interrupted, len(runs), side))
	}
	if overloaded > 0 {
		out = append(out, fmt.Sprintf("the generator was overloaded in %d of %d %s runs%s", overloaded, len(runs), side, why))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// apart is by how much time two sides may be apart and still be of one occasion.
const apart = time.Hour

// warnings are what else differs between the sides.
func warnings(base, fresh []known) []string {
	var out []string
	for _, what := range []struct {
		name string
		of   func(known) string
	}{
		{"the machine that made the load", func(k known) string {
			h := k.source.Host
			text := fmt.Sprintf("%s (%s/%s, %d cores", h.Name, h.OS, h.Arch, h.Cores)
			if h.CPUModel != nil {
				text += ", " + *h.CPUModel
			}
			return text + ")"
		}},
		{"the kernel", func(k known) string {
			if k.source.Host.Kernel == nil {
				return "unknown"
			}
			return *k.source.Host.Kernel
		}},
		{"sseload", func(k known) string { return k.source.Tool.Version + " (commit " + k.source.Tool.Commit + ")" }},
		{"the engine", func(k known) string { return k.run.Engine }},
	} {
		one, other := values(base, what.of), values(fresh, what.of)
		if !slices.Equal(one, other) {
			out = append(out, fmt.Sprintf("%s is not the same: %s in the base, %s in the new", what.name, strings.Join(one, " and "), strings.Join(other, " and ")))
		}
	}
	first, last := span(base)
	from, to := span(fresh)
	if gap := max(from.Sub(last), first.Sub(to)); gap > apart && !first.IsZero() && !from.IsZero() {
		out = append(out, fmt.Sprintf("the sides were made %s apart: what else changed on the machine in between counts as change", gap.Round(time.Minute)))
	}
	return out
}

// values are the different ones that the runs have, sorted.
func values(runs []known, of func(known) string) []string {
	var all []string
	for _, k := range runs {
		all = append(all, of(k))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// span is when the first and the last of the runs began.
func span(runs []known) (first, last time.Time) {
	for i, k := range runs {
		at := k.run.StartedAt
		if i == 0 || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last
}
