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
const usage = `usage: bench [FLAGS]            measure sseload beside the least that a client must do, and judge its budgets
       bench servers [FLAGS]    measure the reference server beside two other ways to write it

flags of %s:
`

// serversMode is the word for the mode that measures servers.
const serversMode = "servers"

// leastRounds is of how many figures a median is judged.
const leastRounds = 5

// options is what the command line says.
type options struct {
	servers bool // the mode
	sseload string
	floor   string // where sseload is measured
	golang  string // likewise
	peer    string // where servers are
	rounds  int
	only    *regexp.Regexp // nil: all shapes
	quick   bool
	out     string // empty: nothing is written
}

// parseOptions writes help and faults to out itself.
func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	name, into := "bench", "results/bench"
	if len(args) > 0 && args[0] == serversMode {
		o.servers, args = true, args[1:]
		name, into = "bench servers", "results/servers"
	}
	var only, folder string
	var noWrite bool
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors are told below, in one line
	flags.StringVar(&o.sseload, "sseload", "bin/sseload", "the `PROGRAM` that makes the load, and is the reference server")
	if o.servers {
		flags.StringVar(&o.peer, "peer", "bin/peer", "the `PROGRAM` that is the other servers")
	} else {
		flags.StringVar(&o.floor, "floor", "bin/floor", "the `PROGRAM` to measure sseload against")
		flags.StringVar(&o.golang, "go", "go", "the go `PROGRAM` that builds the decoder's benchmark")
	}
	flags.IntVar(&o.rounds, "rounds", leastRounds, fmt.Sprintf("how often to measure everything; the figures are medians, and with fewer than %d nothing is judged", leastRounds))
	flags.StringVar(&only, "run", "", "measure only what has a name that `REGEXP` matches; what there is: "+o.names())
	flags.BoolVar(&o.quick, "quick", false, "one round of a few clients, to see that everything works")
	flags.StringVar(&folder, "out", "", fmt.Sprintf("`FOLDER` to write to (default %s; none with -run, -quick or fewer than %d rounds)", into, leastRounds))
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
	case folder == "" && o.only == nil && o.rounds >= leastRounds:
		o.out = into
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
			return fmt.Errorf("-run %s: nothing has such a name; there is %s", only, o.names())
		}
	}
	return nil
}

// all are the shapes of the mode.
func (o *options) all() []shape {
	if o.servers {
		return serverShapes(o.quick)
	}
	return shapes(o.quick)
}

// names lists what -run may choose from.
func (o *options) names() string {
	var list []string
	for _, s := range o.all() {
		list = append(list, s.Name)
	}
	if !o.servers {
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
	return !o.servers && (o.only == nil || o.only.MatchString(decoderName))
}

// ready finds out what is missing before anything has been measured.
func (o *options) ready() error {
	var programs []string
	switch {
	case o.servers:
		programs = []string{o.sseload, o.peer}
	case runtime.GOOS != "linux":
		return errors.New("measuring sseload needs Linux, for epoll")
	case len(o.shapes()) > 0:
		programs = []string{o.golang, o.sseload, o.floor}
	default:
		programs = []string{o.golang}
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w; make bench and make servers build what they need", err)
		}
	}
	return nil
}
