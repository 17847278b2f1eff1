package figure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unit is what a figure is counted in.
type Unit int

// The units.
const (
	Count       Unit = iota // of things; truths are 0 and 1
	Nanoseconds             // a duration
	Bytes
	Percent // CPU: of one core
	PerSecond
)

// String is the unit's name in records.
func (u Unit) String() string {
	return [...]string{Count: "count", Nanoseconds: "ns", Bytes: "bytes", Percent: "percent", PerSecond: "per second"}[u]
}

// Kind says what a value in the unit is, such as "a time", and how one is written, such
// as "100ms".
func (u Unit) Kind() (kind, example string) {
	switch u {
	case Nanoseconds:
		return "a time", "100ms"
	case Bytes:
		return "a size", "64MiB"
	case Percent:
		return "a percentage", "90%"
	case PerSecond:
		return "a rate", "500/s"
	}
	return "a count", "0"
}

// ValueError is the error of a text that is no value in a unit.
type ValueError struct {
	Text string
	Unit Unit
	is   string // what it is instead; empty: nothing that is known
}

// Error implements error.
func (e *ValueError) Error() string {
	want, _ := e.Unit.Kind()
	if e.is == "" {
		return fmt.Sprintf("%q is not %s", e.Text, want)
	}
	return fmt.Sprintf("%q is %s, not %s", e.Text, e.is, want)
}

// Hint says how a value in the unit is written.
func (e *ValueError) Hint() string {
	want, example := e.Unit.Kind()
	return fmt.Sprintf("write %s, such as %s", want, example)
}

// ParseValue reads a value as people write it, such as "100 ms", "1.5s", "64MiB", "90 %",
// "500/s" or "3", into the unit. 0 needs none. Its error is a [*ValueError].
func ParseValue(text string, u Unit) (float64, error) {
	v, is, ok := parse(text)
	if !ok {
		return 0, &ValueError{Text: text, Unit: u}
	}
	if is == u || v == 0 && is == Count || is == Count && u == PerSecond {
		return v, nil
	}
	kind, _ := is.Kind()
	if is == Count {
		kind = "a number without a unit"
	}
	return 0, &ValueError{Text: text, Unit: u, is: kind}
}

// parse finds the unit from how a value is written.
func parse(text string) (value float64, u Unit, ok bool) {
	text = strings.TrimSpace(text)
	if number, unit, apart := strings.Cut(text, " "); apart {
		if unit = strings.TrimLeft(unit, " "); strings.ContainsAny(unit, " 0123456789") {
			return 0, Count, false // those are two
		}
		text = number + unit
	}
	if d, err := time.ParseDuration(text); err == nil && strings.ContainsAny(text, "smh") {
		return float64(d), Nanoseconds, true
	}
	u, scale := Count, 1.0
	for _, known := range suffixes {
		if cut, has := strings.CutSuffix(text, known.text); has {
			text, u, scale = cut, known.unit, known.scale
			break
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, Count, false
	}
	return v * scale, u, true
}

//nolint:gochecknoglobals // a constant table
var suffixes = []struct {
	text  string
	unit  Unit
	scale float64
}{
	{"%", Percent, 1}, {"/s", PerSecond, 1}, {"/m", PerSecond, 1.0 / 60},
	{"GiB", Bytes, 1 << 30}, {"MiB", Bytes, 1 << 20}, {"KiB", Bytes, 1 << 10},
	{"GB", Bytes, 1e9}, {"MB", Bytes, 1e6}, {"kB", Bytes, 1e3}, {"KB", Bytes, 1e3}, {"B", Bytes, 1},
}
