package report

import (
	"strings"
	"time"
)

// Duration writes d with three digits in the unit that suits it, as the tables do.
func Duration(d time.Duration) string { return duration(float64(d)) }

// Count writes a whole number in groups of three, as the tables do.
func Count(n int64) string { return count(n) }

// PerSecond writes a number per second with three digits, whole from a hundred up, as
// the tables do.
func PerSecond(v float64) string { return rate(v) + "/s" }

// Fit is s on one line of so many columns of a terminal: what it could take for a
// command is replaced, and what does not fit is cut off, which an ellipsis shows.
func Fit(s string, columns int) string {
	s = clean(s)
	if Columns(s) <= columns {
		return s
	}
	if columns < 1 {
		return ""
	}
	var b strings.Builder
	used := 0
	for _, r := range s {
		w := Columns(string(r))
		if used+w > columns-1 {
			break
		}
		b.WriteRune(r)
		used += w
	}
	return b.String() + "…"
}

// Columns is the number of columns of a terminal that the widest line of s takes.
// Colours take none.
func Columns(s string) int { return width(s) }

// Bar draws a share in [0,1] of so many columns, all of which it takes.
func Bar(share float64, columns int) string {
	const whole = 1 << 20
	text := bar(int64(min(1, max(0, share))*whole), whole, columns)
	return text + strings.Repeat("░", max(0, columns-Columns(text)))
}
