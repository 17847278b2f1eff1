package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Exit codes.
const (
	exitAgreed = 0
	exitFailed = 1 // they differ, or it could not be found out
	exitUsage  = 2
)

// run does everything and gives the exit code. The table goes to stdout, all else
// to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitAgreed
	case err != nil:
		return exitUsage
	}
	agreed, err := o.run(ctx, stdout, stderr)
	switch {
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "witness: error:", strings.ReplaceAll(err.Error(), "\n", "; ")) // nowhere to tell of a failure
		return exitFailed
	case !agreed:
		return exitFailed
	}
	return exitAgreed
}

func (o options) run(ctx context.Context, stdout, stderr io.Writer) (agreed bool, err error) {
	s := setting{options: o, at: time.Now().UTC()}
	if s.tcpdump, err = output(ctx, "tcpdump", "--version"); err != nil {
		return false, captureError(err)
	}
	if s.sseload, err = output(ctx, o.sseload, "version"); err != nil {
		return false, fmt.Errorf("%s: %w; make build makes bin/sseload", o.sseload, err)
	}
	trials, err := o.tryAll(ctx, stderr)
	if err != nil {
		return false, err
	}
	if _, err := io.WriteString(stdout, table(trials)); err != nil {
		return false, err
	}
	if _, err := io.WriteString(stderr, findings(trials)); err != nil {
		return false, err
	}
	agreed = passed(trials) == len(trials)
	if o.noWrite {
		return agreed, nil
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return false, err
	}
	return agreed, os.WriteFile(filepath.Join(o.out, "README.md"), []byte(page(s, trials)), 0o644)
}

func (o options) tryAll(ctx context.Context, stderr io.Writer) ([]trial, error) {
	var trials []trial
	for _, s := range o.shapes() {
		for number := 1; number <= o.repeat; number++ {
			if _, err := fmt.Fprintf(stderr, "witness: sseload rooms %s, %d of %d\n", s.spec, number, o.repeat); err != nil {
				return nil, err
			}
			t, err := o.tryIn(ctx, s, number, len(trials)+1)
			if err != nil {
				return nil, err
			}
			trials = append(trials, t)
		}
	}
	return trials, nil
}

// tryIn does one trial with its files in a folder of their own.
func (o options) tryIn(ctx context.Context, s shape, number, folder int) (t trial, err error) {
	if o.keep != "" {
		dir := filepath.Join(o.keep, fmt.Sprint(folder))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return t, err
		}
		return try(ctx, o, s, number, dir)
	}
	dir, err := os.MkdirTemp("", "witness")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return try(ctx, o, s, number, dir)
}
