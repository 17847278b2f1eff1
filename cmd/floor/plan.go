package main

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// most is the longest that the client waits without a look at the clock.
const most = 100 * time.Millisecond

// plan is what to do.
type plan struct {
	addr        netip.AddrPort
	clients     int
	roomSize    int
	connections int           // sends that may be under way at once
	messages    int           // 0: only connect
	rate        float64       // messages per second; 0: as fast as copies come in
	payloadSize int           // bytes
	timeout     time.Duration // for connecting, and for copies after the last message was due
}

func (p *plan) rooms() int { return (p.clients + p.roomSize - 1) / p.roomSize }

// copies is how many events all messages come to.
func (p *plan) copies() int {
	rounds, rest := p.messages/p.rooms(), p.messages%p.rooms()
	return rounds*p.clients + min(p.clients, rest*p.roomSize)
}

// eventSize is how many bytes the reference server makes of a message: an event in a
// chunk of its own, RFC 9112 section 7.1.
func (p *plan) eventSize() int {
	event := len("data: ") + p.payloadSize + len("\n\n")
	return len(strconv.FormatInt(int64(event), 16)) + len("\r\n") + event + len("\r\n")
}

// bytes is what all copies come to.
func (p *plan) bytes() int { return p.copies() * p.eventSize() }

// due is when message k, counted from 0, is to be sent, since the start.
func (p *plan) due(k int) time.Duration {
	if p.rate == 0 {
		return 0
	}
	return time.Duration(math.Round(float64(k) / p.rate * float64(time.Second)))
}

// ready is how many messages may have been sent by now, and how long nothing
// changes about that unless something comes in.
func (p *plan) ready(sent, received int, now time.Duration) (messages int, patience time.Duration) {
	if p.rate == 0 {
		rounds := 1 + received/(p.clients*p.eventSize())
		return min(p.messages, rounds*p.rooms()), most
	}
	for sent < p.messages && p.due(sent) <= now {
		sent++
	}
	if sent == p.messages {
		return sent, most
	}
	return sent, min(most, p.due(sent)-now)
}

// The headers are those of sseload, and as long.
const (
	agent      = "\r\nUser-Agent: floor/minimal\r\n"
	subscribes = agent + "Accept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n"
	sends      = agent + "Content-Type: text/plain; charset=utf-8\r\nContent-Length: "
)

// appendSubscription appends the request of client i.
func (p *plan) appendSubscription(dst []byte, i int) []byte {
	dst = append(dst, "GET /events?room="...)
	dst = strconv.AppendInt(dst, int64(i/p.roomSize), 10)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	return append(p.addr.AppendTo(dst), subscribes...)
}

// posts are the requests that send to each room.
func (p *plan) posts() [][]byte {
	posts := make([][]byte, p.rooms())
	payload := strings.Repeat("x", p.payloadSize)
	for i := range posts {
		posts[i] = fmt.Appendf(nil, "POST /rooms/%d/messages HTTP/1.1\r\nHost: %s%s%d\r\n\r\n%s", i, p.addr, sends, p.payloadSize, payload)
	}
	return posts
}
