// Command bench measures what sseload costs, as a ratio to cmd/floor, the least that
// a client must do, and beside its engines for net/http and r3labs clients. It holds
// the figures against the budgets; make bench runs it.
//
//	round ── shape ── contender ──┬── sseload serve, a fresh one
//	                              └── floor, or sseload --engine E ── figures ──┐
//	                      ratios to the floor of the round ── medians ── verdicts
//
// Every trial is a process of its own, against a server of its own. A trial that
// lost a copy or a client, or failed, yields no figures and fails the benchmark; one
// in which sseload found itself overloaded counts, and is told of.
//
// It needs Linux. Exit status: 0 when every budget was kept, 1 when one was missed, or
// something went wrong, 2 for wrong usage.
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
