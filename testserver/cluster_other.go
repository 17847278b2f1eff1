//go:build !unix

package testserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
)

const canRunWorkers = false

// ErrHubGone is returned by RunWorker when the cluster's parent ended without
// saying so.
var ErrHubGone = errors.New("the parent process is gone")

// ErrNotWorker is returned by RunWorker in a process that no server started.
var ErrNotWorker = errors.New("not started as a worker by a server")

// hub never exists here: New refuses more than one worker.
type hub struct{}

func (*hub) stats(context.Context) (Stats, error) { return Stats{}, errors.ErrUnsupported }

func (s *Server) serveCluster(context.Context) error {
	return fmt.Errorf("workers on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// RunWorker is the whole life of a worker process on systems that can share a
// listening socket; this one cannot.
func RunWorker(context.Context, *slog.Logger) error {
	return fmt.Errorf("workers on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
