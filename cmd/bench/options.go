package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
)

// options is what the command line says.
type options struct {
	sseload string
	floor   string
	golang  string
	rounds  int
	only    *regexp.Regexp // nil: all shapes
	quick   bool
	out     string // empty: nothing is written
}

// parseOptions writes help and faults to out itself.
func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	var only, folder string
	var noWrite bool
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors are told below, in one line
	flags.StringVar(&o.sseload, "sseload", "bin/sseload", "the `PROGRAM` to measure")
	flags.StringVar(&o.floor, "floor", "bin/floor", "the `PROGRAM` to measure it against")
	flags.StringVar(&o.golang, "go", "go", "the go `PROGRAM` that builds the decoder's benchmark")
	flags.IntVar(&o.rounds, "rounds", 5, "how often to measure everything; the figures are medians")
	flags.StringVar(&only, "run", "", "measure only what has a name that `REGEXP` matches; what there is: "+names(shapes(false)))
	flags.BoolVar(&o.quick, "quick", false, "one round of a few clients, to see that everything works; budgets are not judged")
	flags.StringVar(&folder, "out", "", "`FOLDER` to write README.md and bench.json into (default results/bench; with -run or -quick none)")
	flags.BoolVar(&noWrite, "no-write", false, "write no files")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(out)
		flags.Usage()
		return o, err
	}
	if err == nil {
		err = o.set(only, flags.Args())
	}
	if err != nil {
		complain(out, err)
		return o, err
	}
	o.out = folder
	switch {
	case noWrite:
		o.out = ""
	case folder == "" && o.only == nil && !o.quick:
		o.out = "results/bench"
	}
	return o, nil
}

func (o *options) set(only string, rest []string) (err error) {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds %d: at least 1", o.rounds)
	}
	if o.quick {
		o.rounds = 1
	}
	if only != "" {
		if o.only, err = regexp.Compile(only); err != nil {
			return fmt.Errorf("-run %s: %w", only, err)
		}
		if len(o.shapes()) == 0 && !o.decodes() {
			return fmt.Errorf("-run %s: nothing has such a name; there is %s", only, names(shapes(o.quick)))
		}
	}
	return nil
}

// shapes are those that were asked for.
func (o *options) shapes() []shape {
	var chosen []shape
	for _, s := range shapes(o.quick) {
		if o.only == nil || o.only.MatchString(s.Name) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// decodes reports whether the decoder was asked for.
func (o *options) decodes() bool { return o.only == nil || o.only.MatchString(decoderName) }
