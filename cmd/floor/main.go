// Command floor is the least that a program must do to hold EventSource clients and
// send them messages: one loop over epoll, on raw non-blocking system calls, that
// counts bytes. It parses nothing, accounts for nothing and measures no latency, and
// its garbage collector is off. What it costs is the floor that make bench compares
// sseload with; it is of no other use.
//
//	floor connect -addr HOST:PORT -c N
//	floor rooms -addr HOST:PORT -c N -room-size R -messages M
//	floor rooms -addr HOST:PORT -c N -room-size R -rate X -duration D
//
// Client i is in room i / R, and message k goes to room k modulo the number of
// rooms. With -messages, a round of one message a room begins when all copies of the
// one before are in, as an iteration of sseload rooms does; with -rate, message k is
// due k / X seconds after the start. It prints one line of JSON.
//
// It knows the reference server, sseload serve with --heartbeat 0s: how long an
// event is there, and that a response's head comes in one piece, before the first
// event. floor.go has the flags, client_linux.go is the client.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // a program of its own: what it does not share with sseload it cannot flatter
}
