package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// schema names the version of the JSON form of a [book].
const schema = "sseload.bench/v1"

// book is all that was measured, and what follows from it.
type book struct {
	Schema      string       `json:"schema"`
	StartedAt   time.Time    `json:"started_at"`
	ElapsedNS   int64        `json:"elapsed_ns"`
	Command     []string     `json:"command"`
	Rounds      int          `json:"rounds"`
	Quick       bool         `json:"quick"`
	Tool        *result.Tool `json:"tool"` // as sseload's record says; null when it did not run
	Host        *result.Host `json:"host"`
	Shapes      []shape      `json:"shapes"`
	Trials      []trial      `json:"trials"`
	Decodings   []decoding   `json:"decodings"`
	Comparisons []comparison `json:"comparisons"`
	Verdicts    []verdict    `json:"verdicts"`
	Passed      bool         `json:"passed"`
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
	b := &book{Schema: schema, StartedAt: time.Now().UTC(), Command: append([]string{"bench"}, args...)}
	err = b.fill(ctx, &o, stderr)
	if err == nil {
		_, err = io.WriteString(stdout, b.tables())
	}
	if err == nil && o.out != "" {
		err = b.write(o.out)
	}
	switch {
	case ctx.Err() != nil:
		complain(stderr, errors.New("interrupted"))
		return exitFailed
	case err != nil:
		complain(stderr, err)
		return exitFailed
	case !b.Passed:
		return exitFailed
	}
	return exitPassed
}

func complain(stderr io.Writer, err error) {
	_, _ = fmt.Fprintln(stderr, "bench: error:", strings.ReplaceAll(err.Error(), "\n", "; ")) // nowhere to tell of a failure
}

// fill measures everything and works out what follows. Progress goes to stderr.
func (b *book) fill(ctx context.Context, o *options, stderr io.Writer) (err error) {
	if err := o.ready(); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	var dec *decoder
	if o.decodes() {
		if dec, err = buildDecoder(ctx, o, folder); err != nil {
			return err
		}
	}
	b.Rounds, b.Quick, b.Shapes = o.rounds, o.quick, o.shapes()
	for round := 1; round <= o.rounds; round++ {
		if err := b.round(ctx, o, round, dec, stderr); err != nil {
			return err
		}
	}
	b.Comparisons = compare(b.Shapes, b.Trials)
	b.Verdicts = judge(b.Shapes, b.Comparisons, b.Decodings, b.Quick)
	b.Passed = passed(b.Verdicts, b.Trials)
	b.ElapsedNS = int64(time.Since(b.StartedAt))
	return nil
}

// ready finds out what is missing before anything has been measured.
func (o *options) ready() error {
	if runtime.GOOS != "linux" {
		return errors.New("the benchmark needs Linux, for epoll")
	}
	programs := []string{o.golang}
	if len(o.shapes()) > 0 {
		programs = append(programs, o.sseload, o.floor)
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w; make bench builds what it needs", err)
		}
	}
	return nil
}

// round measures each shape with each contender, and the decoder, once.
func (b *book) round(ctx context.Context, o *options, round int, dec *decoder, stderr io.Writer) error {
	for i := range b.Shapes {
		s := &b.Shapes[i]
		for place, contender := range s.order(round) {
			t := trial{Round: round, Place: place + 1, Shape: s.Name, Contender: contender, Wrong: []string{}}
			record, err := t.run(ctx, o, s)
			if err != nil {
				return err
			}
			if record != nil && b.Tool == nil {
				b.Tool, b.Host = &record.Tool, &record.Host
			}
			b.Trials = append(b.Trials, t)
			if err := b.progress(stderr, round, "%-12s %-8s %s", s.Name, contender, t.line(s)); err != nil {
				return err
			}
		}
	}
	if dec == nil {
		return nil
	}
	d, err := dec.run(ctx, round)
	if err != nil {
		return err
	}
	b.Decodings = append(b.Decodings, d)
	return b.progress(stderr, round, "%-12s %-8s %s", decoderName, "", shown(d.BytesPerSecond, bytesPerSecond))
}

func (b *book) progress(stderr io.Writer, round int, format string, args ...any) error {
	_, err := fmt.Fprintf(stderr, "bench: round %d of %d: "+format+"\n", append([]any{round, b.Rounds}, args...)...)
	return err
}

// line is a trial in a few words.
func (t *trial) line(s *shape) string {
	if !t.good() {
		return "wrong: " + strings.Join(t.Wrong, ", ")
	}
	var words []string
	for _, m := range s.measures() {
		if v, ok := t.figure(m); ok {
			words = append(words, m.shown(v))
		}
	}
	if t.Overloaded != nil {
		words = append(words, "overloaded")
	}
	return strings.Join(words, ", ")
}

// write puts the page and the figures into a folder.
func (b *book) write(folder string) error {
	figures, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "bench.json"), append(figures, '\n'), 0o644),
		os.WriteFile(filepath.Join(folder, "README.md"), []byte(b.page()), 0o644))
}
