package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/plan"
	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/spelling"
	"github.com/sseload/sseload/pkg/target"
)

// A plan's settings are flags, by their long names. Each step is bound to a command of
// its own, whose flags are set through the values that the command line sets too: so
// plans and command lines cannot differ in what they know, nor in what they refuse.

// loadCommands are the commands that make load, by name.
func (a *App) loadCommands() map[string]func() loadCommand {
	return map[string]func() loadCommand{"connect": a.connectCommand, "rooms": a.roomsCommand}
}

// form is how many values a flag takes, and how.
type form int

const (
	single   form = iota
	joined        // several, in one text with commas
	repeated      // several, each by setting the flag once more
)

// singleTypes are the types of flags that take one value, beside choices.
//
//nolint:gochecknoglobals // a constant table
var singleTypes = []string{
	"bool", "string", "int", "duration", "N", "N/s", "BYTES", "BYTES/s", "N|N%", "TIME|N%", "NAME", "URL", "TEXT",
}

// formOf finds out how a flag takes values. One of a type that it does not know may
// take several: setting it tells.
func formOf(f *pflag.Flag) form {
	kind := f.Value.Type()
	switch _, list := f.Value.(pflag.SliceValue); {
	case list:
		return repeated
	case strings.Contains(kind, "[,"):
		return joined
	case slices.Contains(singleTypes, kind) || len(choicesOf(f)) > 0:
		return single
	}
	return repeated
}

// choicesOf are the values that a flag can have, when they are few: 1|all.
func choicesOf(f *pflag.Flag) []string {
	if v, ok := f.Value.(interface{ choices() []string }); ok {
		return v.choices()
	}
	kind := f.Value.Type()
	if !strings.Contains(kind, "|") || strings.ToLower(kind) != kind {
		return nil // N|N% stands for values
	}
	return strings.Split(kind, "|")
}

// step is a step of a plan that is bound to its command.
type step struct {
	name     string
	place    plan.Place
	command  loadCommand
	campaign *campaign
	url      *plan.Text
	// values are those of the flags that were set, in the order in which the plan has
	// them, and those from elsewhere behind.
	values     []flagValue
	ownOutputs []plan.Text
	outputs    outputs // those, once opened
}

// flagValue is what a flag was given, and by whom.
type flagValue struct {
	flag *pflag.Flag
	text []string
	from string
	// outside is what to call it where it is a mistake; empty: by its place in the plan.
	outside string
}

// words are the step's command line, without the program's name.
func (s *step) words() []string {
	words := []string{s.command.Name()}
	if s.url != nil {
		words = append(words, s.url.Value)
	}
	for _, v := range s.values {
		words = append(words, v.words()...)
	}
	return words
}

func (v flagValue) words() []string {
	name := "--" + v.flag.Name
	if v.flag.Value.Type() == "bool" {
		if v.flag.Value.String() == "true" {
			return []string{name}
		}
		return []string{name + "=false"}
	}
	if formOf(v.flag) == joined {
		return []string{name, strings.Join(v.text, ",")}
	}
	var words []string
	for _, text := range v.text {
		words = append(words, name, text)
	}
	return words
}

// redacted is the step's command line without its secrets, for records.
func (s *step) redacted() []string { return redacted(s.words()) }

// placed is err with its place in a plan, if it has one.
func placed(at plan.Place, err error) error {
	if at == (plan.Place{}) {
		return err
	}
	return &plan.Error{Place: at, Err: err}
}

// mistake is a mistake in a plan.
func mistake(at plan.Place, hint, format string, args ...any) error {
	return placed(at, usagef(hint, format, args...))
}

// binder binds the steps of a plan to commands.
type binder struct {
	app      *App
	plan     *plan.Plan
	own      *pflag.FlagSet // of the command that carries out plans
	settings []pair         // of the command line, for all steps
	owners   map[string]string
}

func (b *binder) bind() ([]*step, error) {
	if err := b.checkShared(); err != nil {
		return nil, err
	}
	var all []*step
	files := map[string]string{} // which step writes to each
	for _, p := range b.plan.Steps {
		s, err := b.step(p)
		if err != nil {
			return nil, err
		}
		for _, out := range s.ownOutputs {
			_, path, _ := strings.Cut(out.Value, "=")
			if other, again := files[path]; again && path != "" && path != "-" {
				return nil, mistake(out.Place, "write it at the top of the plan, for all steps together, or give each step a file of its own",
					"output: steps %s and %s write to the same file %s", other, s.name, path)
			}
			files[path] = s.name
		}
		all = append(all, s)
	}
	return all, b.checkUsed(all)
}

