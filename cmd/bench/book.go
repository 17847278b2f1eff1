package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// schema names the version of the JSON form of a [book].
const schema = "sseload.bench/v1"

// book is what was measured of sseload, and what follows from it.
type book struct {
	Schema string `json:"schema"`
	session
	Trials      []trial      `json:"trials"`
	Decodings   []decoding   `json:"decodings"`
	Comparisons []comparison `json:"comparisons"`
	Verdicts    []verdict    `json:"verdicts"`
	Passed      bool         `json:"passed"` // with too few rounds to judge: that no trial was wrong
}

func (b *book) fine() bool { return b.Passed }

func (b *book) fill(ctx context.Context, o *options, stderr io.Writer) (err error) {
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
	try := func(one outcome, s *shape) (string, *result.File, error) {
		t := trial{outcome: one}
		record, err := t.run(ctx, o, s)
		b.Trials = append(b.Trials, t)
		return t.line(s.measures(), t.figure), record, err
	}
	for round := 1; round <= b.Rounds; round++ {
		if err := b.round(round, stderr, try); err != nil {
			return err
		}
		if err := b.decode(ctx, round, dec, stderr); err != nil {
			return err
		}
	}
	b.conclude()
	b.ElapsedNS = int64(time.Since(b.StartedAt))
	return nil
}

// decode measures the decoder once, when there is one.
func (b *book) decode(ctx context.Context, round int, dec *decoder, stderr io.Writer) error {
	if dec == nil {
		return nil
	}
	d, err := dec.run(ctx, round)
	if err != nil {
		return err
	}
	b.Decodings = append(b.Decodings, d)
	return b.progress(stderr, round, "%-12s %-14s %s", decoderName, "", shown(d.BytesPerSecond, bytesPerSecond))
}

// conclude works out what follows from the trials.
func (b *book) conclude() {
	told := figures{}
	for i := range b.Trials {
		t := &b.Trials[i]
		told.add(&t.outcome, t.figure)
	}
	b.Comparisons = told.compare(b.Shapes, (*shape).measures, b.Rounds)
	b.Verdicts = judge(b.Shapes, b.Comparisons, b.Decodings)
	b.Passed = b.passed()
}

func (b *book) write(folder string) error {
	figures, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return errors.Join(
		save(filepath.Join(folder, "bench.json"), append(figures, '\n')),
		save(filepath.Join(folder, "README.md"), []byte(b.page())))
}
