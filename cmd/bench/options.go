package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// usage is what the help begins with.
const usage = `usage: bench [FLAGS]               measure sseload beside the least that a client must do, and judge its budgets
       bench servers [FLAGS]       measure the reference server beside two other ways to write it
       bench transports [FLAGS]    measure what a client costs by each way to reach a server

flags of %s:
`

// leastRounds is of how many figures a median is judged.
const leastRounds = 5

// options is what the command line says.
type options struct {
	rivals  rivals // of the contest; nil: sseload is measured beside the floor
	sseload string
	floor   string         // of no contest
	golang  string         // likewise
	among   *regexp.Regexp // of a contest; nil: all contenders
	rounds  int
	only    *regexp.Regexp // nil: all shapes
	quick   bool
	out     string // empty: nothing is written
}

// parseOptions writes help and faults to out itself.
func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	name, into := "bench", "results/bench"
	if len(args) > 0 {
		if o.rivals = contestOf(args[0]); o.rivals != nil {
			name, into, args = "bench "+args[0], "results/"+args[0], args[1:]
		}
	}
	var only, among, folder string
	var noWrite bool
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors are told below, in one line
	flags.StringVar(&o.sseload, "sseload", "bin/sseload", "the `PROGRAM` that makes the load, and is the reference server")
	if o.rivals != nil {
		o.rivals.flags(flags)
		flags.StringVar(&among, "contenders", "", "measure only those that `REGEXP` matches; who there is: "+strings.Join(o.contenders(), ", "))
	} else {
		flags.StringVar(&o.floor, "floor", "bin/floor", "the `PROGRAM` to measure sseload against")
		flags.StringVar(&o.golang, "go", "go", "the go `PROGRAM` that builds the decoder's benchmark")
	}
	flags.IntVar(&o.rounds, "rounds", leastRounds, fmt.Sprintf("how often to measure everything; the figures are medians, and with fewer than %d nothing is judged", leastRounds))
	flags.StringVar(&only, "run", "", "measure only what has a name that `REGEXP` matches; what there is: "+o.names())
	flags.BoolVar(&o.quick, "quick", false, "one round of a few clients, to see that everything works")
	flags.StringVar(&folder, "out", "", fmt.Sprintf("`FOLDER` to write to (default %s; none with a part of what there is, -quick or fewer than %d rounds)", into, leastRounds))
	flags.BoolVar(&noWrite, "no-write", false, "write no files")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(out)
		if _, werr := fmt.Fprintf(out, usage, name); werr != nil {
			return o, werr
		}
		flags.PrintDefaults()
		return o, err
	}
	if err == nil {
		err = o.set(only, among, flags.Args())
	}
	if err != nil {
		complain(out, err)
		return o, err
	}
	o.out = folder
	switch {
	case noWrite:
		o.out = ""
	case folder == "" && o.only == nil && o.among == nil && o.rounds >= leastRounds:
		o.out = into
	}
	return o, nil
}

// contestOf is the contest of that name, if there is one.
func contestOf(mode string) rivals {
	all := contests()
	if i := slices.IndexFunc(all, func(r rivals) bool { return r.words().mode == mode }); i >= 0 {
		return all[i]
	}
	return nil
}

func (o *options) set(only, among string, rest []string) (err error) {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds %d: at least 1", o.rounds)
	}
	if o.quick {
		o.rounds = 1
	}
	if among != "" {
		everyone := strings.Join(o.contenders(), ", ")
		if o.among, err = regexp.Compile(among); err != nil {
			return fmt.Errorf("-contenders %s: %w", among, err)
		}
		if len(o.contenders()) == 0 {
			return fmt.Errorf("-contenders %s: nobody has such a name; there is %s", among, everyone)
		}
	}
	if only != "" {
		if o.only, err = regexp.Compile(only); err != nil {
			return fmt.Errorf("-run %s: %w", only, err)
		}
		if len(o.shapes()) == 0 && !o.decodes() {
			return fmt.Errorf("-run %s: nothing has such a name; there is %s", only, o.names())
		}
	}
	return nil
}

// all are the shapes of the mode, with the contenders that were asked for.
func (o *options) all() []shape {
	if o.rivals == nil {
		return shapes(o.quick)
	}
	all := o.rivals.shapes(o.quick)
	for i := range all {
		all[i].Contenders = slices.DeleteFunc(all[i].Contenders, func(name string) bool { return o.among != nil && !o.among.MatchString(name) })
	}
	return all
}

// contenders are those that were asked for in a contest.
func (o *options) contenders() []string { return o.all()[0].Contenders }

// names lists what -run may choose from.
func (o *options) names() string {
	var list []string
	for _, s := range o.all() {
		list = append(list, s.Name)
	}
	if o.rivals == nil {
		list = append(list, decoderName)
	}
	return strings.Join(list, ", ")
}

// shapes are those that were asked for.
func (o *options) shapes() []shape {
	return slices.DeleteFunc(o.all(), func(s shape) bool { return o.only != nil && !o.only.MatchString(s.Name) })
}

// decodes reports whether the decoder was asked for.
func (o *options) decodes() bool {
	return o.rivals == nil && (o.only == nil || o.only.MatchString(decoderName))
}

// ready finds out what is missing before anything has been measured.
func (o *options) ready() error {
	var programs []string
	switch {
	case runtime.GOOS != "linux" && (o.rivals == nil || o.rivals.words().epoll):
		return errors.New("measuring sseload needs Linux, for epoll")
	case o.rivals != nil:
		programs = append([]string{o.sseload}, o.rivals.programs()...)
	case len(o.shapes()) > 0:
		programs = []string{o.golang, o.sseload, o.floor}
	default:
		programs = []string{o.golang}
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w; make bench, make servers and make transports build what they need", err)
		}
	}
	return nil
}
