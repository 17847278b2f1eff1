package sse

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// DefaultLimit is the bound on the size of one event, in bytes, of a [Decoder]
// for which [Decoder.SetLimit] was not called.
const DefaultLimit = 1 << 20

// ErrEventTooLarge is wrapped by the error of [Decoder.Write] when an event, a
// comment or a single line exceeds the limit.
var ErrEventTooLarge = errors.New("sse: event too large")

// Event is a dispatched event. Its slices are valid during the call of
// [Sink.Event] only and must not be modified. They hold the bytes of the stream,
// which need not be valid UTF-8: see [ToValid].
type Event struct {
	// Type is the event field's value, "message" if that is missing or empty.
	Type []byte
	// Data is the data fields' values, joined with LF. It may be empty.
	Data []byte
	// ID is the last event ID once this event is dispatched, the lastEventId of
	// a browser's MessageEvent: of this event or of an earlier one, or empty.
	ID []byte
}

// Sink receives what a [Decoder] finds, in the order of the stream, on the
// goroutine that called [Decoder.Write]. Of the Decoder it may call LastEventID only. Time spent
// in a sink delays the decoding, nothing else: it may block.
type Sink interface {
	// Event takes a dispatched event (section 9.2.6, "dispatch the event").
	Event(Event)
	// Comment takes the text after the colon of a comment line, verbatim: a space
	// that follows the colon is part of it. The slice is valid during the call.
	Comment(text []byte)
	// Retry takes a new reconnection time when its line is complete, which is
	// before the event that the line stands in. It may be zero, and is never
	// negative.
	Retry(d time.Duration)
}

// Decoder decodes one event stream. The zero value is ready to use.
type Decoder struct {
	// pending is nil unless a line or an event is incomplete or a Write is under
	// way.
	pending *pending
	// lastID is the standard's last event ID string, nil when empty.
	lastID []byte
	limit  int // 0 is DefaultLimit
	bom    uint8
	// afterCR says that the last byte was a CR, so that an LF now is part of the
	// same line terminator.
	afterCR bool
	failed  bool
}

// pending is the part of a stream that no call of the sink has settled yet. Its
// buffers have the standard's names: data keeps the LF after each value until
// dispatch, so that it is empty only if there was no data field at all.
type pending struct {
	line []byte // a line that has no terminator yet
	typ  []byte
	data []byte
	// id is the last event ID buffer where hasID; otherwise that buffer equals
	// the Decoder's lastID.
	id    []byte
	hasID bool
}

func (e *pending) size() int {
	return len(e.line) + len(e.typ) + len(e.data) + len(e.id)
}

func (e *pending) idle() bool {
	return e.size() == 0 && !e.hasID
}

// pool lends pending events to decoders of all goroutines: their number follows
// the events in flight, not the connections.
var pool = sync.Pool{New: func() any { return new(pending) }} //nolint:gochecknoglobals // shared by every Decoder on purpose

// maxPooled is the capacity in bytes above which buffers go to the garbage
// collector, lest a few large events keep the pool large for ever.
const maxPooled = 128 << 10

// byteOrderMark is U+FEFF in UTF-8, and defaultType the type of an event that
// names none.
//
//nolint:gochecknoglobals // constants
var (
	byteOrderMark = [...]byte{0xEF, 0xBB, 0xBF}
	defaultType   = []byte("message")
)

// Write feeds the next bytes of the stream, cut anywhere, and calls s for all
// that they complete before it returns. p is not retained and not modified.
//
// The error is nil or wraps [ErrEventTooLarge] and names the limit. The Decoder
// has then freed its buffers and fails every Write until [Decoder.Reset]. What
// came before the large event has been delivered; the rest of p is dropped.
func (d *Decoder) Write(p []byte, s Sink) error {
	if d.failed {
		return d.tooLarge()
	}
	if int(d.bom) < len(byteOrderMark) {
		p = d.skipBOM(p)
	}
	if len(p) == 0 {
		return nil
	}
	l := lines{p: p, lf: -1, cr: -1}
	if d.afterCR && p[0] == '\n' {
		l.pos = 1
	}
	for {
		if d.pending == nil || d.pending.idle() {
			d.wholeEvents(&l, s)
		}
		if l.pos == len(p) {
			break
		}
		line, ended := l.next()
		size := len(line)
		if d.pending != nil {
			size += d.pending.size()
		}
		if size > d.limitBytes() {
			d.release()
			d.failed = true
			return d.tooLarge()
		}
		if !ended {
			e := d.acquire()
			e.line = append(e.line, line...)
			break
		}
		d.endLine(line, s)
	}
	d.afterCR = p[len(p)-1] == '\r'
	if d.pending != nil && d.pending.idle() {
		d.release()
	}
	return nil
}

