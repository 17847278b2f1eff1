package target

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Vars are the values that a template's keys stand for.
type Vars struct {
	Room      int
	Client    int
	Iteration int
	Payload   []byte
}

// Key is a name that may stand between braces in a template.
type Key string

// The keys of templates.
const (
	Room      Key = "room"      // number of the client's room
	Client    Key = "client"    // number of the client; in a send request, of the sender
	Iteration Key = "iteration" // number of the iteration, from 1
	Payload   Key = "payload"   // the message's text
)

// Keys that make sense in each kind of request.
//
//nolint:gochecknoglobals // constant tables
var (
	SubscribeKeys = []Key{Room, Client}
	SendKeys      = []Key{Room, Client, Iteration, Payload}
)

// Template is text with {key} in it, compiled. The zero value expands to nothing.
type Template struct {
	parts []part
}

// part is literal text, or a key when key is not empty, or what of makes when that is
// not nil.
type part struct {
	text string
	key  Key
	of   expander
}

// expander makes text that differs between clients in more than its keys.
type expander interface {
	Append(dst []byte, v Vars) []byte
	Uses(k Key) bool
}

// UnknownKeyError says that a template uses a key that has no value there.
type UnknownKeyError struct {
	Template string
	Key      string
	Known    []Key
	// Secret, when not empty, is what to call a template that nobody may read.
	Secret string
}

func (e *UnknownKeyError) Error() string {
	if e.Secret != "" {
		return e.Secret + " holds an unknown key in braces"
	}
	return fmt.Sprintf("unknown key {%s} in %q", e.Key, e.Template)
}

// Hint says which keys there are.
func (e *UnknownKeyError) Hint() string {
	names := make([]string, len(e.Known))
	for i, k := range e.Known {
		names[i] = "{" + string(k) + "}"
	}
	return "the keys here are " + strings.Join(names, ", ") + "; write {{ for a literal brace"
}

// ParseTemplate compiles text. A brace pair around lower-case letters is a key
// and must be one of known; {{ is a literal brace; any other brace is itself, so
// that JSON can be written as it is. The error is an [*UnknownKeyError].
func ParseTemplate(text string, known []Key) (Template, error) {
	var t Template
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			t.parts = append(t.parts, part{text: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '{' {
			lit.WriteByte(text[i])
			continue
		}
		if strings.HasPrefix(text[i:], "{{") {
			lit.WriteByte('{')
			i++
			continue
		}
		name, ok := keyAt(text[i:])
		if !ok {
			lit.WriteByte('{')
			continue
		}
		if !contains(known, Key(name)) {
			return Template{}, &UnknownKeyError{Template: text, Key: name, Known: known}
		}
		flush()
		t.parts = append(t.parts, part{key: Key(name)})
		i += len(name) + 1
	}
	flush()
	return t, nil
}

// keyAt returns the name in s when s begins with {name}.
func keyAt(s string) (string, bool) {
	end := strings.IndexByte(s, '}')
	if end < 2 {
		return "", false
	}
	name := s[1:end]
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && c != '_' {
			return "", false
		}
	}
	return name, true
}

func contains(keys []Key, k Key) bool {
	for _, have := range keys {
		if have == k {
			return true
		}
	}
	return false
}

// Append expands t with v onto dst.
func (t Template) Append(dst []byte, v Vars) []byte {
	for _, p := range t.parts {
		switch p.key {
		case "":
			if p.of != nil {
				dst = p.of.Append(dst, v)
				continue
			}
			dst = append(dst, p.text...)
		case Room:
			dst = strconv.AppendInt(dst, int64(v.Room), 10)
		case Client:
			dst = strconv.AppendInt(dst, int64(v.Client), 10)
		case Iteration:
			dst = strconv.AppendInt(dst, int64(v.Iteration), 10)
		case Payload:
			dst = append(dst, v.Payload...)
		}
	}
	return dst
}

// Uses reports whether k occurs in t.
func (t Template) Uses(k Key) bool {
	for _, p := range t.parts {
		if p.key == k || p.of != nil && p.of.Uses(k) {
			return true
		}
	}
	return false
}

// concat joins templates into one.
func concat(ts ...Template) Template {
	var all Template
	for _, t := range ts {
		all.parts = append(all.parts, t.parts...)
	}
	return all
}

func literal(text string) Template { return Template{parts: []part{{text: text}}} }

func expanding(of expander) Template { return Template{parts: []part{{of: of}}} }

// secretTemplate is ParseTemplate for text that must not be repeated in an error,
// which calls it what.
func secretTemplate(text, what string) (Template, error) {
	t, err := ParseTemplate(text, SubscribeKeys)
	return t, keepSecret(err, what)
}

// keepSecret takes what the template says out of an error about it.
func keepSecret(err error, what string) error {
	if unknown := new(UnknownKeyError); errors.As(err, &unknown) {
		return &UnknownKeyError{Known: unknown.Known, Secret: what}
	}
	return err
}
