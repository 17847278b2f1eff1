package plan

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// described is a plan as text, so that tests can say what they expect of it.
func described(p *Plan) string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%s: %s", s.Name, s.Command.Value)
		if s.URL != nil {
			b.WriteString(" " + s.URL.Value)
		}
		for _, set := range s.Settings {
			values := make([]string, len(set.Values))
			for i, v := range set.Values {
				values[i] = v.Value
			}
			fmt.Fprintf(&b, " %s=%s(%s)", set.Key, strings.Join(values, "|"), set.Origin)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func env(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := pairs[name]
		return value, ok
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, text string
		values     Values
		want       string
	}{
		{"one step", "steps: [{command: connect, clients: 5}]", Values{}, "connect: connect clients=5(step)\n"},
		{"a name", "steps:\n- name: a\n  command: connect\n- command: connect\n", Values{}, "a: connect\nconnect: connect\n"},
		{"numbers as written", "steps: [{command: x, a: 1.10, b: 0x10, c: .5, d: true, e: 'yes', f: 007}]", Values{},
			"x: x a=1.10(step) b=0x10(step) c=.5(step) d=true(step) e=yes(step) f=007(step)\n"},
		{"a text of several lines", "steps:\n- command: x\n  body: |\n    a\n    \tb\n", Values{}, "x: x body=a\n\tb\n(step)\n"},
		{"lists", "steps: [{command: x, a: [1, 2], b: [c]}]", Values{}, "x: x a=1|2(step) b=c(step)\n"},
		{"a target, defaults, and what wins", `
targets: {old: {url: "http://h", a: 2, b: 2}}
defaults: {a: 3, b: 3, c: 3}
steps: [{command: x, target: old, a: 1}]`, Values{}, "x: x http://h a=1(step) b=2(target) c=3(defaults)\n"},
		{"several targets", "targets: {old: {url: u}, new: {}}\nsteps: [{command: x, target: [old, new]}]", Values{}, "x/old: x u\nx/new: x\n"},
		{"one target in a list", "targets: {old: {url: u}}\nsteps: [{command: x, target: [old]}]", Values{}, "x: x u\n"},
		{"a matrix", "steps: [{command: x, z: 0, matrix: {b: [1, 2], a: [p, [q, r]]}}]", Values{}, `x/b=1/a=p: x z=0(step) b=1(matrix) a=p(matrix)
x/b=1/a=q,r: x z=0(step) b=1(matrix) a=q|r(matrix)
x/b=2/a=p: x z=0(step) b=2(matrix) a=p(matrix)
x/b=2/a=q,r: x z=0(step) b=2(matrix) a=q|r(matrix)
`},
		{"a matrix wins over target and defaults", "targets: {o: {a: 1, b: 1}}\ndefaults: {a: 0}\nsteps: [{command: x, target: o, matrix: {a: [5]}}]", Values{},
			"x/a=5: x a=5(matrix) b=1(target)\n"},
		{"a url", "steps: [{command: x, url: 'http://h/${ROOM:-{room}}'}]", Values{}, "x: x http://h/{room}\n"},
		{"variables", "variables: {A: 1, B: '${A}2'}\nsteps: [{command: x, v: '${B}-${A}-$$-$5-$'}]", Values{}, "x: x v=12-1-$-$5-$(step)\n"},
		{"the environment wins over the plan", "variables: {A: 1}\nsteps: [{command: x, v: '${A}'}]", Values{Env: env(map[string]string{"A": "2"})}, "x: x v=2(step)\n"},
		{"the user wins over the environment", "variables: {A: 1}\nsteps: [{command: x, v: '${A}'}]",
			Values{Given: map[string]string{"A": "3"}, Env: env(map[string]string{"A": "2"})}, "x: x v=3(step)\n"},
		{"an empty variable of the environment is none", "variables: {A: 1}\nsteps: [{command: x, v: '${A}'}]", Values{Env: env(map[string]string{"A": ""})}, "x: x v=1(step)\n"},
		{"one variable wins over those made of it", "variables: {A: 1, B: '${A}'}\nsteps: [{command: x, v: '${B}'}]", Values{Given: map[string]string{"A": "3"}}, "x: x v=3(step)\n"},
		{"undeclared, from the environment", "steps: [{command: x, v: '${A}'}]", Values{Env: env(map[string]string{"A": "2"})}, "x: x v=2(step)\n"},
		{"a fallback", "variables: {E: ''}\nsteps: [{command: x, v: '${A:-b c}${E:-d}'}]", Values{}, "x: x v=b cd(step)\n"},
		{"a fallback that is not needed", "steps: [{command: x, v: '${A:-b}'}]", Values{Env: env(map[string]string{"A": "2"})}, "x: x v=2(step)\n"},
		{"what a variable leaves empty is not there", "defaults: {v: d}\nsteps: [{command: x, url: '${A:-}', v: '${A:-}', w: ['${A:-}', z]}]", Values{},
			"x: x v=(step) w=z(step) v=d(defaults)\n"},
		{"an optional target", "targets: {o: {url: '${A:-}'}}\nsteps: [{command: x, target: o}]", Values{}, "x: x\n"},
		{"empty on purpose", "steps: [{command: x, v: ''}]", Values{}, "x: x v=(step)\n"},
		{"a byte order mark", "\ufeffsteps: [{command: x}]", Values{}, "x: x\n"},
		{"lines of Windows", "steps:\r\n- command: x\r\n  v: 1\r\n", Values{}, "x: x v=1(step)\n"},
		{"a command of a variable", "steps: [{command: '${C:-x}', name: '${C:-y}'}]", Values{}, "y: x\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := Parse("p.yaml", []byte(test.text), test.values)
			if err != nil {
				t.Fatal(err)
			}
			if got := described(p); got != test.want {
				t.Errorf("it makes\n%swant\n%s", got, test.want)
			}
		})
	}
}

