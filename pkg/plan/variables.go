package plan

import (
	"fmt"
	"strings"
)

// Values are what variables are given from outside of the plan.
type Values struct {
	// Given are those that the user gave for this one time, by name.
	Given map[string]string
	// Env looks a variable of the environment up; nil: there is none. An empty one
	// counts as none.
	Env func(name string) (string, bool)
}

// Where the value of a variable can come from, beside a place in the plan.
const (
	FromUser        = "the command line"
	FromEnvironment = "the environment"
	FromFallback    = "its fallback"
)

// Variable is one that a plan declares, or uses.
type Variable struct {
	Name  string
	Value string // empty when it has none
	// From is where the value comes from: [FromUser], [FromEnvironment], or the place
	// where the plan declares it. Empty: it has none.
	From string
}

// Text is a value in a plan.
type Text struct {
	Value string // with variables replaced
	Place Place
	Used  []Variable // the variables that were replaced in it, in order
}

// What a value, and all of a plan, may become by their variables, in bytes.
const (
	mostText     = 1 << 16
	mostExpanded = 8 << 20
)

// scope is what variables stand for.
type scope struct {
	values   Values
	declared map[string]Variable
	coming   map[string]bool // the variables of the plan that have no value yet
	used     []Variable      // each once, in the order in which they are met
	met      map[string]bool
	expanded int // bytes of all values so far
}

func newScope(v Values) scope {
	return scope{values: v, declared: map[string]Variable{}, met: map[string]bool{}}
}

// declare reads the variables that the plan itself gives values to. One may use those
// before it.
func (s *scope) declare(n *node) error {
	if err := n.need(mapping, "variables", "write for example variables: {TARGET: http://127.0.0.1:8123}"); err != nil {
		return err
	}
	s.coming = map[string]bool{}
	for _, f := range n.fields {
		s.coming[f.key] = true
	}
	for _, f := range n.fields {
		if !isVariable(f.key) {
			return f.at.wrong("use letters, digits and _, such as TARGET", "%q cannot be the name of a variable", f.key)
		}
		if f.value.kind == list {
			return f.value.at.wrong(`write values with commas in one, such as "1000,2000"`, "variable %s: a list where a value is due", f.key)
		}
		t, err := s.text(f.value, "variable "+f.key)
		if err != nil {
			return err
		}
		v := s.outside(f.key)
		if v.From == "" {
			v.Value, v.From = t.Value, f.at.String()
		}
		s.declared[f.key] = v
		delete(s.coming, f.key)
		s.meet(v)
	}
	return nil
}

// outside is what a variable is given from outside of the plan.
func (s *scope) outside(name string) Variable {
	if value, ok := s.values.Given[name]; ok {
		return Variable{name, value, FromUser}
	}
	if s.values.Env != nil {
		if value, ok := s.values.Env(name); ok && value != "" {
			return Variable{name, value, FromEnvironment}
		}
	}
	return Variable{Name: name}
}

func (s *scope) meet(v Variable) {
	if !s.met[v.Name] {
		s.met[v.Name] = true
		s.used = append(s.used, v)
	}
}

// lookup finds what a variable stands for, and reports whether that is anything.
func (s *scope) lookup(name string) (Variable, bool) {
	v, ok := s.declared[name]
	if !ok {
		v = s.outside(name)
	}
	s.meet(v)
	return v, v.From != ""
}

// text replaces the variables of a scalar, which what names.
func (s *scope) text(n *node, what string) (Text, error) {
	if err := n.need(scalar, what, ""); err != nil {
		return Text{}, err
	}
	t := Text{Place: n.at}
	var b strings.Builder
	for rest := n.text; rest != ""; {
		before, after, found := strings.Cut(rest, "$")
		b.WriteString(before)
		if !found {
			break
		}
		switch {
		case strings.HasPrefix(after, "$"):
			b.WriteByte('$')
			rest = after[1:]
		case strings.HasPrefix(after, "{"):
			v, behind, err := s.reference(n.at, after[1:])
			if err != nil {
				return Text{}, err
			}
			b.WriteString(v.Value)
			t.Used = append(t.Used, v)
			rest = behind
		default:
			b.WriteByte('$')
			rest = after
		}
		if b.Len() > mostText || s.expanded+b.Len() > mostExpanded {
			return Text{}, n.at.wrong("use shorter ones", "%s: variables make the plan too large", what)
		}
	}
	t.Value = b.String()
	s.expanded += len(t.Value)
	return t, nil
}

// reference finds what stands for NAME} or NAME:-FALLBACK}, at the begin of text, and
// what is behind that.
func (s *scope) reference(at Place, text string) (v Variable, rest string, err error) {
	inside, rest, closed := strings.Cut(text, "}")
	name, fallback, has := strings.Cut(inside, ":-")
	if !closed || !isVariable(name) {
		return v, "", at.wrong("write ${NAME} or ${NAME:-fallback}, and $$ for a dollar", "a variable that is none: ${%s", shown(text))
	}
	v, ok := s.lookup(name)
	switch {
	case ok && (v.Value != "" || !has):
		return v, rest, nil
	case has:
		return Variable{name, fallback, FromFallback}, rest, nil
	}
	if s.coming[name] {
		return v, "", at.wrong("put the one before the other: a variable may use those above it", "variable %s is used where it has no value yet", name)
	}
	return v, "", at.wrong(fmt.Sprintf("give it one under variables, in the environment, or with --var %s=…; or write ${%[1]s:-fallback}", name),
		"variable %s has no value", name)
}

// shown is enough of text to know it by.
func shown(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if r := []rune(text); len(r) > 20 {
		return string(r[:20]) + "…"
	}
	return text
}

// isVariable reports whether a variable can have that name.
func isVariable(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// isName reports whether a step or a target can have that name.
func isName(name string) bool {
	for _, r := range name {
		if !(r == '-' || r == '.' || r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') {
			return false
		}
	}
	return name != ""
}

// need is the error of a node that is of another kind than its key asks for.
func (n *node) need(want kind, what, remedy string) error {
	switch {
	case n.kind == want:
		return nil
	case n.kind == null:
		return n.at.wrong("give it a value, or leave it out", "%s has no value", what)
	case n.kind == mapping && want == scalar:
		remedy = "put it in quotes if it is a text with a colon, such as \"Name: value\""
	case remedy == "" && want == scalar:
		remedy = "write one value"
	}
	return n.at.wrong(remedy, "%s: %s where %s is due", what, n.kind, want)
}
