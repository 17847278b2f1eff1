package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/compare"
)

// ComparisonFormat is a way to render comparisons.
type ComparisonFormat interface {
	// Name is what the user calls the format.
	Name() string
	// Description says in a few words, lower case, what the format is for.
	Description() string
	// RenderComparisons writes all comparisons, of one base with one or more other sides,
	// to w. It does not change them. Its errors are those of w.
	RenderComparisons(w io.Writer, all []*compare.Comparison, o Options) error
}

// comparisonFormats lists every format, the default first.
func comparisonFormats() []ComparisonFormat {
	return []ComparisonFormat{
		comparisonTable{}, comparisonMarkdown{"markdown"}, comparisonCSV{}, comparisonJSON{}, comparisonJUnit{}, comparisonMarkdown{"github"},
	}
}

// LookupComparison returns the format for comparisons of that name. The error for an
// unknown name lists the known ones.
func LookupComparison(name string) (ComparisonFormat, error) {
	for _, f := range comparisonFormats() {
		if f.Name() == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("unknown output format %q: known are %s", name, strings.Join(ComparisonNames(), ", "))
}

// ComparisonNames lists the formats for comparisons, the default first.
func ComparisonNames() []string {
	var names []string
	for _, f := range comparisonFormats() {
		names = append(names, f.Name())
	}
	return names
}

// comparisonTable is for a terminal.
type comparisonTable struct{}

func (comparisonTable) Name() string { return "table" }

func (comparisonTable) Description() string {
	return "a table for each row, then what got worse or better in words; for a terminal"
}

func (comparisonTable) RenderComparisons(w io.Writer, all []*compare.Comparison, o Options) error {
	limit := o.Width
	if limit <= 0 || limit > detailWidth {
		limit = detailWidth
	}
	var blocks []string
	for _, c := range all {
		blocks = append(blocks, wrap(clean(sidesText(c)), limit)+"\n")
		for i := range c.Rows {
			row := &c.Rows[i]
			table, err := changes(row).render(plain)
			if err != nil {
				return err
			}
			text := wrap(clean(rowText(row)), limit) + "\n" + table
			for _, line := range rowRemarks(row) {
				text += wrap(clean(line.String()), limit) + "\n"
			}
			blocks = append(blocks, text)
		}
		var b strings.Builder
		for _, line := range comparisonRemarks(c) {
			b.WriteString(wrap(clean(line.String()), limit) + "\n")
		}
		blocks = append(blocks, b.String())
	}
	if _, err := io.WriteString(w, strings.Join(blocks, "\n")); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	return nil
}

// comparisonMarkdown is a document, and the same for the summary of a CI job.
type comparisonMarkdown struct{ name string }

func (m comparisonMarkdown) Name() string { return m.name }

func (m comparisonMarkdown) Description() string {
	if m.name == "github" {
		return "markdown that is added to the summary of a GitHub Actions job"
	}
	return "a document with the tables and what got worse or better"
}

func (comparisonMarkdown) RenderComparisons(w io.Writer, all []*compare.Comparison, _ Options) error {
	var d document
	d.add("# sseload compare")
	for _, c := range all {
		d.add("## "+escapeMarkdown(clean(sidesText(c))), bullets(comparisonRemarks(c)))
		for i := range c.Rows {
			row := &c.Rows[i]
			table, err := changes(row).render(escapeMarkdown)
			if err != nil {
				return err
			}
			d.add("### "+escapeMarkdown(clean(rowText(row))), bullets(rowRemarks(row)), table)
		}
	}
	return d.write(w)
}

// sidesText is what is compared with what.
func sidesText(c *compare.Comparison) string {
	return fmt.Sprintf("base %s, new %s", c.Base.Name, c.New.Name)
}

// rowText is what a row is called, and how many runs it is made of.
func rowText(row *compare.Row) string {
	return fmt.Sprintf("%s: %s in the base, %d in the new", row.Name, runsText(row.BaseRuns), row.NewRuns)
}

func runsText(n int) string {
	if n == 1 {
		return "1 run"
	}
	return strconv.Itoa(n) + " runs"
}

// changes is the table of a row: a figure a line.
func changes(row *compare.Row) grid {
	g := grid{columns: []column{{head: "Figure"}, {head: "Base", right: true}, {head: "New", right: true}, {head: "Change", right: true}}}
	for i := range row.Changes {
		c := &row.Changes[i]
		if nothing(c) {
			continue
		}
		form := unitForm(c.Unit)
		g.rows = append(g.rows, []string{c.Label, known(c.Base, form), known(c.New, form), changeText(c)})
	}
	return g
}

// nothing tells of counts, but for lost copies, that neither side has any of: they are
// not worth a line.
func nothing(c *compare.Change) bool {
	return c.Unit == "count" && c.Verdict == compare.Same && c.Base != nil && *c.Base == 0 && c.Label != "lost"
}

// unitForm writes values in a unit of figures.
func unitForm(unit string) func(float64) string {
	switch unit {
	case "ns":
		return duration
	case "bytes":
		return size
	case "percent":
		return percent
	case "per second":
		return rate
	}
	return func(v float64) string {
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return count(int64(v))
		}
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
}

// changeText writes a change, and between what bounds it lies; "~" where noise hides
// it.
func changeText(c *compare.Change) string {
	switch {
	case c.Verdict == compare.Unknown:
		return unknown
	case c.Verdict == compare.Same:
		return "="
	case c.Absolute == nil:
		return "~"
	}
	i, form, unit := c.Absolute, signed(unitForm(c.Unit)), ""
	if c.Percent != nil {
		i, form, unit = c.Percent, signed(percents), " %"
	}
	value := "~"
	if c.Verdict.Real() {
		value = form(i.Value) + unit
		if i.Lo == i.Hi {
			return value
		}
	}
	return fmt.Sprintf("%s (%s to %s%s)", value, form(i.Lo), form(i.Hi), unit)
}

// signed writes a plus before what is not negative.
func signed(form func(float64) string) func(float64) string {
	return func(v float64) string {
		switch text := form(math.Abs(v)); {
		case v < 0:
			return "-" + text
		default:
			return "+" + text
		}
	}
}

// percents writes a number of percent: one decimal below a hundred.
func percents(v float64) string {
	if v < 99.95 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return count(int64(math.Round(min(v, 1e15))))
}

// rowRemarks are what must be known of a row.
func rowRemarks(row *compare.Row) []remark {
	var all speech
	for _, text := range row.Doubts {
		all.say(validity, "doubtful", "%s", text)
	}
	if !row.Tested {
		all.say(validity, "few runs", "with fewer than %d a side, or too few for the confidence, only large changes are seen: "+
			"what may be chance is told by the spread within the runs; --repeat 5 and more see small ones", compare.LeastRuns)
	}
	for _, text := range row.Differences {
		all.say(note, "not quite the same", "%s", text)
	}
	return all
}

// comparisonRemarks are what is to be said of all rows together; the last is what came
// out.
func comparisonRemarks(c *compare.Comparison) []remark {
	var all speech
	for _, text := range c.Warnings {
		all.say(failure, "warning", "%s", text)
	}
	for _, u := range c.Unmatched {
		nearest := ""
		if u.Nearest != "" {
			nearest = "; next to it, " + u.Nearest
		}
		all.say(failure, "not compared", "%s (%s) is in the %s alone%s", u.Name, runsText(u.Runs), u.Side, nearest)
	}
	for i := range c.Findings {
		if f := &c.Findings[i]; f.State != compare.Held {
			all.say(failure, string(f.State), "%s", FindingText(f))
		}
	}
	if limits := heldEverywhere(c.Findings); len(limits) > 0 {
		all.say(note, "held", "%s", strings.Join(limits, ", "))
	}
	return append(all, outcomes(c)...)
}

// FindingText says in a line, without a full stop, what became of a limit.
func FindingText(f *compare.Finding) string {
	if f.Change == nil && f.Row != "" {
		return fmt.Sprintf("limit %s: %s is in the base alone", f.Limit, f.Row)
	}
	if f.Change == nil {
		return fmt.Sprintf("limit %s: no run of either side knows %s", f.Limit, f.Figure)
	}
	c := f.Change
	form := unitForm(c.Unit)
	if f.State == compare.Unjudged {
		text := fmt.Sprintf("limit %s: %s of %s is %s in the base and %s in the new", f.Limit, f.Figure, f.Row, known(c.Base, form), known(c.New, form))
		if c.Unknown > 0 {
			text += ", but not known in runs: " + count(int64(c.Unknown))
		}
		return text
	}
	word := "rose"
	switch {
	case *c.New == *c.Base:
		return fmt.Sprintf("limit %s: %s of %s stayed at %s", f.Limit, f.Figure, f.Row, form(*c.New))
	case *c.New < *c.Base:
		word = "fell"
	}
	return fmt.Sprintf("limit %s: %s of %s %s from %s to %s, %s", f.Limit, f.Figure, f.Row, word,
		form(*c.Base), form(*c.New), changeText(c))
}

// heldEverywhere are the limits that held in each row that they are judged in.
func heldEverywhere(all []compare.Finding) []string {
	var limits []string
	for _, f := range all {
		broken := slices.ContainsFunc(all, func(o compare.Finding) bool { return o.Limit == f.Limit && o.State != compare.Held })
		if !broken && !slices.Contains(limits, f.Limit) {
			limits = append(limits, f.Limit)
		}
	}
	return limits
}

// outcomes say what got worse and what better.
func outcomes(c *compare.Comparison) []remark {
	words := map[compare.Verdict][]string{}
	tested, hidden, unknown := 0, 0, 0
	for i := range c.Rows {
		row := &c.Rows[i]
		var at map[compare.Verdict][]string
		for k := range row.Changes {
			change := &row.Changes[k]
			if change.P != nil && change.Verdict != compare.Same {
				tested++
			}
			switch change.Verdict {
			case compare.Noise:
				hidden++
			case compare.Unknown:
				unknown++
			}
			if change.Verdict.Real() {
				if at == nil {
					at = map[compare.Verdict][]string{}
				}
				text, _, _ := strings.Cut(changeText(change), " (")
				at[change.Verdict] = append(at[change.Verdict], change.Label+" "+text)
			}
		}
		for verdict, texts := range at {
			text := strings.Join(texts, ", ")
			if len(c.Rows) > 1 {
				text = row.Name + ": " + text
			}
			words[verdict] = append(words[verdict], text)
		}
	}
	var all speech
	for _, verdict := range []compare.Verdict{compare.Higher, compare.Lower, compare.Better, compare.Worse} {
		if texts := words[verdict]; len(texts) > 0 {
			all.say(failure, string(verdict), "%s", strings.Join(texts, "; "))
		}
	}
	if unknown > 0 {
		all.say(failure, "unknown", "figures of one side alone: %d", unknown)
	}
	if len(words) == 0 {
		text := "nothing got worse or better"
		if hidden > 0 {
			text += " by more than noise explains"
		}
		all.say(failure, "no change", "%s", text)
	}
	if by := float64(tested) * (1 - c.Confidence); by >= 0.5 && len(words) > 0 {
		all = slices.Insert(all, 0, remark{rank: note, tag: "by chance", text: fmt.Sprintf(
			"of %d figures tested at %s %%, up to %.0f may be taken for changed though nothing changed", tested, percents(100*c.Confidence), by)})
	}
	return all
}

// comparisonCSV is one line a figure of a row.
type comparisonCSV struct{}

func (comparisonCSV) Name() string { return "csv" }

func (comparisonCSV) Description() string { return "one line a figure, for spreadsheets and scripts" }

func (comparisonCSV) RenderComparisons(w io.Writer, all []*compare.Comparison, _ Options) error {
	rows := [][]string{{
		"base_name", "new_name", "row", "scenario", "clients", "base_runs", "new_runs", "tested", "figure", "unit", "base", "new",
		"percent", "percent_lo", "percent_hi", "absolute", "absolute_lo", "absolute_hi", "p", "verdict",
	}}
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	optional := func(v *float64) string {
		if v == nil {
			return ""
		}
		return number(*v)
	}
	interval := func(i *compare.Interval) []string {
		if i == nil {
			return []string{"", "", ""}
		}
		return []string{number(i.Value), number(i.Lo), number(i.Hi)}
	}
	for _, c := range all {
		for _, row := range c.Rows {
			for _, change := range row.Changes {
				cells := []string{
					clean(c.Base.Name), clean(c.New.Name), clean(row.Name), clean(row.Scenario), strconv.Itoa(row.Params.Clients),
					strconv.Itoa(row.BaseRuns), strconv.Itoa(row.NewRuns), strconv.FormatBool(row.Tested),
					change.Figure, change.Unit, optional(change.Base), optional(change.New),
				}
				cells = append(cells, interval(change.Percent)...)
				cells = append(cells, interval(change.Absolute)...)
				rows = append(rows, append(cells, optional(change.P), string(change.Verdict)))
			}
		}
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180, section 2, rule 1
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write csv: %w", err)
	}
	return nil
}

// comparisonJSON is everything that is known.
type comparisonJSON struct{}

func (comparisonJSON) Name() string { return "json" }

func (comparisonJSON) Description() string { return "everything that is known of the comparison" }

func (comparisonJSON) RenderComparisons(w io.Writer, all []*compare.Comparison, _ Options) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(struct {
		Schema      string                `json:"schema"`
		Comparisons []*compare.Comparison `json:"comparisons"`
	}{compare.Schema, all}); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	return nil
}
