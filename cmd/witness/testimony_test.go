package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	server = "127.0.0.1:80"
	sender = "127.0.0.1:50000"
	alice  = "127.0.0.1:50001"
	bob    = "127.0.0.1:50002"
)

// note is the marker of a message: of run R, room 0, sender 0.
func note(sequence, due int) string { return fmt.Sprintf("sseload:R:0:0:%d:%d:", sequence, due) }

func post(at int64, seq uint32, payload string) wire {
	return wire{at: at, from: sender, to: server, seq: seq, flags: ack, payload: payload}
}

func event(at int64, to string, seq uint32, payload string) wire {
	return wire{at: at, from: server, to: to, seq: seq, flags: ack, payload: payload}
}

// listen hears a capture of these segments.
func listen(t *testing.T, segments ...wire) testimony {
	t.Helper()
	heard, err := hear(newDump(binary.LittleEndian, false).add(segments...), 80)
	if err != nil {
		t.Fatal(err)
	}
	return heard
}

func check(t *testing.T, heard testimony, sends int, fromSend, fromDue []int64) {
	t.Helper()
	if heard.sends != sends || !slices.Equal(heard.fromSend, fromSend) || !slices.Equal(heard.fromDue, fromDue) {
		t.Errorf("%d sends, latencies %v and from due %v; want %d, %v, %v", heard.sends, heard.fromSend, heard.fromDue, sends, fromSend, fromDue)
	}
	if heard.copies != len(fromSend)+heard.unsent {
		t.Errorf("%d copies, %d of them without a send, %d latencies", heard.copies, heard.unsent, len(fromSend))
	}
}

func TestLatencies(t *testing.T) {
	first, second := "POST /rooms/0/messages HTTP/1.1\r\n\r\n"+note(1, 900), "POST … "+note(2, 1990)
	at := 100 + uint32(len(first))
	body := "2f\r\ndata: " + note(1, 900) + "\n\n\r\n"
	heard := listen(t,
		wire{at: 1, from: sender, to: server, seq: 99, flags: syn},
		wire{at: 2, from: server, to: sender, seq: 499, flags: syn | ack},
		post(1000, 100, first),
		event(1300, alice, 10, body),
		event(1500, bob, 10, body),
		// Two events in a segment, one of them with lines that end with CRLF.
		post(2000, at, second),
		post(2100, at+uint32(len(second)), "POST … "+note(3, 2090)),
		event(2700, alice, 10+uint32(len(body)), "data: "+note(2, 1990)+"\n\ndata: "+note(3, 2090)+"\r\n\r\n"),
		// Traffic of others.
		wire{at: 2800, from: "127.0.0.1:1", to: "127.0.0.1:2", payload: note(9, 9)},
	)
	check(t, heard, 3, []int64{300, 500, 600, 700}, []int64{400, 600, 610, 710})
	if heard.copies != 4 || heard.runs != 1 || heard.losses != (losses{}) || heard.duplicates != 0 {
		t.Errorf("%+v", heard)
	}
}

// However a stream is cut into segments, each event arrives with its last byte and
// each message leaves with its first.
func TestEveryCut(t *testing.T) {
	request := "POST … " + note(1, 900)
	body := "data: " + note(1, 900) + "....\nid: 7\n\n"
	for cut := 1; cut < len(request); cut++ {
		want := int64(1000)
		if cut <= strings.Index(request, markerName) {
			want = 1100
		}
		heard := listen(t,
			post(1000, 100, request[:cut]), post(1100, 100+uint32(cut), request[cut:]),
			event(2000, alice, 1, body))
		check(t, heard, 1, []int64{2000 - want}, []int64{1100})
	}
	for cut := 1; cut < len(body); cut++ {
		heard := listen(t,
			post(1000, 100, request),
			event(2000, alice, 1, body[:cut]), event(2200, alice, 1+uint32(cut), body[cut:]))
		check(t, heard, 1, []int64{1200}, []int64{1300})
		if heard.losses != (losses{}) {
			t.Errorf("cut at %d: %+v", cut, heard.losses)
		}
	}
	// And a byte at a time.
	segments := []wire{post(1000, 100, request)}
	for i := range len(body) {
		segments = append(segments, event(2000+int64(i), alice, 1+uint32(i), body[i:i+1]))
	}
	check(t, listen(t, segments...), 1, []int64{1000 + int64(len(body)) - 1}, []int64{1100 + int64(len(body)) - 1})
}

