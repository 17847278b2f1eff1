package threshold

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/figure"
	"github.com/sseload/sseload/pkg/result"
)

// Threshold is what a figure is to be. The zero value is none.
type Threshold struct {
	// Abort says that the run is to end as soon as it cannot hold any more.
	Abort bool

	text   string
	figure figure.Figure
	whole  *figure.Figure // of which limit is a share in percent; nil: it is no share
	op     operator
	limit  float64 // in unit
}

// String is the threshold as it was asked for, but for spaces and quotes.
func (t Threshold) String() string { return t.text }

// Figure is what is judged.
func (t Threshold) Figure() figure.Figure { return t.figure }

// unit is that of the limit.
func (t Threshold) unit() figure.Unit {
	if t.whole != nil {
		return figure.Percent
	}
	return t.figure.Unit
}

// operator compares a figure with a limit.
type operator int

const (
	below operator = iota
	atMost
	above
	atLeast
	equal
	different
)

// holds reports whether a figure is as a limit wants it.
func (o operator) holds(v, limit float64) bool { return o.possible(v, v, limit) }

// possible reports whether a figure that is between least and most, both included, may be
// as a limit wants it.
func (o operator) possible(least, most, limit float64) bool {
	switch o {
	case below:
		return least < limit
	case atMost:
		return least <= limit
	case above:
		return most > limit
	case atLeast:
		return most >= limit
	case equal:
		return least <= limit && limit <= most
	}
	return least != limit || most != limit
}

// operators is how each is written. Those that have a cure are written otherwise.
//
//nolint:gochecknoglobals // a constant table
var operators = map[string]struct {
	operator
	text, cure string
}{
	"<": {below, "<", ""}, "<=": {atMost, "<=", ""}, "≤": {atMost, "<=", ""}, "=<": {cure: "<="},
	">": {above, ">", ""}, ">=": {atLeast, ">=", ""}, "≥": {atLeast, ">=", ""}, "=>": {cure: ">="},
	"==": {equal, "==", ""}, "=": {cure: "=="}, "===": {cure: "=="},
	"!=": {different, "!=", ""}, "≠": {different, "!=", ""}, "<>": {cure: "!="}, "!": {cure: "!="}, "!==": {cure: "!="},
}

// operatorRunes are what operators are made of.
const operatorRunes = "<>=!≤≥≠"

// Error is the error of a text that is no threshold. The text is not in it.
type Error struct {
	err  error
	hint string
}

// Error implements error.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap is a [*figure.UnknownError] or a [*figure.ValueError], where it is one's fault.
func (e *Error) Unwrap() error { return e.err }

// Hint is what to write instead.
func (e *Error) Hint() string { return e.hint }

func errorf(hint, format string, args ...any) error {
	return &Error{err: fmt.Errorf(format, args...), hint: hint}
}

const form = "write FIGURE, an operator (<, <=, >, >=, ==, !=) and a value with its unit, such as 'delivery.p99 < 100ms'"

// Parse reads a threshold such as "delivery.p99 < 100ms": the name of a figure as
// [figure.Lookup] knows it, one of <, <=, >, >=, == and !=, and a value in the figure's
// unit or, where the figure is a part of another, with "%". Spaces may be left out. Its
// errors are [*Error].
func Parse(text string) (Threshold, error) {
	name, symbol, value, err := split(text)
	if err != nil {
		return Threshold{}, err
	}
	f, err := lookup(name, value)
	if err != nil {
		return Threshold{}, err
	}
	t := Threshold{figure: f, op: operators[symbol].operator}
	if t.limit, err = t.parseLimit(value); err != nil {
		return Threshold{}, inContext(err, name+" "+symbol, value)
	}
	t.text = name + " " + symbol + " " + value
	return t, nil
}

