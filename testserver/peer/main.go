// Command peer is two other ways to write the reference server, to compare its
// engine with: plain net/http handlers, and the server of r3labs/sse. They have its
// routes, so that the same load runs against all three:
//
//	GET  /events?room=R        subscribes to room R
//	POST /rooms/R/messages     sends the body to everyone in R, and answers 200
//	GET  /healthz              200 while it serves
//	GET  /debug/pprof/         profiles
//
// What a peer does is what its users would write first; where that could block for
// ever or grow without bound, it is bounded, and the peer's file says how.
//
//	peer nethttp [--addr HOST:PORT]
//	peer r3labs [--addr HOST:PORT]
//
// A server prints {"url":"http://…"} as its first line and ends with its standard
// input. cmd/bench servers, which make servers runs, measures them.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"time"
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout) //nolint:forbidigo // a program of its own, which shares nothing with what it is compared with
	if err != nil {
		fmt.Fprintf(os.Stderr, "peer: error: %v\n", err) //nolint:forbidigo // as above
		os.Exit(1)                                       //nolint:forbidigo // as above
	}
}

const usage = "usage: peer nethttp|r3labs [--addr HOST:PORT]"

func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	name, args := args[0], args[1:]
	switch name {
	case "nethttp":
		return serve(ctx, name, newPlain(), args, stdin, stdout)
	case "r3labs":
		peer := newR3labs()
		defer peer.close()
		return serve(ctx, name, peer, args, stdin, stdout)
	}
	return fmt.Errorf("unknown command %q; %s", name, usage)
}

// peer is what differs between the servers.
type peer interface {
	// subscribe serves a stream until the request's context ends.
	subscribe(w http.ResponseWriter, r *http.Request, room string)
	// publish sends body to everyone in a room, and answers.
	publish(w http.ResponseWriter, room string, body []byte)
}

const (
	// maxBody is the longest message accepted, in bytes.
	maxBody = 1 << 20
	// stopGrace is how long the end waits for requests and streams.
	stopGrace = 2 * time.Second
)

// serve runs a peer until stdin or ctx ends.
func serve(ctx context.Context, name string, p peer, args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("peer "+name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	addr := flags.String("addr", "127.0.0.1:0", "`HOST:PORT` to listen on")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%s: %w; %s", flags.Name(), err, usage)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: unexpected argument %q; %s", flags.Name(), flags.Arg(0), usage)
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", *addr, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // returns when the other end is closed
		cancel()
	}()
	web := &http.Server{
		Handler:           routes(p),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
	}
	var failed error // to be read once it has ended
	ended := make(chan struct{})
	go func() {
		failed = web.Serve(ln)
		close(ended)
	}()
	ready := struct {
		URL string `json:"url"`
	}{"http://" + ln.Addr().String()}
	if err := json.NewEncoder(stdout).Encode(ready); err != nil {
		web.Close()
		<-ended
		return err
	}
	select {
	case <-ended:
		return failed
	case <-ctx.Done():
	}
	// The streams end with ctx, which is theirs too.
	limited, done := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer done()
	_ = web.Shutdown(limited) // what is left then is cut off
	web.Close()
	<-ended
	return nil
}

func routes(p peer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		p.subscribe(w, r, r.FormValue("room"))
	})
	mux.HandleFunc("POST /rooms/{room}/messages", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.publish(w, r.PathValue("room"), body)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // a caller that hung up needs no answer
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
