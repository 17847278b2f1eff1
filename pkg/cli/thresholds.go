package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/figure"
	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/threshold"
	"github.com/sseload/sseload/scenarios"
)

// thresholdFlags say what figures are to be.
type thresholdFlags struct{ all []threshold.Threshold }

// add adds --threshold. most is what a run can be asked for.
func (f *thresholdFlags) add(flags *pflag.FlagSet, most threshold.Asked) {
	flags.Var(&thresholds{of: f, most: most}, "threshold",
		"what a figure of each run is to be, such as 'delivery.p99 < 100ms' or 'delivery.lost < 0.1%'; exit with 3 when it is not; repeatable; list prints the figures")
}

// addAbort adds --abort-on.
func (f *thresholdFlags) addAbort(flags *pflag.FlagSet, most threshold.Asked) {
	flags.Var(&thresholds{of: f, most: most, abort: true}, "abort-on",
		"a threshold that ends the run, and the series, as soon as it cannot hold any more; repeatable")
}

// enter appends a threshold, or has the one that is the same abort as well.
func (f *thresholdFlags) enter(t threshold.Threshold) {
	for i := range f.all {
		if f.all[i].String() == t.String() {
			f.all[i].Abort = f.all[i].Abort || t.Abort
			return
		}
	}
	f.all = append(f.all, t)
}

// thresholds is the value of a flag, "delivery.p99 < 100ms". The flag is repeatable;
// several in one text have semicolons between them, as an environment variable needs it.
type thresholds struct {
	of    *thresholdFlags
	abort bool
	most  threshold.Asked
}

func (v *thresholds) String() string {
	if v.of == nil { // of the zero value, which pflag makes for itself
		return ""
	}
	var parts []string
	for _, t := range v.of.all {
		if t.Abort == v.abort {
			parts = append(parts, t.String())
		}
	}
	return strings.Join(parts, "; ")
}

func (v *thresholds) Type() string { return "EXPR" }

func (v *thresholds) Set(s string) error {
	if s == "list" {
		return &figureList{v.most}
	}
	var list []threshold.Threshold
	for _, text := range strings.Split(s, ";") {
		t, err := threshold.Parse(text)
		if err == nil {
			err = knownClass(t.Figure())
		}
		if err != nil {
			return withList(err)
		}
		t.Abort = v.abort
		list = append(list, t)
	}
	for _, t := range list {
		v.of.enter(t)
	}
	return nil
}

// withList tells one who does not know the figures how to get to know them.
func withList(err error) error {
	if !errors.As(err, new(*figure.UnknownError)) {
		return err
	}
	const list = "--threshold list prints all figures"
	if hint := hintOf(err); hint != "" {
		return &hinted{err, hint + " " + list}
	}
	return &hinted{err, list}
}

// knownClass finds a class of failures that there is not, of which there would never be
// any.
func knownClass(f figure.Figure) error {
	for _, of := range []string{"connect.failures.", "connect.drops.", "delivery.sends.failures.", "reconnect.failures.", "reconnect.ends."} {
		class, ok := strings.CutPrefix(f.Name, of)
		if !ok || slices.Contains(stream.Classes, stream.Class(class)) && class != string(stream.Status) {
			continue
		}
		code, isStatus := strings.CutPrefix(class, string(stream.Status)+" ")
		if n, err := strconv.Atoi(code); isStatus && err == nil && n >= 100 && n <= 999 {
			continue
		}
		var names []string
		for _, c := range stream.Classes {
			if c == stream.Status {
				c += " 503"
			}
			names = append(names, string(c))
		}
		return &hinted{fmt.Errorf("there is no class %q of failures", class), "the classes are " + strings.Join(names, ", ")}
	}
	return nil
}

// check finds thresholds of figures that runs which are asked for so much do not have.
func (f *thresholdFlags) check(asked threshold.Asked) error {
	for _, t := range f.all {
		if err := t.Check(asked); err != nil {
			return &usageError{err: fmt.Errorf("%s=%s: %w", flagOf(t), t, err)}
		}
	}
	return nil
}

