package report

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// The words for what became of a threshold.
const (
	held     = "held"
	notHeld  = "FAILED"
	notKnown = "unknown" // which counts as failed
)

// thresholds are tables of what became of the thresholds, where there were any. What
// came out the same in all runs has one row.
func (t table) thresholds(limit int, escape func(string) string) ([]string, error) {
	judged := table{rooms: t.rooms}
	for _, r := range t.rows {
		if len(r.run.Thresholds) > 0 {
			judged.rows = append(judged.rows, r)
		}
	}
	if len(judged.rows) == 0 {
		return nil, nil
	}
	if limit <= 0 || limit > detailWidth {
		limit = detailWidth
	}
	all := judged.verdicts()
	wide := grid{columns: []column{{head: "Threshold"}, {head: judged.shape()}, {head: "actual", right: true}, {head: "verdict"}}}
	for _, v := range all {
		for _, row := range v.rows {
			wide.rows = append(wide.rows, append([]string{v.name}, row...))
		}
	}
	text, err := wide.render(escape)
	if err != nil || width(text) <= limit && len(judged.rows) > 1 {
		return []string{text}, err
	}
	return narrowVerdicts(all, len(judged.rows) > 1, escape)
}

// narrowVerdicts are a table of the thresholds that came out the same in all runs, and one
// for each of the others.
func narrowVerdicts(all []verdictRows, several bool, escape func(string) string) ([]string, error) {
	table := func(head string) grid {
		return grid{columns: []column{{head: head}, {head: "actual", right: true}, {head: "verdict"}}}
	}
	same := table("Threshold")
	if several {
		same.columns[0].head += ", in all runs"
	}
	var grids []grid
	for _, v := range all {
		if v.same {
			same.rows = append(same.rows, append([]string{v.name}, v.rows[0][1:]...))
			continue
		}
		one := table(v.name)
		one.rows = v.rows
		grids = append(grids, one)
	}
	if len(same.rows) > 0 {
		grids = append(grids, same)
	}
	var out []string
	for _, g := range grids {
		text, err := g.render(escape)
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

// verdictRows are the rows of a threshold: run, actual and verdict.
type verdictRows struct {
	name string
	same bool // in all runs: there is one row
	rows [][]string
}

// verdicts has the thresholds in the order in which they first come.
func (t table) verdicts() []verdictRows {
	var names []string
	for _, r := range t.rows {
		for _, v := range r.run.Thresholds {
			if !slices.Contains(names, v.Threshold) {
				names = append(names, v.Threshold)
			}
		}
	}
	all := make([]verdictRows, len(names))
	for i, name := range names {
		all[i] = t.verdictsOn(name)
	}
	return all
}

func (t table) verdictsOn(name string) verdictRows {
	var rows [][]string
	same := true
	for _, r := range t.rows {
		i := slices.IndexFunc(r.run.Thresholds, func(v result.Verdict) bool { return v.Threshold == name })
		if i < 0 {
			continue // of another series
		}
		v := &r.run.Thresholds[i]
		row := []string{r.name, Actual(v), verdict(v)}
		same = same && (len(rows) == 0 || slices.Equal(rows[0][1:], row[1:]))
		rows = append(rows, row)
	}
	if same = same && len(rows) == len(t.rows); same {
		rows = rows[:1]
		rows[0][0] = "all"
	}
	return verdictRows{name: shortened(name), same: same, rows: rows}
}

func verdict(v *result.Verdict) string {
	switch {
	case v.Held:
		return held
	case v.Actual == nil:
		return notKnown
	}
	return notHeld
}

// Actual is what a threshold's figure was, in words as the tables have them, with more
// digits where it would look like the limit else.
func Actual(v *result.Verdict) string {
	if v.Actual == nil {
		return unknown
	}
	text := Amount(*v.Actual, v.Unit)
	if *v.Actual != v.Limit && text == Amount(v.Limit, v.Unit) {
		return exactly(*v.Actual, v.Unit)
	}
	return text
}

// Amount is a value in a unit, as a [result.Verdict] names it, in words as the tables
// have them.
func Amount(v float64, unit string) string {
	switch unit {
	case "ns":
		return duration(v)
	case "bytes":
		return size(v)
	case "percent":
		return percent(v)
	case "per second":
		return rate(v) + "/s"
	}
	if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
		return significant(v, 3)
	}
	return count(int64(v))
}

// exactly is Amount with all the digits that tell.
func exactly(v float64, unit string) string {
	switch unit {
	case "ns":
		return time.Duration(v).String()
	case "bytes":
		return count(int64(v)) + " B"
	case "percent":
		return strconv.FormatFloat(v, 'f', -1, 64) + " %"
	case "per second":
		return strconv.FormatFloat(v, 'f', -1, 64) + "/s"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
