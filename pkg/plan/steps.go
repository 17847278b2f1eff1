package plan

import (
	"slices"
	"strings"
)

// A step is made once for each choice of its dimensions: the targets of a list, then
// the keys of its matrix in the order of the text. The last one changes first.

// dimension is something of which a step has several.
type dimension struct {
	key     string
	choices []choice
}

const fewerSteps = "leave values of the matrix out, or split the plan"

// choice is what a step takes of one dimension.
type choice struct {
	name     string    // as it stands in the step's name
	settings []Setting // of a matrix: one
	target   *Target   // of a list of targets
}

func (r *planReader) steps(n *node) error {
	if err := n.need(list, "steps", "write - before each step"); err != nil {
		return err
	}
	if len(n.items) == 0 {
		return n.at.wrong("write for example steps: [{command: connect, clients: 1000}]", "the plan has no steps")
	}
	r.names = map[string]Place{}
	for _, item := range n.items {
		if err := item.need(mapping, "a step", "write for example - {command: connect, clients: 1000}"); err != nil {
			return err
		}
		if err := r.step(item); err != nil {
			return err
		}
	}
	return nil
}

// step reads one step and makes all that its dimensions ask for.
func (r *planReader) step(n *node) error {
	s, err := r.single(n)
	if err != nil {
		return err
	}
	dimensions, err := r.dimensions(n, s)
	if err != nil {
		return err
	}
	count := 1
	for _, d := range dimensions {
		// Both are small: a matrix has no more values than fit into a plan.
		if count *= len(d.choices); count+len(r.plan.Steps) > MaxSteps {
			return n.at.wrong(fewerSteps, "the plan makes more than %d steps", MaxSteps)
		}
	}
	for i := range count {
		r.plan.Steps = append(r.plan.Steps, r.combined(s, dimensions, i))
	}
	return nil
}

// single reads a step without what it has several of.
func (r *planReader) single(n *node) (Step, error) {
	s := Step{Place: n.at}
	command := n.get(keyCommand)
	if command == nil {
		return s, n.at.wrong("add for example command: connect", "the step has no command")
	}
	var err error
	if s.Command, err = r.scope.text(command, keyCommand); err != nil {
		return s, err
	}
	if !isName(s.Command.Value) {
		return s, s.Command.Place.wrong("write for example command: connect", "%q is no command", s.Command.Value)
	}
	named := Text{Value: s.Command.Value, Place: n.at}
	if name := n.get(keyName); name != nil {
		if named, err = r.scope.text(name, keyName); err != nil {
			return s, err
		}
		if !isName(named.Value) {
			return s, named.Place.wrong("use letters, digits, -, _ and .", "%q cannot be the name of a step", named.Value)
		}
	}
	if first, again := r.names[named.Value]; again {
		return s, named.Place.wrong("give each a name of its own with name:", "two steps are called %s, the first in line %d", named.Value, first.Line)
	}
	s.Name, r.names[named.Value] = named.Value, named.Place
	if s.URL, err = r.url(n); err != nil {
		return s, err
	}
	for _, f := range n.fields {
		switch f.key {
		case keyName, keyCommand, keyTarget, keyMatrix, keyURL:
			continue
		}
		own, err := r.setting(f, OfStep)
		if err != nil {
			return s, err
		}
		s.Settings = append(s.Settings, own)
	}
	return s, nil
}

// url is the step's own; nil without one.
func (r *planReader) url(n *node) (*Text, error) {
	url := n.get(keyURL)
	if url == nil {
		return nil, nil //nolint:nilnil // a step needs none
	}
	if n.get(keyTarget) != nil {
		return nil, url.at.wrong("leave one of them out", "the step has a target and a url")
	}
	t, err := r.scope.text(url, keyURL)
	return given(t), err
}

// given is t, or nil when it is empty: the bundled server needs no URL.
func given(t Text) *Text {
	if t.Value == "" {
		return nil
	}
	return &t
}