func flagOf(t threshold.Threshold) string {
	if t.Abort {
		return "--abort-on"
	}
	return "--threshold"
}

// figureList is what asks for a list of the figures, in place of a threshold.
type figureList struct{ most threshold.Asked }

func (*figureList) Error() string {
	return "list is no threshold: on the command line it prints the figures"
}

// printFigures prints the figures that thresholds can be of, and returns the exit code.
func (a *App) printFigures(list *figureList) int {
	var b strings.Builder
	line := func(f figure.Figure) {
		kind, example := f.Unit.Kind()
		if whole, ok := threshold.WholeOf(f); ok {
			kind += ", or % of " + whole.Short()
		} else if f.Truth {
			kind, example = "true or false", "true"
		}
		fmt.Fprintf(&b, "%-45s %s, such as %s\n", f.Short(), kind, example)
	}
	for _, name := range figure.Names() {
		f, err := figure.Lookup(name)
		ok, _ := list.most.Has(f)
		if err == nil && ok && !strings.HasPrefix(name, "params.") { // which are no outcome
			line(f)
		}
	}
	for _, f := range figure.Families() {
		if ok, _ := list.most.Has(figure.Figure{Name: strings.Replace(f.Name, "PHASE", "connect", 1)}); ok {
			line(f)
		}
	}
	if _, err := io.WriteString(a.Stdout, b.String()); err != nil {
		a.tell("error: %v", err)
		return exitError
	}
	return exitOK
}

// judged is the observers with one before them, so that they find the verdicts in the
// record, where there are thresholds.
func (f *thresholdFlags) judged(observers []scenarios.Observer) []scenarios.Observer {
	if len(f.all) == 0 {
		return observers
	}
	return append([]scenarios.Observer{&judge{of: f.all}}, observers...)
}

// judgeEvery is how often it is looked whether thresholds can still hold.
const judgeEvery = 50 * time.Millisecond

// judge enters verdicts into the record of each run, and ends a run that is to end
// early.
type judge struct {
	of       []threshold.Threshold
	going    scenarios.Going
	stop     chan struct{}
	watching sync.WaitGroup
	broken   map[int]threshold.Bound // what ended the run, by its place in of
}

// Begin implements [scenarios.Observer].
func (j *judge) Begin(g scenarios.Going) {
	j.going, j.stop, j.broken = g, make(chan struct{}), nil
	if slices.ContainsFunc(j.of, func(t threshold.Threshold) bool { return t.Abort }) {
		j.watching.Go(j.watch)
	}
}

// Sample implements [scenarios.Observer].
func (j *judge) Sample(result.Sample) {}

// End implements [scenarios.Observer].
func (j *judge) End(run *result.Run) {
	close(j.stop)
	j.watching.Wait()
	run.Thresholds = nil
	for i, t := range j.of {
		v := t.Judge(run)
		if b, ended := j.broken[i]; ended {
			v = t.JudgeAt(b, run)
		}
		run.Thresholds = append(run.Thresholds, v)
		if t.Abort && !v.Held && j.going.Number < j.going.Of {
			j.going.CallOff(fmt.Sprintf("--abort-on %s did not hold", t))
		}
	}
}

// watch ends the run when a threshold that is to do so cannot hold any more.
func (j *judge) watch() {
	ticker := time.NewTicker(judgeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-ticker.C:
		}
		at := standsAt(&j.going)
		for i, t := range j.of {
			if b, broken := t.Broken(&at); broken && t.Abort {
				j.broken = map[int]threshold.Bound{i: b}
				j.going.CallOff(whyBroken(t, b, j.going.Run.Params.TimeoutNS))
				return
			}
		}
	}
}