// checkUsed refuses a setting of the command line that none of the steps has.
func (b *binder) checkUsed(steps []*step) error {
	for _, set := range b.settings {
		if !slices.ContainsFunc(steps, func(s *step) bool { return s.command.Flags().Lookup(set.name) != nil }) {
			return usagef("leave it out, or choose a step of "+b.whose(set.name), "--set %s: no step that is to be carried out has such a flag", set.name)
		}
	}
	return nil
}

// checkShared refuses settings that no command has.
func (b *binder) checkShared() error {
	for _, set := range b.settings {
		switch {
		case set.name == "output":
			return usagef("write -o FORMAT=PATH, for all steps together", "--set output: every step would write to the same place")
		case !b.known(set.name):
			return b.unknown(plan.Place{}, nil, "--set "+set.name, set.name)
		}
	}
	shared := slices.Clone(b.plan.Defaults)
	for _, t := range b.plan.Targets {
		shared = append(shared, t.Settings...)
	}
	for _, s := range shared {
		if s.Key != "url" && !b.known(s.Key) {
			return b.unknown(s.Place, nil, s.Key, s.Key)
		}
	}
	return nil
}

// known reports whether some command has the flag.
func (b *binder) known(name string) bool { return b.whose(name) != "" }

// whose is the first command that has the flag, or empty.
func (b *binder) whose(name string) string {
	if b.owners == nil {
		b.owners = map[string]string{}
		for _, command := range slices.Sorted(maps.Keys(b.app.loadCommands())) {
			b.app.loadCommands()[command]().Flags().VisitAll(func(f *pflag.Flag) {
				b.owners[f.Name] = cmp.Or(b.owners[f.Name], command)
			})
		}
	}
	return b.owners[name]
}

// unknown is the error of a key that is no flag, of a step's command or, when c is nil,
// of any. It stands at that place and is called what there.
func (b *binder) unknown(at plan.Place, c *loadCommand, what, key string) error {
	name, of := key, ""
	var flags []*pflag.FlagSet
	if c != nil {
		of = " of " + c.Name()
		flags = append(flags, c.Flags())
		if other := b.whose(key); other != "" {
			return mistake(at, "leave it out, or make it a step of "+other, "%s is a flag of %s, not%s", what, other, of)
		}
	}
	if b.own.Lookup(key) != nil || key == "help" {
		return mistake(at, "write sseload run PLAN --"+key, "%s is for the command line, not for a plan", what)
	}
	for _, command := range b.app.loadCommands() {
		flags = append(flags, command().Flags())
	}
	name = strings.ReplaceAll(strings.TrimLeft(name, "-"), "_", "-")
	for _, set := range flags {
		near := nearestFlag(set, name)
		if len(name) == 1 {
			if f := set.ShorthandLookup(name); f != nil {
				near = f.Name
			}
		}
		if near != "" && (c != nil || near != "output") { // which is not for what steps share
			return mistake(at, "did you mean "+near+"?", "unknown flag %s%s", what, of)
		}
	}
	return mistake(at, "the keys are the flags that sseload connect --help and sseload rooms --help list", "unknown flag %s%s", what, of)
}

