package http2

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/http2/hpack"
)

// Handler is told what the server says. It may call every method of the Conn but
// Write and Close.
type Handler interface {
	// Head takes the head of the final response on s, once. An error of Head or Data
	// resets the stream, which ends with that error.
	Head(s *Stream, h *Head) error
	// Data takes the next bytes of the body.
	Data(s *Stream, p []byte) error
	// End says that s is over: err is nil when its response is complete. It is not
	// called for a stream that was given to Cancel.
	End(s *Stream, err error)
	// Changed says that the server has changed how many streams it takes, see
	// [Conn.Room] and [Conn.Going]; streams that it leaves unprocessed have ended
	// before.
	Changed()
}

// Stream is one request and its response. It belongs to its Conn from Open until
// its end. The zero value can be opened.
type Stream struct {
	// Tag is the caller's.
	Tag uint64

	length    int64 // of the body still to come; -1 when that is not known
	id        uint32
	window    int32 // how much of the request's body may be sent
	unread    int32 // of this side's window, used and not given back
	headed    bool  // the final head has come
	interim   uint8 // interim responses that came
	uploading bool  // a part of the request's body is to be sent
}

// upload is the part of a request's body that waits for the windows.
type upload struct {
	s    *Stream
	rest []byte
}

// Conn is the client's side of a connection. The zero value is one on which nothing
// has been said yet. It is for one goroutine at a time.
type Conn struct {
	out      []byte
	answers  int // bytes of out that the server has provoked
	streams  []*Stream
	uploads  []upload
	dec      *hpack.Decoder // nil before the first head
	away     *GoAwayError   // nil unless the server goes away
	failed   error
	next     uint32 // number of the next stream; 0 before Start
	window   int32  // how much may be sent on the connection
	initial  int32  // the same on a new stream
	unread   int32  // of this side's window, used and not given back
	limit    int    // of streams at once
	greeted  bool   // the server's first frame has begun
	settled  bool   // its settings are known
	prefixed bool   // the first block of heads has been sent

	// The frame that is being read.
	typ    frameType
	flags  uint8
	id     uint32
	have   int     // bytes of head
	left   int     // of the payload to come
	pad    int     // of those, padding
	prefix int     // bytes that stand before the content
	got    int     // bytes of small
	cur    *Stream // that of a DATA frame; nil when nobody waits for it
	block  *block  // the head that is not complete
	debug  []byte  // of a GOAWAY frame
	head   [frameHeadSize]byte
	small  [8]byte
}

const (
	// unsettledLimit is how many streams to open before the server has said how many
	// it takes: no fewer should be allowed, RFC 9113 section 6.5.2.
	unsettledLimit = 100
	noLimit        = maxStream
	// mostAnswers bounds what waits to be written without having been asked for by the
	// caller, in bytes.
	mostAnswers = 64 << 10
	// fullOut is how much of bodies is made ready at once.
	fullOut = 64 << 10
	// mostOut is how much waits to be written at which no stream is opened any more, in
	// bytes: a server that does not read would have it grow with each attempt.
	mostOut = 256 << 10
	// mostDebug bounds what is kept of a GOAWAY's text.
	mostDebug = 128
)

// Start begins the connection: it makes the preface ready to be taken, RFC 9113
// section 3.4.
func (c *Conn) Start() {
	c.next, c.window, c.initial, c.limit = 1, defaultWindow, defaultWindow, unsettledLimit
	c.out = append(c.out, preface...)
	c.out = appendFrameHead(c.out, 4*6, frameSettings, 0, 0)
	c.out = appendSetting(c.out, settingTableSize, 0)
	c.out = appendSetting(c.out, settingPush, 0)
	c.out = appendSetting(c.out, settingWindow, streamWindow)
	c.out = appendSetting(c.out, settingMaxHeaderList, MaxHeadBytes)
	c.out = appendWindowUpdate(c.out, 0, connWindow-defaultWindow)
}

