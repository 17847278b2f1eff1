package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// clientBuffer is how many messages may wait for a client that does not read.
const clientBuffer = 256

// plain is a server of net/http's handlers: a subscription is a goroutine that
// takes messages from a channel and writes them.
//
// A client for which clientBuffer messages wait is dropped: its stream is cut, and
// with it the write that may hang there, so that nobody waits for a slow reader.
type plain struct {
	lines *strings.Replacer

	mu    sync.Mutex
	rooms map[string]map[*subscriber]struct{}
}

type subscriber struct {
	messages chan string
	dropped  chan struct{}
	conn     *http.ResponseController
}

func newPlain() *plain {
	return &plain{
		lines: strings.NewReplacer("\r\n", "\ndata: ", "\n", "\ndata: ", "\r", "\ndata: "),
		rooms: make(map[string]map[*subscriber]struct{}),
	}
}

func (p *plain) subscribe(w http.ResponseWriter, r *http.Request, room string) {
	s := &subscriber{
		messages: make(chan string, clientBuffer), dropped: make(chan struct{}),
		conn: http.NewResponseController(w),
	}
	p.join(room, s)
	defer p.leave(room, s)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	if err := s.conn.Flush(); err != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case <-s.dropped:
			return
		case message := <-s.messages:
			if _, err := fmt.Fprintf(w, "data: %s\n\n", message); err != nil {
				return
			}
			if err := s.conn.Flush(); err != nil {
				return
			}
		}
	}
}

func (p *plain) join(room string, s *subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rooms[room] == nil {
		p.rooms[room] = make(map[*subscriber]struct{})
	}
	p.rooms[room][s] = struct{}{}
}

func (p *plain) leave(room string, s *subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(room, s)
}

func (p *plain) remove(room string, s *subscriber) {
	delete(p.rooms[room], s)
	if len(p.rooms[room]) == 0 {
		delete(p.rooms, room)
	}
}

func (p *plain) publish(w http.ResponseWriter, room string, body []byte) {
	receivers := p.send(room, p.lines.Replace(string(body)))
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, "{\"receivers\":%d}\n", receivers) // a sender that hung up needs no answer
}

func (p *plain) send(room, message string) (receivers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.rooms[room] {
		select {
		case s.messages <- message:
			receivers++
		default:
			p.remove(room, s)
			close(s.dropped)
			// Its handler cannot have returned: it would have left first. That a
			// deadline cannot be set is the end of the connection as well.
			_ = s.conn.SetWriteDeadline(time.Now())
		}
	}
	return receivers
}
