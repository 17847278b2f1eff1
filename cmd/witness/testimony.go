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
	overtaken  int // copies that came after a later message of the same sender
	strays     int // copies at a client that has most of its copies from another room
	unsent     int // copies of a message whose send was not seen; in no latency
	altered    int // copies that say another due time than their send
	early      int // messages that are due after the packet that they are in

	dues  []int64       // when each message was due, in order
	rooms map[int64]int // how many messages were sent to each room

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

// sending is when a message left.
type sending struct {
	at  int64 // its first packet was seen
	due int64 // as it says
}

// hearing takes the packets of a capture and comes to a testimony.
type hearing struct {
	port     uint16 // the server's
	flows    map[[2]netip.AddrPort]*flow
	sent     map[message]sending
	receipts []receipt
	testimony
}

// hear reads a capture of the traffic of a server on the port given.
func hear(capture io.Reader, port uint16) (testimony, error) {
	packets, err := newPcapReader(capture)
	if err != nil {
		return testimony{}, err
	}
	h := &hearing{port: port, flows: make(map[[2]netip.AddrPort]*flow), sent: make(map[message]sending)}
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
			if before, seen := h.sent[m.message()]; !seen || first < before.at {
				h.sent[m.message()] = sending{first, m.due}
			}
		}}
	}
	return stream{losses: &h.losses, events: true, found: func(m marker, _, last int64) {
		h.receipts = append(h.receipts, receipt{m, p.to, last})
	}}
}

// delivery is a message at a client.
type delivery struct {
	message
	client netip.AddrPort
}

// conclude matches copies with sends. It waits for all packets, since a send
// whose segments came out of order is complete after copies of others.
func (h *hearing) conclude() {
	names := make(map[string]bool)
	h.rooms = make(map[int64]int)
	for m, s := range h.sent {
		names[m.run] = true
		h.rooms[m.room]++
		h.dues = append(h.dues, s.due)
		if s.due > s.at+int64(clockReading) {
			h.early++
		}
	}
	slices.Sort(h.dues)
	h.overtaken, h.strays = overtaken(h.receipts), strays(h.receipts)
	// Of duplicates the first counts.
	slices.SortStableFunc(h.receipts, func(a, b receipt) int { return cmp.Compare(a.at, b.at) })
	seen := make(map[delivery]bool, len(h.receipts))
	for _, r := range h.receipts {
		names[r.run] = true
		d := delivery{r.message(), r.client}
		if seen[d] {
			h.duplicates++
			continue
		}
		seen[d] = true
		h.match(r)
	}
	h.runs, h.sends = len(names), len(h.sent)
	slices.Sort(h.fromSend)
	slices.Sort(h.fromDue)
}

// match counts a copy. It was due when its send says, which can be checked.
func (h *hearing) match(r receipt) {
	h.copies++
	sent, ok := h.sent[r.message()]
	if !ok {
		h.unsent++
		return
	}
	if r.due != sent.due {
		h.altered++
	}
	h.fromSend = append(h.fromSend, r.at-sent.at)
	h.fromDue = append(h.fromDue, r.at-sent.due)
}

// overtaken counts the copies, duplicates aside, that came to their client after a
// later message of the same sender. The receipts of a client must be in the order of
// its stream.
func overtaken(receipts []receipt) int {
	latest := make(map[delivery]int64) // of a sender, at a client
	seen := make(map[delivery]bool, len(receipts))
	n := 0
	for _, r := range receipts {
		d := delivery{r.message(), r.client}
		if seen[d] {
			continue
		}
		seen[d] = true
		d.sequence = 0
		before, later := latest[d]
		if later && r.sequence < before {
			n++
		}
		latest[d] = max(before, r.sequence)
	}
	return n
}

// strays counts the copies, duplicates aside, at clients that have most of theirs
// from another room.
func strays(receipts []receipt) int {
	seen := make(map[delivery]bool, len(receipts))
	rooms := make(map[netip.AddrPort]map[int64]int)
	for _, r := range receipts {
		d := delivery{r.message(), r.client}
		if seen[d] {
			continue
		}
		seen[d] = true
		if rooms[r.client] == nil {
			rooms[r.client] = make(map[int64]int)
		}
		rooms[r.client][r.room]++
	}
	n := 0
	for _, copies := range rooms {
		all, most := 0, 0
		for _, c := range copies {
			all, most = all+c, max(most, c)
		}
		n += all - most
	}
	return n
}

// latencies are every single one, in nanoseconds and in order.
type latencies []int64

// quantile is by nearest rank: the smallest value that at least the share q of
// all do not exceed. There must be values.
func (l latencies) quantile(q float64) int64 {
	rank := int(math.Ceil(q * float64(len(l))))
	return l[min(max(rank, 1), len(l))-1]
}

// mean needs values too.
func (l latencies) mean() int64 {
	sum := 0.0
	for _, v := range l {
		sum += float64(v)
	}
	return int64(math.Round(sum / float64(len(l))))
}