// TestPlaces expects all that a plan says to keep where it stands, and where the
// variables in it come from.
func TestPlaces(t *testing.T) {
	text := `description: a ${WHAT:-plan}
variables:
  N: 5
steps:
  - command: rooms
    clients:
      - 1
      - "${N}${HOME}"
    matrix: {http: ["2"]}
output: [csv, "json=${N}"]
`
	p, err := Parse("dir/p.yaml", []byte(text), Values{Env: env(map[string]string{"HOME": "6"})})
	if err != nil {
		t.Fatal(err)
	}
	if p.Description != "a plan" {
		t.Errorf("the description is %q", p.Description)
	}
	s := p.Steps[0]
	v := s.Settings[0].Values[1]
	for _, c := range []struct {
		what string
		got  any
		want string
	}{
		{"step", s.Place, "dir/p.yaml:5:5"},
		{"command", s.Command.Place, "dir/p.yaml:5:14"},
		{"key", s.Settings[0].Place, "dir/p.yaml:6:5"},
		{"value", v.Place, "dir/p.yaml:8:9"},
		{"variables of it", v.Used, "[{N 5 dir/p.yaml:3:3} {HOME 6 the environment}]"},
		{"key of the matrix", s.Settings[1].Place, "dir/p.yaml:9:14"},
		{"value of the matrix", s.Settings[1].Values[0].Place, "dir/p.yaml:9:21"},
		{"output", p.Output[1].Place, "dir/p.yaml:10:15"},
		{"variables of the plan", p.Variables, "[{WHAT  } {N 5 dir/p.yaml:3:3} {HOME 6 the environment}]"},
	} {
		if got := fmt.Sprint(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, test := range []struct{ name, text, want, hint string }{
		{"empty", "", "1:1: the plan is empty", "list of steps"},
		{"only comments", "# nothing\n", "1:1: the plan is empty", "list of steps"},
		{"only a mark", "---\n", "1:1: the plan is empty", "list of steps"},
		{"no YAML", "steps: [{command: x\n", "1:9: could not find flow mapping end", "indentation"},
		{"a quote that is not closed", "steps:\n- command: 'x\n", "2:12: could not find end character", "quotes"},
		{"a tab", "steps:\n\t- command: x\n", "2:1: a tab in the indentation", "spaces"},
		{"a tab behind spaces", "steps:\n- command: x\n  \tclients: 5\n", "3:3: a tab in the indentation", "spaces"},
		{"a variable in brackets", "steps:\n- {command: x, url: ${TARGET}}\n", "2:22: ", `"${…}" in quotes`},
		{"not UTF-8", "steps:\n- command: ü\xff\n", "2:13: not text in UTF-8", "UTF-8"},
		{"two documents", "steps: [{command: x}]\n---\nsteps: []\n", "2:1: a plan is one document", "---"},
		{"an end before the end", "steps: [{command: x}]\n...\nsteps: []\n", "2:1: a plan is one document", "..."},
		{"an anchor", "steps: &a [{command: x}]\n", "1:8: plans have no anchors", "variable"},
		{"an alias", "steps: *a\n", "1:8: plans have no anchors", "variable"},
		{"a merge", "steps:\n- <<: {a: b}\n", "2:3: plans have no anchors", "variable"},
		{"a tag", "steps:\n- command: !x y\n", "2:12: plans have no tags", "quotes"},
		{"a complex key", "? [a]\n: b\n", "1:1: plans have no keys of several lines", "quotes"},
		{"too deep", "a: " + strings.Repeat("[", 40), "1:36: too many lists", "levels"},
		{"too deep without brackets", strings.Repeat("- ", 20), "1:17: too many lists", "levels"},
		{"a list", "- command: x\n", "1:1: a plan: a list where a map is due", "steps:"},
		{"a text", "connect\n", "1:1: a plan: a value where a map is due", "steps:"},
		{"a key twice", "steps: []\noutput: csv\nsteps: []\n", `3:1: "steps" is there twice, first in line 1`, "one"},
		{"a flag twice", "steps:\n- command: x\n  a: 1\n  a: 2\n", `4:3: "a" is there twice, first in line 3`, "one"},
		{"a key that is none", "step: []\nsteps: [{command: x}]\n", `1:1: unknown key "step" in a plan`, "known are description, variables, targets, defaults, steps, output"},
		{"no steps", "description: x\n", "1:1: the plan has no steps", "command: connect"},
		{"none in the list", "steps: []\n", "1:8: the plan has no steps", "command: connect"},
		{"steps of nothing", "steps:\n", "1:1: steps has no value", "leave it out"},
		{"steps in a map", "steps:\n  a: {command: x}\n", "2:3: steps: a map where a list is due", "- before each step"},
		{"a step that is a text", "steps:\n- connect\n", "2:3: a step: a value where a map is due", "command: connect"},
		{"no command", "steps:\n- clients: 5\n", "2:3: the step has no command", "add for example command: connect"},
		{"a list of commands", "steps:\n- command: [a, b]\n", "2:12: command: a list where a value is due", ""},
		{"no name of a command", "steps:\n- command: a b\n", `2:12: "a b" is no command`, "connect"},
		{"two steps of one name", "steps:\n- command: x\n- command: x\n", "3:3: two steps are called x, the first in line 2", "name:"},
		{"a bad name", "steps:\n- command: x\n  name: a b\n", `3:9: "a b" cannot be the name of a step`, "letters"},
		{"nothing", "steps:\n- command: x\n  a:\n  b: 1\n", "3:3: a has no value", "leave it out"},
		{"null", "steps:\n- command: x\n  a: null\n", "3:6: a has no value", "leave it out"},
		{"nothing in a list", "steps:\n- command: x\n  a: [1, ~]\n", "3:10: a has no value", "leave it out"},
		{"an empty list", "steps:\n- command: x\n  a: []\n", "3:6: a is an empty list", "leave it out"},
		{"a map", "steps:\n- command: x\n  a: {b: c}\n", "3:6: a: a map where a value is due", "quotes"},
		{"a header without quotes", "steps:\n- command: x\n  header: [X-A: b]\n", "3:12: header: a map where a value is due", `"Name: value"`},
		{"a list in a list", "steps:\n- command: x\n  a: [[1]]\n", "3:7: a: a list where a value is due", ""},
		{"targets in a list", "targets: [a]\nsteps: [{command: x}]\n", "1:10: targets: a list where a map is due", "{old:"},
		{"a target that is a text", "targets: {a: http://h}\nsteps: [{command: x}]\n", "1:14: target a: a value where a map is due", "{url:"},
		{"a target's bad name", "targets: {'a/b': {}}\nsteps: [{command: x}]\n", `1:11: "a/b" cannot be the name of a target`, "letters"},
		{"an unknown target", "targets: {old: {}, new: {}}\nsteps:\n- {command: x, target: odl}\n", `3:24: unknown target "odl"`, "known are old, new"},
		{"no targets at all", "steps:\n- {command: x, target: old}\n", `2:24: unknown target "old"`, "under targets"},
		{"a target twice", "targets: {a: {}}\nsteps:\n- {command: x, target: [a, a]}\n", "3:28: target a is there twice", "take one out"},
		{"a target and a url", "targets: {a: {}}\nsteps:\n- {command: x, target: a, url: u}\n", "3:32: the step has a target and a url", "leave one"},
		{"a list of urls", "targets:\n  a: {url: [u, v]}\nsteps: [{command: x}]\n", "2:12: url: a list", "a target for each"},
		{"a command in a target", "targets:\n  a: {command: x}\nsteps: [{command: x}]\n", "2:7: command is of a step, not of target", "in the step"},
		{"a url in the defaults", "defaults: {url: u}\nsteps: [{command: x}]\n", "1:12: url is of a step, not of defaults", "in the step"},
		{"an output in the defaults", "defaults: {output: csv}\nsteps: [{command: x}]\n", "1:12: output in defaults", "at the top"},
		{"defaults of one command", "defaults: {rooms: {a: 1}}\nsteps: [{command: x}]\n", "1:19: rooms: a map where a value is due", ""},
		{"variables in a list", "variables: [A]\nsteps: [{command: x}]\n", "1:12: variables: a list where a map is due", "TARGET"},
		{"a list in a variable", "variables: {A: [1, 2]}\nsteps: [{command: x}]\n", "1:16: variable A: a list", `"1000,2000"`},
		{"a variable's bad name", "variables: {A-B: 1}\nsteps: [{command: x}]\n", `1:13: "A-B" cannot be the name of a variable`, "letters"},
		{"an unknown variable", "steps:\n- {command: x, a: \"${NONE}\"}\n", "2:19: variable NONE has no value", "--var NONE=…"},
		{"a variable of one behind it", "variables: {A: '${B}', B: 1}\nsteps: [{command: x}]\n", "1:16: variable B is used where it has no value yet", "those above it"},
		{"a variable of itself", "variables:\n  A: x${A}\nsteps: [{command: x}]\n", "2:6: variable A is used where it has no value yet", "those above it"},
		{"a variable that is none", "steps:\n- {command: x, a: \"${A B}\"}\n", "2:19: a variable that is none: ${A B}", "$$ for a dollar"},
		{"a variable that is not closed", "steps:\n- {command: x, a: \"${A\"}\n", "2:19: a variable that is none: ${A", "$$ for a dollar"},
		{"an endless variable", "variables: {A: " + strings.Repeat("x", 1<<15) + ", B: '${A}${A}', C: '${B}${B}'}\nsteps: [{command: x}]\n",
			"1:32804: variable C: variables make the plan too large", "shorter"},
		{"a matrix in a list", "steps:\n- {command: x, matrix: [a]}\n", "2:24: matrix: a list where a map is due", "http:"},
		{"one value in a matrix", "steps:\n- {command: x, matrix: {a: 1}}\n", "2:28: matrix: a: a value where a list is due", "each of its values"},
		{"no value in a matrix", "steps:\n- {command: x, matrix: {a: []}}\n", "2:28: matrix: a is an empty list", "values"},
		{"a value twice in a matrix", "steps:\n- {command: x, matrix: {a: [1, 1]}}\n", "2:32: matrix: a has the value 1 twice", "take one out"},
		{"a key in step and matrix", "steps:\n- {command: x, a: 1, matrix: {a: [1]}}\n", "2:31: a stands in the step, line 2, and in its matrix", "take one"},
		{"a target in a matrix", "steps:\n- {command: x, matrix: {target: [1]}}\n", "2:25: target cannot stand in a matrix", "target: [a, b]"},
		{"an output in a matrix", "steps:\n- {command: x, matrix: {output: [csv]}}\n", "2:25: output cannot stand in a matrix", "step itself"},
		{"a matrix that is too large", "steps:\n- {command: x, matrix: {a: [" + numbers(40) + "], b: [" + numbers(40) + "]}}\n", "2:3: the plan makes more than 1000 steps", "split"},
		{"outputs in a map", "steps: [{command: x}]\noutput: {json: a}\n", "2:9: output: a map where a value is due", ""},
		{"too many keys", "steps:\n- " + keys(300), "2:3: more than 200 keys", "split"},
		{"too large", strings.Repeat("# x\n", MaxSize/4) + "a", "1:1: the plan is larger than 1024 KiB", "several plans"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("p.yaml", []byte(test.text), Values{})
			var mistake *Error
			if !errors.As(err, &mistake) {
				t.Fatalf("the error is %v", err)
			}
			if !strings.HasPrefix(err.Error(), "p.yaml:"+test.want) {
				t.Errorf("it says %q, want %q", err, "p.yaml:"+test.want)
			}
			if !strings.Contains(mistake.Hint(), test.hint) {
				t.Errorf("it hints %q, want %q", mistake.Hint(), test.hint)
			}
		})
	}
}

func numbers(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i)
	}
	return strings.Join(all, ", ")
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  k%d: 1\n", i)
	}
	return strings.TrimPrefix(b.String(), "  ")
}

