package plan

import (
	"fmt"
	"strings"
)

// MaxSteps is how many steps a plan may make, with all combinations of its matrices.
const MaxSteps = 1000

// Plan is a plan that was read.
type Plan struct {
	Description string
	// Variables are those that the plan declares or uses, in that order, each once.
	Variables []Variable
	// Defaults and Targets are what steps share. Steps have it already: here it is for
	// who wants to know whether it is of use to any.
	Defaults []Setting
	Targets  []Target
	Steps    []Step // at least one
	// Output is where the results of all steps go; nil when the plan does not say.
	Output []Text
}

// Target is something that steps run against.
type Target struct {
	Name     string
	Place    Place
	Settings []Setting
}

// Step is one command to carry out.
type Step struct {
	// Name is that of the step, and for one of several that a matrix made, behind it
	// what it has of the matrix: rooms/old/http=2. No two are alike.
	Name    string
	Place   Place
	Command Text
	URL     *Text // nil: none
	// Settings are the step's own, those of its matrix, its target's and the defaults, in
	// this order. Of those with one key only the nearest has values: the others are left
	// out, but for such as have none.
	Settings []Setting
}

// Setting is a key with what it is given.
type Setting struct {
	Key   string
	Place Place // of the key
	// Values are what it is given, empty ones left out that a variable made so: with none
	// left the setting is as good as not there.
	Values []Text
	List   bool // it was written as a list, be it of one
	Origin Origin
	Target string // the target's name, of a setting of one
}

// Origin is which part of a plan a setting comes from.
type Origin int

// The parts of a plan, the nearest to a step first.
const (
	OfStep Origin = iota
	OfMatrix
	OfTarget
	OfDefaults
)

// String is what the user knows it as.
func (o Origin) String() string {
	return [...]string{"step", "matrix", "target", "defaults"}[o]
}

// The keys that are no settings.
const (
	keyName    = "name"
	keyCommand = "command"
	keyTarget  = "target"
	keyMatrix  = "matrix"
	keyURL     = "url"
	keyOutput  = "output"
)

// Parse reads a plan, which errors call file. Its errors are of type [*Error].
func Parse(file string, text []byte, values Values) (*Plan, error) {
	root, err := document(file, text)
	if err != nil {
		return nil, err
	}
	if err := root.need(mapping, "a plan", "write a list of steps under steps:"); err != nil {
		return nil, err
	}
	r := planReader{scope: newScope(values), plan: &Plan{}}
	if err := r.read(root); err != nil {
		return nil, err
	}
	r.plan.Variables = r.scope.used
	return r.plan, nil
}

// planReader makes a plan of nodes.
type planReader struct {
	scope scope
	plan  *Plan
	names map[string]Place // of the steps
}

// read goes through the parts of a plan in the order in which they need each other.
func (r *planReader) read(root *node) error {
	parts := []struct {
		key  string
		read func(*node) error
	}{
		{"description", func(n *node) error { return r.one(n, "description", &r.plan.Description) }},
		{"variables", r.scope.declare},
		{"targets", r.targets},
		{"defaults", r.defaults},
		{"steps", r.steps},
		{keyOutput, r.output},
	}
	known := make([]string, len(parts))
	for i, p := range parts {
		known[i] = p.key
	}
	if err := root.only(known, "a plan"); err != nil {
		return err
	}
	for _, p := range parts {
		value := root.get(p.key)
		if value == nil {
			if p.key == "steps" {
				return root.at.wrong("write for example steps: [{command: connect, clients: 1000}]", "the plan has no steps")
			}
			continue
		}
		if err := p.read(value); err != nil {
			return err
		}
	}
	return nil
}

// one reads a value with its variables replaced.
func (r *planReader) one(n *node, what string, to *string) error {
	t, err := r.scope.text(n, what)
	*to = t.Value
	return err
}

func (r *planReader) targets(n *node) error {
	if err := n.need(mapping, "targets", "write for example targets: {old: {url: http://127.0.0.1:8123}}"); err != nil {
		return err
	}
	for _, f := range n.fields {
		if !isName(f.key) {
			return f.at.wrong("use letters, digits, -, _ and .", "%q cannot be the name of a target", f.key)
		}
		if err := f.value.need(mapping, "target "+f.key, "write its settings as a map, such as {url: http://127.0.0.1:8123}"); err != nil {
			return err
		}
		settings, err := r.settings(f.value, OfTarget)
		if err != nil {
			return err
		}
		for i := range settings {
			settings[i].Target = f.key
		}
		r.plan.Targets = append(r.plan.Targets, Target{Name: f.key, Place: f.at, Settings: settings})
	}
	return nil
}

func (r *planReader) defaults(n *node) error {
	if err := n.need(mapping, "defaults", "write for example defaults: {timeout: 10s}"); err != nil {
		return err
	}
	var err error
	r.plan.Defaults, err = r.settings(n, OfDefaults)
	return err
}

func (r *planReader) output(n *node) error {
	s, err := r.setting(field{keyOutput, n.at, n}, OfStep)
	r.plan.Output = s.Values
	return err
}

// settings reads what a target or the defaults set.
func (r *planReader) settings(n *node, origin Origin) ([]Setting, error) {
	var all []Setting
	for _, f := range n.fields {
		switch {
		case f.key == keyOutput:
			return nil, f.at.wrong("write it at the top of the plan, for all steps together, or in a step",
				"output in %s: every step would write to the same place", origin)
		case f.key == keyName || f.key == keyCommand || f.key == keyTarget || f.key == keyMatrix || f.key == keyURL && origin == OfDefaults:
			return nil, f.at.wrong("write it in the step", "%s is of a step, not of %s", f.key, origin)
		}
		s, err := r.setting(f, origin)
		if err != nil {
			return nil, err
		}
		if f.key == keyURL && s.List {
			return nil, f.value.at.wrong("describe a target for each", "url: a list where a value is due")
		}
		all = append(all, s)
	}
	return all, nil
}

// setting reads a key with a value or a list of values.
func (r *planReader) setting(f field, origin Origin) (Setting, error) {
	s := Setting{Key: f.key, Place: f.at, Origin: origin}
	items := []*node{f.value}
	if f.value.kind == list {
		if items = f.value.items; len(items) == 0 {
			return s, f.value.at.wrong("give it a value, or leave it out", "%s is an empty list", f.key)
		}
		s.List = true
	}
	for _, item := range items {
		t, err := r.scope.text(item, f.key)
		if err != nil {
			return s, err
		}
		// A variable may stand for nothing on purpose.
		if t.Value != "" || len(t.Used) == 0 {
			s.Values = append(s.Values, t)
		}
	}
	return s, nil
}

// only refuses keys of a mapping, which what names, that it cannot have.
func (n *node) only(known []string, what string) error {
	for _, f := range n.fields {
		found := false
		for _, key := range known {
			found = found || key == f.key
		}
		if !found {
			return f.at.wrong(fmt.Sprintf("known are %s", strings.Join(known, ", ")), "unknown key %q in %s", f.key, what)
		}
	}
	return nil
}

// get finds the value of a key; nil without one.
func (n *node) get(key string) *node {
	for _, f := range n.fields {
		if f.key == key {
			return f.value
		}
	}
	return nil
}