func TestOrderAndRepetition(t *testing.T) {
	first, second := "data: "+note(1, 900)+"\n\n", "data: "+note(2, 900)+"\n\n"
	size := uint32(len(first))
	sends := []wire{post(1000, 100, note(1, 900)+note(2, 900))}
	for _, test := range []struct {
		name     string
		start    uint32
		segments func(start uint32) []wire
		fromSend []int64
		repeated int
	}{
		{"in order", 1, func(s uint32) []wire {
			return []wire{event(2000, alice, s, first), event(3000, alice, s+size, second)}
		}, []int64{1000, 2000}, 0},
		{"numbers wrap around", ^uint32(0) - 5, func(s uint32) []wire {
			return []wire{event(2000, alice, s, first), event(3000, alice, s+size, second)}
		}, []int64{1000, 2000}, 0},
		{"each seen twice", 1, func(s uint32) []wire {
			return []wire{event(2000, alice, s, first), event(2001, alice, s, first), event(3000, alice, s+size, second), event(3001, alice, s+size, second)}
		}, []int64{1000, 2000}, 2},
		{"sent again, with more", 1, func(s uint32) []wire {
			return []wire{event(2000, alice, s, first), event(3000, alice, s, first+second)}
		}, []int64{1000, 2000}, 0},
		{"overtaken", 1, func(s uint32) []wire {
			return []wire{event(2000, alice, s+size, second), event(3000, alice, s, first)}
		}, []int64{1000, 2000}, 0},
		{"overtaken twice, and again", ^uint32(0) - 5, func(s uint32) []wire {
			return []wire{
				event(2000, alice, s+size+10, second[10:]), event(2100, alice, s+size+10, second[10:]),
				event(2200, alice, s+size, second[:10]), event(3000, alice, s, first),
			}
		}, []int64{1200, 2000}, 1},
		{"a keep-alive's old byte", 1, func(s uint32) []wire {
			return []wire{event(2000, alice, s, first), event(2500, alice, s+size-1, "?"), event(3000, alice, s+size, second)}
		}, []int64{1000, 2000}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin := wire{at: 1, from: server, to: alice, seq: test.start - 1, flags: syn | ack}
			heard := listen(t, slices.Concat(sends, []wire{begin, begin}, test.segments(test.start))...)
			if !slices.Equal(heard.fromSend, test.fromSend) || heard.losses != (losses{repeated: test.repeated}) {
				t.Errorf("latencies %v, %+v; want %v, %d repeated", heard.fromSend, heard.losses, test.fromSend, test.repeated)
			}
		})
	}
}

// A send that is seen twice, as a resend on another connection, left at first.
func TestFirstSendCounts(t *testing.T) {
	again := post(1500, 1, note(1, 900))
	again.from = "127.0.0.1:50009"
	heard := listen(t, post(1000, 100, note(1, 900)), again, event(2000, alice, 1, "data: "+note(1, 900)+"\n\n"))
	check(t, heard, 1, []int64{1000}, []int64{1100})
}

func TestPortsUsedAgain(t *testing.T) {
	body := "data: " + note(1, 900) + "\n\n"
	heard := listen(t,
		post(1000, 100, note(1, 900)+note(2, 900)),
		wire{at: 1100, from: server, to: alice, seq: 1000, flags: syn | ack},
		event(2000, alice, 1001, body),
		wire{at: 2100, from: server, to: alice, seq: 1001 + uint32(len(body)), flags: fin | ack},
		wire{at: 2200, from: server, to: alice, seq: 7, flags: syn | ack},
		event(3000, alice, 8, "data: "+note(2, 900)+"\n\n"))
	check(t, heard, 2, []int64{1000, 2000}, []int64{1100, 2100})
}