// TestHint expects an error without a remedy of its own to give that of what it wraps.
func TestHint(t *testing.T) {
	inner := &Error{Err: errors.New("x"), Remedy: "do this"}
	if got := (&Error{Err: fmt.Errorf("y: %w", inner)}).Hint(); got != "do this" {
		t.Errorf("it hints %q", got)
	}
	if got := (&Error{Err: errors.New("x")}).Hint(); got != "" {
		t.Errorf("it hints %q", got)
	}
}

// FuzzParse expects no panic, and no long work, on any input; every error to be a
// mistake with a place; and every plan to keep what it promises.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"steps: [{command: x, a: [1, 2], matrix: {b: [1, 2]}}]", "variables: {A: 1}\ntargets: {o: {url: '${A}'}}\ndefaults: {c: d}\nsteps:\n- {command: x, target: o}\noutput: csv",
		"steps:\n\t- command: x", "a: &b c", "? x", "- - - -", "[[[[", "{a: {", "'", "|\n x", "%YAML 1.2\n---\n", "steps: [{command: '${A:-}'}]", "---\n---\n", "a: !!str b", "\xff",
	} {
		f.Add([]byte(text))
	}
	plans, err := filepath.Glob("../../scenarios/plans/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range plans {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		begun := time.Now()
		p, err := Parse("p", text, Values{})
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("it took %s", took)
		}
		if err != nil {
			var mistake *Error
			if !errors.As(err, &mistake) || mistake.Place.Line < 1 || mistake.Place.Column < 1 {
				t.Fatalf("%v is no mistake with a place", err)
			}
			return
		}
		names := map[string]bool{}
		for _, s := range p.Steps {
			if names[s.Name] {
				t.Errorf("two steps are called %q", s.Name)
			}
			names[s.Name] = true
			with := map[string]bool{}
			for _, set := range s.Settings {
				if len(set.Values) > 0 && with[set.Key] {
					t.Errorf("step %q has two values of %q", s.Name, set.Key)
				}
				with[set.Key] = with[set.Key] || len(set.Values) > 0
			}
		}
		if len(names) == 0 || len(names) > MaxSteps {
			t.Errorf("the plan has %d steps", len(names))
		}
	})
}
