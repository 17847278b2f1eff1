package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
)

func addOutputFlag(flags *pflag.FlagSet, to *[]string) {
	flags.StringArrayVarP(to, "output", "o", []string{report.Names()[0]},
		"`FORMAT[=PATH]`, one of "+strings.Join(report.Names(), ", ")+"; repeatable; no path or - is stdout, for github without a path its step summary")
}

// outputs are where results go.
type outputs []*output

type output struct {
	format report.Format
	path   string // empty: stdout
	w      io.Writer
	above  io.Writer // stdout, above the progress where both are on a terminal
	color  bool      // w shows colours
	file   *os.File
	isNew  bool       // the file was not there before
	adds   bool       // to what is in the file, instead of taking its place
	live   *liveLines // what is being written while runs go on; nil: nothing is
	forget func()     // that the file is to be removed when the process ends at once; nil: it is not
}

// stepSummary is where GitHub Actions names the file that the summary of a step is
// appended to.
const stepSummary = "GITHUB_STEP_SUMMARY"

// openOutputs checks every output, and that it can be written, before there is
// anything to write. close must be called.
func openOutputs(a *App, specs []string) (outputs, error) {
	return openFormats(a, specs, report.Lookup)
}

// openFormats is openOutputs of the formats that lookup knows.
func openFormats(a *App, specs []string, lookup func(name string) (report.Format, error)) (outputs, error) {
	all, err := newOutputs(a, specs, lookup)
	if err != nil {
		return nil, err
	}
	for i := range all {
		err := all[i].open()
		if err != nil {
			err = &hinted{err, unopenedHint(all[i].path)}
		} else if other := all[:i].sameFile(all[i]); other != nil {
			err = usagef("give each format a file of its own", "--output: %s and %s are the same file", other.path, all[i].path)
		}
		if err != nil {
			all.close()
			return nil, err
		}
		if info, ok := all[i].regularFile(); ok && all[i].isNew {
			path := all[i].path
			all[i].forget = a.leaving.first(func() { removeEmpty(path, info) })
		}
	}
	return all, nil
}

// newOutputs checks every output, and opens none.
func newOutputs(a *App, specs []string, lookup func(name string) (report.Format, error)) (outputs, error) {
	var all outputs
	for _, spec := range specs {
		o, err := newOutput(a, spec, lookup)
		if err != nil {
			return nil, err
		}
		if o.path != "" && slices.ContainsFunc(all, func(other *output) bool { return other.path == o.path }) {
			return nil, usagef("give each format a file of its own", "--output: %s is named twice", o.path)
		}
		all = append(all, o)
	}
	return all, nil
}

// unopenedHint says what to do about a file that cannot be opened.
func unopenedHint(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return "it is a folder: name a file in it"
	}
	return "check that the folder exists and may be written to"
}

// removeEmpty removes the file that was made there, if nothing was written to it.
func removeEmpty(path string, made os.FileInfo) {
	if info, err := os.Lstat(path); err == nil && info.Size() == 0 && os.SameFile(info, made) {
		_ = os.Remove(path) // there is nobody left to tell
	}
}

// sameFile is the one of the outputs that goes to the same file as o, by whatever name;
// nil: none does.
func (all outputs) sameFile(o *output) *output {
	info, ok := o.regularFile()
	if !ok {
		return nil
	}
	for _, other := range all {
		if its, ok := other.regularFile(); ok && os.SameFile(info, its) {
			return other
		}
	}
	return nil
}

// spare finds out whether an output would take the place of a file that the command
// reads.
func (all outputs) spare(inputs ...string) error {
	for _, path := range inputs {
		read, err := os.Stat(path)
		if err != nil {
			continue // it was no file
		}
		for _, o := range all {
			if info, ok := o.regularFile(); ok && os.SameFile(read, info) {
				return usagef("name another file", "--output: %s would take the place of what is read, %s", o.path, path)
			}
		}
	}
	return nil
}

// newOutput is the output that FORMAT[=PATH] says.
func newOutput(a *App, spec string, lookup func(name string) (report.Format, error)) (*output, error) {
	name, path, named := strings.Cut(spec, "=")
	format, err := lookup(name)
	if err != nil {
		return nil, usagef("", "--output: %w", err)
	}
	o := &output{format: format, path: path, w: a.Stdout, above: a.screen.over(a.Stdout)}
	if name == report.StepSummary && !named {
		if o.path, _ = a.Env(stepSummary); o.path == "" {
			return nil, usagef("GitHub Actions sets it; elsewhere name a file, -o github=PATH, or stdout, -o github=-",
				"--output: github: $%s is not set", stepSummary)
		}
		o.adds = true
	}
	if path == "-" {
		o.path = ""
	}
	o.color = o.path == "" && a.coloured(a.Stdout)
	return o, nil
}

