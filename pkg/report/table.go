package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// grid is a table before it is rendered.
type grid struct {
	columns []column
	rows    [][]string
}

type column struct {
	head  string
	right bool // aligned to the right
	words bool // describes the run: may leave the table when it is the same in every row
}

// render gives the table as aligned markdown. Cells go through escape.
func (g grid) render(escape func(string) string) (string, error) {
	heads := make([]string, len(g.columns))
	alignment := make(tw.Alignment, len(g.columns))
	for i, c := range g.columns {
		heads[i] = cell(c.head, escape)
		alignment[i] = tw.AlignLeft
		if c.right {
			alignment[i] = tw.AlignRight
		}
	}
	var b strings.Builder
	t := tablewriter.NewTable(&b,
		tablewriter.WithRenderer(renderer.NewMarkdown()),
		tablewriter.WithHeaderAutoFormat(tw.Off), // it would write "P 99" for "p99"
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithAlignment(alignment),
		// The same table everywhere, whatever the locale says about "µ" and "×".
		tablewriter.WithEastAsian(tw.Off),
	)
	t.Header(heads)
	for _, row := range g.rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = cell(c, escape)
		}
		if err := t.Append(cells); err != nil {
			return "", fmt.Errorf("render table: %w", err)
		}
	}
	if err := t.Render(); err != nil {
		return "", fmt.Errorf("render table: %w", err)
	}
	return b.String(), nil
}

// lift takes the columns that describe the runs and say the same in every row
// out of the table, and returns them as one line.
func (g grid) lift() (grid, string) {
	var kept grid
	var caption []string
	keep := make([]bool, len(g.columns))
	for i, c := range g.columns {
		keep[i] = !c.words
		for _, row := range g.rows {
			keep[i] = keep[i] || row[i] != g.rows[0][i]
		}
		if keep[i] {
			kept.columns = append(kept.columns, c)
		} else {
			caption = append(caption, c.head+" "+clean(g.rows[0][i]))
		}
	}
	for _, row := range g.rows {
		var cells []string
		for i, c := range row {
			if keep[i] {
				cells = append(cells, c)
			}
		}
		kept.rows = append(kept.rows, cells)
	}
	return kept, strings.Join(caption, " · ")
}

// cell makes text fit to stand between pipes (GitHub Flavored Markdown, section
// 4.10).
func cell(s string, escape func(string) string) string {
	return strings.ReplaceAll(escape(clean(s)), "|", `\|`)
}

// plain is the escape of tables that are read as they are: it only doubles
// backslashes before a pipe, or they would undo the escape of that.
func plain(s string) string {
	var b strings.Builder
	slashes := 0
	for _, r := range s {
		switch r {
		case '\\':
			slashes++
		case '|':
			b.WriteString(strings.Repeat(`\`, slashes))
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteRune(r)
	}
	return b.String()
}

// clean replaces what a terminal could take for a command, or what would break a
// line: labels, and errors of a server, come from outside.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// Clean is s on one line without what a terminal could take for a command: each such
// character becomes a blank.
func Clean(s string) string { return clean(s) }

// width is the number of terminal columns that the widest line of s takes.
func width(s string) int {
	most := 0
	for line := range strings.Lines(s) {
		most = max(most, twwidth.WidthWithOptions(strings.TrimSuffix(line, "\n"), twwidth.Options{}))
	}
	return most
}

// wrap breaks text between words so that no line is wider than limit, further
// lines indented. A word wider than the limit stays whole: a broken URL is of no
// use. A limit of 0 leaves text as it is.
func wrap(text string, limit int) string {
	if limit <= 0 || width(text) <= limit {
		return text
	}
	const indent = "  "
	var b strings.Builder
	used := 0
	for i, word := range strings.Fields(text) {
		w := width(word)
		switch {
		case i == 0:
		case used+1+w > limit:
			b.WriteString("\n" + indent)
			used = len(indent)
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += w
	}
	return b.String()
}