// Reset prepares the Decoder for the bytes of a new connection: it drops a
// partial line or event and frees its buffers, expects a byte order mark again,
// and ends a failure. The last event ID and the limit stay; an id field of an
// event that was not dispatched is forgotten.
func (d *Decoder) Reset() {
	d.release()
	d.bom = 0
	d.afterCR = false
	d.failed = false
}

// LastEventID returns the last event ID string, empty if there is none: what a
// client sends as Last-Event-ID when it reconnects, after [ToValid]. The slice is
// valid until the next call of Write or SetLastEventID and must not be modified.
func (d *Decoder) LastEventID() []byte { return d.lastID }

// SetLastEventID sets the last event ID string, as for a stream that resumes an
// earlier one. id is copied. It is meant to be called before the first Write; an
// id field of an event in flight still takes effect when that is dispatched.
func (d *Decoder) SetLastEventID(id []byte) {
	// Beyond this slack a buffer that a long ID left behind is given back. Below
	// it, IDs whose length varies do not allocate.
	const slack = 128
	switch {
	case len(id) == 0:
		d.lastID = nil
	case cap(d.lastID) < len(id) || cap(d.lastID) > 2*len(id)+slack:
		d.lastID = append([]byte(nil), id...)
	default:
		d.lastID = append(d.lastID[:0], id...)
	}
}

// SetLimit bounds the size of one event to n bytes: its type, id and data so far
// plus the current line, comments included, without line terminators. It applies
// from the next Write on. n <= 0 means [DefaultLimit].
func (d *Decoder) SetLimit(n int) { d.limit = max(n, 0) }

func (d *Decoder) limitBytes() int {
	if d.limit == 0 {
		return DefaultLimit
	}
	return d.limit
}

func (d *Decoder) tooLarge() error {
	return fmt.Errorf("%w: over the limit of %d bytes", ErrEventTooLarge, d.limitBytes())
}

func (d *Decoder) acquire() *pending {
	if d.pending == nil {
		d.pending = pool.Get().(*pending)
	}
	return d.pending
}

func (d *Decoder) release() {
	e := d.pending
	if e == nil {
		return
	}
	d.pending = nil
	if cap(e.line)+cap(e.typ)+cap(e.data)+cap(e.id) > maxPooled {
		return
	}
	e.line, e.typ, e.data, e.id, e.hasID = e.line[:0], e.typ[:0], e.data[:0], e.id[:0], false
	pool.Put(e)
}

// skipBOM returns p without what belongs to a byte order mark at the start of the
// stream. A part of a mark is held back until it is known not to be one.
func (d *Decoder) skipBOM(p []byte) []byte {
	for int(d.bom) < len(byteOrderMark) && len(p) > 0 {
		if p[0] != byteOrderMark[d.bom] {
			if d.bom > 0 {
				e := d.acquire()
				e.line = append(e.line, byteOrderMark[:d.bom]...)
			}
			d.bom = uint8(len(byteOrderMark))
			break
		}
		d.bom++
		p = p[1:]
	}
	return p
}

// wholeEvents dispatches events straight out of l.p, copying nothing, for as long
// as each lies in it whole and has the common shape: lines ended by LF or CRLF,
// at most one data field, event and id fields, no others. It leaves l at the first
// event that is different and has no effect on the Decoder for that one. The
// caller has nothing pending.
func (d *Decoder) wholeEvents(l *lines, s Sink) {
	p, limit := l.p, d.limitBytes()
	for l.pos < len(p) {
		l.seek()
		pos, lf, cr := l.pos, l.lf, l.cr
		typ := defaultType
		var data, id []byte
		var hasData, hasID bool
		for {
			if lf == len(p) {
				return
			}
			end := lf
			if cr < lf {
				if cr+1 != lf {
					return
				}
				end = cr
			}
			line := p[pos:end]
			pos = lf + 1
			if len(line) == 0 {
				break
			}
			switch {
			case len(line) >= 5 && string(line[:5]) == "data:":
				if hasData {
					return
				}
				data, hasData = trimSpace(line[5:]), true
			case len(line) >= 3 && string(line[:3]) == "id:":
				id, hasID = trimSpace(line[3:]), true
				if bytes.IndexByte(id, 0) >= 0 {
					return
				}
			case len(line) >= 6 && string(line[:6]) == "event:":
				if typ = trimSpace(line[6:]); len(typ) == 0 {
					typ = defaultType
				}
			default:
				return
			}
			if pos < len(p) && p[pos] == '\n' {
				lf = pos
			} else {
				lf = indexFrom(p, pos, '\n')
			}
			if cr < pos {
				cr = indexFrom(p, pos, '\r')
			}
		}
		// The span is no less than the size that the limit is about, so the exact
		// sum can be left to the caller.
		if pos-l.pos > limit {
			return
		}
		l.pos, l.lf, l.cr = pos, lf, cr
		if hasID {
			d.SetLastEventID(id)
		}
		if hasData {
			s.Event(Event{Type: typ, Data: data, ID: d.lastID})
		}
	}
}

