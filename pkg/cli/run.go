package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sseload/sseload/pkg/cost"
	"github.com/sseload/sseload/pkg/plan"
	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/spelling"
	"github.com/sseload/sseload/scenarios"
)

// runOptions say what is to be done with a plan.
type runOptions struct {
	variables []string // NAME=VALUE
	settings  []string // FLAG=VALUE
	outputs   []string
	keepGoing bool
	dryRun    bool
	list      bool
	print     bool
	schema    bool
}

func (a *App) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run PLAN [STEP...]",
		Short: "Carry out a plan: several load commands, one result",
		Long: `Carries out the steps of a plan, one after the other, and renders their runs
together. A plan is a YAML file whose keys are the flags of the load commands, or
the name of one that comes with sseload: --list names them. With names of steps
only those are carried out. All steps are checked before the first one begins.`,
		Example: `  sseload run smoke
  sseload run smoke closed open --set clients=120 -o markdown=smoke.md
  sseload run ci --var TARGET=http://127.0.0.1:8123 -o findings -o json=ci.json
  sseload run findings --dry-run
  sseload run --list`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, a, args) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.variables, "var", nil, "variable `NAME=VALUE` of the plan, whatever the environment and the plan say; repeatable")
	flags.StringArrayVar(&o.settings, "set", nil, "`FLAG=VALUE` for every step whose command has that flag, whatever else says; repeatable")
	addOutputFlag(flags, &o.outputs)
	flags.BoolVar(&o.keepGoing, "keep-going", false, "go on with the next step when one could not be carried out")
	flags.BoolVar(&o.dryRun, "dry-run", false, "start nothing: print the steps as commands, and where each value comes from (with -v the defaults too)")
	flags.BoolVar(&o.list, "list", false, "list the plans that come with sseload")
	flags.BoolVar(&o.print, "print", false, "print the plan as it was written")
	flags.BoolVar(&o.schema, "schema", false, "print the JSON schema of plans, for editors")
	return cmd
}

func (o *runOptions) run(cmd *cobra.Command, a *App, args []string) error {
	switch {
	case o.list || o.schema:
		if len(args) > 0 {
			return usagef("leave one of them out", "--list and --schema need no plan, but got %q", args[0])
		}
		if o.schema {
			return a.printPlanSchema()
		}
		return a.listPlans()
	case len(args) == 0:
		return usagef("name a file, or one of "+strings.Join(scenarios.PlanNames(), ", "), "%s needs a plan", cmd.CommandPath())
	}
	file, text, err := planText(args[0])
	if err != nil {
		return err
	}
	if o.print {
		_, err := a.Stdout.Write(text)
		return err
	}
	c, err := o.prepare(cmd, a, file, text, args[1:])
	if err != nil {
		return err
	}
	if o.dryRun {
		return c.print(a)
	}
	return c.execute(cmd.Context(), a, o.keepGoing)
}

