package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sseload/sseload/pkg/cost"
	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/scenarios"
)

// loadCommand is a command that makes load. It can be typed, be a step of a plan, and
// be a side of a comparison.
type loadCommand struct {
	*cobra.Command
	// prepare turns the command's flags, which have been set, and its arguments into
	// what is to be done. It starts nothing. Its errors are mistakes of the user.
	prepare func(args []string) (*campaign, error)
}

// campaign is what a load command is asked to do.
type campaign struct {
	flags  *loadFlags
	server scenarios.Server
	// sends is how many connections the sends take, given whether the target is local.
	sends func(local bool) int
	// all makes the scenarios, given where the load is made and goes and the labels that
	// describe it.
	all func(place, result.Labels) []scenarios.Scenario
}

// outcome is what became of a campaign.
type outcome struct {
	file *result.File // nil when no run was begun
	err  error        // what ended the campaign before its time; nil when nothing did
	// profiles are those that were to be taken; nil: none.
	profiles *scenarios.Profiles
}

// notDone is what the runs do not tell of: none, or what ended the campaign where no run
// says so.
func (o *outcome) notDone(step string) []report.NotDone {
	if o.err == nil || errors.Is(o.err, scenarios.ErrCalledOff) {
		return nil
	}
	if o.file != nil {
		if last := o.file.Runs[len(o.file.Runs)-1]; last.Aborted != nil || last.Interrupted {
			return nil
		}
	}
	reason := oneLine(o.err.Error())
	if errors.Is(o.err, context.Canceled) {
		reason = "interrupted"
	}
	return []report.NotDone{{Step: step, Reason: reason}}
}

// renderOutcome writes the runs, or that there are none.
func (all outputs) renderOutcome(did outcome, command []string, failed []report.NotDone) error {
	if did.file != nil {
		return all.render(did.file, failed...)
	}
	return all.renderFailed(command, failed...)
}

// typed has the command carried out when it is typed.
func (a *App) typed(c loadCommand) loadCommand {
	c.RunE = func(cmd *cobra.Command, args []string) error {
		asked, err := c.prepare(args)
		if err != nil {
			return err
		}
		return asked.execute(cmd.Context(), a)
	}
	a.sectioned(c.Command)
	return c
}

// execute makes the runs and renders them.
func (c *campaign) execute(parent context.Context, a *App) error {
	outputs, err := openOutputs(a, c.flags.outputs)
	if err != nil {
		return err
	}
	defer outputs.close()
	ctx, stop := a.interruptible(parent, "interrupted: ending the run, press Ctrl-C again to leave at once")
	defer stop()
	did := c.perform(ctx, a, setting{command: redacted(a.Args), outputs: outputs, observers: a.observers()})
	if errors.Is(did.err, load.ErrNoneOpened) && did.file != nil && len(did.file.Runs) == 1 {
		outputs = outputs.files() // on the terminal the error says it all
	}
	if err := outputs.renderOutcome(did, redacted(a.Args), did.notDone("")); err != nil {
		if did.err == nil {
			return err
		}
		a.tell("error: %s", oneLine(err.Error())) // beside what ended the run
	}
	return c.conclude(a, did)
}

// setting is what a campaign is given by whoever has it carried out.
type setting struct {
	command   []string // what the record says made it
	outputs   outputs  // beside which profiles go
	observers []scenarios.Observer
	step      string // the plan's step that the campaign is; empty: none
	// repetition is which one of several this is, for who repeats the campaign; 0: it is
	// not repeated so.
	repetition int
}

// perform makes the runs.
func (c *campaign) perform(ctx context.Context, a *App, s setting) outcome {
	started := time.Now()
	if s, ok := c.server.(*commanded); ok {
		defer s.release()
	}
	metrics, err := c.flags.telemetry.open(ctx, a, c.flags.labels)
	if err != nil {
		return outcome{err: err}
	}
	defer metrics.close(ctx)
	at, err := c.flags.preflight(ctx, a, c.server, c.sends)
	if err != nil {
		return outcome{err: err}
	}
	if err := c.flags.request.identity.load(ctx, slices.Max(c.flags.clients)); err != nil {
		return outcome{err: err}
	}
	profiles, err := c.flags.profile.profiles(s.outputs)
	if err != nil {
		return outcome{err: err}
	}
	env := &scenarios.Env{
		Server: c.server, Profiles: profiles, Repeat: int(c.flags.repeat), Repetition: s.repetition, Step: s.step,
		Observers: c.flags.thresholds.judged(metrics.beside(append(s.outputs.live(), s.observers...))),
	}
	all := c.all(at, c.flags.labelsFor(at.local))
	foresee(s.observers, all)
	defer a.screen.clear()
	runs, err := scenarios.Series(ctx, env, all)
	if errors.Is(err, scenarios.ErrCalledOff) {
		err = endedBy(err, runs)
	}
	if len(runs) == 0 {
		return outcome{err: err, profiles: profiles}
	}
	file := &result.File{
		Schema: result.Schema, Tool: tool(), Command: s.command, Host: host(), StartedAt: started.UTC(), Runs: runs,
	}
	file.Costs = cost.Of(file)
	return outcome{file: file, err: err, profiles: profiles}
}

// conclude tells what is to be told once the results are out, and returns the error
// that the command ends with.
func (c *campaign) conclude(a *App, did outcome) error {
	var runs []result.Run
	if did.file != nil {
		runs = did.file.Runs
	}
	a.tellProfiles(did.profiles, runs)
	if s, ok := c.server.(speaker); ok && did.err != nil {
		if text, ok := s.lastSaid(did.err); ok {
			a.note("%s", text)
		}
	}
	if did.err == nil {
		did.err = failed(runs)
	}
	if did.err == nil && c.flags.strict {
		return trusted(runs)
	}
	if errors.Is(did.err, load.ErrGone) && toldToStay(runs) {
		return &hinted{did.err, "clients that wanted to come back were answered with a status other than 200, which ends an EventSource for good: " +
			"whatever stands before a server that is restarted must refuse connections, or hold them"}
	}
	return explain(did.err)
}

// speaker is a server that was started for the runs, and may say why it ended.
type speaker interface {
	// lastSaid is what is to be told of its end beside the error of a run, if that has
	// to do with it.
	lastSaid(err error) (text string, ok bool)
}

// toldToStay reports whether clients of the last run were told never to come again.
func toldToStay(runs []result.Run) bool {
	if len(runs) == 0 {
		return false
	}
	again := runs[len(runs)-1].Reconnect
	return again != nil && again.GaveUp > 0
}

// trusted is the error of runs that cannot be, of which there are some.
func trusted(runs []result.Run) error {
	over, reason := 0, ""
	for i := range runs {
		if g := &runs[i].Generator; g.Overloaded != nil && *g.Overloaded {
			if over++; reason == "" && g.OverloadReason != nil {
				reason = ": " + *g.OverloadReason
			}
		}
	}
	if over == 0 {
		return nil
	}
	return &overloadError{
		err:  fmt.Errorf("the generator was overloaded in %d of %d runs%s", over, len(runs), reason),
		hint: "use fewer clients or a lower rate, leave it more of the machine, or leave --strict out",
	}
}
