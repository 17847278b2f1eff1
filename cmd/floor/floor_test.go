package main

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func testPlan(clients, roomSize, messages int) *plan {
	return &plan{clients: clients, roomSize: roomSize, messages: messages, payloadSize: 48}
}

func TestCopies(t *testing.T) {
	for _, c := range []struct{ clients, roomSize, messages, want int }{
		{12, 6, 4, 24},
		{13, 6, 3, 13}, // a round of all
		{13, 6, 4, 19}, // the first room once more
		{13, 6, 5, 25}, // the second one too
		{13, 6, 6, 26}, // and the last, of one
		{4, 6, 3, 12},  // one room, not full
		{5, 1, 7, 7},
	} {
		if got := testPlan(c.clients, c.roomSize, c.messages).copies(); got != c.want {
			t.Errorf("%d clients in rooms of %d, %d messages: %d copies, want %d", c.clients, c.roomSize, c.messages, got, c.want)
		}
	}
}

func TestEventSize(t *testing.T) {
	for size, event := range map[int]string{
		1:  "9\r\ndata: x\n\n\r\n",
		8:  "10\r\ndata: xxxxxxxx\n\n\r\n",
		48: "38\r\ndata: " + strings.Repeat("x", 48) + "\n\n\r\n",
	} {
		if got := (&plan{payloadSize: size}).eventSize(); got != len(event) {
			t.Errorf("payload of %d bytes: an event of %d bytes, want %d", size, got, len(event))
		}
	}
}

func TestReadyAtARate(t *testing.T) {
	p := testPlan(600, 600, 4)
	p.rate = 50
	for _, c := range []struct {
		sent     int
		now      time.Duration
		ready    int
		patience time.Duration
	}{
		{0, 0, 1, 20 * time.Millisecond},
		{1, 19 * time.Millisecond, 1, time.Millisecond},
		{1, 20 * time.Millisecond, 2, 20 * time.Millisecond},
		{1, 59 * time.Millisecond, 3, time.Millisecond}, // late ones are made up for
		{1, time.Hour, 4, most},
	} {
		ready, patience := p.ready(c.sent, 0, c.now)
		if ready != c.ready || patience != c.patience {
			t.Errorf("%d sent at %v: %d ready for %v, want %d for %v", c.sent, c.now, ready, patience, c.ready, c.patience)
		}
	}
}

func TestReadyInRounds(t *testing.T) {
	p := testPlan(13, 6, 7) // three rooms
	round := 13 * p.eventSize()
	for _, c := range []struct{ received, ready int }{
		{0, 3}, {round - 1, 3}, {round, 6}, {2*round - 1, 6}, {2 * round, 7},
	} {
		if ready, patience := p.ready(0, c.received, 0); ready != c.ready || patience != most {
			t.Errorf("%d bytes received: %d ready for %v, want %d for %v", c.received, ready, patience, c.ready, most)
		}
	}
}

func TestRequests(t *testing.T) {
	p, err := parse([]string{"rooms", "-addr", "127.0.0.1:8123", "-c", "13", "-messages", "1", "-payload-size", "3"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	const subscription = "GET /events?room=2 HTTP/1.1\r\nHost: 127.0.0.1:8123\r\nUser-Agent: floor/minimal\r\n" +
		"Accept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n"
	if got := string(p.appendSubscription(nil, 12)); got != subscription {
		t.Errorf("subscription of client 12:\n%q, want\n%q", got, subscription)
	}
	const post = "POST /rooms/1/messages HTTP/1.1\r\nHost: 127.0.0.1:8123\r\nUser-Agent: floor/minimal\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\nxxx"
	posts := p.posts()
	if len(posts) != 3 || string(posts[1]) != post {
		t.Errorf("%d posts, the second\n%q, want 3 and\n%q", len(posts), posts[1], post)
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"", "the first argument is connect or rooms"},
		{"tail", "the first argument is connect or rooms"},
		{"connect", "-addr"},
		{"connect -addr [::1]:80", "an IPv4 address"},
		{"connect -addr localhost:80", "-addr"},
		{"connect -addr 192.0.2.1:80", "of this machine"},
		{"connect -addr 127.0.0.1:80 -c 0", "at least 1"},
		{"connect -addr 127.0.0.1:80 -messages 4", "-messages"},
		{"connect -addr 127.0.0.1:80 5", `unexpected argument "5"`},
		{"rooms -addr 127.0.0.1:80", "nothing to send"},
		{"rooms -addr 127.0.0.1:80 -messages 1 -send-connections 0", "-send-connections 0"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(strings.Fields(c.args), &stdout, &stderr)
		said := stderr.String()
		if code != exitUsage || stdout.Len() > 0 || !strings.Contains(said, c.says) ||
			!strings.HasPrefix(said, "floor: error: ") || strings.Count(said, "\n") != 1 {
			t.Errorf("floor %s: exit %d, %q on stdout and %q on stderr, want exit %d and one line with %q",
				c.args, code, &stdout, said, exitUsage, c.says)
		}
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run([]string{"rooms", "-h"}, &stdout, &stderr); code != exitGood || !strings.Contains(stderr.String(), "-room-size") {
		t.Errorf("exit %d and %q, want %d and the flags", code, &stderr, exitGood)
	}
}

// asFloor has the test binary be floor: it changes the process that it runs in.
const asFloor = "be-floor"

func TestMain(m *testing.M) {
	if i := slices.Index(os.Args, asFloor); i >= 0 {
		os.Exit(run(os.Args[i+1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}
