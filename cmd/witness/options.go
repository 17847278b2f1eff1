package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options is what the command line says.
type options struct {
	sseload   string
	runs      specs
	limits    specs
	repeat    int
	tolerance time.Duration
	snaplen   int
	out       string
	noWrite   bool
	keep      string
}

// specs are the load shapes: each the arguments of one sseload rooms.
type specs []string

func (s *specs) String() string { return strings.Join(*s, ", ") }

func (s *specs) Set(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("no arguments in it")
	}
	*s = append(*s, strings.Join(strings.Fields(text), " "))
	return nil
}

// defaultRuns are a closed model and an open one.
func defaultRuns() specs {
	return specs{"-c 600 -n 50", "-c 300 --rate 500/s --duration 10s"}
}

// defaultLimits are where many messages come to a client at once, so that they
// share the stamp of the last one's segment.
func defaultLimits() specs {
	return specs{"-c 300 -n 50 --senders all"}
}

// shape is one load shape.
type shape struct {
	spec  string
	limit bool // it shows how far the report's latencies may be off; only counts must agree
}

func (o options) shapes() []shape {
	var shapes []shape
	for _, spec := range o.runs {
		shapes = append(shapes, shape{spec: spec})
	}
	for _, spec := range o.limits {
		shapes = append(shapes, shape{spec: spec, limit: true})
	}
	return shapes
}

// parseOptions writes help and faults to out itself, as package flag does.
func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("witness", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.sseload, "sseload", "bin/sseload", "the `PROGRAM` to check")
	flags.Var(&o.runs, "run", "`ARGUMENTS` of sseload rooms for one load shape; repeatable (without -run and -limit "+strings.Join(quoted(defaultRuns()), " and ")+")")
	flags.Var(&o.limits, "limit", "`ARGUMENTS` of sseload rooms for a load shape at the limit of what its latencies can tell: counts must agree, latencies are shown but not judged; repeatable (without -run and -limit "+strings.Join(quoted(defaultLimits()), " and ")+")")
	flags.IntVar(&o.repeat, "repeat", 3, "how often to do each run, each with a fresh server and a capture of its own")
	flags.DurationVar(&o.tolerance, "tolerance", 100*time.Microsecond, "by how much quantiles, maximum and mean may differ, beside 0.1 % for the histogram's digits")
	flags.IntVar(&o.snaplen, "snaplen", 512, "bytes to capture of a packet; what of an event lies beyond is not seen")
	flags.StringVar(&o.out, "out", "results/witness", "`FOLDER` to write README.md into")
	flags.BoolVar(&o.noWrite, "no-write", false, "write no README.md")
	flags.StringVar(&o.keep, "keep", "", "`FOLDER` to keep captures and records in; without it they are removed")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if len(o.runs)+len(o.limits) == 0 {
		o.runs, o.limits = defaultRuns(), defaultLimits()
	}
	err := o.check(flags.Args())
	if err != nil {
		_, _ = fmt.Fprintln(out, "witness: error:", err) // nowhere to tell of a failure
	}
	return o, err
}

func (o options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q; what sseload gets goes into -run", rest[0])
	case o.repeat < 1:
		return fmt.Errorf("-repeat %d: at least 1", o.repeat)
	case o.tolerance < 0:
		return fmt.Errorf("-tolerance %v: not below 0", o.tolerance)
	case o.snaplen < 128 || o.snaplen > largestPacket:
		return fmt.Errorf("-snaplen %d: between 128, for the headers, and %d", o.snaplen, largestPacket)
	}
	return nil
}

func quoted(texts []string) []string {
	texts = slices.Clone(texts)
	for i, text := range texts {
		texts[i] = `"` + text + `"`
	}
	return texts
}