// dimensions reads what the step s has several of.
func (r *planReader) dimensions(n *node, s Step) ([]dimension, error) {
	var all []dimension
	if target := n.get(keyTarget); target != nil {
		d, err := r.targetsOf(target)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	matrix := n.get(keyMatrix)
	if matrix == nil {
		return all, nil
	}
	if err := matrix.need(mapping, keyMatrix, `write for example matrix: {http: ["1.1", "2"]}`); err != nil {
		return nil, err
	}
	for _, f := range matrix.fields {
		d, err := r.dimension(f, s)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// targetsOf reads the name of a target, or a list of them.
func (r *planReader) targetsOf(n *node) (dimension, error) {
	s, err := r.setting(field{keyTarget, n.at, n}, OfStep)
	if err != nil {
		return dimension{}, err
	}
	d := dimension{key: keyTarget}
	for _, name := range s.Values {
		i := slices.IndexFunc(r.plan.Targets, func(t Target) bool { return t.Name == name.Value })
		if i < 0 {
			return d, name.Place.wrong(r.knownTargets(), "unknown target %q", name.Value)
		}
		if slices.ContainsFunc(d.choices, func(c choice) bool { return c.target.Name == name.Value }) {
			return d, name.Place.wrong("take one out", "target %s is there twice", name.Value)
		}
		c := choice{target: &r.plan.Targets[i]}
		if len(s.Values) > 1 {
			c.name = name.Value
		}
		d.choices = append(d.choices, c)
	}
	if len(d.choices) == 0 {
		d.choices = []choice{{}} // a variable stands for none
	}
	return d, nil
}

func (r *planReader) knownTargets() string {
	if len(r.plan.Targets) == 0 {
		return "describe it under targets, or write url: in place of target:"
	}
	names := make([]string, len(r.plan.Targets))
	for i, t := range r.plan.Targets {
		names[i] = t.Name
	}
	return "known are " + strings.Join(names, ", ")
}

// dimension reads one key of a matrix.
func (r *planReader) dimension(f field, s Step) (dimension, error) {
	d := dimension{key: f.key}
	switch f.key {
	case keyTarget:
		return d, f.at.wrong("write target: [a, b] in the step itself", "target cannot stand in a matrix")
	case keyName, keyCommand, keyMatrix, keyURL, keyOutput:
		return d, f.at.wrong("write it in the step itself", "%s cannot stand in a matrix", f.key)
	}
	if i := slices.IndexFunc(s.Settings, func(own Setting) bool { return own.Key == f.key }); i >= 0 {
		return d, f.at.wrong("take one of them out", "%s stands in the step, line %d, and in its matrix", f.key, s.Settings[i].Place.Line)
	}
	if err := f.value.need(list, "matrix: "+f.key, "write a list, as a step is made for each of its values"); err != nil {
		return d, err
	}
	switch n := len(f.value.items); {
	case n == 0:
		return d, f.value.at.wrong("give it values, or leave it out", "matrix: %s is an empty list", f.key)
	case n > MaxSteps:
		return d, f.at.wrong(fewerSteps, "the plan makes more than %d steps", MaxSteps)
	}
	for _, item := range f.value.items {
		one, err := r.setting(field{f.key, f.at, item}, OfMatrix)
		if err != nil {
			return d, err
		}
		values := make([]string, len(one.Values))
		for i, v := range one.Values {
			values[i] = v.Value
		}
		c := choice{name: f.key + "=" + strings.Join(values, ","), settings: []Setting{one}}
		if slices.ContainsFunc(d.choices, func(o choice) bool { return o.name == c.name }) {
			return d, item.at.wrong("take one out", "matrix: %s has the value %s twice", f.key, strings.Join(values, ","))
		}
		d.choices = append(d.choices, c)
	}
	return d, nil
}

// combined is the step with the i-th combination of its dimensions.
func (r *planReader) combined(s Step, dimensions []dimension, i int) Step {
	var target Target
	picked := make([]choice, len(dimensions))
	for k := len(dimensions) - 1; k >= 0; k-- {
		choices := dimensions[k].choices
		picked[k] = choices[i%len(choices)]
		i /= len(choices)
	}
	s.Settings = slices.Clone(s.Settings)
	for _, c := range picked {
		if c.name != "" {
			s.Name += "/" + c.name
		}
		if c.target != nil {
			target = *c.target
		}
		s.Settings = append(s.Settings, c.settings...)
	}
	for _, shared := range slices.Concat(target.Settings, r.plan.Defaults) {
		if shared.Key == keyURL {
			if len(shared.Values) > 0 {
				s.URL = given(shared.Values[0])
			}
			continue
		}
		nearer := func(own Setting) bool { return own.Key == shared.Key && len(own.Values) > 0 }
		if !slices.ContainsFunc(s.Settings, nearer) {
			s.Settings = append(s.Settings, shared)
		}
	}
	return s
}