// split takes a threshold apart. symbol is the usual one of its operator.
func split(text string) (name, symbol, value string, err error) {
	text = unquote(strings.TrimSpace(text))
	at := strings.IndexAny(text, operatorRunes)
	if at < 0 {
		return "", "", "", errorf(form, "there is no operator in it")
	}
	rest := strings.TrimLeft(text[at:], operatorRunes)
	typed := text[at : len(text)-len(rest)]
	name, value = strings.TrimSpace(text[:at]), strings.TrimSpace(rest)
	op, ok := operators[typed]
	switch {
	case !ok:
		return "", "", "", errorf(form, "%q is no operator", typed)
	case op.cure != "":
		return "", "", "", errorf("write "+op.cure, "%q is no operator", typed)
	case name == "":
		return "", "", "", errorf(form, "there is no figure before the %s", typed)
	case value == "":
		return "", "", "", errorf(form, "there is no value behind the %s", typed)
	case strings.ContainsAny(value, operatorRunes+"&|"):
		return "", "", "", errorf("write a threshold of its own for each condition", "%q is more than a value", value)
	}
	return name, op.text, value, nil
}

// unquote takes off a pair of quotes that a shell or a file has left.
func unquote(s string) string {
	if n := len(s); n >= 2 && s[0] == s[n-1] && strings.ContainsRune("'\"`", rune(s[0])) {
		return strings.TrimSpace(s[1 : n-1])
	}
	return s
}

// lookup finds the figure.
func lookup(name, value string) (figure.Figure, error) {
	f, err := figure.Lookup(name)
	if err == nil {
		return f, nil
	}
	var unknown *figure.UnknownError
	hint := ""
	if _, reversed := figure.Lookup(value); reversed == nil {
		hint = "write the figure first and the value behind the operator"
	} else if errors.As(err, &unknown) && unknown.Nearest != "" {
		hint = "did you mean " + unknown.Nearest + "?"
	}
	return figure.Figure{}, &Error{err: err, hint: hint}
}

// parseLimit reads the value, and finds out of what it is a share if it is one.
func (t *Threshold) parseLimit(value string) (float64, error) {
	if v, ok := truths[strings.ToLower(value)]; ok && t.figure.Truth {
		return v, nil
	}
	if strings.HasSuffix(value, "%") && t.figure.Unit != figure.Percent {
		if whole, ok := WholeOf(t.figure); ok {
			t.whole = &whole
		}
	}
	return figure.ParseValue(value, t.unit())
}

//nolint:gochecknoglobals // a constant table
var truths = map[string]float64{"true": 1, "yes": 1, "false": 0, "no": 0}

// inContext adds to the error of a value how the threshold is to be written.
func inContext(err error, before, value string) error {
	var wrong *figure.ValueError
	if !errors.As(err, &wrong) {
		return err
	}
	kind, example := wrong.Unit.Kind()
	if _, bare := strconv.ParseFloat(value, 64); bare == nil {
		example = value + strings.TrimLeft(example, "0123456789")
	}
	hint := fmt.Sprintf("write %s, such as '%s %s'", kind, before, example)
	if f, ok := figure.Lookup(strings.Fields(before)[0]); ok == nil {
		if whole, ok := WholeOf(f); ok {
			hint += fmt.Sprintf(", or a share of %s, such as '%s 0.1%%'", whole.Short(), before)
		}
	}
	return &Error{err: err, hint: hint}
}

// Actual is the threshold's figure in a run, in the unit of the limit. ok is false when
// the run does not know it.
func (t Threshold) Actual(run *result.Run) (actual float64, ok bool) {
	actual, ok = t.figure.Of(run)
	if !ok || t.whole == nil {
		return actual, ok
	}
	whole, ok := t.whole.Of(run)
	if !ok || whole == 0 {
		return 0, false // nothing is no share of nothing
	}
	return 100 * actual / whole, true
}

// Judge holds a run against the threshold. What is not known does not hold.
func (t Threshold) Judge(run *result.Run) result.Verdict {
	v := result.Verdict{Threshold: t.text, Figure: t.figure.Name, Unit: t.unit().String(), Limit: t.limit, Abort: t.Abort}
	if actual, ok := t.Actual(run); ok {
		v.Actual, v.Held = &actual, t.op.holds(actual, t.limit)
	}
	return v
}
