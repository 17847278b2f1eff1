package main

import (
	"bytes"
	"slices"
	"strconv"
)

// marker is what identifies a message wherever it turns up, written as
//
//	sseload:RUN:ROOM:SENDER:SEQUENCE:NANOSECONDS:
type marker struct {
	run          string
	room, sender int64
	sequence     int64
	due          int64 // nanoseconds since the epoch, on the sender's clock
}

const markerName = "sseload:"

type finding uint8

const (
	whole   finding = iota // a marker
	partial                // what there is may become one
	damaged                // it begins like one and is none
)

// longestWord bounds a run's name, and a number well above its 19 digits.
const longestWord = 32

// parseMarker reads the marker that b, which has its name, begins with.
func parseMarker(b []byte) (m marker, length int, what finding) {
	rest := b[len(markerName):]
	var words [5]string
	for i := range words {
		end := bytes.IndexByte(rest, ':')
		word := rest[:max(end, 0)]
		if end < 0 {
			word = rest
		}
		if end == 0 || len(word) > longestWord || !plain(word, i > 0) {
			return marker{}, 0, damaged
		}
		if end < 0 {
			return marker{}, 0, partial
		}
		words[i], rest = string(word), rest[end+1:]
	}
	m.run = words[0]
	for i, field := range []*int64{&m.room, &m.sender, &m.sequence, &m.due} {
		v, err := strconv.ParseInt(words[i+1], 10, 64)
		if err != nil {
			return marker{}, 0, damaged
		}
		*field = v
	}
	return m, len(b) - len(rest), whole
}

// plain tells whether a word has digits alone, or else digits and letters.
func plain(word []byte, digits bool) bool {
	for _, c := range word {
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if (c < '0' || c > '9') && (digits || !letter) {
			return false
		}
	}
	return true
}

// stream is the bytes of one direction of a connection, in order, and finds the
// markers in them. It keeps only what a marker, or the event around it, still
// needs.
type stream struct {
	events bool // a marker counts once the blank line that ends its event is there
	found  func(m marker, first, last int64)
	losses *losses

	buf   []byte
	times []arrival
}

// arrival is when the bytes before end, of the buffer, came; those of the arrival
// before it excluded.
type arrival struct {
	end int
	at  int64
}

// losses counts what keeps a stream from being understood.
type losses struct {
	gapBytes int // not captured, or never seen
	cut      int // markers, or events with a marker, that a gap or the capture's end cuts off
	damaged  int // what begins like a marker and is none
	repeated int // segments that brought nothing new
}

// largestEvent bounds how long an event's end is waited for.
const largestEvent = 16 << 20

func (s *stream) feed(at int64, data []byte) {
	if len(data) == 0 {
		return
	}
	s.buf = append(s.buf, data...)
	s.times = append(s.times, arrival{len(s.buf), at})
	s.scan()
}

func (s *stream) scan() {
	for {
		i := bytes.Index(s.buf, []byte(markerName))
		if i < 0 {
			// What is left may be the beginning of the name.
			s.drop(max(0, len(s.buf)-(len(markerName)-1)))
			return
		}
		s.drop(i)
		m, length, what := parseMarker(s.buf)
		switch what {
		case partial:
			return
		case damaged:
			s.losses.damaged++
			s.drop(len(markerName))
			continue
		case whole:
		}
		end := length
		if s.events {
			blank := blankLine(s.buf[length:])
			if blank < 0 && len(s.buf) <= largestEvent {
				return
			}
			if blank < 0 {
				s.losses.cut++
				s.drop(length)
				continue
			}
			end += blank
		}
		first, last := s.span(end)
		s.found(m, first, last)
		s.drop(length)
	}
}

// blankLine gives where the first blank line in b ends, -1 where there is none.
// The lines of an event end with LF or with CRLF, one like the other.
func blankLine(b []byte) int {
	lf, crlf := bytes.Index(b, []byte("\n\n")), bytes.Index(b, []byte("\r\n\r\n"))
	switch {
	case lf >= 0 && (crlf < 0 || lf < crlf):
		return lf + 2
	case crlf >= 0:
		return crlf + 4
	}
	return -1
}

