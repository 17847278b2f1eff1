package main

import (
	"cmp"
	"errors"
	"io"
	"math"
	"net/netip"
	"slices"
)

// message names one message; its copies have the same.
type message struct {
	run                    string
	room, sender, sequence int64
}

func (m marker) message() message { return message{m.run, m.room, m.sender, m.sequence} }

// testimony is what the packets of a capture say.
type testimony struct {
	losses
	skipped    int // packets that were no TCP segments
	runs       int // names of runs seen, which should be one
	sends      int // messages on their way to the server
	copies     int // of them on their way back, each counted once a client
	duplicates int // of those again at the same client; in no latency
	unsent     int // copies of a message whose send was not seen; in no latency

	// fromSend is from the first packet with the message to the packet that
	// completes the copy; fromDue begins when the message says that it was due.
	fromSend, fromDue latencies
}

// receipt is one copy that reached a client.
type receipt struct {
	marker
	client netip.AddrPort
	at     int64
}

// hearing takes the packets of a capture and comes to a testimony.
type hearing struct {
	port     uint16 // the server's
	flows    map[[2]netip.AddrPort]*flow
	sent     map[message]int64 // when its first packet was seen
	receipts []receipt
	testimony
}

// hear reads a capture of the traffic of a server on the port given.
func hear(capture io.Reader, port uint16) (testimony, error) {
	packets, err := newPcapReader(capture)
	if err != nil {
		return testimony{}, err
	}
	h := &hearing{port: port, flows: make(map[[2]netip.AddrPort]*flow), sent: make(map[message]int64)}
	for {
		p, err := packets.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return testimony{}, err
		}
		h.take(p)
	}
	for _, f := range h.flows {
		f.finish()
	}
	h.skipped = packets.skipped
	h.conclude()
	return h.testimony, nil
}

func (h *hearing) take(p packet) {
	if p.to.Port() != h.port && p.from.Port() != h.port {
		return
	}
	way := [2]netip.AddrPort{p.from, p.to}
	f := h.flows[way]
	if f != nil && f.opens(p) {
		f.finish() // the same pair of ports once more
		f = nil
	}
	if f == nil {
		f = &flow{text: h.stream(p)}
		h.flows[way] = f
	}
	f.add(p)
}

// stream is what to make of the bytes that go the way of the packet.
func (h *hearing) stream(p packet) stream {
	if p.to.Port() == h.port {
		return stream{losses: &h.losses, found: func(m marker, first, _ int64) {
			if before, seen := h.sent[m.message()]; !seen || first < before {
				h.sent[m.message()] = first
			}
		}}
	}
	return stream{losses: &h.losses, events: true, found: func(m marker, _, last int64) {
		h.receipts = append(h.receipts, receipt{m, p.to, last})
	}}
}

// conclude matches copies with sends. It waits for all packets, since a send
// whose segments came out of order is complete after copies of others.
func (h *hearing) conclude() {
	type delivery struct {
		message
		client netip.AddrPort
	}
	runs := make(map[string]bool)
	for m := range h.sent {
		runs[m.run] = true
	}
	// Of duplicates the first counts.
	slices.SortStableFunc(h.receipts, func(a, b receipt) int { return cmp.Compare(a.at, b.at) })
	seen := make(map[delivery]bool, len(h.receipts))
	for _, r := range h.receipts {
		runs[r.run] = true
		d := delivery{r.message(), r.client}
		if seen[d] {
			h.duplicates++
			continue
		}
		seen[d] = true
		h.copies++
		sent, ok := h.sent[d.message]
		if !ok {
			h.unsent++
			continue
		}
		h.fromSend = append(h.fromSend, r.at-sent)
		h.fromDue = append(h.fromDue, r.at-r.due)
	}
	h.runs, h.sends = len(runs), len(h.sent)
	slices.Sort(h.fromSend)
	slices.Sort(h.fromDue)
}

// latencies are every single one, in nanoseconds and in order.
type latencies []int64

// quantile is by nearest rank: the smallest value that at least the share q of
// all do not exceed. There must be values.
func (l latencies) quantile(q float64) int64 {
	rank := int(math.Ceil(q * float64(len(l))))
	return l[min(max(rank, 1), len(l))-1]
}
