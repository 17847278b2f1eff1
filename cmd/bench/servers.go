package main

import (
	"context"
	"flag"
	"slices"
	"strings"
)

// The contenders where servers are measured. All but the reference server are peers of
// testserver/peer, by the names that it knows them by.
const referenceName = "reference"

// serverEngine makes the load on servers: the best that the system has.
const serverEngine = "auto"

// servers are the reference server and its peers, each under the same loads.
type servers struct {
	peer string // the program that is the peers
}

func (v *servers) words() words {
	return words{
		mode: "servers", noun: "server", title: "The reference server beside two others",
		how: serversHow, wrong: serversWrong,
		trial: "One server, fresh, and one load, with the server's address in place of PORT:",
	}
}

func (v *servers) flags(flags *flag.FlagSet) {
	flags.StringVar(&v.peer, "peer", "bin/peer", "the `PROGRAM` that is the other servers")
}

func (v *servers) programs() []string { return []string{v.peer} }

// shapes are some of the loads on sseload.
func (v *servers) shapes(quick bool) []shape {
	some := []string{"connect-few", "rooms-full", "rooms-rate"}
	chosen := slices.DeleteFunc(shapes(quick), func(s shape) bool { return !slices.Contains(some, s.Name) })
	for i := range chosen {
		chosen[i].Contenders = []string{referenceName, "nethttp", "r3labs"}
	}
	return chosen
}

func (v *servers) measures(s *shape) []measure {
	if s.sends() {
		return []measure{serverDeliveryCPU, copiesASecond, latencyP50, latencyP99}
	}
	return []measure{connectTime, serverConnectCPU, serverMemory}
}

func (v *servers) try(ctx context.Context, o *options, s *shape, contender string) (attempt, error) {
	serve := o.reference()
	if contender != referenceName {
		serve = []string{v.peer, contender}
	}
	return against(ctx, serve, func(at *server) []string {
		return append([]string{o.sseload}, s.sseload(at.url, "--engine", serverEngine)...)
	})
}

// blamed: what a peer does wrong is a result.
func (v *servers) blamed(contender string) bool { return contender == referenceName }

// tables is one of all loads.
func (v *servers) tables(c *contest) string { return c.beside(v.measures, c.comparisons) }

func (v *servers) commands(shapes []shape) []string {
	lines := []string{
		"bin/sseload " + strings.Join(serveArguments(), " "),
		"bin/peer nethttp",
		"bin/peer r3labs",
	}
	for i := range shapes {
		lines = append(lines, "bin/sseload "+strings.Join(shapes[i].sseload("http://127.0.0.1:PORT", "--engine", serverEngine), " "))
	}
	return lines
}

const serversHow = `The reference server is ` + "`sseload serve`" + `. The other two, in testserver/peer, are what one
would write first: plain net/http handlers, and the server of r3labs/sse. Each trial has a
fresh process of its server, on the same machine as the load, with which it shares the
cores. In each of the rounds another server comes first. CPU is user and system time of the
server's process, that of taking the messages in included; memory is its resident memory
with all clients connected, less that before the first. Latency runs from when a message
is sent, at full speed, or is due, at a rate, to when its copy was received.
`

const serversWrong = `Sums over the rounds of what should be 0. A trial cut short was aborted, or one of its
programs failed: its figures are in no median, but its counts are here. Those of any other
trial are used, also where copies or clients are missing. An empty cell is for a load that
sends nothing, and ≥ stands before a sum to which not every trial told its share.
`
