package http2

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// find is the open stream numbered id, or nil.
func (c *Conn) find(id uint32) *Stream {
	if i, ok := c.place(id); ok {
		return c.streams[i]
	}
	return nil
}

// place is where the stream numbered id stands among those open, which are in the
// order of their numbers.
func (c *Conn) place(id uint32) (int, bool) {
	return slices.BinarySearchFunc(c.streams, id, func(s *Stream, id uint32) int { return cmp.Compare(s.id, id) })
}

// remove forgets s. It returns false when s is not open.
func (c *Conn) remove(s *Stream) bool {
	i, ok := c.place(s.id)
	if !ok || c.streams[i] != s {
		return false
	}
	c.streams = slices.Delete(c.streams, i, i+1)
	if s.uploading {
		c.uploads = slices.DeleteFunc(c.uploads, func(u upload) bool { return u.s == s })
	}
	if c.cur == s {
		c.cur = nil
	}
	if c.block != nil && c.block.s == s {
		c.block.s = nil
	}
	return true
}

// abandon resets s, unless it is over, and ends it with err.
func (c *Conn) abandon(s *Stream, err error, h Handler) {
	if !c.remove(s) {
		return
	}
	code := Cancel
	if e := new(StreamError); errors.As(err, &e) {
		code = e.Code
	}
	c.out = appendReset(c.out, s.id, code)
	c.answers += frameHeadSize + 4
	h.End(s, err)
}

// complete ends s with its response. Nobody waits for the rest of a request that
// has been answered.
func (c *Conn) complete(s *Stream, h Handler) {
	if s.length > 0 {
		c.abandon(s, fmt.Errorf("%w: the response is %d bytes short of its content-length", ErrClosedEarly, s.length), h)
		return
	}
	if s.uploading {
		c.out = appendReset(c.out, s.id, Cancel)
	}
	c.remove(s)
	h.End(s, nil)
}

// beginData finds the stream of a DATA frame, and settles its account: padding and
// what nobody wants use up windows too, RFC 9113 section 6.1.
func (c *Conn) beginData(h Handler) {
	if give, ok := consume(&c.unread, c.left, connWindow); ok {
		c.out = appendWindowUpdate(c.out, 0, give)
		c.answers += frameHeadSize + 4
	}
	s := c.find(c.id)
	switch {
	case s == nil:
		return
	case !s.headed:
		c.abandon(s, streamErrorf(ProtocolError, "a body without a head"), h)
		return
	}
	c.cur = s
	if c.flags&flagEndStream != 0 {
		return
	}
	if give, ok := consume(&s.unread, c.left, streamWindow); ok {
		c.out = appendWindowUpdate(c.out, s.id, give)
		c.answers += frameHeadSize + 4
	}
}

// consume enters n bytes into unread, the part of a window of size that is used. ok
// tells to give that much back.
func consume(unread *int32, n, size int) (give int32, ok bool) {
	*unread += int32(n)
	if int(*unread) < size/2 {
		return 0, false
	}
	give, *unread = *unread, 0
	return give, true
}

// data hands on a part of a body.
func (c *Conn) data(p []byte, h Handler) {
	s := c.cur
	if s == nil {
		return
	}
	var err error
	if s.length >= 0 {
		if int64(len(p)) > s.length {
			p = p[:s.length]
			err = streamErrorf(ProtocolError, "the response is longer than its content-length")
		}
		s.length -= int64(len(p))
	}
	if len(p) > 0 {
		if failed := h.Data(s, p); failed != nil {
			err = failed
		}
	}
	if err != nil && c.cur == s {
		c.abandon(s, err, h)
	}
}

// fragment takes a part of a head in its encoded form.
func (c *Conn) fragment(p []byte) error {
	if c.dec == nil {
		c.dec = hpack.NewDecoder(4096, func(f hpack.HeaderField) { c.block.add(f) })
		c.dec.SetMaxStringLength(MaxHeadBytes)
	}
	if err := c.block.grow(len(p)); err != nil {
		return err
	}
	if _, err := c.dec.Write(p); err != nil {
		return compressionError(err)
	}
	return nil
}

func compressionError(err error) error {
	if errors.Is(err, hpack.ErrStringLength) {
		return connErrorf(EnhanceYourCalm, "a header field of more than %d bytes", MaxHeadBytes)
	}
	return connErrorf(CompressionError, "a head that cannot be decoded: %v", err)
}

// finishHead takes a head, or trailers, that are complete.
func (c *Conn) finishHead(h Handler) error {
	if c.dec != nil {
		if err := c.dec.Close(); err != nil {
			return compressionError(err)
		}
	}
	b := c.block
	c.block = nil
	s := b.s
	if s == nil {
		return nil
	}
	if err := c.headed(s, b, h); err != nil {
		c.abandon(s, err, h)
	} else if b.endStream && c.find(b.id) == s {
		c.complete(s, h)
	}
	return nil
}

