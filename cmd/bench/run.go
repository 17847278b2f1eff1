package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// Exit codes.
const (
	exitPassed = 0
	exitFailed = 1 // a budget was missed, a trial went wrong, or it could not be found out
	exitUsage  = 2
)

// mode is one of the things that this program does.
type mode interface {
	// fill measures everything and works out what follows. Progress goes to stderr.
	fill(ctx context.Context, o *options, stderr io.Writer) error
	// told are the results without the page around them.
	told() string
	// write puts page and figures into a folder.
	write(folder string) error
	// fine reports whether all is as it should be.
	fine() bool
}

// run does everything and gives the exit code. The tables go to stdout, all else to
// stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitPassed
	case err != nil:
		return exitUsage
	}
	s := session{
		StartedAt: time.Now().UTC(), Command: append([]string{"bench"}, args...),
		Rounds: o.rounds, Quick: o.quick, Shapes: o.shapes(),
	}
	var m mode = &book{Schema: schema, session: s}
	if o.rivals != nil {
		m = &contest{session: s, rivals: o.rivals}
	}
	err = o.ready()
	if err == nil {
		err = m.fill(ctx, &o, stderr)
	}
	if err == nil {
		_, err = io.WriteString(stdout, m.told())
	}
	if err == nil && o.out != "" {
		err = m.write(o.out)
	}
	switch {
	case ctx.Err() != nil:
		complain(stderr, errors.New("interrupted"))
		return exitFailed
	case err != nil:
		complain(stderr, err)
		return exitFailed
	case !m.fine():
		return exitFailed
	}
	return exitPassed
}

func complain(stderr io.Writer, err error) {
	_, _ = fmt.Fprintln(stderr, "bench: error:", strings.ReplaceAll(err.Error(), "\n", "; ")) // nowhere to tell of a failure
}

// session is when, how often and on what something was measured.
type session struct {
	StartedAt time.Time    `json:"started_at"`
	ElapsedNS int64        `json:"elapsed_ns"`
	Command   []string     `json:"command"`
	Rounds    int          `json:"rounds"`
	Quick     bool         `json:"quick"`
	Tool      *result.Tool `json:"tool"` // as sseload's record says; null when it did not run
	Host      *result.Host `json:"host"`
	Shapes    []shape      `json:"shapes"`
}

// round has each contender try each shape once, in the order of the round. What try
// gives is the trial in a few words, and sseload's record when there is one.
func (s *session) round(round int, stderr io.Writer, try func(outcome, *shape) (said string, record *result.File, err error)) error {
	for i := range s.Shapes {
		one := &s.Shapes[i]
		for place, contender := range one.order(round) {
			said, record, err := try(outcome{Round: round, Place: place + 1, Shape: one.Name, Contender: contender, Wrong: []string{}}, one)
			if err != nil {
				return err
			}
			if record != nil && s.Tool == nil {
				s.Tool, s.Host = &record.Tool, &record.Host
			}
			if err := s.progress(stderr, round, "%-12s %-14s %s", one.Name, contender, said); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *session) progress(stderr io.Writer, round int, format string, args ...any) error {
	_, err := fmt.Fprintf(stderr, "bench: round %d of %d: "+format+"\n", append([]any{round, s.Rounds}, args...)...)
	return err
}

// enough reports whether there were as many rounds as a judgement needs.
func (s *session) enough() bool { return s.Rounds >= leastRounds }

// save writes a file into a folder that is there.
func save(path string, text []byte) error { return os.WriteFile(path, text, 0o644) }
