package report

import (
	"slices"
	"strings"
)

// Style is a colour that means something.
type Style int

// The styles.
const (
	Normal Style = iota
	Bad          // something failed, was lost, or did not hold: red
	Doubt        // figures are partial, or not to be trusted: yellow
	Good         // something held that might not have: green
)

// Paint gives text, of one line, the colour of a style for a terminal.
func (s Style) Paint(text string) string {
	code := ""
	switch s {
	case Bad:
		code = "31"
	case Doubt:
		code = "33"
	case Good:
		code = "32"
	}
	if code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// paint gives text the colour of s where there are colours.
func (o Options) paint(s Style, text string) string {
	if !o.Color {
		return text
	}
	return s.Paint(text)
}

// paintTable colours the cells of a rendered table where there are colours: style says
// how the cell of that column looks, given the texts of all cells of its row, or of a
// column of the table's head. It is called last, for it is not to change any width.
func (o Options) paintTable(rendered string, style func(row []string, column int) Style) string {
	if !o.Color {
		return rendered
	}
	var b strings.Builder
	for line := range strings.Lines(rendered) {
		parts := splitCells(line)
		row := make([]string, max(0, len(parts)-2)) // what is before the first pipe and behind the last is none
		for i := range row {
			row[i] = strings.TrimSpace(parts[i+1])
		}
		for i, text := range row {
			if text == "" {
				continue
			}
			if s := style(row, i); s != Normal {
				parts[i+1] = strings.Replace(parts[i+1], text, s.Paint(text), 1)
			}
		}
		b.WriteString(strings.Join(parts, "|"))
	}
	return b.String()
}

// splitCells cuts a line of a table at its pipes, but not at those in cells.
func splitCells(line string) []string {
	var parts []string
	from, slashes := 0, 0
	for i := range len(line) {
		switch {
		case line[i] == '\\':
			slashes++
			continue
		case line[i] == '|' && slashes%2 == 0:
			parts = append(parts, line[from:i])
			from = i + 1
		}
		slashes = 0
	}
	return append(parts, line[from:])
}

// verdictStyle is the style of the verdict on a threshold.
func verdictStyle(row []string, column int) Style {
	switch row[column] {
	case notHeld:
		return Bad
	case notKnown:
		return Doubt
	}
	return Normal
}

// detailStyle is the style of a cell of a detail table: counts of what went wrong stand
// out unless they are 0.
func detailStyle(row []string, column int) Style {
	first, _, _ := strings.Cut(row[0], ":")
	wrong := slices.Contains([]string{
		"failed", "dropped", "lost", "duplicate", "reordered", "misrouted", "late", "iterat. incomplete",
		"sends failed", "slow lost", "neighbours lost", "slow dropped", "gave up",
	}, first)
	if column == 0 || !wrong || row[column] == "0" || row[column] == unknown || strings.ContainsAny(row[column], "×@") {
		return Normal
	}
	return Bad
}

// paintRemark colours what a remark begins with, once it has been broken into lines.
func (o Options) paintRemark(m remark, wrapped string) string {
	style := Normal
	switch m.rank {
	case validity:
		style = Doubt
	case failure:
		style = Bad
	case example, worstClient, note:
		return wrapped
	}
	rest, ok := strings.CutPrefix(wrapped, m.tag)
	if !ok {
		return wrapped // it was broken within
	}
	return o.paint(style, m.tag) + rest
}