// Room is how many further streams can be opened now.
func (c *Conn) Room() int {
	if c.failed != nil || c.Going() || c.Full() {
		return 0
	}
	return max(0, c.limit-len(c.streams))
}

// Full reports whether there is no room before what is pending has been taken.
func (c *Conn) Full() bool { return len(c.out) >= mostOut }

// Limit is how many streams the server allows at once. known is false while it has
// not said so; then the limit is a guess.
func (c *Conn) Limit() (n int, known bool) { return c.limit, c.settled }

// Going tells that no further stream can be opened, ever: the server goes away, or
// the connection's numbers are used up.
func (c *Conn) Going() bool { return c.away != nil || c.next > maxStream }

// Streams is how many streams are open.
func (c *Conn) Streams() int { return len(c.streams) }

// Pending reports whether there is something to take.
func (c *Conn) Pending() bool { return len(c.out) > 0 }

// Take is what is to be written next; empty when there is nothing. It is the
// caller's. spare is memory to be used for what comes then, and may be nil. Large
// bodies come in parts: take again once a part is written.
func (c *Conn) Take(spare []byte) []byte {
	c.upload()
	out := c.out
	c.out, c.answers = spare[:0], 0
	return out
}

// Open sends a request on s: block is its head, see [Encoder], and body what
// follows, which must not be changed before the stream is over. The error wraps
// [ErrLimit] when there is no room.
func (c *Conn) Open(s *Stream, block, body []byte) error {
	if c.Room() == 0 {
		if c.failed != nil || c.Going() {
			return fmt.Errorf("%w on this connection", ErrLimit)
		}
		if c.Full() {
			return fmt.Errorf("%w before others are written", ErrLimit)
		}
		return fmt.Errorf("%w: the server takes %d at once", ErrLimit, c.limit)
	}
	*s = Stream{Tag: s.Tag, id: c.next, window: c.initial, length: -1, uploading: len(body) > 0}
	c.next += 2
	c.streams = append(c.streams, s)
	if !c.prefixed {
		c.prefixed = true
		block = append([]byte{sizeUpdate}, block...)
	}
	c.out = appendHeaders(c.out, s.id, block, len(body) == 0)
	if len(body) > 0 {
		c.uploads = append(c.uploads, upload{s, body})
		c.upload()
	}
	return nil
}

// Cancel resets s, of which nothing more is heard. On one that is over it does
// nothing.
func (c *Conn) Cancel(s *Stream) {
	if c.remove(s) {
		c.out = appendReset(c.out, s.id, Cancel)
	}
}

// Ended is what the end of the connection means: an error that wraps [ErrClosedEarly],
// [ErrNotHTTP2] or what has been returned by Write before.
func (c *Conn) Ended() error {
	switch {
	case c.failed != nil:
		return c.failed
	case c.away != nil:
		return fmt.Errorf("%w: %w", ErrClosedEarly, c.away)
	case !c.greeted && c.have > 0:
		return fmt.Errorf("%w: it ends after %q", ErrNotHTTP2, c.head[:c.have])
	}
	return ErrClosedEarly
}

// Close ends every stream with err. Nothing can be opened any more.
func (c *Conn) Close(h Handler, err error) {
	if c.failed == nil {
		c.failed = err
	}
	c.uploads, c.cur, c.block, c.out = nil, nil, nil, nil
	for len(c.streams) > 0 { // h may cancel others
		s := c.streams[0]
		c.streams = c.streams[1:]
		h.End(s, err)
	}
}