func (o *output) open() error {
	if o.path == "" {
		return nil
	}
	_, err := os.Stat(o.path)
	o.isNew = errors.Is(err, os.ErrNotExist)
	// Whatever is there stays until there is something to put in its place.
	mode := os.O_WRONLY | os.O_CREATE
	if o.adds {
		mode |= os.O_APPEND
	}
	if o.file, err = os.OpenFile(o.path, mode, 0o644); err != nil { //nolint:gosec // a report is no secret
		return fmt.Errorf("--output: %w", err)
	}
	o.w = o.file
	return nil
}

// files are the outputs that go to files.
func (all outputs) files() outputs {
	var files outputs
	for _, o := range all {
		if o.file != nil {
			files = append(files, o)
		}
	}
	return files
}

// record is the path of the first file that is to hold the record, else of the first
// file at all; empty without one.
func (all outputs) record() string {
	first := ""
	for _, o := range all.files() {
		if info, err := o.file.Stat(); err != nil || !info.Mode().IsRegular() {
			continue // /dev/null, or a pipe
		}
		if o.format.Name() == "json" {
			return o.path
		}
		first = cmp.Or(first, o.path)
	}
	return first
}

// render writes f to every output, with what could not be done.
func (all outputs) render(f *result.File, failed ...report.NotDone) error {
	var errs []error
	for i := range all {
		if err := all[i].render(f, failed); err != nil {
			errs = append(errs, fmt.Errorf("output %s: %w", all[i].format.Name(), err))
		}
	}
	return errors.Join(errs...)
}

func (o *output) render(f *result.File, failed []report.NotDone) error {
	err := o.write(f, failed)
	if o.file != nil {
		err = errors.Join(err, o.file.Close())
		o.file = nil
	}
	return err
}

func (o *output) write(f *result.File, failed []report.NotDone) error {
	if o.live != nil {
		return o.live.finish() // it has been written
	}
	if format, ok := o.format.(report.Parted); ok && o.regular() {
		parts, err := format.Parts(f)
		if err != nil || len(parts) > 1 {
			return errors.Join(err, o.writeParts(parts))
		}
	}
	options := report.Options{Color: o.color, Failed: failed}
	options.Width, _ = terminalWidth(o.w)
	if o.adds {
		options.Limit = o.roomLeft()
	} else if err := o.empty(); err != nil {
		return err
	}
	return o.format.Render(o.w, f, options)
}

// renderFailed writes what could not be done to the files whose format shows that, where
// no run was made. What they say of an earlier time must not pass for that of this one;
// other files keep what they have.
func (all outputs) renderFailed(command []string, failed ...report.NotDone) error {
	var some outputs
	for _, o := range all.files() {
		if report.ShowsFailed(o.format) {
			some = append(some, o)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some.render(&result.File{
		Schema: result.Schema, Tool: tool(), Command: command, Host: host(), StartedAt: time.Now().UTC(),
	}, failed...)
}

// regular tells whether the output is a file that can be emptied, and no pipe.
func (o *output) regular() bool {
	_, ok := o.regularFile()
	return ok
}

// regularFile is what the system says of the output's file, if it is regular.
func (o *output) regularFile() (os.FileInfo, bool) {
	if o.file == nil {
		return nil, false
	}
	info, err := o.file.Stat()
	return info, err == nil && info.Mode().IsRegular()
}

// empty takes what is in the output's file out of it.
func (o *output) empty() error {
	if !o.regular() {
		return nil
	}
	return o.file.Truncate(0)
}

// roomLeft is how many bytes may be added to the summary of a step, at least one.
func (o *output) roomLeft() int {
	room := report.SummaryLimit
	if info, err := o.file.Stat(); err == nil && info.Mode().IsRegular() {
		room -= int(min(info.Size(), report.SummaryLimit))
	}
	return max(1, room)
}

// writeParts writes each part to a file of its own, whose name is that of the output
// with the part's before its extension. The output's own file stays as it was.
func (o *output) writeParts(parts []report.Part) error {
	extension := filepath.Ext(o.path)
	for _, p := range parts {
		path := strings.TrimSuffix(o.path, extension) + "-" + p.Name + extension
		if err := os.WriteFile(path, p.Text, 0o644); err != nil { //nolint:gosec // a report is no secret
			return err
		}
	}
	err := o.file.Close()
	if o.isNew {
		err = errors.Join(err, os.Remove(o.path))
	}
	o.file = nil
	return err
}

// close closes the files, and removes those that were made for nothing.
func (all outputs) close() {
	for i := range all {
		o := all[i]
		if o.forget != nil {
			defer o.forget()
		}
		if o.live != nil {
			_ = o.live.finish() // what went wrong has been told, or nobody asked for results
		}
		if o.file == nil {
			continue // never opened, or written and closed
		}
		_ = o.file.Close() // nothing was rendered to it
		if o.isNew && (o.live == nil || !o.live.wrote()) {
			_ = os.Remove(o.path)
		}
		o.file = nil
	}
}