// planText is the plan that the user means, and what to call it.
func planText(name string) (file string, text []byte, err error) {
	if !strings.ContainsAny(name, `/\`) && filepath.Ext(name) == "" {
		if text, ok := scenarios.Plan(name); ok {
			return name, text, nil
		}
		hint := "known are " + strings.Join(scenarios.PlanNames(), ", ")
		if near := spelling.Nearest(name, scenarios.PlanNames()); near != "" {
			hint = "did you mean " + near + "?"
		}
		if _, err := os.Stat(name); err == nil {
			hint = "to name the file of that name write ./" + name
		}
		return "", nil, usagef(hint, "no plan called %q comes with sseload", name)
	}
	text, err = readInput(name)
	if err != nil {
		return "", nil, &hinted{err, "name a file, or one of those that sseload run --list names"}
	}
	return name, text, nil
}

func (a *App) listPlans() error {
	for _, name := range scenarios.PlanNames() {
		text, _ := scenarios.Plan(name)
		p, err := plan.Parse(name, text, plan.Values{})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.Stdout, "%-10s %s\n", name, p.Description); err != nil {
			return err
		}
	}
	return nil
}

// expedition is a plan that is ready to be carried out.
type expedition struct {
	file    string // that the plan was read from, or its name
	steps   []*step
	outputs []plan.Text // with a place where the plan says so
	typed   bool        // the outputs are the user's, and not the plan's
}

// prepare binds the steps of a plan that have these names, or all. It starts nothing, and
// its errors are mistakes of the plan, or of the user.
func (o *runOptions) prepare(cmd *cobra.Command, a *App, file string, text []byte, names []string) (*expedition, error) {
	given, err := pairs("--var", o.variables)
	if err != nil {
		return nil, err
	}
	values := plan.Values{Given: map[string]string{}, Env: a.Env}
	for _, v := range given {
		values.Given[v.name] = v.value
	}
	p, err := plan.Parse(file, text, values)
	if err != nil {
		return nil, &usageError{err: err}
	}
	if err := checkVariables(given, p.Variables); err != nil {
		return nil, err
	}
	settings, err := pairs("--set", o.settings)
	if err != nil {
		return nil, err
	}
	if p.Steps, err = chosen(p.Steps, names); err != nil {
		return nil, err
	}
	c := &expedition{file: file, outputs: p.Output, typed: cmd.Flags().Changed("output")}
	if c.typed || len(p.Output) == 0 {
		c.outputs = nil
		for _, spec := range o.outputs {
			c.outputs = append(c.outputs, plan.Text{Value: spec})
		}
	}
	b := binder{app: a, plan: p, own: cmd.Flags(), settings: settings}
	if c.steps, err = b.bind(); err != nil {
		return nil, err
	}
	if c.typed {
		_, err = newOutputs(a, o.outputs, report.Lookup)
	} else {
		err = checkOutputs(p.Output)
	}
	return c, err
}

// pair is NAME=VALUE.
type pair struct{ name, value string }

func pairs(flag string, words []string) ([]pair, error) {
	var all []pair
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return nil, usagef("write for example "+flag+" NAME=VALUE", "%s: %q is not NAME=VALUE", flag, w)
		}
		all = append(all, pair{name, value})
	}
	return all, nil
}

// checkVariables refuses variables that the plan does not have.
func checkVariables(given []pair, known []plan.Variable) error {
	names := make([]string, len(known))
	for i, v := range known {
		names[i] = v.Name
	}
	for _, g := range given {
		if slices.Contains(names, g.name) {
			continue
		}
		hint := "the plan has none"
		if near := spelling.Nearest(g.name, names); near != "" {
			hint = "did you mean " + near + "?"
		} else if len(names) > 0 {
			hint = "known are " + strings.Join(names, ", ")
		}
		return usagef(hint, "--var %s: the plan has no such variable", g.name)
	}
	return nil
}

// chosen are the steps of the names, each of which may stand for all that a matrix made
// of it; without any name all of them.
func chosen(steps []plan.Step, names []string) ([]plan.Step, error) {
	if len(names) == 0 {
		return steps, nil
	}
	var some []plan.Step
	found := map[string]bool{}
	for _, s := range steps {
		fits := func(name string) bool { return s.Name == name || strings.HasPrefix(s.Name, name+"/") }
		if slices.ContainsFunc(names, fits) {
			some = append(some, s)
		}
		for _, name := range names {
			found[name] = found[name] || fits(name)
		}
	}
	for _, name := range names {
		if found[name] {
			continue
		}
		var known []string
		for _, s := range steps {
			known = append(known, s.Name)
		}
		hint := "known are " + strings.Join(known, ", ")
		if near := spelling.Nearest(name, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		return nil, usagef(hint, "the plan has no step %q", name)
	}
	return some, nil
}

// execute carries out the steps and renders their runs together.
func (c *expedition) execute(parent context.Context, a *App, keepGoing bool) error {
	together, err := c.open(a)
	if err != nil {
		return err
	}
	defer together.close()
	written := together
	for _, s := range c.steps {
		if err := s.open(a); err != nil {
			return err
		}
		defer s.outputs.close()
		for i, o := range s.outputs {
			if other := written.sameFile(o); other != nil {
				return mistake(s.ownOutputs[i].Place, "give each a file of its own", "output: %s and %s are the same file", other.path, o.path)
			}
		}
		written = append(slices.Clone(written), s.outputs...)
	}
	if err := written.spare(c.file); err != nil {
		return err
	}
	ctx, stop := a.interruptible(parent, "interrupted: ending the plan, press Ctrl-C again to leave at once")
	defer stop()
	v := voyage{app: a, all: len(c.steps), together: together, command: redacted(a.Args)}
	for i, s := range c.steps {
		if goOn := v.make(ctx, s, i+1); !goOn && (v.interrupted != nil || !keepGoing) {
			break
		}
	}
	if left := v.all - v.made; left > 0 {
		a.note("steps that were not carried out: %d of %d", left, v.all)
	}
	for _, s := range c.steps[v.made:] {
		v.leave(s)
	}
	return v.end()
}

// open opens what the results of all steps go to.
func (c *expedition) open(a *App) (outputs, error) {
	if c.typed {
		return openPlanned(a, c.outputs)
	}
	if err := makeFolders(c.outputs); err != nil {
		return nil, err
	}
	return openPlanned(a, c.outputs)
}

// open opens what only this step's results go to.
func (s *step) open(a *App) error {
	if err := makeFolders(s.ownOutputs); err != nil {
		return err
	}
	var err error
	s.outputs, err = openPlanned(a, s.ownOutputs)
	return err
}

// makeFolders makes the folders of outputs that a plan names: it is to work in a fresh
// checkout too.
func makeFolders(texts []plan.Text) error {
	for _, t := range texts {
		if _, path, ok := strings.Cut(t.Value, "="); ok && path != "-" {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // reports are no secret
				return placed(t.Place, &hinted{err, "name another folder"})
			}
		}
	}
	return nil
}

// openPlanned opens outputs. The error tells which of them it is.
func openPlanned(a *App, texts []plan.Text) (outputs, error) {
	specs := make([]string, len(texts))
	for i, t := range texts {
		specs[i] = t.Value
	}
	all, err := openOutputs(a, specs)
	if err == nil {
		return all, nil
	}
	for i := range specs {
		// The first that cannot be opened together with those before it.
		some, err := openOutputs(a, specs[:i+1])
		if err != nil {
			return nil, placed(texts[i].Place, err)
		}
		some.close()
	}
	return nil, err
}

// voyage is a plan that is under way.
type voyage struct {
	app      *App
	all      int // how many steps there are
	made     int // and how many of them were begun
	together outputs
	files    []*result.File
	command  []string // that the plan is carried out by
	failed   []report.NotDone

	interrupted error
	ended       []error // of steps that could not be carried out
	judged      []error // of steps that were, and did not do well
}

// make carries out one step, and reports whether the next one may begin.
func (v *voyage) make(ctx context.Context, s *step, number int) bool {
	a := v.app
	v.made = number
	if v.all > 1 {
		a.note("step %d of %d: %s", number, v.all, s.name)
	}
	s.profilesBeside(v.together.record())
	did := s.campaign.perform(ctx, a, setting{
		command: s.redacted(), outputs: v.together, observers: append(a.observers(), s.outputs.live()...), step: s.name,
	})
	if did.file != nil {
		v.files = append(v.files, did.file)
	}
	failed := did.notDone(s.name)
	unwritten := s.render(did, v.together.record(), failed)
	if unwritten != nil && len(failed) == 0 {
		failed = []report.NotDone{{Step: s.name, Reason: oneLine(unwritten.Error())}}
	}
	v.failed = append(v.failed, failed...)
	err := s.campaign.conclude(a, did)
	if errors.Is(err, context.Canceled) {
		v.interrupted = err
		return false
	}
	if v.all > 1 && err != nil {
		err = fmt.Errorf("step %s: %w", s.name, err)
	}
	switch {
	case err == nil && unwritten == nil:
	case unwritten != nil || did.err != nil && !errors.Is(did.err, scenarios.ErrCalledOff):
		v.ended = append(v.ended, errors.Join(err, unwritten))
		return false
	default:
		v.judged = append(v.judged, err)
	}
	return true
}

// leave tells of a step that is not begun any more.
func (v *voyage) leave(s *step) {
	reason := "not begun, as a step before it could not be carried out"
	if v.interrupted != nil {
		reason = "not begun, as the plan was interrupted"
	}
	failed := report.NotDone{Step: s.name, Reason: reason}
	v.failed = append(v.failed, failed)
	if err := s.outputs.renderFailed(s.redacted(), failed); err != nil {
		v.ended = append(v.ended, fmt.Errorf("step %s: %w", s.name, err))
	}
}

// render writes the step's runs to its own outputs. Their profiles are named as seen
// from the file of the whole plan, unless it is told otherwise.
func (s *step) render(did outcome, together string, failed []report.NotDone) error {
	if did.file != nil && len(s.outputs) > 0 {
		here, there := filepath.Dir(together), filepath.Dir(s.outputs.record())
		rebase(did.file, here, there)
		defer rebase(did.file, there, here)
	}
	return s.outputs.renderOutcome(did, s.redacted(), failed)
}

// profilesBeside gives the step's profiles a folder of their own beside the file of the
// whole plan: those of two steps may be called the same.
func (s *step) profilesBeside(record string) {
	p := &s.campaign.flags.profile
	if len(p.kinds) == 0 || p.dir != "" {
		return
	}
	stem := cmp.Or(strings.TrimSuffix(record, filepath.Ext(record)), "sseload")
	p.dir = filepath.Join(stem+".profiles", strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) {
			return '-'
		}
		return r
	}, s.name))
}

// end renders all runs together, and finds what the plan ends with: what ended it
// before what it was found to be.
func (v *voyage) end() error {
	unwritten := v.render()
	switch {
	case v.interrupted != nil:
		if unwritten != nil {
			v.app.tell("error: %s", oneLine(unwritten.Error()))
		}
		return v.interrupted
	case len(v.ended) > 0 || unwritten != nil:
		for _, err := range v.judged {
			v.app.tell("error: %s", oneLine(err.Error()))
		}
		return errors.Join(append(v.ended, unwritten)...)
	}
	return errors.Join(v.judged...)
}

func (v *voyage) render() error {
	if len(v.files) == 0 {
		return v.together.renderFailed(v.command, v.failed...)
	}
	merged, err := result.Merge(v.files...)
	if err != nil {
		return err
	}
	merged.Costs = cost.Of(merged)
	return v.together.render(merged, v.failed...)
}

func (a *App) printPlanSchema() error {
	text, err := a.planSchema()
	if err != nil {
		return err
	}
	_, err = io.Copy(a.Stdout, strings.NewReader(text))
	return err
}