// span gives when the first of the buffer's first n bytes came, and when the last
// to come of them did, which differs from the last byte's where segments overtook
// one another.
func (s *stream) span(n int) (first, last int64) {
	first, last = s.times[0].at, s.times[0].at
	for i, t := range s.times {
		if i > 0 && s.times[i-1].end >= n {
			break
		}
		last = max(last, t.at)
	}
	return first, last
}

// drop forgets the first n bytes.
func (s *stream) drop(n int) {
	if n == 0 {
		return
	}
	s.buf = s.buf[:copy(s.buf, s.buf[n:])]
	kept := s.times[:0]
	for _, t := range s.times {
		if t.end > n {
			kept = append(kept, arrival{t.end - n, t.at})
		}
	}
	s.times = kept
}

// gap says that the next n bytes are not known, or, with 0, that nothing follows.
func (s *stream) gap(n int) {
	s.losses.gapBytes += n
	if s.pending(n > 0) {
		s.losses.cut++
	}
	s.drop(len(s.buf))
}

// pending tells whether the buffer holds the beginning of something: with more to
// come, of a marker's name too.
func (s *stream) pending(more bool) bool {
	name := []byte(markerName)
	if bytes.HasPrefix(s.buf, name) {
		return true
	}
	for i := range s.buf {
		if more && bytes.HasPrefix(name, s.buf[i:]) {
			return true
		}
	}
	return false
}

// flow is one direction of a TCP connection. It brings segments into the order of
// their sequence numbers; where bytes come twice, the first counts.
type flow struct {
	text    stream
	started bool
	initial uint32 // sequence number of the SYN, if hasSYN
	hasSYN  bool
	next    uint32    // sequence number of the next byte
	waiting []segment // behind a hole, by sequence number
}

type segment struct {
	at      int64
	seq     uint32
	length  int
	payload []byte
}

// opens tells whether the packet begins another connection than this one.
func (f *flow) opens(p packet) bool {
	return p.syn && f.started && (!f.hasSYN || p.seq != f.initial)
}

func (f *flow) add(p packet) {
	if p.syn {
		if !f.started {
			f.started, f.hasSYN, f.initial, f.next = true, true, p.seq, p.seq+1
		}
		p.seq++ // a SYN takes a number
	}
	if !f.started {
		f.started, f.next = true, p.seq // the capture began later than the connection
	}
	if p.length == 0 {
		return
	}
	s := segment{p.at, p.seq, p.length, p.payload}
	if f.ahead(s) > 0 {
		s.payload = slices.Clone(s.payload)
		i, _ := slices.BinarySearchFunc(f.waiting, s, func(a, b segment) int {
			if a.seq == b.seq {
				return -1 // after those that came before it
			}
			return int(int32(a.seq - b.seq))
		})
		f.waiting = slices.Insert(f.waiting, i, s)
		return
	}
	f.deliver(s)
	f.release()
}

// ahead is how far beyond the next byte a segment begins; sequence numbers wrap
// around (RFC 9293, section 3.4).
func (f *flow) ahead(s segment) int { return int(int32(s.seq - f.next)) }

// release delivers what waits and no longer has to.
func (f *flow) release() {
	n := 0
	for n < len(f.waiting) && f.ahead(f.waiting[n]) <= 0 {
		f.deliver(f.waiting[n])
		n++
	}
	f.waiting = slices.Delete(f.waiting, 0, n)
}

// deliver takes what is new of a segment that begins at the next byte or before.
func (f *flow) deliver(s segment) {
	known := -f.ahead(s)
	if known >= s.length {
		f.text.losses.repeated++
		return
	}
	data := s.payload[min(known, len(s.payload)):]
	f.text.feed(s.at, data)
	f.next = s.seq + uint32(s.length)
	if missing := s.length - known - len(data); missing > 0 {
		f.text.gap(missing)
	}
}

// finish delivers what still waits behind holes that nothing filled.
func (f *flow) finish() {
	for len(f.waiting) > 0 {
		hole := f.ahead(f.waiting[0])
		f.text.gap(hole)
		f.next += uint32(hole)
		f.release()
	}
	f.text.gap(0)
}
