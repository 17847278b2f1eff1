// Command witness checks the delivery latencies that sseload reports against the
// packets of the same run, which tcpdump captured on the loopback interface.
//
// It shares no code with what it checks: it imports the standard library alone,
// reads the capture file itself, puts each TCP stream together, and finds the
// markers of messages in them by their documented form. From the packets it takes
// when each message was sent, when it says that it was due, and when each copy of it
// arrived; from the record of the run it takes the account of messages and copies and
// the figures of their latencies, and the two must agree. With an arrival rate the due
// times must be those of the schedule.
//
//	capture of port P ──┐
//	sseload serve :P    ├── capture file ── packets ── flows ── markers ── latencies ──┐
//	sseload rooms :P ───┴── record (JSON) ─────────────────────────────────────────────┴── verdict
//
// make witness runs it. It needs Linux, tcpdump, and leave to capture: root, or
// CAP_NET_RAW.
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // a program of its own: pkg/cli is part of what it checks
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)                   //nolint:forbidigo // as above
	stop()
	os.Exit(code) //nolint:forbidigo // as above
}
