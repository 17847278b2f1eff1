// Command bench has three modes: one for each side of a load, and one for the ways
// between them.
//
//	bench [FLAGS]               what sseload costs; make bench runs it
//	bench servers [FLAGS]       what the reference server costs; make servers runs it
//	bench transports [FLAGS]    what a client costs by transport; make transports runs it
//
// The first measures sseload's engines as ratios to cmd/floor, the least that a client
// must do, and holds them against the budgets. The others are contests. The second puts
// the same loads to the reference server and to two other ways to write it, those of
// testserver/peer, as ratios to the reference server. The third has sseload reach its
// bundled server over HTTP/1.1, 2 and 3, with TLS and without, over TCP, UDP and Unix
// sockets, as ratios to plain HTTP/1.1 with the epoll engine.
//
//	round ── shape ── contender ──┬── sseload serve, or peer P, a fresh one
//	                              ├── floor, or sseload --engine E ── figures ──┐
//	                              └── sseload --http N …, both sides of it ─────┤
//	                 ratios to the first contender of the round ── medians ── tables
//
// Every trial is a process of its own, against a server of its own. What is judged is
// the median of five rounds at least; with fewer nothing is judged, and nothing written
// unless a folder is named.
//
// Where sseload's engines are measured, a trial that lost a copy or a client, or failed,
// yields no figures and fails the benchmark. So it does where transports are, but that
// its figures count if it came to its end. Where servers are, it is a result: it is
// counted, and fails the benchmark only when the reference server was the one. A trial
// in which sseload found itself overloaded counts, and is told of.
//
// Measuring sseload and transports needs Linux. Exit status: 0 when all was as it should be, 1 when a
// budget was missed, or something went wrong, 2 for wrong usage.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // a program of its own: pkg/cli is part of what it measures
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)                                    //nolint:forbidigo // as above
	stop()
	os.Exit(code) //nolint:forbidigo // as above
}