// endLine processes a line whose last part is tail and whose earlier parts, if
// any, are pending.
func (d *Decoder) endLine(tail []byte, s Sink) {
	e := d.pending
	if e == nil || len(e.line) == 0 {
		d.processLine(tail, s)
		return
	}
	e.line = append(e.line, tail...)
	d.processLine(e.line, s)
	e.line = e.line[:0]
}

// processLine follows the four cases of section 9.2.6, "lines must be processed,
// in the order they are received".
func (d *Decoder) processLine(line []byte, s Sink) {
	if len(line) == 0 {
		d.dispatch(s)
		return
	}
	switch colon := bytes.IndexByte(line, ':'); colon {
	case 0:
		s.Comment(line[1:])
	case -1:
		d.processField(line, nil, s)
	default:
		d.processField(line[:colon], trimSpace(line[colon+1:]), s)
	}
}

// processField follows section 9.2.6, "process the field".
func (d *Decoder) processField(name, value []byte, s Sink) {
	switch string(name) {
	case "data":
		e := d.acquire()
		if len(e.data) == 0 && len(e.line) > 0 {
			// The value is the end of the pending line: hand over that buffer
			// rather than hold a large value twice.
			n := copy(e.line, value)
			e.line, e.data = e.data, e.line[:n]
		} else {
			e.data = append(e.data, value...)
		}
		e.data = append(e.data, '\n')
	case "event":
		e := d.acquire()
		e.typ = append(e.typ[:0], value...)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			e := d.acquire()
			e.id, e.hasID = append(e.id[:0], value...), true
		}
	case "retry":
		if t, ok := parseRetry(value); ok {
			s.Retry(t)
		}
	}
}

// dispatch follows section 9.2.6, "dispatch the event".
func (d *Decoder) dispatch(s Sink) {
	e := d.pending
	if e == nil {
		return
	}
	if e.hasID {
		d.SetLastEventID(e.id)
		e.id, e.hasID = e.id[:0], false
	}
	typ, data := e.typ, e.data
	// Emptied before the call, not after, so that a sink that panics leaves no
	// event behind. Their memory is not written to until it returns.
	e.typ, e.data = e.typ[:0], e.data[:0]
	if len(data) == 0 {
		return
	}
	if len(typ) == 0 {
		typ = defaultType
	}
	s.Event(Event{Type: typ, Data: data[:len(data)-1], ID: d.lastID})
}

// parseRetry reads a reconnection time in milliseconds: ASCII digits alone, at
// least one.
func parseRetry(value []byte) (t time.Duration, ok bool) {
	const most = math.MaxInt64 / int64(time.Millisecond)
	var ms int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		if ms <= most {
			ms = ms*10 + int64(c-'0')
		}
	}
	if ms > most {
		return math.MaxInt64, true
	}
	return time.Duration(ms) * time.Millisecond, len(value) > 0
}

// lines cuts p into lines. It remembers the next terminator of either kind, so
// that a stream with only one kind is not searched to its end for the other at
// every line.
type lines struct {
	p      []byte
	pos    int
	lf, cr int // the first LF and CR at or after pos, len(p) if none; stale if less than pos
}

// seek refreshes lf and cr.
func (l *lines) seek() {
	if l.lf < l.pos {
		l.lf = indexFrom(l.p, l.pos, '\n')
	}
	if l.cr < l.pos {
		l.cr = indexFrom(l.p, l.pos, '\r')
	}
}

// next returns the line at pos without its terminator and steps over both. If p
// has no terminator for it, it returns the rest of p and false.
func (l *lines) next() (line []byte, ended bool) {
	l.seek()
	start, end := l.pos, min(l.lf, l.cr)
	if end == len(l.p) {
		l.pos = end
		return l.p[start:], false
	}
	l.pos = end + 1
	if end == l.cr && l.pos < len(l.p) && l.p[l.pos] == '\n' {
		l.pos++
	}
	return l.p[start:end], true
}

// indexFrom returns the index in p of the first c at or after pos, or len(p).
func indexFrom(p []byte, pos int, c byte) int {
	if i := bytes.IndexByte(p[pos:], c); i >= 0 {
		return pos + i
	}
	return len(p)
}

// trimSpace drops one leading U+0020 SPACE.
func trimSpace(value []byte) []byte {
	if len(value) > 0 && value[0] == ' ' {
		return value[1:]
	}
	return value
}
