package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/sseload/sseload/pkg/stream"
)

// options is what the command line says.
type options struct {
	addr   string
	port   uint
	engine stream.Kind
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("contracttest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.addr, "addr", "127.0.0.1", "`ADDRESS` to listen on")
	flags.UintVar(&o.port, "port", 8000, "`PORT` to listen on; 0: a free one")
	engine := flags.String("engine", string(stream.Auto), "engine to try: auto, epoll, conn or nethttp")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	kind, err := stream.ParseKind(*engine)
	switch {
	case err != nil:
		return o, err
	case kind == stream.R3Labs:
		return o, errors.New("engine r3labs has no comments and no way to see that a connection is silent")
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.engine = kind
	return o, nil
}

// The exit codes.
const (
	good = iota
	failed
	usage
)

// run serves until ctx ends or the harness has enough.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return good
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "contracttest: error:", err)
		return usage
	}
	if err := serve(ctx, o, stdout, slog.New(slog.NewTextHandler(stderr, nil))); err != nil {
		_, _ = fmt.Fprintln(stderr, "contracttest: error:", err)
		return failed
	}
	return good
}

// stopTimeout is how long the last answers may take.
const stopTimeout = time.Second

func serve(ctx context.Context, o options, stdout io.Writer, log *slog.Logger) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(o.addr, strconv.FormatUint(uint64(o.port), 10)))
	if err != nil {
		return err
	}
	s := newService(o.engine, log)
	defer s.close()
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	_, _ = fmt.Fprintf(stdout, "listening on http://%s\n", ln.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	case <-s.enough:
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if server.Shutdown(last) != nil {
		_ = server.Close() // who has not had an answer by now will not
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
