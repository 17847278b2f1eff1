package cli

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/pkg/threshold"
	"github.com/sseload/sseload/scenarios"
)

type roomsOptions struct {
	load            loadFlags
	send            sendFlags
	iterations      counts
	duration        time.Duration
	interval        time.Duration
	senders         senders
	payload         payload
	payloadSize     size
	sendConnections count
	rates           rates
	arrivals        arrivals
	slowClients     part
	slowRate        byteRate
}

func (a *App) roomsCommand() loadCommand {
	var o roomsOptions
	cmd := &cobra.Command{
		Use:   "rooms [URL]",
		Short: "How long does a message take to reach everyone in rooms of 6?",
		Long: `Connects N EventSource clients in rooms, has one client of each room (or all) send
a message to its room, and proves that every member received its copy. That is an
iteration; the next one begins when every copy has arrived or --timeout has
passed. With --rate the model is an open one: messages are due at that rate for
--duration, whatever became of those before, and latency runs from when each was
due. Without a URL the bundled server is started for each run.`,
		Example: `  sseload rooms --clients 4000 --iterations 100
  sseload rooms -c 1000,2000,3000 -n 1,10,100 --interval 1s -o markdown=rooms.md -o csv=rooms.csv
  sseload rooms -c 600 --rate 500/s --duration 5s
  sseload rooms -c 600 --rate 500/s --arrivals poisson --duration 5s --payload-size 4KiB --slow-clients 5% --slow-rate 1KiB/s
  sseload rooms http://127.0.0.1:8123 -c 600 -n 10
  sseload rooms 'http://127.0.0.1:3000/events/{room}' --send-url 'http://127.0.0.1:3000/publish/{room}' \
      --send-body '{"text":"{payload}"}'`,
		Args: atMostOneURL,
	}
	o = roomsOptions{iterations: counts{1}, slowRate: 1 << 10}
	flags := cmd.Flags()
	o.load.add(flags, "for a client to open, for a send, and for the copies that an iteration, or the end of the sending, waits for", threshold.Anything())
	o.send.add(flags)
	flags.VarP(&o.iterations, "iterations", "n", "messages that each sender sends; a list makes a series of runs")
	flags.Var(&o.rates, "rate", "open model: messages per second over all senders, for --duration; a list makes a series of runs")
	flags.Var(&o.arrivals, "arrivals", "how the messages of --rate are spread in time")
	flags.DurationVar(&o.duration, "duration", 0, "begin no iteration after this time; alone, it replaces --iterations; with --rate, for how long messages are due")
	flags.DurationVar(&o.interval, "interval", 0, "pause between iterations")
	flags.Var(&o.senders, "senders", "who sends: the first client of each room, or all")
	flags.Var(&o.payload, "payload", "what a message is: a marker that names it, or a bare JavaScript timestamp")
	flags.Var(&o.payloadSize, "payload-size", "pad messages to this size")
	flags.Var(&o.sendConnections, "send-connections",
		fmt.Sprintf("sends that may be under way at once, each on a connection of its own (default %d for a local target, %d for others, %d with --rate)",
			localSends, remoteSends, openSends))
	flags.Var(&o.slowClients, "slow-clients", "how many of the clients read slowly, as over a bad link; spread evenly over the rooms")
	flags.Var(&o.slowRate, "slow-rate", "how fast each of those reads")
	return a.typed(loadCommand{Command: cmd, prepare: func(args []string) (*campaign, error) { return o.prepare(a, args) }})
}

func (o *roomsOptions) prepare(a *App, args []string) (*campaign, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	server, t, err := o.load.server(a, args, false, &o.send)
	if err != nil {
		return nil, err
	}
	if err := o.checkTarget(t); err != nil {
		return nil, err
	}
	return &campaign{flags: &o.load, server: server, sends: o.connections, all: o.scenarios}, nil
}

func (o *roomsOptions) check() error {
	if err := o.load.check(); err != nil {
		return err
	}
	switch {
	case o.duration < 0:
		return usagef("write for example --duration 30s", "--duration: %s is less than nothing", o.duration)
	case o.interval < 0:
		return usagef("write for example --interval 1s", "--interval: %s is less than nothing", o.interval)
	case o.payloadSize > 0 && load.PayloadKind(o.payload) == load.Timestamp:
		return usagef("leave one of them out", "--payload-size: a timestamp cannot be padded")
	case o.payloadSize > 0 && o.payloadSize < size(load.MinPayloadSize):
		return usagef("leave --payload-size out for the smallest messages",
			"--payload-size: %d is too small for the marker, which takes up to %d bytes", o.payloadSize, load.MinPayloadSize)
	}
	if err := cmp.Or(o.checkSizes(), o.checkModel(), o.checkSlow()); err != nil {
		return err
	}
	if o.duration > 0 && !o.load.flags.Changed("iterations") {
		o.iterations = counts{0}
	}
	asked := o.load.figures()
	asked.Sends, asked.Open, asked.Slow = true, len(o.rates) > 0, o.slowClients != (part{})
	asked.Named = load.PayloadKind(o.payload) == load.Marker
	return o.load.thresholds.check(asked)
}