// Write takes what the connection has brought, and tells h of it. The error is a
// [*ConnError] or wraps [ErrNotHTTP2]: nothing more can come of the connection, but
// what is pending should be written. The streams are left to [Conn.Close].
func (c *Conn) Write(p []byte, h Handler) error {
	if c.failed != nil {
		return c.failed
	}
	for {
		if c.have < frameHeadSize {
			if len(p) == 0 {
				return nil
			}
			n := copy(c.head[c.have:], p)
			p, c.have = p[n:], c.have+n
			if err := c.greet(); err != nil {
				return c.fail(err)
			}
			if c.have < frameHeadSize {
				return nil
			}
			if err := c.begin(h); err != nil {
				return c.fail(err)
			}
		}
		if n := min(len(p), c.left); n > 0 {
			if err := c.payload(p[:n], h); err != nil {
				return c.fail(err)
			}
			p, c.left = p[n:], c.left-n
		}
		if c.left > 0 {
			return nil
		}
		c.have = 0
		if err := c.finish(h); err != nil {
			return c.fail(err)
		}
	}
}

// fail makes err the connection's end, and tells the server if it is one of HTTP/2.
func (c *Conn) fail(err error) error {
	c.failed = err
	if e, ok := err.(*ConnError); ok { //nolint:errorlint // it comes from here, and bare
		c.out = appendFrameHead(c.out, 8, frameGoAway, 0, 0)
		c.out = binary.BigEndian.AppendUint32(c.out, 0) // no stream of the server's
		c.out = binary.BigEndian.AppendUint32(c.out, uint32(e.Code))
	}
	return err
}

// greet looks at the beginning of what the server says: a server of another protocol
// may well send a few bytes and then wait.
func (c *Conn) greet() error {
	if c.greeted {
		return nil
	}
	b := c.head[:c.have]
	switch {
	case len(b) >= 5 && string(b[:5]) == "HTTP/":
		return fmt.Errorf("%w: the server speaks HTTP/1.1, not HTTP/2", ErrNotHTTP2)
	case len(b) >= 2 && b[0] >= 0x14 && b[0] <= 0x17 && b[1] == 3: // RFC 8446, section 5.1
		return fmt.Errorf("%w: the server speaks TLS, not plain HTTP/2", ErrNotHTTP2)
	case len(b) < frameHeadSize:
		return nil
	case frameLength(b) > maxFrame || int(b[3]) >= len(frameNames):
		return fmt.Errorf("%w: it begins with %q", ErrNotHTTP2, b)
	}
	c.greeted = true
	if t := frameType(b[3]); t != frameSettings || b[4]&flagAck != 0 {
		return connErrorf(ProtocolError, "the server's first frame is %s, not SETTINGS", t)
	}
	return nil
}

func frameLength(head []byte) int { return int(head[0])<<16 | int(head[1])<<8 | int(head[2]) }

// begin reads the head of a frame, RFC 9113 section 4.1.
func (c *Conn) begin(h Handler) error {
	c.left, c.typ, c.flags = frameLength(c.head[:]), frameType(c.head[3]), c.head[4]
	c.id = binary.BigEndian.Uint32(c.head[5:]) &^ (1 << 31)
	c.pad, c.prefix, c.got, c.cur = 0, 0, 0, nil
	if c.left > maxFrame {
		return connErrorf(FrameSizeError, "a frame of %d bytes", c.left)
	}
	if c.block != nil && (c.typ != frameContinuation || c.id != c.block.id) {
		return connErrorf(ProtocolError, "%s on stream %d within the head of stream %d", c.typ, c.id, c.block.id)
	}
	if err := c.checkStream(); err != nil {
		return err
	}
	if err := c.checkLength(); err != nil {
		return err
	}
	switch c.typ {
	case frameData:
		c.beginData(h)
	case frameHeaders:
		c.block = &block{id: c.id, s: c.find(c.id), endStream: c.flags&flagEndStream != 0}
	case frameContinuation:
		return c.block.grow(frameHeadSize)
	}
	return nil
}

