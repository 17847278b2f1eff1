package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
)

func addOutputFlag(flags *pflag.FlagSet, to *[]string) {
	flags.StringArrayVarP(to, "output", "o", []string{report.Names()[0]},
		"`FORMAT[=PATH]`, one of "+strings.Join(report.Names(), ", ")+"; repeatable; no path or - is stdout")
}

// outputs are where results go.
type outputs []*output

type output struct {
	format report.Format
	path   string // empty: stdout
	w      io.Writer
	color  bool // w shows colours
	file   *os.File
	isNew  bool // the file was not there before
}

// openOutputs checks every output, and that it can be written, before there is
// anything to write. close must be called.
func openOutputs(a *App, specs []string) (outputs, error) {
	return openFormats(a, specs, report.Lookup)
}

// openFormats is openOutputs of the formats that lookup knows.
func openFormats(a *App, specs []string, lookup func(name string) (report.Format, error)) (outputs, error) {
	var all outputs
	for _, spec := range specs {
		name, path, _ := strings.Cut(spec, "=")
		format, err := lookup(name)
		if err != nil {
			return nil, usagef("", "--output: %w", err)
		}
		if path == "-" {
			path = ""
		}
		if path != "" && slices.ContainsFunc(all, func(o *output) bool { return o.path == path }) {
			return nil, usagef("give each format a file of its own", "--output: %s is named twice", path)
		}
		all = append(all, &output{format: format, path: path, w: a.Stdout, color: path == "" && a.coloured(a.Stdout)})
	}
	for i := range all {
		if err := all[i].open(); err != nil {
			all.close()
			return nil, &hinted{err, "check that the folder exists and may be written to"}
		}
	}
	return all, nil
}

func (o *output) open() error {
	if o.path == "" {
		return nil
	}
	_, err := os.Stat(o.path)
	o.isNew = errors.Is(err, os.ErrNotExist)
	// Whatever is there stays until there is something to put in its place.
	if o.file, err = os.OpenFile(o.path, os.O_WRONLY|os.O_CREATE, 0o644); err != nil { //nolint:gosec // a report is no secret
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

// render writes f to every output.
func (all outputs) render(f *result.File) error {
	var errs []error
	for i := range all {
		if err := all[i].render(f); err != nil {
			errs = append(errs, fmt.Errorf("output %s: %w", all[i].format.Name(), err))
		}
	}
	return errors.Join(errs...)
}

func (o *output) render(f *result.File) error {
	if o.file != nil {
		if info, err := o.file.Stat(); err == nil && info.Mode().IsRegular() {
			if err := o.file.Truncate(0); err != nil {
				return err
			}
		}
	}
	width, _ := terminalWidth(o.w)
	err := o.format.Render(o.w, f, report.Options{Width: width, Color: o.color})
	if o.file != nil {
		err = errors.Join(err, o.file.Close())
		o.file = nil
	}
	return err
}

// close closes the files, and removes those that were made for nothing.
func (all outputs) close() {
	for i := range all {
		o := all[i]
		if o.file == nil {
			continue // never opened, or written and closed
		}
		_ = o.file.Close() // nothing was written to it
		if o.isNew {
			_ = os.Remove(o.path)
		}
		o.file = nil
	}
}
