package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// grace is how long a child that was told to end may take.
const grace = 10 * time.Second

// child is a program that runs until it is stopped.
type child struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	ready  chan struct{} // closed when it has said that it listens
	done   chan struct{} // closed at the end of what it says
	said   []string      // lines of its standard error; to be read after done
}

// startChild starts a program, which it ends with the context, and waits until it
// says on standard error that it is listening. Its standard output goes to out,
// which may be nil.
func startChild(parent context.Context, out *os.File, name string, args ...string) (*child, error) {
	ctx, cancel := context.WithCancel(parent)
	c := &child{cancel: cancel, ready: make(chan struct{}), done: make(chan struct{})}
	c.cmd = command(ctx, name, args...)
	if out != nil {
		c.cmd.Stdout = out
	}
	stderr, err := c.cmd.StderrPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	go c.listen(stderr)
	select {
	case <-c.ready:
		return c, nil
	case <-c.done:
	case <-parent.Done():
	}
	said := c.stop()
	if err := parent.Err(); err != nil {
		return nil, err
	}
	return nil, &endedError{said}
}

// command makes one that gets an interrupt when the context ends, so that it can
// finish its work.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	return cmd
}

func (c *child) listen(stderr io.Reader) {
	defer close(c.done)
	ready := false
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		c.said = append(c.said, lines.Text())
		if !ready && strings.Contains(lines.Text(), "listening on") {
			ready = true
			close(c.ready)
		}
	}
	_, _ = io.Copy(io.Discard, stderr) // beyond a line that is too long
}

// stop interrupts the program, waits for its end and gives what it said.
func (c *child) stop() []string {
	c.cancel()
	<-c.done
	_ = c.cmd.Wait() // says that it was interrupted
	return c.said
}

// endedError says that a program ended instead of getting ready.
type endedError struct{ said []string }

func (e *endedError) Error() string {
	if len(e.said) == 0 {
		return "it ended without a word"
	}
	return strings.Join(e.said, " ")
}

// output runs a program to its end. In its error is what the program said last.
func output(ctx context.Context, name string, args ...string) (string, error) {
	b, err := command(ctx, name, args...).CombinedOutput()
	text := strings.TrimSpace(string(b))
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && text != "" {
			lines := strings.Split(text, "\n")
			return "", fmt.Errorf("%w: %s", err, strings.Join(lines[max(0, len(lines)-2):], "; "))
		}
		return "", err
	}
	return text, nil
}
