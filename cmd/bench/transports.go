package main

import (
	"context"
	"flag"
	"slices"
	"strings"
	"time"
)

// transport is a way to the bundled server, by the flags of sseload that take it.
type transport struct {
	name  string
	what  string // in words
	flags []string
}

// many is how many clients share a connection where they do.
const many = "100"

// allTransports are in the order of the tables; ratios are to the first.
func allTransports() []transport {
	shared := func(flags ...string) []string { return append(flags, "--streams-per-connection", many) }
	return []transport{
		{"epoll", "HTTP/1.1", []string{"--engine", "epoll"}},
		{"conn", "HTTP/1.1, by the engine that TLS and HTTP/2 have", []string{"--engine", "conn"}},
		{"unix", "HTTP/1.1 over a Unix socket", []string{"--serve-addr", "unix:"}},
		{"ipv6", "HTTP/1.1 over IPv6", []string{"--serve-addr", "[::1]:0"}},
		{"tls", "HTTP/1.1 with TLS", []string{"--serve-tls"}},
		{"h2c-1", "HTTP/2 without TLS, a connection each", []string{"--http", "2"}},
		{"h2c-100", "HTTP/2 without TLS, a connection for each 100", shared("--http", "2")},
		{"h2-1", "HTTP/2, a connection each", []string{"--http", "2", "--serve-tls"}},
		{"h2-100", "HTTP/2, a connection for each 100", shared("--http", "2", "--serve-tls")},
		{"h2-100-nethttp", "the same by net/http", shared("--http", "2", "--serve-tls", "--engine", "nethttp")},
		{"h3-1", "HTTP/3, a connection each", []string{"--http", "3"}},
		{"h3-100", "HTTP/3, a connection for each 100", shared("--http", "3")},
	}
}

// transports are the ways to the bundled server, under the same loads.
type transports struct{}

func (transports) words() words {
	return words{
		mode: "transports", noun: "transport", title: "What a client costs by transport",
		how: transportsHow + "\n" + transportTable(), epoll: true,
		trial: "sseload starts a server of its own for each run. FLAGS are those of the transport.",
	}
}

func (transports) flags(*flag.FlagSet) {}

func (transports) programs() []string { return nil }

// shapes are smaller than those of other contests, for what takes the most: a thousand
// handshakes, and both ends of them on the same cores.
func (transports) shapes(quick bool) []shape {
	open, roomed, rate, duration, iterations := 1000, 600, 3000, 2*time.Second, 50
	if quick {
		open, roomed, rate, duration, iterations = 40, 60, 600, 200*time.Millisecond, 3
	}
	all := []shape{
		{Name: "connect", What: "connecting " + grouped(open) + " clients", Clients: open, RoomSize: 6, Before: []int{open / 4, open / 2}},
		{Name: "rooms-rate", What: grouped(roomed) + " clients in rooms of 6, " + grouped(rate) + " copies/s", Clients: roomed, RoomSize: 6, Rate: float64(rate / 6), Duration: duration},
		{Name: "rooms-full", What: grouped(roomed) + " clients in rooms of 6, full speed", Clients: roomed, RoomSize: 6, Iterations: iterations},
	}
	for i := range all {
		for _, t := range allTransports() {
			all[i].Contenders = append(all[i].Contenders, t.name)
		}
	}
	return all
}

func (transports) measures(s *shape) []measure {
	if s.sends() {
		return []measure{deliveryCPU, serverDeliveryCPU, latencyP50, latencyP99}
	}
	return []measure{connectTime, connectCPU, serverConnectCPU, addedMemory, serverAddedMemory}
}

func (transports) try(ctx context.Context, o *options, s *shape, contender string) (attempt, error) {
	all := allTransports()
	i := slices.IndexFunc(all, func(t transport) bool { return t.name == contender })
	return alone(ctx, append([]string{o.sseload}, s.sseload("", all[i].flags...)...))
}

// blamed: sseload is on both sides.
func (transports) blamed(string) bool { return true }

// tables are one for each load: there are too many transports to stand side by side.
func (v transports) tables(c *contest) string {
	var all []string
	for i := range c.Shapes {
		s := &c.Shapes[i]
		all = append(all, "**"+s.What+"**\n\n"+below(s, v.words().noun, v.measures(s), c.comparisons))
	}
	return strings.Join(all, "\n")
}

func (transports) commands(shapes []shape) []string {
	var lines []string
	for i := range shapes {
		lines = append(lines, "bin/sseload "+strings.Join(shapes[i].sseload("", "FLAGS"), " "))
	}
	return lines
}

// transportTable says what each is.
func transportTable() string {
	var text strings.Builder
	row(&text, "transport", "what", "FLAGS")
	row(&text, ":---", ":---", ":---")
	for _, t := range allTransports() {
		row(&text, t.name, t.what, "`"+strings.Join(t.flags, " ")+"`")
	}
	return text.String()
}

const transportsHow = `Figures are the generator's where they are not said to be the server's. Generator and
server share the cores of one machine. At full speed these are all busy, and latency is
mostly the wait for one. In each of the rounds another transport comes first.

The bundled server answers plain HTTP/1.1 by itself, and leaves TLS and HTTP/2 to net/http
and HTTP/3 to quic-go, with a buffer and a goroutine for each stream. Its figures tell of
these as much as of the transport.

- **Time** is that of connecting, from the first dial to the last open, 384 clients at a
  time. A client that has a connection to itself makes a full handshake of TLS or QUIC,
  as a browser of its own would; both sides pay for it, on the same cores.
- **CPU** is user and system time of the process. That of copies has their share of the
  message in it, a sixth in rooms of 6, which goes the way that the subscriptions go, but
  for HTTP/3, where it goes over HTTP/1.1 with TLS.
- **Memory a client** is what one client more takes: the slope of a line through three
  runs of one process, the smaller ones first; all other figures are of the last one.
  What is there for any number of clients is not in it; a connection's own is, divided by
  the clients that share it. The generator's is heap and stacks in use, garbage
  collected; the server's, which is new for each run, is resident memory. What the kernel
  holds for sockets is in neither: it is in the records, for TCP.
- **Latency** runs from when a message is sent, at full speed, or is due, at a rate, to
  when its copy was received. Where the kernel says when that was, on TCP without TLS by
  the engines epoll and conn, the generator's delay in reading is not in it. With TLS,
  QUIC, Unix sockets and net/http it is: compare those with each other. See
  [docs/measurement.md](../../docs/measurement.md#kernel-time-and-a-witness).
- A trial that lost, doubled or reordered a copy, or failed or dropped a client, fails
  the benchmark and is listed below. Its figures are used if it came to its end. Nothing
  is held against a budget.
`
