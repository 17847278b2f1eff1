package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sseload/sseload/testserver"
)

type serveOptions struct {
	server       testserver.Config
	auth         string
	workers      count
	clientBuffer size
	faults       faults
	profile      testserver.ProfileConfig
	certOut      string
	managed      bool // a load command started it
	worker       bool // a cluster started it
}

func (a *App) serveCommand() *cobra.Command {
	o := serveOptions{workers: 1, clientBuffer: testserver.DefaultClientBuffer}
	c := &o.server
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the reference server",
		Long: `Runs a lean EventSource server with rooms, and prints the machine's status and the
number of clients every 1.5 s.

  GET  /events?room=R        subscribes to room R; so does POST, whatever its body
  POST /rooms/R/messages     sends the body to everyone in R; ?event=TYPE sets its type
  GET  /stats                counters as JSON
  GET  /healthz              200 while it serves

It speaks HTTP/1.1, and HTTP/2 to those who begin with it; with TLS either, as they
agree, and with --http3 also HTTP/3, on the UDP port of the same number.

--fault KIND[=VALUE][,KEY=VALUE...] makes it a sick server, which does wrong by
counting, and counts in /stats what it did:

  drop, duplicate, reorder                every K-th copy of a message
  misroute, delay=TIME                    every K-th message
  comments=LINES                          before every K-th copy
  refuse, headers=TIME                    every K-th subscription: 503, a late head
  stall, close, half, garbage             every K-th subscription after N copies:
                                          silence, a cut, half an event, no chunk
  block                                   every K-th subscription: who sends to it
                                          waits until it has been read
  freeze=TIME                             the whole server at every K-th message

The keys are every=K (1), after=N and room=R. TIME is a duration, or one of
uniform:FROM-TO, exp:MEAN, normal:MEAN:DEVIATION.`,
		Example: `  sseload serve
  sseload serve --addr 127.0.0.1:9000 --workers 2
  sseload serve --addr unix:/tmp/sseload.sock
  sseload serve --tls --http3 --cert-out cert.pem
  sseload serve --auth bearer:SECRET --replay 100 --heartbeat 5s --max-clients 1000
  sseload serve --fault drop,every=100 --fault delay=exp:20ms --fault close,after=5,every=10`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), a) },
	}
	flags := cmd.Flags()
	flags.StringVar(&c.Addr, "addr", "127.0.0.1:8123", "`HOST:PORT` to listen on, or unix:PATH; port 0 takes a free one")
	flags.DurationVar(&c.StatusInterval, "status-interval", 1500*time.Millisecond, "time between status lines; 0: none")
	flags.DurationVar(&c.Heartbeat, "heartbeat", 15*time.Second, "time between comments to every client; 0: none")
	flags.DurationVar(&c.Retry, "retry", 0, "reconnection time to tell clients; 0: none")
	flags.BoolVar(&c.IDs, "ids", false, "give events ids")
	flags.IntVar(&c.Replay, "replay", 0, "messages a room remembers for clients that come back with Last-Event-ID; implies --ids")
	flags.BoolVar(&c.Greeting, "greeting", false, "send each client an event of type open at once")
	flags.StringVar(&o.auth, "auth", "", "demand credentials: `bearer:TOKEN or basic:USER:PASSWORD`")
	flags.StringVar(&c.CORSOrigin, "cors-origin", "", "`ORIGIN` that browsers may call from, or *")
	flags.StringVar(&c.SessionCookie, "session-cookie", "", "`NAME` of a cookie to give each client")
	flags.IntVar(&c.ListenBacklog, "listen-backlog", 0, "connections that may wait to be accepted; 0: the system's most")
	flags.IntVar(&c.MaxClients, "max-clients", 0, "answer 503 beyond so many clients; 0: no limit")
	flags.Var(&o.clientBuffer, "client-buffer", "what a slow client may have unread before it is dropped")
	flags.StringVar(&c.CertFile, "cert", "", "PEM `FILE` with the certificate to serve TLS with")
	flags.StringVar(&c.KeyFile, "key", "", "PEM `FILE` with its key")
	flags.BoolVar(&c.SelfSigned, "tls", false, "serve TLS with a certificate made for the occasion")
	flags.StringVar(&o.certOut, "cert-out", "", "`FILE` to write that certificate to, for --cacert of clients")
	flags.StringVar(&c.ClientCAFile, "client-ca", "", "PEM `FILE` with the authorities of which each client must show a certificate")
	flags.BoolVar(&c.HTTP3, "http3", false, "serve HTTP/3 as well, on the UDP port of the same number; needs TLS")
	flags.IntVar(&c.MaxStreams, "max-streams", testserver.DefaultMaxStreams, "requests that may be open at once on one connection of HTTP/2 or HTTP/3")
	flags.BoolVar(&c.Pprof, "pprof", false, "serve /debug/pprof on the same port")
	flags.StringVar(&o.profile.Addr, "pprof-addr", "", "`HOST:PORT` to serve /debug/pprof alone on; each process takes a port, so use port 0 with --workers")
	flags.IntVar(&o.profile.MutexFraction, "mutex-profile-fraction", 0, "profile one of `N` contended locks; 0: none")
	flags.IntVar(&o.profile.BlockRate, "block-profile-rate", 0, "profile one blocking event for each `NS` nanoseconds blocked; 0: none")
	flags.Var(&o.workers, "workers", "worker processes that share the port")
	flags.Var(&o.faults, "fault", "something to do wrong, such as drop,every=7; repeatable")
	flags.BoolVar(&o.managed, "managed", false, "tell the URL as JSON and end with standard input")
	flags.BoolVar(&o.worker, "worker", false, "be a worker of a cluster")
	for _, name := range []string{"managed", "worker"} {
		flags.Lookup(name).Hidden = true
	}
	return cmd
}

