package profile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

const (
	perfFrequency = 499 // Hz; not a divisor of the usual timers
	perfFields    = "period,ip,sym,dso"
	maxPerfLine   = 64 << 10
)

var errNoPerf = errors.New("no text of perf script")

// fromPerfScript reads what perf script -F period,ip,sym,dso prints: for each
// sample a line with its period in nanoseconds, a line for each function, the leaf
// first, as in
//
//	2004008
//		          166cde main.(*server).deliver (/usr/bin/server)
//
// and an empty line. It is read as it comes, as it is long. With an error there is
// also the profile of what came before it.
func fromPerfScript(in io.Reader) (*profile.Profile, error) {
	p := perfScript{out: newStacks(&profile.ValueType{Type: "samples", Unit: count}, &profile.ValueType{Type: "cpu", Unit: nanoseconds})}
	p.out.data.PeriodType = &profile.ValueType{Type: "cpu", Unit: nanoseconds}
	p.out.data.Period = 1_000_000_000 / perfFrequency
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxPerfLine)
	for lines.Scan() {
		if err := p.line(lines.Bytes()); err != nil {
			return p.out.data, err
		}
	}
	if err := lines.Err(); err != nil {
		return p.out.data, err
	}
	return p.out.data, p.sample()
}

type perfScript struct {
	out    *stacks
	in     bool // a sample is under way
	period int64
	stack  []frame
	frames map[string]frame // by line, without the address
	size   int              // of their lines
}

func (p *perfScript) line(line []byte) error {
	text := bytes.TrimSpace(line)
	switch {
	case len(text) == 0:
		return p.sample()
	case line[0] == '\t' && p.in:
		if len(p.stack) == maxDepth {
			return fmt.Errorf("%w: a stack has no end", errNoPerf)
		}
		f, err := p.frame(text)
		p.stack = append(p.stack, f)
		return err
	}
	if err := p.sample(); err != nil {
		return err
	}
	period, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || period < 0 {
		return fmt.Errorf("%w: %q is no period", errNoPerf, clean(string(text), maxName))
	}
	p.in, p.period = true, period
	return nil
}

// sample ends the one that is under way.
func (p *perfScript) sample() error {
	if !p.in {
		return nil
	}
	if len(p.stack) == 0 {
		p.stack = append(p.stack, frame{name: "[unknown]"})
	}
	err := p.out.add(p.stack, 1, p.period)
	p.in, p.stack = false, p.stack[:0]
	return err
}

// frame reads ADDRESS SYMBOL (OBJECT). Symbols and paths may have blanks and
// brackets.
func (p *perfScript) frame(text []byte) (frame, error) {
	_, rest, ok := bytes.Cut(text, []byte(" "))
	if !ok {
		return frame{}, fmt.Errorf("%w: %q is no frame", errNoPerf, clean(string(text), maxName))
	}
	if f, ok := p.frames[string(rest)]; ok {
		return f, nil
	}
	symbol, object := strings.TrimSpace(string(rest)), ""
	if i := strings.LastIndex(strings.TrimSuffix(symbol, " (deleted))"), " ("); i >= 0 {
		object = strings.TrimSuffix(strings.TrimSuffix(symbol[i+2:], ")"), " (deleted)")
		symbol = symbol[:i]
	}
	f := frame{symbol: clean(symbol, maxName), file: clean(object, maxName)}
	f.name = f.symbol
	if symbol == "[unknown]" && object != "" && object != "[unknown]" {
		f.name += " (" + clean(path.Base(object), maxName) + ")"
	}
	if p.size += len(rest); p.size > maxAnswer {
		return frame{}, errTooLarge
	}
	if p.frames == nil {
		p.frames = map[string]frame{}
	}
	p.frames[string(rest)] = f
	return f, nil
}
