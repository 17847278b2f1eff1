package testserver

import (
	"container/list"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// room is a set of members and what it remembers for replay. Its lock is held
// while a message is written to all members, which puts the messages of a room
// in one order.
type room struct {
	name string

	mu      sync.Mutex
	members []*client
	backlog backlog
	delayed int       // messages in the delay line
	lastDue time.Time // when the last of them is due

	// Guarded by Server.mu.
	refs int           // members, those about to join and those about to leave included
	idle *list.Element // place in Server.idle when refs is 0 and the backlog is kept
}

var errStopping = errors.New("server is stopping")

// enter finds or makes a room and keeps it alive until exit. For a subscription
// it also holds the server's group, for the client's watcher.
func (s *Server) enter(name string, subscribe bool) (*room, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return nil, errStopping
	}
	if subscribe {
		s.wg.Add(1)
	}
	r := s.rooms[name]
	if r == nil {
		// The name is a part of a request line, which need not stay.
		r = &room{name: strings.Clone(name)}
		s.rooms[r.name] = r
	}
	if r.idle != nil {
		s.idle.Remove(r.idle)
		r.idle = nil
	}
	r.refs++
	return r, nil
}

func (s *Server) exit(r *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.refs--; r.refs > 0 {
		return
	}
	if s.cfg.Replay == 0 {
		delete(s.rooms, r.name)
		return
	}
	r.idle = s.idle.PushBack(r)
	for s.idle.Len() > s.cfg.RememberedRooms {
		oldest := s.idle.Front()
		delete(s.rooms, s.idle.Remove(oldest).(*room).name)
	}
}

// lookup finds a room to publish to; nil when it has no members and nothing is
// remembered. The room may lose its last member meanwhile, which does no harm.
func (s *Server) lookup(name []byte) *room {
	s.mu.RLock()
	r := s.rooms[string(name)]
	s.mu.RUnlock()
	return r
}

// resume is where a returning client left off.
type resume struct {
	after uint64
	ok    bool
}