// step binds one step.
func (b *binder) step(p plan.Step) (*step, error) {
	fresh, ok := b.app.loadCommands()[p.Command.Value]
	if !ok {
		names := slices.Sorted(maps.Keys(b.app.loadCommands()))
		hint := "known are " + strings.Join(names, " and ")
		if near := spelling.Nearest(p.Command.Value, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		return nil, mistake(p.Command.Place, hint, "unknown command %q", p.Command.Value)
	}
	// The plan's values are tried where nothing else is set: they are to be good also
	// when others win.
	trial := fresh()
	for _, set := range p.Settings {
		if err := b.try(&trial, set); err != nil {
			return nil, err
		}
	}
	s := &step{name: p.Name, place: p.Place, command: fresh(), url: p.URL}
	if err := b.fill(s, p.Settings); err != nil {
		return nil, err
	}
	var args []string
	if p.URL != nil {
		args = []string{p.URL.Value}
	}
	var err error
	if s.campaign, err = s.command.prepare(args); err != nil {
		return nil, s.blamed(p.Settings, err)
	}
	return s, nil
}

// try sets a flag of c as a setting of a plan says. One that the step shares with
// others, and that c does not have, is not for it.
func (b *binder) try(c *loadCommand, set plan.Setting) error {
	f := c.Flags().Lookup(set.Key)
	switch {
	case f == nil && set.Origin >= plan.OfTarget:
		return nil
	case f == nil:
		return b.unknown(set.Place, c, set.Key, set.Key)
	case set.List && formOf(f) == single:
		return mistake(set.Values[0].Place, "write one value; several steps, each with one, are made by a matrix: matrix: {"+set.Key+": […]}",
			"%s takes one value, but got a list", set.Key)
	case set.Key == "output":
		return checkOutputs(set.Values)
	}
	for i, v := range set.Values {
		before := f.Value.String()
		err := setFlag(c.Flags(), f, set.Key, v.Value)
		if errors.As(err, new(*figureList)) {
			return mistake(v.Place, "sseload "+c.Name()+" --"+set.Key+" "+v.Value+" prints them", "%s=%s: no threshold, but what asks for the names of figures", set.Key, v.Value)
		}
		if err != nil {
			return placed(v.Place, err)
		}
		if emptied(f) {
			return mistake(v.Place, "leave it out, or give it a value", "%s is empty", set.Key)
		}
		if i > 0 && formOf(f) == repeated && b.replaced(c, f, v.Value, before) {
			return mistake(v.Place, "write one value", "%s takes one value, but got a list", set.Key)
		}
	}
	return nil
}

// replaced reports whether f, which was set to value, forgot what it was set to before.
func (b *binder) replaced(c *loadCommand, f *pflag.Flag, value, before string) bool {
	fresh := b.app.loadCommands()[c.Name()]().Flags().Lookup(f.Name)
	return fresh.Value.Set(value) == nil && fresh.Value.String() == f.Value.String() && before != f.Value.String()
}

// setFlag sets a flag, which errors call name.
func setFlag(flags *pflag.FlagSet, f *pflag.Flag, name, value string) error {
	if f.Value.Type() == "bool" && value != "true" && value != "false" {
		return usagef("write true or false", "%s=%s: not true or false", name, value)
	}
	err := flags.Set(f.Name, value)
	if invalid := (*pflag.InvalidValueError)(nil); errors.As(err, &invalid) {
		err = invalid.Unwrap()
	}
	if err != nil {
		return valueError(name, value, err)
	}
	return nil
}

// fill sets the flags of the step's command: by the command line, then by the
// environment, then by the plan.
func (b *binder) fill(s *step, settings []plan.Setting) error {
	flags := s.command.Flags()
	var outside []flagValue
	for _, set := range b.settings {
		f := flags.Lookup(set.name)
		if f == nil {
			continue
		}
		if err := setFlag(flags, f, "--set "+set.name, set.value); err != nil {
			return err
		}
		if emptied(f) {
			return usagef("leave it out, or give it a value", "--set %s is empty", set.name)
		}
		i := slices.IndexFunc(outside, func(v flagValue) bool { return v.flag == f })
		switch {
		case i < 0:
			outside = append(outside, flagValue{f, []string{set.value}, "--set", "--set " + set.name})
		case formOf(f) == repeated:
			outside[i].text = append(outside[i].text, set.value)
		default:
			outside[i].text = []string{set.value}
		}
	}
	fromEnvironment, err := b.environment(flags)
	if err != nil {
		return err
	}
	outside = append(outside, fromEnvironment...)
	for _, set := range settings {
		f := flags.Lookup(set.Key)
		if f == nil || len(set.Values) == 0 || f.Changed && set.Key != "output" {
			continue
		}
		if set.Key == "output" {
			s.ownOutputs = set.Values
		}
		v, err := setAll(flags, f, set)
		if err != nil {
			return err
		}
		s.values = append(s.values, v)
	}
	s.values = append(s.values, outside...)
	return nil
}

// environment sets the flags that the environment says, but for where results go, which
// is of all steps together.
func (b *binder) environment(flags *pflag.FlagSet) ([]flagValue, error) {
	before := map[string]bool{}
	flags.Visit(func(f *pflag.Flag) { before[f.Name] = true })
	given := map[string]string{}
	lookup := func(name string) (string, bool) {
		value, ok := b.app.Env(name)
		if ok = ok && name != environmentName("output"); ok {
			given[name] = value
		}
		return value, ok
	}
	if err := bindEnvironment(flags, lookup); err != nil {
		return nil, err
	}
	var all []flagValue
	flags.VisitAll(func(f *pflag.Flag) {
		if name := environmentName(f.Name); f.Changed && !before[f.Name] {
			all = append(all, flagValue{f, []string{given[name]}, name + " in the environment", name + " in the environment"})
		}
	})
	return all, nil
}

// setAll sets a flag to all that a setting says.
func setAll(flags *pflag.FlagSet, f *pflag.Flag, set plan.Setting) (flagValue, error) {
	v := flagValue{flag: f}
	for _, t := range set.Values {
		v.text = append(v.text, t.Value)
	}
	v.from = origin(set)
	words := v.text
	if formOf(f) == joined {
		words = []string{strings.Join(v.text, ",")}
	}
	for i, w := range words {
		if err := setFlag(flags, f, set.Key, w); err != nil {
			return v, placed(set.Values[i].Place, err)
		}
	}
	return v, nil
}

// origin says where in a plan a setting is, and where its variables have their values.
func origin(set plan.Setting) string {
	from := textOrigin(set.Values...)
	place, variables, _ := strings.Cut(from, ", ")
	switch set.Origin {
	case plan.OfStep:
		return from
	case plan.OfTarget:
		place += " (target " + set.Target + ")"
	case plan.OfMatrix, plan.OfDefaults:
		place += " (" + set.Origin.String() + ")"
	}
	if variables != "" {
		place += ", " + variables
	}
	return place
}

// textOrigin says where texts of a plan begin, and where their variables have their
// values.
func textOrigin(texts ...plan.Text) string {
	parts := []string{texts[0].Place.String()}
	for _, t := range texts {
		for _, v := range t.Used {
			if part := fmt.Sprintf("%s from %s", v.Name, v.From); !slices.Contains(parts, part) {
				parts = append(parts, part)
			}
		}
	}
	return strings.Join(parts, ", ")
}

// blamed is what a step's command has to say of all flags together, with the place of
// the flag that it names first, else of the step. A flag that was set from outside of the
// plan has no place there.
func (s *step) blamed(settings []plan.Setting, err error) error {
	text := err.Error()
	at, outside, first := s.place, "", len(text)
	for _, v := range s.values {
		if i, ok := mentions(err, v.flag.Name); ok && i < first && v.outside != "" {
			first, outside = i, v.outside
		}
	}
	for _, set := range settings {
		own := func(v flagValue) bool { return v.flag.Name == set.Key && v.outside == "" }
		if i, ok := mentions(err, set.Key); ok && i < first && slices.ContainsFunc(s.values, own) {
			first, outside, at = i, "", blamedIn(set, err)
		}
	}
	switch {
	case outside != "":
		return fmt.Errorf("%s: %w", outside, err)
	case s.url != nil && first == len(text) && strings.Contains(text, strconv.Quote(target.Redacted(s.url.Value))):
		at = s.url.Place
	}
	return placed(at, err)
}

// mentions finds out where an error's text names a flag, if it is about it.
func mentions(err error, flag string) (at int, ok bool) {
	if header := (*target.HeaderError)(nil); errors.As(err, &header) {
		return 0, flag == "send-header" && header.Sends || flag == "header" && !header.Sends
	}
	text, name := err.Error(), "--"+flag
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return 0, false
		}
		at, from = from+i, from+i+len(name)
		if behind := text[from:]; behind == "" || behind[0] != '-' && (behind[0] < 'a' || behind[0] > 'z') {
			return at, true
		}
	}
}

// blamedIn is the place of the setting, or of the one of its values that err is about.
func blamedIn(set plan.Setting, err error) plan.Place {
	header := (*target.HeaderError)(nil)
	if errors.As(err, &header) && header.Index < len(set.Values) {
		return set.Values[header.Index].Place
	}
	return set.Place
}

// checkOutputs finds outputs of a plan that are none.
func checkOutputs(texts []plan.Text) error {
	paths := map[string]bool{}
	for _, t := range texts {
		name, path, named := strings.Cut(t.Value, "=")
		if _, err := report.Lookup(name); err != nil {
			return mistake(t.Place, cmp.Or(hintFormat(name), "write FORMAT or FORMAT=PATH, such as json=out.json"), "output: %w", err)
		}
		if name == report.StepSummary && !named {
			path = "$" + stepSummary
		}
		if path != "" && path != "-" && paths[path] {
			return mistake(t.Place, "give each format a file of its own", "output: %s is named twice", path)
		}
		paths[path] = true
	}
	return nil
}

// hintFormat is what to write in place of the name of a format, or empty.
func hintFormat(name string) string {
	if near := spelling.Nearest(name, report.Names()); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}
