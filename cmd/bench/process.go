package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	// grace is how long a process that was told to end may take.
	grace = 10 * time.Second
	// startLimit is how long a server may take to say where it is.
	startLimit = 10 * time.Second
	// trialLimit is how long one trial may take.
	trialLimit = 2 * time.Minute
)

// server is a server under load, the reference server or another one, until stop.
type server struct {
	cmd   *exec.Cmd
	stdin io.Closer // the server ends when this is closed, or the benchmark has ended
	said  *bytes.Buffer
	url   string
	addr  string
}

// startServer starts a server, which ends with the context too.
func startServer(ctx context.Context, command []string) (*server, error) {
	s := &server{said: new(bytes.Buffer)}
	s.cmd = exec.CommandContext(ctx, command[0], command[1:]...)
	s.cmd.Stderr = s.said
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.stdin = stdin
	s.cmd.Cancel = func() error { // it ignores an interrupt, which is meant for its starter
		_ = stdin.Close() // it may be closed already
		return nil
	}
	s.cmd.WaitDelay = grace
	stdout, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	if err := s.hear(ctx, stdout); err != nil {
		serr := s.stop()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case serr != nil:
			return nil, serr
		}
		return nil, fmt.Errorf("%s does not say where it is: %w", strings.Join(command[:2], " "), err)
	}
	return s, nil
}

func serveArguments() []string {
	return []string{"serve", "--managed", "--addr", "127.0.0.1:0", "--status-interval", "0s", "--heartbeat", "0s"}
}

// reference is the command of the reference server.
func (o *options) reference() []string { return append([]string{o.sseload}, serveArguments()...) }

// hear reads where the server is.
func (s *server) hear(ctx context.Context, stdout io.Reader) error {
	if pipe, ok := stdout.(*os.File); ok {
		if err := pipe.SetReadDeadline(time.Now().Add(startLimit)); err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { _ = pipe.SetReadDeadline(time.Now()) })() // it can only fail when it is closed
	}
	var ready struct {
		URL string `json:"url"`
	}
	if err := json.NewDecoder(stdout).Decode(&ready); err != nil {
		return err
	}
	u, err := url.Parse(ready.URL)
	if err != nil {
		return err
	}
	s.url, s.addr = ready.URL, u.Host
	return nil
}

// stop ends the server and waits until it has.
func (s *server) stop() error {
	_ = s.stdin.Close() // it may be closed already
	kill := time.AfterFunc(grace, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	return ended(s.cmd.Wait(), s.cmd, s.said)
}

// output runs a program to its end, and gives what it wrote and the CPU time that the
// whole of it took. What it wrote is there also with an error.
func output(ctx context.Context, program string, args ...string) (stdout []byte, cpu time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, trialLimit, fmt.Errorf("it takes more than %v", trialLimit))
	defer cancel()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	cmd.Stdout, cmd.Stderr = &out, &said
	err = ended(cmd.Run(), cmd, &said)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if cmd.ProcessState != nil {
		cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return out.Bytes(), cpu, err
}

// ended puts into an error what the program said first.
func ended(err error, cmd *exec.Cmd, said *bytes.Buffer) error {
	var exit *exec.ExitError
	if first, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n"); errors.As(err, &exit) && first != "" {
		return fmt.Errorf("%w: %s", err, first)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.Path, err)
	}
	return nil
}
