package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sseload/sseload/pkg/figure"
)

// Limit is how far a figure may change: by a share of the base, by an amount, or, where
// it has both, until both are exceeded.
type Limit struct {
	text    string
	name    string // of the figure, as it was written
	figure  figure.Figure
	falls   bool     // it is a fall that is limited
	percent *float64 // not negative
	amount  *float64 // likewise; in the unit of the figure
}

// String is the limit as it was written.
func (l Limit) String() string { return l.text }

// Figure is the figure that is limited.
func (l Limit) Figure() figure.Figure { return l.figure }

// LimitError is the error of a text that is no limit.
type LimitError struct {
	err  error
	hint string
}

// Error implements error.
func (e *LimitError) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *LimitError) Unwrap() error { return e.err }

// Hint is what to do about it.
func (e *LimitError) Hint() string { return e.hint }

const limitForm = "write a figure and by how much it may rise or fall, such as 'delivery.p99 +10%', 'delivery.p99 +10% +5ms' or 'delivery.rate -5%'"

// ParseLimit reads a limit: a figure, and by how much it may rise (+) or fall (-) in
// percent of the base, in its own unit, or both: "delivery.p99 +10%",
// "delivery.p99 +10% +5ms". Spaces and commas part it. Its error is a [*LimitError].
func ParseLimit(text string) (Limit, error) {
	fail := func(hint, format string, args ...any) (Limit, error) {
		return Limit{}, &LimitError{err: fmt.Errorf(format, args...), hint: hint}
	}
	at := strings.IndexAny(text, "+-")
	if at < 0 {
		return fail(limitForm, "%q does not say by how much the figure may rise or fall", text)
	}
	name := strings.Trim(text[:at], " ,\t")
	if name == "" {
		return fail(limitForm, "%q names no figure", text)
	}
	f, err := figure.Lookup(name)
	if err != nil {
		hint := limitForm
		if unknown := (*figure.UnknownError)(nil); errors.As(err, &unknown) && unknown.Nearest != "" {
			hint = "did you mean " + unknown.Nearest + "?"
		}
		return fail(hint, "%w", err)
	}
	l := Limit{text: strings.TrimSpace(text), name: name, figure: f, falls: text[at] == '-'}
	for rest := text[at:]; rest != ""; {
		if l.falls != (rest[0] == '-') {
			return fail("write one --fail-if for each", "%q limits a rise and a fall", text)
		}
		end := strings.IndexAny(rest[1:], "+-") + 1
		if end == 0 {
			end = len(rest)
		}
		value := strings.Trim(rest[1:end], " ,\t")
		rest = rest[end:]
		if err := l.add(value); err != nil {
			return Limit{}, err
		}
	}
	return l, nil
}

// add takes in a bound of the limit.
func (l *Limit) add(value string) error {
	to, unit := &l.amount, l.figure.Unit
	if strings.HasSuffix(value, "%") {
		to, unit = &l.percent, figure.Percent
	}
	v, err := figure.ParseValue(value, unit)
	switch {
	case err != nil:
		hint := limitForm
		if wrong := (*figure.ValueError)(nil); errors.As(err, &wrong) {
			hint = wrong.Hint() + ", or a share of the base, such as 10%"
		}
		return &LimitError{err: fmt.Errorf("%s: %w", l.name, err), hint: hint}
	case v < 0:
		return &LimitError{err: fmt.Errorf("%s: %s is negative", l.name, value), hint: limitForm}
	case *to != nil:
		return &LimitError{err: fmt.Errorf("%s: two limits of one kind", l.text), hint: "write one --fail-if for each"}
	case l.falls && unit == figure.Percent && to == &l.percent && v > 100:
		return &LimitError{err: fmt.Errorf("%s: nothing falls by more than 100%%", l.text), hint: limitForm}
	}
	*to = &v
	return nil
}

// State is what became of a limit.
type State string

// The states.
const (
	Held      State = "held"
	Suspected State = "suspected" // it was exceeded, but that may be chance
	Exceeded  State = "exceeded"  // really
	Unjudged  State = "unjudged"  // not all runs know the figure, or the new side has no such row
)

// Finding is what became of a limit in a row.
type Finding struct {
	Limit  string  `json:"limit"`
	Figure string  `json:"figure"` // as it was written
	Row    string  `json:"row"`    // empty: all of them, which do not know the figure
	State  State   `json:"state"`
	Change *Change `json:"change"` // null when no run knows the figure, or the row is in the base alone
}

// Exceeds reports whether a limit, as it was written, is exceeded in the row of that
// name.
func (c *Comparison) Exceeds(limit, row string) bool {
	return slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Limit == limit && f.Row == row && f.State == Exceeded })
}

// judge says what became of the limit in each row that knows its figure. A row that
// does not is passed over, unless none does.
func (l Limit) judge(rows []Row) []Finding {
	var out []Finding
	for i := range rows {
		for k := range rows[i].Changes {
			c := &rows[i].Changes[k]
			if c.Figure == l.figure.Name {
				out = append(out, Finding{Limit: l.text, Figure: l.name, Row: rows[i].Name, State: l.state(c), Change: c})
			}
		}
	}
	if len(out) == 0 {
		return []Finding{{Limit: l.text, Figure: l.name, State: Unjudged}}
	}
	return out
}

func (l Limit) state(c *Change) State {
	if c.Verdict == Unknown || c.Unknown > 0 {
		return Unjudged
	}
	value := *c.New - *c.Base
	change := Interval{value, math.Inf(-1), math.Inf(1)} // of which nothing is known but what is seen
	if c.Absolute != nil {
		change = *c.Absolute
	}
	if l.falls {
		change = Interval{-change.Value, -change.Hi, -change.Lo}
	}
	switch {
	case c.Verdict.Real() && l.beyond(change.Lo, *c.Base):
		return Exceeded
	case l.beyond(change.Value, *c.Base):
		return Suspected
	}
	return Held
}

// beyond reports whether a change in the direction of the limit exceeds it. From a base
// of nothing, any change is more than any share.
func (l Limit) beyond(by, base float64) bool {
	if by <= 0 {
		return false
	}
	if l.percent != nil && base > 0 && by <= *l.percent/100*base {
		return false
	}
	return l.amount == nil || by > *l.amount
}
