package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
)

// process is a program that a script runs in the background.
type process struct {
	cmd      *exec.Cmd
	output   watched[written]
	terminal *os.File      // our end; nil when it runs without one
	drained  chan struct{} // closed when all that it wrote has been read
	done     chan struct{} // closed when it has ended
}

// written is what a process wrote so far. With a terminal all of it is in tty.
type written struct {
	stdout, stderr, tty strings.Builder
	ended               bool
}

func (o *written) named(name string) (*strings.Builder, error) {
	switch name {
	case "stdout":
		return &o.stdout, nil
	case "stderr":
		return &o.stderr, nil
	case "tty":
		return &o.tty, nil
	}
	return nil, fmt.Errorf("%q is none of stdout, stderr and tty", name)
}

// outputWriter appends to one of a process' outputs.
type outputWriter struct {
	p  *process
	to func(*written) *strings.Builder
}

func (w outputWriter) Write(text []byte) (int, error) {
	w.p.output.update(func(o *written) { w.to(o).Write(text) })
	return len(text), nil
}

// start runs cmd, on a terminal of so many columns, or without one when that is 0.
func start(cmd *exec.Cmd, columns int) (*process, error) {
	p := &process{cmd: cmd, drained: make(chan struct{}), done: make(chan struct{})}
	if columns == 0 {
		close(p.drained)
		cmd.Stdout = outputWriter{p, func(o *written) *strings.Builder { return &o.stdout }}
		cmd.Stderr = outputWriter{p, func(o *written) *strings.Builder { return &o.stderr }}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
	} else if err := p.startOnTerminal(columns); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended stands in ProcessState
		<-p.drained
		p.output.update(func(o *written) { o.ended = true })
	}()
	return p, nil
}

func (p *process) startOnTerminal(columns int) error {
	ours, theirs, err := openTerminal(columns)
	if err != nil {
		return err
	}
	defer theirs.Close()
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs, theirs, theirs
	onTerminal(p.cmd)
	if err := p.cmd.Start(); err != nil {
		ours.Close()
		return err
	}
	p.terminal = ours
	go func() {
		defer close(p.drained)
		// It ends with EIO when the last process has closed the other end.
		_, _ = io.Copy(outputWriter{p, func(o *written) *strings.Builder { return &o.tty }}, ours)
	}()
	return nil
}

// await waits until what the process wrote to the output called name matches,
// and returns the submatches.
func (p *process) await(name string, pattern *regexp.Regexp) ([]string, error) {
	var found []string
	var text string
	var failed error
	err := p.output.await(func(o *written) bool {
		b, err := o.named(name)
		if err != nil {
			failed = err
			return true
		}
		text = b.String()
		if found = pattern.FindStringSubmatch(text); found == nil && o.ended {
			failed = errors.New("it ended without")
		}
		return found != nil || failed != nil
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("await %q on %s: %w; it holds:\n%s", pattern, name, err, text)
	}
	return found, nil
}

// signal sends the signal called name.
func (p *process) signal(name string) error {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill}
	s, ok := signals[name]
	if !ok {
		return fmt.Errorf("unknown signal %q", name)
	}
	return p.cmd.Process.Signal(s)
}

// press types Ctrl-C, which reaches every process in the foreground of the
// terminal.
func (p *process) press() error {
	if p.terminal == nil {
		return errors.New("it runs without a terminal")
	}
	_, err := p.terminal.Write([]byte{3})
	return err
}

// finish waits for the end and returns the exit code, -1 for an end by a signal.
func (p *process) finish() (code int, out outputTexts, err error) {
	if err := p.output.await(func(o *written) bool { return o.ended }); err != nil {
		return 0, out, err
	}
	<-p.done
	p.output.read(func(o *written) { out = outputTexts{o.stdout.String() + o.tty.String(), o.stderr.String()} })
	return p.cmd.ProcessState.ExitCode(), out, nil
}

type outputTexts struct{ stdout, stderr string }

// release ends whatever is left.
func (p *process) release() {
	_ = p.cmd.Process.Kill()
	if p.terminal != nil {
		// Processes that it left behind may hold the other end.
		_ = p.terminal.Close()
	}
	<-p.done
}