// checkModel finds flags of one model beside those of the other.
func (o *roomsOptions) checkModel() error {
	set := o.load.flags.Changed
	switch {
	case len(o.rates) == 0 && set("arrivals"):
		return usagef("add for example --rate 500/s --duration 20s", "--arrivals is about the messages of --rate, which is not given")
	case len(o.rates) == 0:
		return nil
	case o.duration == 0:
		return usagef("add for example --duration 20s", "--rate needs to know for how long: --duration is not given")
	case set("iterations"):
		return usagef("leave one of them out", "--iterations: with --rate messages are due by the clock, there are no iterations")
	case set("interval"):
		return usagef("leave one of them out", "--interval: with --rate messages are due by the clock, there are no iterations")
	}
	return nil
}

// checkSlow finds slow readers that are none, or too many.
func (o *roomsOptions) checkSlow() error {
	if o.slowClients == (part{}) {
		if o.load.flags.Changed("slow-rate") {
			return usagef("add for example --slow-clients 5%", "--slow-rate is about the clients of --slow-clients, which is not given")
		}
		return nil
	}
	if v := target.Version(o.load.request.http); v != target.HTTP1 {
		return usagef("leave one of them out", "--slow-clients: with HTTP/%s a slow reader would hold up the others of its connection", v)
	}
	for _, n := range o.load.clients {
		switch slow := o.slowClients.of(n); {
		case slow == 0:
			return usagef("raise the share, or --clients", "--slow-clients: %s of %d clients is nobody", &o.slowClients, n)
		case slow > n:
			return usagef("", "--slow-clients: %d is more than the %d clients", slow, n)
		}
	}
	return nil
}

// mostAccount bounds the memory of the account of all copies, in bytes. Each
// client keeps 16 bytes for each sender of its room.
const mostAccount = 4 << 30

// checkSizes refuses messages that no client would take, and rooms whose account
// would not fit into memory.
func (o *roomsOptions) checkSizes() error {
	if o.payloadSize > o.load.maxEventSize/2 {
		return usagef("raise --max-event-size to twice the payload, which leaves room for an envelope",
			"--payload-size: %d does not fit into events of at most %d bytes", o.payloadSize, o.load.maxEventSize)
	}
	if load.Senders(o.senders) == load.AllInRoom {
		for _, n := range o.load.clients {
			if size := n * min(n, int(o.load.roomSize)) * 16; size > mostAccount {
				return usagef("use smaller rooms, or --senders 1",
					"--room-size: the account of %d clients in rooms of %d who all send would take %d GiB", n, o.load.roomSize, size>>30)
			}
		}
	}
	return nil
}

// checkTarget finds out whether messages can be sent to t, nil for the bundled
// server, and matched to rooms.
func (o *roomsOptions) checkTarget(t *target.Target) error {
	if t == nil {
		return nil
	}
	if t.Send == nil {
		return usagef("add --send-url, for example --send-url 'http://HOST/publish/{room}'",
			"rooms needs to know where messages to %s are sent", t.URL)
	}
	most := 0
	for _, n := range o.load.clients {
		most = max(most, n)
	}
	if most > int(o.load.roomSize) && !t.AddressesRooms() {
		return usagef("put {room} into the URL or a header, for example 'http://HOST/events/{room}'",
			"every client would subscribe to the same thing: %s does not hold {room}", t.URL)
	}
	return nil
}

// How many sends may be under way at once unless the user says. Where server and
// generator share the cores, more than a few only wait for each other; over a
// network each waits for the way there and back.
const (
	localSends  = 8
	remoteSends = 64
	// In the open model a message that is due must not wait for a server that
	// holds up others.
	openSends = 256
)

// connections is how many connections the sends take, at most.
func (o *roomsOptions) connections(local bool) int {
	switch {
	case o.sendConnections > 0:
		return int(o.sendConnections)
	case len(o.rates) > 0:
		return openSends
	case local:
		return localSends
	}
	return remoteSends
}

func (o *roomsOptions) scenarios(at place, l result.Labels) []scenarios.Scenario {
	var all []scenarios.Scenario
	for _, n := range o.load.clients {
		asked := o.load.asked(n, at.sources, l)
		asked.SendConnections = o.connections(at.local)
		if slow := o.slowClients.of(n); slow > 0 {
			asked.Slow = load.SlowReaders{Count: slow, Rate: int(o.slowRate)}
		}
		rooms := scenarios.Rooms{
			Load: asked, Senders: load.Senders(o.senders), Payload: load.PayloadKind(o.payload), PayloadSize: int(o.payloadSize),
			Duration: o.duration, Interval: o.interval,
		}
		for _, r := range o.rates {
			rooms.Arrivals = &load.Arrivals{Rate: float64(r), Kind: load.ArrivalKind(o.arrivals)}
			all = append(all, rooms)
		}
		if len(o.rates) > 0 {
			continue
		}
		for _, rooms.Iterations = range o.iterations {
			all = append(all, rooms)
		}
	}
	return all
}
