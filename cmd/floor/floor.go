package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"
)

// Exit codes.
const (
	exitGood   = 0
	exitFailed = 1
	exitUsage  = 2
)

// report is what it prints. Times are of the phase that the command is about.
type report struct {
	Clients           int   `json:"clients"`
	Messages          int   `json:"messages,omitempty"`
	Events            int   `json:"events,omitempty"`
	Bytes             int   `json:"bytes,omitempty"` // of the events, framing included
	ElapsedNS         int64 `json:"elapsed_ns"`
	CPUNS             int64 `json:"cpu_ns"` // user and system
	RSSBeforeBytes    int64 `json:"rss_before_bytes"`
	RSSConnectedBytes int64 `json:"rss_connected_bytes"`
}

func run(args []string, stdout, stderr io.Writer) int {
	p, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	case err != nil:
		complain(stderr, err)
		return exitUsage
	}
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(1)
	r, err := p.run()
	if err == nil {
		err = json.NewEncoder(stdout).Encode(r)
	}
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}
	return exitGood
}

func complain(stderr io.Writer, err error) {
	_, _ = fmt.Fprintln(stderr, "floor: error:", err) // nowhere to tell of a failure
}

// parse reads the command line. Help goes to out.
func parse(args []string, out io.Writer) (plan, error) {
	if len(args) == 0 || args[0] != "connect" && args[0] != "rooms" {
		return plan{}, errors.New("the first argument is connect or rooms")
	}
	flags := flag.NewFlagSet("floor "+args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors are told once, by run
	p := plan{roomSize: 6, timeout: 30 * time.Second}
	var duration time.Duration
	flags.TextVar(&p.addr, "addr", netip.AddrPort{}, "`HOST:PORT` of the server, on 127.0.0.1")
	flags.IntVar(&p.clients, "c", 1000, "clients")
	flags.IntVar(&p.roomSize, "room-size", 6, "clients a room")
	flags.DurationVar(&p.timeout, "timeout", 30*time.Second, "for connecting, and for copies after the last message was due")
	if args[0] == "rooms" {
		flags.IntVar(&p.connections, "send-connections", 8, "sends that may be under way at once")
		flags.IntVar(&p.messages, "messages", 0, "messages to send at full speed")
		flags.Float64Var(&p.rate, "rate", 0, "messages per second, for -duration")
		flags.DurationVar(&duration, "duration", 5*time.Second, "for how long messages of -rate are due")
		flags.IntVar(&p.payloadSize, "payload-size", 48, "bytes of a message")
	}
	if err := flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(out)
			flags.Usage()
		}
		return p, err
	}
	if p.rate > 0 {
		p.messages = int(math.Ceil(p.rate * duration.Seconds()))
	}
	return p, p.check(args[0], flags.Args())
}

func (p *plan) check(command string, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case !p.addr.Addr().Is4() || !p.addr.Addr().IsLoopback():
		return fmt.Errorf("-addr %q: an IPv4 address of this machine, as 127.0.0.1, and a port are needed", p.addr)
	case p.clients < 1 || p.roomSize < 1:
		return fmt.Errorf("-c %d -room-size %d: at least 1", p.clients, p.roomSize)
	case command == "rooms" && p.messages < 1:
		return errors.New("nothing to send: say -messages M, or -rate X and -duration D")
	case command == "rooms" && (p.connections < 1 || p.payloadSize < 1):
		return fmt.Errorf("-send-connections %d -payload-size %d: at least 1", p.connections, p.payloadSize)
	}
	return nil
}