// headed hands a head on, unless it is an interim one, RFC 9113 section 8.1.
func (c *Conn) headed(s *Stream, b *block, h Handler) error {
	if s.headed {
		return b.trailers()
	}
	head, err := b.head()
	if err != nil {
		return err
	}
	if head.Status < 200 {
		if head.Status == 101 || b.endStream {
			return streamErrorf(ProtocolError, "a response of status %d alone", head.Status)
		}
		if s.interim++; s.interim > mostInterim {
			return streamErrorf(EnhanceYourCalm, "more than %d interim responses", mostInterim)
		}
		return nil
	}
	if s.length, err = head.contentLength(); err != nil {
		return err
	}
	s.headed = true
	return h.Head(s, head)
}

// settings takes a part of a SETTINGS frame, RFC 9113 section 6.5.
func (c *Conn) settings(p []byte) error {
	for len(p) > 0 {
		n := copy(c.small[c.got:6], p)
		p, c.got = p[n:], c.got+n
		if c.got < 6 {
			return nil
		}
		c.got = 0
		if err := c.set(binary.BigEndian.Uint16(c.small[:]), binary.BigEndian.Uint32(c.small[2:])); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) set(id uint16, value uint32) error {
	switch id {
	case settingPush:
		if value != 0 {
			return connErrorf(ProtocolError, "SETTINGS_ENABLE_PUSH of %d by a server", value)
		}
	case settingMaxStreams:
		c.limit, c.settled = int(min(value, noLimit)), true
	case settingMaxFrame:
		if value < maxFrame || value >= 1<<24 {
			return connErrorf(ProtocolError, "SETTINGS_MAX_FRAME_SIZE of %d", value)
		}
	case settingWindow:
		return c.resize(value)
	}
	return nil
}

// resize changes the windows of all streams by as much as the one of new streams
// changes, RFC 9113 section 6.9.2.
func (c *Conn) resize(value uint32) error {
	if value > maxWindow {
		return connErrorf(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE of %d", value)
	}
	delta := int64(value) - int64(c.initial)
	c.initial = int32(value)
	for _, s := range c.streams {
		window := int64(s.window) + delta
		if window > maxWindow {
			return connErrorf(FlowControlError, "a window of %d bytes", window)
		}
		s.window = int32(window)
	}
	return nil
}

func (c *Conn) finishSettings(h Handler) {
	if c.flags&flagAck != 0 {
		return
	}
	if !c.settled { // without a word there is no limit
		c.limit, c.settled = noLimit, true
	}
	c.out = appendFrameHead(c.out, 0, frameSettings, flagAck, 0)
	c.answers += frameHeadSize
	c.upload()
	h.Changed()
}

// widen takes a WINDOW_UPDATE, RFC 9113 section 6.9.
func (c *Conn) widen(h Handler) error {
	n := int64(binary.BigEndian.Uint32(c.small[:]) &^ (1 << 31))
	s, window := c.find(c.id), &c.window
	switch {
	case s != nil:
		window = &s.window
	case c.id != 0:
		return nil
	}
	var wrong *StreamError
	switch {
	case n == 0:
		wrong = streamErrorf(ProtocolError, "a WINDOW_UPDATE of nothing")
	case int64(*window)+n > maxWindow:
		wrong = streamErrorf(FlowControlError, "a window of %d bytes", int64(*window)+n)
	default:
		*window += int32(n)
		c.upload()
		return nil
	}
	if s == nil {
		return &ConnError{wrong.Code, wrong.Text}
	}
	c.abandon(s, wrong, h)
	return nil
}

// upload makes as much of the requests' bodies ready as the windows allow.
func (c *Conn) upload() {
	for i := 0; i < len(c.uploads) && c.window > 0 && len(c.out) < fullOut; {
		if c.uploadOf(&c.uploads[i]) {
			i++
		} else {
			c.uploads[i].s.uploading = false
			c.uploads = slices.Delete(c.uploads, i, i+1)
		}
	}
}

// uploadOf returns whether something of u is left.
func (c *Conn) uploadOf(u *upload) bool {
	for c.window > 0 && u.s.window > 0 && len(c.out) < fullOut {
		n := min(len(u.rest), maxFrame, int(c.window), int(u.s.window))
		var flags uint8
		if n == len(u.rest) {
			flags = flagEndStream
		}
		c.out = append(appendFrameHead(c.out, n, frameData, flags, u.s.id), u.rest[:n]...)
		u.rest = u.rest[n:]
		c.window -= int32(n)
		u.s.window -= int32(n)
		if len(u.rest) == 0 {
			return false
		}
	}
	return true
}

// goAway takes a GOAWAY, RFC 9113 section 6.8.
func (c *Conn) goAway(h Handler) {
	c.away = &GoAwayError{
		Last: binary.BigEndian.Uint32(c.small[:]) &^ (1 << 31), Code: Code(binary.BigEndian.Uint32(c.small[4:])), Debug: string(c.debug),
	}
	c.debug = nil
	from, _ := c.place(c.away.Last + 1)
	why := *c.away
	why.Unprocessed = true
	for _, s := range slices.Clone(c.streams[from:]) {
		if c.remove(s) { // h may have cancelled it
			h.End(s, &why)
		}
	}
	h.Changed()
}