// whyBroken says why a threshold cannot hold any more.
func whyBroken(t threshold.Threshold, b threshold.Bound, timeoutNS int64) string {
	v := t.JudgeAt(b, &result.Run{})
	amount, than := report.Amount(b.Value, v.Unit), "more"
	if b.Most {
		than = "less"
	}
	name := t.Figure().Short()
	if t.Figure().Name == "delivery.lost" {
		return fmt.Sprintf("--abort-on %s cannot hold any more: %s is %s, which had not come within --timeout (%s)", t, name, amount, time.Duration(timeoutNS))
	}
	return fmt.Sprintf("--abort-on %s cannot hold any more: %s will be %s or %s", t, name, amount, than)
}

// standsAt is where a run stands, as thresholds look at it.
func standsAt(g *scenarios.Going) threshold.Standing {
	p, latencies := g.Progress(), g.Latencies()
	live := &p.Live
	s := threshold.Standing{
		Total: p.Total, Clients: int64(p.Clients), Opened: live.Opened, Failed: live.Failed, Dropped: live.Dropped,
		Begun: live.Begun, Unsent: live.Unsent, Received: live.Received,
		Duplicate: live.Duplicate, Reordered: live.Reordered, Misrouted: live.Misrouted, Late: live.Late, Missing: live.Missing,
		MostCopies: p.MostCopies, MostSends: threshold.MostSends(&g.Run.Params),
		Open: latencies.Open, Delivery: latencies.Delivery,
	}
	if kind := g.Run.Params.Payload; kind != nil && *kind == "timestamp" {
		s.MostCopies = 0 // a copy that comes twice counts twice
	}
	return s
}

// failed is the error of runs in which thresholds failed, by their records; nil when none
// did.
func failed(runs []result.Run) error {
	if text := failures(runs); text != "" {
		return &thresholdError{text: text}
	}
	return nil
}

// endedBy is the error of a series that cause, of --abort-on, has ended.
func endedBy(cause error, runs []result.Run) error {
	text := failures(runs)
	if text == "" {
		text = cause.Error()
	}
	what := "the series"
	if len(runs) > 0 && runs[len(runs)-1].Aborted != nil {
		what = "the run"
	}
	return &thresholdError{text: text + "; --abort-on ended " + what, cause: cause}
}

// failures says how many thresholds failed in how many runs, and of the first one what
// became of it. It is empty when none did.
func failures(runs []result.Run) string {
	all, bad := map[string]bool{}, map[string]bool{}
	inRuns := 0
	var first *result.Verdict
	for i := range runs {
		before := len(bad)
		any := false
		for k := range runs[i].Thresholds {
			v := &runs[i].Thresholds[k]
			all[v.Threshold] = true
			if v.Held {
				continue
			}
			any, bad[v.Threshold] = true, true
			if before == 0 && first == nil {
				first = v
			}
		}
		if any {
			inRuns++
		}
	}
	if first == nil {
		return ""
	}
	text := fmt.Sprintf("%d of %d thresholds failed", len(bad), len(all))
	if len(runs) > 1 {
		text += fmt.Sprintf(" in %d of %d runs", inRuns, len(runs))
	}
	if first.Actual == nil {
		return text + fmt.Sprintf(": %s, which is not known", first.Threshold)
	}
	return text + fmt.Sprintf(": %s, but it was %s", first.Threshold, report.Actual(first))
}

// rejudge judges the runs of records anew, if there are thresholds, has them rendered,
// and returns the error of those that failed.
func (f *thresholdFlags) rejudge(runs []result.Run, render func() error) error {
	switch {
	case len(f.all) == 0:
		return render()
	case len(runs) == 0:
		return errors.New("there are no runs to hold to a threshold")
	}
	for i := range runs {
		runs[i].Thresholds = nil
	}
	for _, t := range f.all {
		var none error
		judged := false
		for i := range runs {
			if err := t.Check(threshold.AskedOf(&runs[i])); err != nil {
				none = err
				continue
			}
			runs[i].Thresholds = append(runs[i].Thresholds, t.Judge(&runs[i]))
			judged = true
		}
		if !judged {
			return &usageError{err: fmt.Errorf("%s=%s: %w", flagOf(t), t, none)}
		}
	}
	if err := render(); err != nil {
		return err
	}
	return failed(runs)
}