func (o *serveOptions) run(parent context.Context, a *App) error {
	if o.worker {
		signal.Ignore(os.Interrupt) // the cluster ends its workers itself
		return testserver.RunWorker(parent, a.log())
	}
	server, err := o.prepare(a)
	if err != nil {
		return err
	}
	if err := quietQUIC(); err != nil {
		return err
	}
	if err := server.Listen(); err != nil {
		addr := o.server.Addr
		if errors.Is(err, testserver.ErrProfileListen) {
			addr = o.profile.Addr
		}
		return listenError(err, addr)
	}
	ctx, stop := o.until(parent, a)
	defer stop()
	if o.managed {
		told := ready{URL: server.URL(), Unix: server.Socket(), Certificate: string(server.Certificate())}
		if err := json.NewEncoder(a.Stdout).Encode(told); err != nil {
			return errors.Join(err, server.Close())
		}
	} else {
		if err := o.tellWays(a, server); err != nil {
			return errors.Join(err, server.Close())
		}
		if len(o.faults) > 0 {
			a.note("it does wrong: %s", &o.faults)
		}
		var telling sync.WaitGroup
		telling.Go(func() { a.tellProfileURLs(ctx, server) })
		defer telling.Wait()
	}
	return server.Serve(ctx)
}

// tellWays says how the server is reached, and saves what its clients must trust.
func (o *serveOptions) tellWays(a *App, server *testserver.Server) error {
	if o.certOut != "" {
		if err := os.WriteFile(o.certOut, server.Certificate(), 0o644); err != nil { //nolint:gosec // it is no secret
			return fmt.Errorf("--cert-out: %w", err)
		}
	}
	where := server.URL()
	if path := server.Socket(); path != "" {
		where = "unix:" + path
	}
	a.note("listening on %s; Ctrl-C ends it", where)
	if path := server.Socket(); path != "" {
		a.note("subscribe with --unix-socket %s %s", path, server.URL())
	}
	switch {
	case o.certOut != "":
		a.note("clients trust it with --cacert %s", o.certOut)
	case o.server.SelfSigned:
		a.note("clients reach it with --insecure; with --cert-out FILE here they can trust it")
	}
	return nil
}

// checkTLS finds flags that need TLS, or the certificate made for it, without.
func (o *serveOptions) checkTLS() error {
	c := &o.server
	if o.certOut != "" && !c.SelfSigned {
		return usagef("add --tls", "--cert-out is for the certificate that --tls makes")
	}
	if c.SelfSigned || c.CertFile != "" {
		return nil
	}
	for flag, given := range map[string]bool{"--http3": c.HTTP3, "--client-ca": c.ClientCAFile != ""} {
		if given {
			return usagef("add --tls, or --cert FILE and --key FILE", "%s needs TLS", flag)
		}
	}
	return nil
}

