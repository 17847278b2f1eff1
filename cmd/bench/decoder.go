package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// decoding is one run of the decoder's benchmark, and of a plain scan for line ends
// over as many bytes of the same form: what nobody can do without who reads lines.
type decoding struct {
	Round              int     `json:"round"`
	BytesPerSecond     float64 `json:"bytes_per_second"`
	AllocsPerPass      float64 `json:"allocs_per_pass"` // of some 650 events
	ScanBytesPerSecond float64 `json:"scan_bytes_per_second"`
}

const (
	ssePackage   = "github.com/sseload/sseload/pkg/sse"
	sseBenchmark = "BenchmarkDecoder/100_B"
	eventBytes   = 100
	passBytes    = 64 << 10
)

// decoder is the built benchmark of pkg/sse.
type decoder struct {
	program string
	quick   bool
}

// buildDecoder builds it into a folder.
func buildDecoder(ctx context.Context, o *options, folder string) (*decoder, error) {
	d := &decoder{program: filepath.Join(folder, "sse.test"), quick: o.quick}
	if _, _, err := output(ctx, o.golang, "test", "-c", "-o", d.program, ssePackage); err != nil {
		return nil, fmt.Errorf("build the benchmark of %s: %w", ssePackage, err)
	}
	return d, nil
}

// run measures once.
func (d *decoder) run(ctx context.Context, round int) (decoding, error) {
	benchtime, bytes := "1s", 1<<30
	if d.quick {
		benchtime, bytes = "10ms", 1<<24
	}
	out, _, err := output(ctx, d.program, d.arguments(benchtime)...)
	if err != nil {
		return decoding{}, fmt.Errorf("benchmark of %s: %w", ssePackage, err)
	}
	m, err := parseBenchmark(string(out))
	m.Round, m.ScanBytesPerSecond = round, scan(bytes)
	return m, err
}

func (d *decoder) arguments(benchtime string) []string {
	return []string{"-test.run", "^$", "-test.bench", "^BenchmarkDecoder$/^100_B$", "-test.benchmem", "-test.cpu", "1", "-test.benchtime", benchtime}
}

var errNoBenchmark = errors.New("no figures of " + sseBenchmark + " with MB/s and allocs/op")

// parseBenchmark reads the line that go test prints: pairs of a figure and its unit
// behind the name and the number of passes.
func parseBenchmark(text string) (m decoding, err error) {
	speed, allocs := false, false
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] != sseBenchmark {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return m, fmt.Errorf("%s: %w", strings.TrimSpace(line), err)
			}
			switch fields[i+1] {
			case "MB/s":
				m.BytesPerSecond, speed = v*1e6, true
			case "allocs/op":
				m.AllocsPerPass, allocs = v, true
			}
		}
	}
	if !speed || !allocs {
		return m, errNoBenchmark
	}
	return m, nil
}

// scan finds all line ends in events of 100 bytes, about as many bytes, and gives
// the bytes per second.
func scan(atLeast int) float64 {
	event := "data: " + strings.Repeat("x", eventBytes-len("data: \n\n")) + "\n\n"
	pass := []byte(strings.Repeat(event, (passBytes+eventBytes-1)/eventBytes))
	start, scanned, ends := time.Now(), 0, 0
	for ; scanned < atLeast; scanned += len(pass) {
		for rest := pass; ; ends++ {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			rest = rest[i+1:]
		}
	}
	elapsed := time.Since(start)
	if ends*eventBytes != 2*scanned { // it also keeps the loop from being left out
		return 0
	}
	return float64(scanned) / elapsed.Seconds()
}
