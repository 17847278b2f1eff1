package testserver

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ParseFault reads KIND[=VALUE][,KEY=VALUE…], such as
//
//	drop,every=7
//	delay=uniform:10ms-30ms,every=2,room=3
//	close,after=5
//
// The value is a delay (of delay, headers and freeze), which is a duration or
// uniform:FROM-TO, exp:MEAN or normal:MEAN:DEVIATION; or a number of lines (of
// comments), which may be left out. The keys are every and room and, for stall,
// close, half and garbage, after. A room is escaped like a part of a URL where
// it has a comma or a percent sign.
func ParseFault(text string) (Fault, error) {
	head, rest, more := strings.Cut(text, ",")
	name, value, hasValue := strings.Cut(head, "=")
	form, err := formOf(FaultKind(name))
	if err != nil {
		return Fault{}, err
	}
	f := Fault{Kind: form.kind, Every: 1, After: form.after}
	if err := form.parseValue(&f, value, hasValue); err != nil {
		return Fault{}, err
	}
	seen := make(map[string]bool)
	for more {
		var field string
		field, rest, more = strings.Cut(rest, ",")
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return Fault{}, fmt.Errorf("%q is not KEY=VALUE", field)
		}
		if seen[key] {
			return Fault{}, fmt.Errorf("%s is given twice", key)
		}
		seen[key] = true
		if err := form.parseKey(&f, key, value); err != nil {
			return Fault{}, err
		}
	}
	if err := f.check(); err != nil {
		return Fault{}, err
	}
	return f, nil
}

func (form faultForm) parseValue(f *Fault, value string, given bool) error {
	switch form.value {
	case delayValue:
		if !given {
			return fmt.Errorf("%s needs a duration, such as %s=20ms", form.kind, form.kind)
		}
		return f.parseDelay(value)
	case countValue:
		f.Count = DefaultComments
		if given {
			return parseNumber(&f.Count, string(form.kind), value)
		}
	default:
		if given {
			return fmt.Errorf("%s takes no value, but has %q", form.kind, value)
		}
	}
	return nil
}

func (form faultForm) parseKey(f *Fault, key, value string) error {
	switch {
	case key == "every":
		return parseNumber(&f.Every, key, value)
	case key == "after" && form.hasAfter:
		return parseNumber(&f.After, key, value)
	case key == "room":
		room, err := url.PathUnescape(value)
		if err != nil {
			return fmt.Errorf("room=%s: %w", value, err)
		}
		if room == "" {
			return errors.New("room= names no room: leave it out for all rooms")
		}
		f.Room = room
		return nil
	}
	has := "every and room"
	if form.hasAfter {
		has = "after, every and room"
	}
	return fmt.Errorf("%s has no key %q: it has %s", form.kind, key, has)
}

func parseNumber(to *int, key, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return fmt.Errorf("%s=%s: not a whole number", key, value)
	}
	*to = n
	return nil
}

// parseDelay reads a duration or SHAPE:…
func (f *Fault) parseDelay(text string) error {
	shape, rest, shaped := strings.Cut(text, ":")
	if !shaped {
		return parseDuration(&f.Delay, text)
	}
	f.Spread.Shape = Shape(shape)
	switch f.Spread.Shape {
	case Uniform:
		from, to, ok := strings.Cut(rest, "-")
		if !ok {
			return fmt.Errorf("%s: write uniform:FROM-TO, such as uniform:10ms-30ms", text)
		}
		var low, high time.Duration
		if err := parseDuration(&low, from); err != nil {
			return err
		}
		if err := parseDuration(&high, to); err != nil {
			return err
		}
		f.Spread.Width = high - low
		f.Delay = low + f.Spread.Width/2
		return nil
	case Exponential:
		return parseDuration(&f.Delay, rest)
	case Normal:
		mean, deviation, ok := strings.Cut(rest, ":")
		if !ok {
			return fmt.Errorf("%s: write normal:MEAN:DEVIATION, such as normal:20ms:5ms", text)
		}
		if err := parseDuration(&f.Delay, mean); err != nil {
			return err
		}
		return parseDuration(&f.Spread.Width, deviation)
	}
	return fmt.Errorf("unknown shape %q: write a duration, uniform:FROM-TO, exp:MEAN or normal:MEAN:DEVIATION", shape)
}

func parseDuration(to *time.Duration, text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is no duration: write a number with its unit, such as 20ms", text)
	}
	*to = d
	return nil
}

// String is the shortest text that ParseFault reads as f, with its keys in one
// order.
func (f Fault) String() string {
	form, _ := formOf(f.Kind) // an unknown kind has only its name to show
	text := string(f.Kind)
	switch form.value {
	case delayValue:
		text += "=" + f.delayText()
	case countValue:
		text += "=" + strconv.Itoa(f.Count)
	}
	if f.After != form.after {
		text += ",after=" + strconv.Itoa(f.After)
	}
	if f.Every != 1 {
		text += ",every=" + strconv.Itoa(f.Every)
	}
	if f.Room != "" {
		text += ",room=" + escapeRoom(f.Room)
	}
	return text
}

func (f Fault) delayText() string {
	switch f.Spread.Shape {
	case Uniform:
		low := f.shortest()
		return fmt.Sprintf("%s:%v-%v", Uniform, low, low+f.Spread.Width)
	case Exponential:
		return fmt.Sprintf("%s:%v", Exponential, f.Delay)
	case Normal:
		return fmt.Sprintf("%s:%v:%v", Normal, f.Delay, f.Spread.Width)
	}
	return f.Delay.String()
}

// escapeRoom leaves what can be read as it is. A semicolon goes too: it stands
// between faults where several are in one text.
func escapeRoom(room string) string {
	var b strings.Builder
	for rest := room; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		if r == utf8.RuneError && size == 1 || r == ' ' || !unicode.IsPrint(r) || strings.ContainsRune("%,;", r) {
			for _, octet := range []byte(rest[:size]) {
				fmt.Fprintf(&b, "%%%02X", octet)
			}
		} else {
			b.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	return b.String()
}

// MarshalText is String. The faults of a Config reach the workers of a cluster
// in this form.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is ParseFault.
func (f *Fault) UnmarshalText(text []byte) error {
	parsed, err := ParseFault(string(text))
	if err != nil {
		return fmt.Errorf("fault %q: %w", text, err)
	}
	*f = parsed
	return nil
}