func (o *serveOptions) prepare(a *App) (*testserver.Server, error) {
	cfg := o.server
	if err := checkAddr("addr", cfg.Addr); err != nil {
		return nil, err
	}
	if err := o.checkTLS(); err != nil {
		return nil, err
	}
	if err := o.prepareProfile(&cfg); err != nil {
		return nil, err
	}
	cfg.Status, cfg.Log, cfg.WorkerOutput = a.Stdout, a.log(), a.Stderr
	cfg.Workers, cfg.ClientBuffer = int(o.workers), int(o.clientBuffer)
	cfg.Faults = o.faults
	if o.auth != "" {
		var err error
		if cfg.Auth, err = testserver.ParseAuth(o.auth); err != nil {
			return nil, usagef("", "--auth: %w", err)
		}
	}
	if cfg.Workers > 1 {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("workers: %w", err)
		}
		cfg.WorkerCommand = []string{exe, "serve", "--worker"}
	}
	server, err := testserver.New(cfg)
	if err != nil {
		return nil, usagef("see sseload serve --help", "%w", err)
	}
	return server, nil
}

// prepareProfile enters how the server can be profiled.
func (o *serveOptions) prepareProfile(cfg *testserver.Config) error {
	p := o.profile
	if p.Addr != "" {
		if err := checkAddr("pprof-addr", p.Addr); err != nil {
			return err
		}
	} else if !cfg.Pprof {
		for _, rate := range []struct {
			flag  string
			value int
		}{{"mutex-profile-fraction", p.MutexFraction}, {"block-profile-rate", p.BlockRate}} {
			if rate.value != 0 {
				return usagef("add --pprof-addr 127.0.0.1:0", "--%s=%d: nobody can ask for the profile without --pprof-addr or --pprof", rate.flag, rate.value)
			}
		}
	}
	if p != (testserver.ProfileConfig{}) {
		cfg.Profile = &p
	}
	return nil
}

// tellProfileURLs says where the processes of a server can be profiled. It returns
// once all listen, or with ctx or the server.
func (a *App) tellProfileURLs(ctx context.Context, server *testserver.Server) {
	urls, err := server.Profiles(ctx)
	if err != nil {
		a.log().Debug("where profiles are is not known", "err", err)
	}
	for _, url := range urls {
		a.note("profiles at %s", url)
	}
}

// checkAddr finds what is wrong with an address to listen on by itself.
func checkAddr(flag, addr string) error {
	if _, ok := testserver.SocketPath(addr); ok && flag != "pprof-addr" {
		return nil // any path may do
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return usagef("write for example 127.0.0.1:8123, or port 0 for a free one", "--%s=%s: not HOST:PORT", flag, addr)
	}
	return nil
}

// until is the context that the server runs in: until Ctrl-C, or, managed, until
// whoever started it is gone. A managed server shares its starter's terminal, so
// that signals to its group must not reach it.
func (o *serveOptions) until(parent context.Context, a *App) (context.Context, func()) {
	if !o.managed {
		return a.interruptible(parent, "")
	}
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(parent)
	go func() {
		_, _ = io.Copy(io.Discard, a.Stdin) // returns when the other end is closed
		cancel()
	}()
	return ctx, cancel
}

// listenError adds what can be done about an address that cannot be had.
func listenError(err error, addr string) error {
	flag := "--addr"
	if errors.Is(err, testserver.ErrProfileListen) {
		flag = "--pprof-addr"
	}
	if path, ok := testserver.SocketPath(addr); ok {
		return &hinted{err, socketHint(err, path)}
	}
	_, port, _ := net.SplitHostPort(addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &hinted{err, "another server holds port " + port + ": stop it, or choose a free port with " + flag + " 127.0.0.1:0"}
	case errors.Is(err, syscall.EACCES):
		return &hinted{err, "choose a port above 1023"}
	}
	return err
}

// socketHint is what can be done about a path at which no socket can be had.
func socketHint(err error, path string) string {
	info, statErr := os.Lstat(path)
	switch {
	case statErr == nil && info.Mode()&os.ModeSocket == 0:
		return "a file that is no socket is there: choose another path"
	case statErr == nil:
		return "another server listens there: stop it, or choose another path"
	case errors.Is(err, os.ErrPermission):
		return "choose a folder that you may write to"
	}
	return "choose a path in a folder that exists"
}