// join makes c a member of a room. head is the response head, or nil; it goes
// out in one write with retry, greeting and the replay, before any message
// published later. On success the client's watcher must run, and the server's
// group is held for it.
func (s *Server) join(c *client, name string, head []byte, from resume) error {
	r, err := s.enter(name, true)
	if err != nil {
		return err
	}
	c.room = r
	if s.inject != nil {
		s.inject.ice.enter()
		defer s.inject.ice.leave()
		c.faults = s.inject.member(r.name)
		if conn, ok := c.conn.(interface{ SetWriteBuffer(bytes int) error }); ok && c.faults.blocks != nil {
			_ = conn.SetWriteBuffer(blockBuffer) // a larger one is as good for most
		}
	}

	box := s.buffers.Get().(*buffer)
	defer s.putBuffer(box)
	text := append(startFrame(box.b), s.opening...)
	if s.cfg.Greeting {
		text = s.appendGreeting(text, r.name)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if from.ok {
		text = r.backlog.appendAfter(text, from.after)
	}
	f := frame{}
	if len(text) > chunkHeader { // an empty chunk would end the body
		f, text = closeFrame(text)
	}
	box.b = text
	c.slot = len(r.members)
	r.members = append(r.members, c)
	// A client that is gone already is noticed by its watcher.
	if first := append(head, c.payload(f)...); len(first) > 0 {
		s.send(c, first)
	}
	if s.stopping.Load() {
		// The stop may have passed this room before the client was in it.
		s.end(c, c.tail(), time.Now().Add(stopGrace))
	}
	return nil
}

func (s *Server) leave(c *client) {
	r := c.room
	r.mu.Lock()
	last := len(r.members) - 1
	moved := r.members[last]
	r.members[c.slot] = moved
	moved.slot = c.slot
	r.members[last] = nil
	r.members = r.members[:last]
	if c.faults != nil {
		s.inject.forget(c)
	}
	r.mu.Unlock()
	s.exit(r)
	s.release()
}

// receipt is what became of a message.
type receipt struct {
	receivers int
	id        uint64
}

// apply delivers one message to the members of a room here. An id of 0 is
// replaced by the server's next; in a cluster the hub has given one. name and
// body are only read during the call.
func (s *Server) apply(name []byte, typ string, body []byte, id uint64) receipt {
	s.messages.Add(1)
	r := s.lookup(name)
	if r == nil && (s.cfg.Replay > 0 || s.inject != nil) {
		// The message is remembered, and faults count it like any other.
		var err error
		if r, err = s.enter(string(name), false); err == nil {
			defer s.exit(r)
		}
	}
	if r == nil {
		if id == 0 {
			id = s.ids.Add(1)
		}
		return receipt{id: id}
	}
	box := s.buffers.Get().(*buffer)

	r.mu.Lock()
	if id == 0 {
		id = s.ids.Add(1)
	}
	shown := id
	if !s.cfg.IDs {
		shown = 0
	}
	text := appendNumbered(startFrame(box.b), shown, typ, body)
	f, text := closeFrame(text)
	box.b = text
	if s.cfg.Replay > 0 {
		r.backlog.add(id, f.event, s.cfg.Replay)
	}
	receivers := 0
	switch {
	case s.inject == nil:
		receivers = s.sendAll(r.members, f)
	case s.inject.delayed(r, f):
		receivers = len(r.members)
	default:
		receivers = s.sendFaulty(r.members, f)
	}
	r.mu.Unlock()
	if s.inject != nil {
		s.misroute(r, f)
	}

	s.putBuffer(box)
	return receipt{receivers: receivers, id: id}
}

// sendAll sends a message to all members. Its copies are counted before, so that
// what a client has read has been counted, and those that nobody took struck off
// again. The lock of the members' room is held.
func (s *Server) sendAll(members []*client, f frame) (receivers int) {
	s.deliveries.Add(uint64(len(members)))
	for _, c := range members {
		if s.send(c, c.payload(f)) {
			receivers++
		}
	}
	if gone := len(members) - receivers; gone > 0 {
		s.deliveries.Add(-uint64(gone))
	}
	return receivers
}

// maxPooled keeps a few huge messages from staying in memory.
const maxPooled = 64 << 10

// buffer is a pooled slice, behind a pointer so that the pool does not allocate.
type buffer struct{ b []byte }

func (s *Server) putBuffer(box *buffer) {
	if cap(box.b) <= maxPooled {
		s.buffers.Put(box)
	}
}

// everyRoom calls f for each room that has members, without the server's lock.
func (s *Server) everyRoom(f func(*room)) {
	s.mu.RLock()
	rooms := make([]*room, 0, len(s.rooms))
	for _, r := range s.rooms {
		if r.refs > 0 {
			rooms = append(rooms, r)
		}
	}
	s.mu.RUnlock()
	for _, r := range rooms {
		f(r)
	}
}

// broadcast writes p, in each framing, to every client.
func (s *Server) broadcast(f frame) {
	if s.inject != nil {
		s.inject.ice.enter()
		defer s.inject.ice.leave()
	}
	s.everyRoom(func(r *room) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range r.members {
			if !c.stalled() {
				s.send(c, c.payload(f))
			}
		}
	})
}

const maxBacklogBytes = 4 << 20

// backlog is what a room remembers, oldest first.
type backlog struct {
	events []remembered
	bytes  int
}

type remembered struct {
	id   uint64
	text []byte
}

// add remembers a copy of text and forgets what passes the bounds; the newest
// message is always kept.
func (b *backlog) add(id uint64, text []byte, limit int) {
	b.events = append(b.events, remembered{id: id, text: slices.Clone(text)})
	b.bytes += len(text)
	gone := 0
	for len(b.events)-gone > limit || b.bytes > maxBacklogBytes && len(b.events)-gone > 1 {
		b.bytes -= len(b.events[gone].text)
		gone++
	}
	b.events = slices.Delete(b.events, 0, gone)
}

// appendAfter appends what is newer than id.
func (b *backlog) appendAfter(dst []byte, id uint64) []byte {
	first, _ := slices.BinarySearchFunc(b.events, id+1, func(e remembered, id uint64) int {
		switch {
		case e.id < id:
			return -1
		case e.id > id:
			return 1
		}
		return 0
	})
	for _, e := range b.events[first:] {
		dst = append(dst, e.text...)
	}
	return dst
}
