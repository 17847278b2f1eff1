package main

import (
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/r3labs/sse/v2"
)

// maxRooms is how many streams are made: a stream is a goroutine and a queue, and
// is never removed, since a subscription that meets the removal of its stream hangs.
const maxRooms = 1 << 14

// r3labs is the server of r3labs/sse with a stream for each room.
//
// A subscriber there has a buffer of 64 events, and a stream waits for one whose
// buffer is full: a client that does not read holds up its room. When the stream's
// own queue is full too, the room's next message is refused with 503.
type r3labs struct {
	server *sse.Server
	lines  *strings.Replacer

	mu      sync.Mutex
	rooms   int
	closed  bool
	streams sync.WaitGroup // subscriptions; added to under mu
}

func newR3labs() *r3labs {
	server := sse.New()
	server.AutoReplay = false // it would keep every event for ever
	server.SplitData = true   // a line of the body is a line of data
	return &r3labs{server: server, lines: strings.NewReplacer("\r\n", "\n", "\r", "\n")}
}

// close waits for the subscriptions, which the caller has ended: one that leaves a
// server that is closed hangs.
func (p *r3labs) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.streams.Wait()
	p.server.Close()
}

func (p *r3labs) subscribe(w http.ResponseWriter, r *http.Request, room string) {
	if !p.open(room) {
		http.Error(w, "too many rooms", http.StatusServiceUnavailable)
		return
	}
	defer p.streams.Done()
	r = r.WithContext(r.Context()) // a copy, to be changed
	r.URL = &url.URL{Path: r.URL.Path, RawQuery: url.Values{"stream": {room}}.Encode()}
	p.server.ServeHTTP(w, r)
}

// open makes the room's stream, if it is not there, and counts a subscription.
func (p *r3labs) open(room string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if !p.server.StreamExists(room) {
		if p.rooms == maxRooms {
			return false
		}
		p.rooms++
		p.server.CreateStream(room)
	}
	p.streams.Add(1)
	return true
}

func (p *r3labs) publish(w http.ResponseWriter, room string, body []byte) {
	switch {
	case len(body) == 0:
		http.Error(w, "an empty message would end the room's streams", http.StatusBadRequest)
	case !p.server.StreamExists(room): // nobody is there
	case !p.server.TryPublish(room, &sse.Event{Data: []byte(p.lines.Replace(string(body)))}):
		http.Error(w, "the room is held up by a client that does not read", http.StatusServiceUnavailable)
	}
}
