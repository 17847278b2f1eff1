// Command contracttest lets the public contract tests of Server-Sent Events clients
// (sse-contract-tests) try this module's engines. It is the test service of their
// protocol: their harness asks it over REST to open streams, and is told in callbacks
// what came.
//
//	go run ./pkg/stream/contracttest -port 8000 -engine conn
//
// What a stream tells:
//
//   - an event of type message, and of the types that the harness asked to listen for;
//   - each comment;
//   - an error when a stream breaks off, is silent for the read timeout, or is refused.
//     A clean end, which only leads to a reconnection, is none.
//
// The engine r3labs is not offered: its client has neither comments nor a way to see
// that a connection is silent.
//
// main.go has the command line, service.go the harness' requests, subscription.go a
// stream, callbacks.go what the harness is told.
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // a program of its own, for a harness outside
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)                   //nolint:forbidigo // as above
	stop()
	os.Exit(code) //nolint:forbidigo // as above
}
