package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sseload/sseload/pkg/compare"
	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
)

type compareOptions struct {
	repeat     count
	confidence confidence
	failIf     limits
	outputs    []string
	save       string
	// ofRuns are the flags on the command line that are for runs to be made.
	ofRuns []string
}

// comparedRuns is how many runs each side has unless the user says.
const comparedRuns = 5

func (a *App) compareCommand() *cobra.Command {
	o := compareOptions{repeat: comparedRuns, confidence: 0.95}
	cmd := &cobra.Command{
		Use:   "compare BASE NEW... [-- COMMAND [FLAG...]]",
		Short: "Is it slower now, and is that real?",
		Long: `Compares the runs of each NEW with those of BASE: latencies, rates, what was lost
and what it cost the server, with the change in percent and between what bounds it
lies; ~ where noise hides it. Each side is

  a record that a run saved with -o json=FILE, or several with commas between,
  a URL, with the load command to make there behind --, or
  a command line in quotes, such as 'rooms -c 600 -n 10 --workers 2'.

What is not recorded yet is run now: --repeat times each side, in turns, as what
else goes on in the machine then meets both alike. Records tell most when they
were made with --repeat 5 or more as well; those of single runs show only what is
large. Quantiles are those of all runs together, other figures, the largest
latency too, medians over the runs.

--fail-if makes the exit code 3 when a change is real and the whole of its interval
lies beyond the limit: when the server got worse, and only then. Where runs are made
now, all are made once more before that, and must say so too.`,
		Example: `  sseload compare before.json after.json
  sseload compare before.json after.json --fail-if 'delivery.p99 +10%' --fail-if 'delivery.lost +0'
  sseload compare 'rooms -c 600 -n 10' 'rooms -c 600 -n 10 --workers 2' --repeat 5
  sseload compare http://127.0.0.1:8123 http://127.0.0.1:8124 --repeat 5 -- rooms -c 600 -n 10`,
		Args: func(cmd *cobra.Command, _ []string) error {
			for _, flag := range []string{"repeat", "save"} { // before the environment is asked, which is for all commands
				if cmd.Flags().Changed(flag) {
					o.ofRuns = append(o.ofRuns, flag)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			given, command := args, []string(nil)
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				given, command = args[:at], args[at:]
			}
			sides, err := o.sides(a, given, command)
			if err != nil {
				return err
			}
			return o.execute(cmd.Context(), a, sides)
		},
	}
	flags := cmd.Flags()
	flags.Var(&o.repeat, "repeat", "run each side this often, in turns; more runs show smaller changes")
	flags.Var(&o.confidence, "confidence", "of the intervals, and for a change to be taken for real")
	flags.Var(&o.failIf, "fail-if", "exit with 3 when a figure rose (+) or fell (-) by more than this, such as 'delivery.p99 +10%', "+
		"'delivery.rate -5%' or, both to be exceeded, 'delivery.p99 +10% +5ms'; repeatable")
	flags.StringArrayVarP(&o.outputs, "output", "o", []string{report.ComparisonNames()[0]},
		"`FORMAT[=PATH]`, one of "+strings.Join(report.ComparisonNames(), ", ")+"; repeatable; no path or - is stdout")
	flags.StringVar(&o.save, "save", "", "`FOLDER` to keep the records of the runs in, as base.json, new.json, new-2.json and so on")
	return cmd
}

// sides finds out what is to be compared.
func (o *compareOptions) sides(a *App, given, command []string) ([]*side, error) {
	if len(given) < 2 {
		return nil, usagef("name a base and what to compare with it, such as before.json after.json", "sseload compare needs two sides, but got %d", len(given))
	}
	if len(command) > 0 {
		if _, ok := a.loadCommands()[command[0]]; !ok {
			return nil, usagef("write for example -- rooms -c 600 -n 10", "%q, after --, is no load command", command[0])
		}
		if !slices.ContainsFunc(given, func(s string) bool { return strings.Contains(s, "://") && !strings.Contains(s, " ") }) {
			return nil, usagef("leave it out, or give URLs", "the command after -- is for URLs, but none is given")
		}
	}
	var sides []*side
	made := 0
	for i, text := range given {
		role := "base"
		switch {
		case i == 1:
			role = "new"
		case i > 1:
			role = "new " + strconv.Itoa(i)
		}
		s, err := a.newSide(role, text, command)
		if err != nil {
			return nil, err
		}
		if s.campaign != nil {
			made++
		}
		sides = append(sides, s)
	}
	if made == 0 && len(o.ofRuns) > 0 {
		return nil, usagef("leave it out, or give a URL or a command line as a side", "--%s is for runs that are made now, but all sides are records", o.ofRuns[0])
	}
	return sides, nil
}

// execute makes the runs that are missing, and compares.
func (o *compareOptions) execute(parent context.Context, a *App, sides []*side) error {
	drawn := &comparisons{}
	outputs, err := openFormats(a, o.outputs, drawn.lookup)
	if err != nil {
		return err
	}
	defer outputs.close()
	for _, s := range sides {
		if err := outputs.spare(s.paths...); err != nil {
			return err
		}
	}
	if o.save != "" {
		if err := writable(o.save); err != nil {
			return &hinted{fmt.Errorf("--save: %w", err), "name another folder"}
		}
	}
	ctx, stop := a.interruptible(parent, "interrupted: ending the run, press Ctrl-C again to leave at once")
	defer stop()
	ended := a.inTurns(ctx, sides, 1, int(o.repeat))
	drawn.all, err = o.compareAll(sides, 0)
	if err == nil && ended == nil && exceeded(drawn.all) && len(toRun(sides)) > 0 {
		a.note("a limit is exceeded: running again, to see whether it is the second time")
		ended = a.inTurns(ctx, sides, int(o.repeat)+1, 2*int(o.repeat))
		drawn.all, err = o.confirmed(sides)
	}
	if o.save != "" {
		if err := saveTo(o.save, sides); err != nil && ended == nil {
			ended = err
		}
	}
	if err == nil && len(drawn.all) > 0 { // also of what there is when it was interrupted
		err = outputs.render(nil)
	}
	if err = cmp.Or(ended, err); err != nil {
		return err
	}
	if err := o.judge(a, drawn.all); err != nil {
		return err
	}
	return concludeAll(a, sides)
}

// compareAll compares the base with each of the others. Of sides whose runs are made
// now it leaves out so many files.
func (o *compareOptions) compareAll(sides []*side, without int) ([]*compare.Comparison, error) {
	files := func(s *side) []*result.File {
		if s.campaign == nil {
			return s.files
		}
		return s.files[min(without, len(s.files)):]
	}
	var all []*compare.Comparison
	for _, s := range sides[1:] {
		c, err := compare.Compare(files(sides[0]), files(s), compare.Options{
			BaseName: sides[0].name, NewName: s.name, Confidence: float64(o.confidence), Limits: o.failIf,
		})
		if err != nil {
			return nil, nothingInCommon(err, c)
		}
		all = append(all, c)
	}
	return all, nil
}

// confirmed compares all runs. A limit is exceeded only when those that were made to
// confirm it say so by themselves too: that both do by chance is as rare as the square
// of what one is.
func (o *compareOptions) confirmed(sides []*side) ([]*compare.Comparison, error) {
	all, err := o.compareAll(sides, 0)
	if err != nil {
		return nil, err
	}
	again, err := o.compareAll(sides, int(o.repeat))
	if err != nil {
		again = nil // they were interrupted before there were any: nothing is confirmed
	}
	for i, c := range all {
		for k := range c.Findings {
			f := &c.Findings[k]
			if f.State == compare.Exceeded && (again == nil || !again[i].Exceeds(f.Limit, f.Row)) {
				f.State = compare.Suspected
			}
		}
	}
	return all, nil
}

// exceeded reports whether any limit is.
func exceeded(all []*compare.Comparison) bool {
	return slices.ContainsFunc(all, func(c *compare.Comparison) bool {
		return slices.ContainsFunc(c.Findings, func(f compare.Finding) bool { return f.State == compare.Exceeded })
	})
}

// concludeAll tells what is to be told of the runs of the sides, and returns the error
// that they end with.
func concludeAll(a *App, sides []*side) error {
	for _, s := range sides {
		if s.campaign == nil {
			continue
		}
		record, err := s.record()
		if err != nil {
			return err
		}
		if err := s.campaign.conclude(a, outcome{file: record}); err != nil {
			return fmt.Errorf("%s: %w", s.role, err)
		}
	}
	return nil
}

// nothingInCommon names the rows of sides that share none.
func nothingInCommon(err error, c *compare.Comparison) error {
	if !errors.Is(err, compare.ErrNothing) {
		return err
	}
	var words []string
	for _, u := range c.Unmatched {
		text := u.Name + " in the " + u.Side + " alone"
		if u.Nearest != "" {
			text += " (" + u.Nearest + ")"
		}
		words = append(words, text)
	}
	return &hinted{err, "runs are compared when the same was asked of them: " + strings.Join(words, ", ")}
}

// judge is the error of limits that were exceeded, or cannot be judged.
func (o *compareOptions) judge(a *App, all []*compare.Comparison) error {
	found := map[compare.State][]string{}
	for _, c := range all {
		for i := range c.Findings {
			f := &c.Findings[i]
			text := report.FindingText(f)
			if len(all) > 1 {
				text = c.New.Name + ": " + text
			}
			found[f.State] = append(found[f.State], text)
		}
	}
	for _, text := range found[compare.Suspected] {
		a.note("suspected, not proven: %s; to know, repeat more: --repeat %d", text, 2*o.runs(all))
	}
	if texts := found[compare.Exceeded]; len(texts) > 0 {
		return &worseError{err: errors.New(andMore(texts)), hint: "this is no noise: -o markdown or -o json has all the figures, and --profile in the commands of both sides shows where the time goes"}
	}
	if texts := found[compare.Unjudged]; len(texts) > 0 {
		return &hinted{fmt.Errorf("--fail-if: %s", andMore(texts)), "limit what both sides know, or find out why one does not"}
	}
	return nil
}

// worseError says that a side got worse by more than a limit allows: exit code 3, as
// that of a threshold.
type worseError hinted

func (e *worseError) Error() string { return e.err.Error() }

// Hint is what to do about it.
func (e *worseError) Hint() string { return e.hint }

// runs is how many runs a side has.
func (o *compareOptions) runs(all []*compare.Comparison) int {
	n := comparedRuns
	for _, c := range all {
		for _, r := range c.Rows {
			n = max(n, r.BaseRuns, r.NewRuns)
		}
	}
	return n
}

// andMore is the first of several texts.
func andMore(texts []string) string {
	if n := len(texts) - 1; n > 0 {
		return fmt.Sprintf("%s, and %d more", texts[0], n)
	}
	return texts[0]
}

// comparisons are what outputs write once they are made.
type comparisons struct{ all []*compare.Comparison }

// lookup finds a format for comparisons, as outputs want it.
func (c *comparisons) lookup(name string) (report.Format, error) {
	f, err := report.LookupComparison(name)
	if err != nil {
		return nil, err
	}
	return comparisonOutput{f, c}, nil
}

// comparisonOutput writes comparisons in place of a record.
type comparisonOutput struct {
	report.ComparisonFormat
	of *comparisons
}

// Render implements [report.Format].
func (f comparisonOutput) Render(w io.Writer, _ *result.File, o report.Options) error {
	return f.RenderComparisons(w, f.of.all, o)
}

// confidence is a share of at least a half, "95%".
type confidence float64

func (c *confidence) String() string {
	return strconv.FormatFloat(100*float64(*c), 'g', 6, 64) + "%"
}

func (c *confidence) Type() string { return "N%" }

func (c *confidence) Set(s string) error {
	number, ok := strings.CutSuffix(s, "%")
	percent, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(percent >= 50 && percent < 100) {
		return &hinted{errors.New("not a share from 50% to under 100%"), "write for example 95% or 99%"}
	}
	*c = confidence(percent / 100)
	return nil
}

// limits are those of --fail-if.
type limits []compare.Limit

func (l *limits) String() string {
	texts := make([]string, len(*l))
	for i, limit := range *l {
		texts[i] = limit.String()
	}
	return strings.Join(texts, "; ")
}

func (l *limits) Type() string { return "'FIGURE +N%'" }

func (l *limits) Set(s string) error {
	limit, err := compare.ParseLimit(s)
	if err == nil {
		err = knownClass(limit.Figure())
	}
	if err != nil {
		return err
	}
	*l = append(*l, limit)
	return nil
}