// What cannot be matched is counted, never left out in silence.
func TestUnmatched(t *testing.T) {
	send := post(1000, 100, note(1, 900))
	body := "data: " + note(1, 900) + "\n\n"
	filler := strings.Repeat("x", 600)
	for _, test := range []struct {
		name     string
		segments []wire
		fromSend []int64
		want     testimony // its counts
	}{
		{"a copy without a send", []wire{send, event(2000, alice, 1, "data: "+note(2, 900)+"\n\n")}, nil,
			testimony{sends: 1, copies: 1, unsent: 1, runs: 1}},
		{"a copy twice", []wire{send, event(2000, alice, 1, body+body)}, []int64{1000},
			testimony{sends: 1, copies: 1, duplicates: 1, runs: 1}},
		{"a copy late, twice", []wire{send, post(1100, 100+uint32(len(note(1, 900))), note(2, 900)), event(2000, alice, 1, "data: "+note(2, 900)+"\n\n"+body+body)}, []int64{900, 1000},
			testimony{sends: 2, copies: 2, duplicates: 1, overtaken: 1, runs: 1}},
		{"a copy with another due time", []wire{send, event(2000, alice, 1, "data: "+note(1, 901)+"\n\n")}, []int64{1000},
			testimony{sends: 1, copies: 1, altered: 1, runs: 1}},
		{"due after its packet", []wire{post(1000, 100, note(1, 2001)), event(2000, alice, 1, "data: "+note(1, 2001)+"\n\n")}, []int64{1000},
			testimony{sends: 1, copies: 1, early: 1, runs: 1}},
		{"due with its packet, but for the reading of a clock", []wire{post(1000, 100, note(1, 2000)), event(2000, alice, 1, "data: "+note(1, 2000)+"\n\n")}, []int64{1000},
			testimony{sends: 1, copies: 1, runs: 1}},
		{"two runs", []wire{send, event(2000, alice, 1, "data: sseload:Q:0:0:1:5:\n\n")}, nil,
			testimony{sends: 1, copies: 1, unsent: 1, runs: 2}},
		{"an event without an end", []wire{send, event(2000, alice, 1, strings.TrimSuffix(body, "\n"))}, nil,
			testimony{sends: 1, runs: 1, losses: losses{cut: 1}}},
		{"a marker without an end", []wire{send, event(2000, alice, 1, "data: sseload:R:0:0")}, nil,
			testimony{sends: 1, runs: 1, losses: losses{cut: 1}}},
		{"an event beyond the snapshot length", []wire{send, event(2000, alice, 1, "data: "+note(1, 900)+filler+"\n\n")}, nil,
			testimony{sends: 1, runs: 1, losses: losses{cut: 1, gapBytes: 6 + len(note(1, 900)) + 602 - 458}}},
		{"a name across the snapshot length", []wire{send, event(2000, alice, 1, filler[:454]+body)}, nil,
			testimony{sends: 1, runs: 1, losses: losses{cut: 0, gapBytes: 454 + len(body) - 458}}},
		{"half a name before the snapshot length", []wire{send, event(2000, alice, 1, filler[:448]+body)}, nil,
			testimony{sends: 1, runs: 1, losses: losses{cut: 1, gapBytes: 448 + len(body) - 458}}},
		{"an event after a hole", []wire{send, event(2000, alice, 1, "x"), event(2100, alice, 11, body)}, []int64{1100},
			testimony{sends: 1, copies: 1, runs: 1, losses: losses{gapBytes: 9}}},
		{"a hole in an event", []wire{send, event(2000, alice, 1, body[:20]), event(2100, alice, 22, body[21:])}, nil,
			testimony{sends: 1, runs: 1, losses: losses{cut: 1, gapBytes: 1}}},
		{"a letter in a number", []wire{send, event(2000, alice, 1, "data: sseload:R:0:0:x:5:\n\n"+body)}, []int64{1000},
			testimony{sends: 1, copies: 1, runs: 1, losses: losses{damaged: 1}}},
		{"a name too long", []wire{send, event(2000, alice, 1, "data: sseload:"+filler[:40])}, nil,
			testimony{sends: 1, runs: 1, losses: losses{damaged: 1}}},
		{"a number too large", []wire{send, event(2000, alice, 1, "data: sseload:R:0:0:1:99999999999999999999:\n\n")}, nil,
			testimony{sends: 1, runs: 1, losses: losses{damaged: 1}}},
		{"an empty field", []wire{send, event(2000, alice, 1, "data: sseload:R:0::1:5:\n\n")}, nil,
			testimony{sends: 1, runs: 1, losses: losses{damaged: 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			heard := listen(t, test.segments...)
			if !slices.Equal(heard.fromSend, test.fromSend) {
				t.Errorf("latencies %v, want %v", heard.fromSend, test.fromSend)
			}
			if got, want := counts(heard), counts(test.want); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

func counts(t testimony) string {
	return fmt.Sprintf("%d sends, %d copies, %d unsent, %d duplicates, %d overtaken, %d strays, %d altered, %d early, %d runs, %+v",
		t.sends, t.copies, t.unsent, t.duplicates, t.overtaken, t.strays, t.altered, t.early, t.runs, t.losses)
}

func TestQuantile(t *testing.T) {
	hundred := make(latencies, 100)
	for i := range hundred {
		hundred[i] = int64(i + 1)
	}
	if mean := (latencies{1, 2, 3, 3}).mean(); mean != 2 {
		t.Errorf("mean %d, want 2", mean)
	}
	for _, test := range []struct {
		values latencies
		q      float64
		want   int64
	}{
		{latencies{7}, 0.5, 7},
		{latencies{1, 2}, 0.5, 1},
		{latencies{1, 2, 3}, 0.5, 2},
		{hundred, 0, 1},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 0.991, 100},
		{hundred, 1, 100},
	} {
		if got := test.values.quantile(test.q); got != test.want {
			t.Errorf("%v of %d values: %d, want %d", test.q, len(test.values), got, test.want)
		}
	}
}