// checkStream holds the frame's stream against its type.
func (c *Conn) checkStream() error {
	switch c.typ {
	case frameSettings, framePing, frameGoAway:
		if c.id != 0 {
			return connErrorf(ProtocolError, "%s on stream %d", c.typ, c.id)
		}
	case framePushPromise:
		return connErrorf(ProtocolError, "PUSH_PROMISE, which the settings forbid")
	case frameContinuation:
		if c.block == nil {
			return connErrorf(ProtocolError, "CONTINUATION without a head before it")
		}
	case framePriority:
		if c.id == 0 {
			return connErrorf(ProtocolError, "PRIORITY on no stream")
		}
	case frameData, frameHeaders, frameReset, frameWindowUpdate:
		if c.typ == frameWindowUpdate && c.id == 0 {
			return nil
		}
		if c.id%2 == 0 || c.id >= c.next {
			return connErrorf(ProtocolError, "%s on stream %d, which was never opened", c.typ, c.id)
		}
	}
	return nil
}

// checkLength holds the length of the frame's payload against its type, and says
// what stands before its content.
func (c *Conn) checkLength() error {
	bad := false
	switch c.typ {
	case frameData, frameHeaders:
		if c.flags&flagPadded != 0 {
			c.prefix++
		}
		if c.typ == frameHeaders && c.flags&flagPriority != 0 {
			c.prefix += 5
		}
		bad = c.left < c.prefix
	case framePriority:
		bad = c.left != 5
	case frameReset, frameWindowUpdate:
		bad = c.left != 4
	case frameSettings:
		bad = c.left%6 != 0 || c.flags&flagAck != 0 && c.left > 0
	case framePing:
		bad = c.left != 8
	case frameGoAway:
		bad = c.left < 8
	}
	if bad {
		return connErrorf(FrameSizeError, "%s of %d bytes", c.typ, c.left)
	}
	return nil
}

// payload takes a part of the frame's payload, c.left bytes of which are to come
// with it.
func (c *Conn) payload(p []byte, h Handler) error {
	switch c.typ {
	case frameData, frameHeaders, frameContinuation:
		return c.content(p, h)
	case frameSettings:
		return c.settings(p)
	case framePing, frameReset, frameWindowUpdate, frameGoAway:
		n := copy(c.small[c.got:], p)
		c.got += n
		c.debug = append(c.debug, p[n:][:min(len(p)-n, mostDebug-len(c.debug))]...)
	}
	return nil
}

// content takes what stands between prefix and padding.
func (c *Conn) content(p []byte, h Handler) error {
	left := c.left
	if c.got < c.prefix {
		n := copy(c.small[c.got:c.prefix], p)
		p, left, c.got = p[n:], left-n, c.got+n
		if c.got < c.prefix {
			return nil
		}
		if c.flags&flagPadded != 0 {
			c.pad = int(c.small[0])
		}
		if c.pad > left {
			return connErrorf(ProtocolError, "%s of %d bytes with %d of padding", c.typ, left, c.pad)
		}
	}
	p = p[:min(len(p), max(0, left-c.pad))]
	switch {
	case len(p) == 0:
		return nil
	case c.typ == frameData:
		c.data(p, h)
		return nil
	}
	return c.fragment(p)
}

// finish does what a frame asks for once it is complete.
func (c *Conn) finish(h Handler) error {
	var err error
	switch c.typ {
	case frameData:
		if c.cur != nil && c.flags&flagEndStream != 0 {
			c.complete(c.cur, h)
		}
		c.cur = nil
	case frameHeaders, frameContinuation:
		if c.flags&flagEndHeaders != 0 {
			err = c.finishHead(h)
		}
	case frameSettings:
		c.finishSettings(h)
	case framePing:
		if c.flags&flagAck == 0 {
			c.out = append(appendFrameHead(c.out, 8, framePing, flagAck, 0), c.small[:8]...)
			c.answers += frameHeadSize + 8
		}
	case frameReset:
		if s := c.find(c.id); s != nil {
			c.remove(s)
			h.End(s, &ResetError{Code(binary.BigEndian.Uint32(c.small[:]))})
		}
	case frameWindowUpdate:
		err = c.widen(h)
	case frameGoAway:
		c.goAway(h)
	}
	if err == nil && c.answers > mostAnswers {
		err = connErrorf(EnhanceYourCalm, "the server asks for more than it reads")
	}
	return err
}
