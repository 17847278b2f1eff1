package http1

import (
	"bytes"
	"fmt"
	"math"
	"sync"
)

const (
	// MaxHeadBytes bounds the head of a response, interim responses included,
	// and, apart from it, the trailer section of a chunked body.
	MaxHeadBytes = 64 << 10

	// maxExtensionBytes bounds what may follow the size in a chunk's first
	// line. Extensions carry nothing for this client (RFC 9112, section 7.1.1,
	// asks for a limit); without one a line could go on for ever.
	maxExtensionBytes = 4 << 10

	// maxSizeDigits bounds the digits of a chunk size, leading zeros included.
	maxSizeDigits = 16

	// keptHeadBytes bounds the buffers that return to the pool, so that one
	// server with huge heads does not pin memory for the rest of a run.
	keptHeadBytes = 8 << 10
)

// Handler receives a response. Its methods are called from [Response.Write],
// on its goroutine. They must not call methods of the Response.
type Handler interface {
	// Head is called once, with the head of the final response; h and its
	// slices are valid until it returns. An error ends parsing and is returned
	// from Write as it is.
	Head(h *Head) error
	// Body is called with the next bytes of the body, at least one, free of
	// chunk framing and split in any way; p is valid until it returns and must
	// not be changed. An error ends parsing and is returned from Write as it is.
	Body(p []byte) error
}

// Response parses one response after another on one connection. The zero
// value is ready for the first. It is not safe for concurrent use, and must
// not be copied while a head has arrived in part.
type Response struct {
	held   *scratch // of a head that has arrived in part
	err    error    // that ended parsing
	left   int64    // bytes of the body or the chunk still to come; while its line is read, the chunk's size so far
	count  uint32   // bytes of this head, chunk extension or trailer section so far
	state  state
	line   line  // where the scan of a head or trailer section stands
	digits uint8 // of the chunk size so far
}

// state is what the next byte belongs to.
type state uint8

const (
	inHead     state = iota
	inSized          // a body of known length
	inUnsized        // a body that ends with the connection
	inSize           // the digits of a chunk size
	inSizePad        // whitespace after them
	inExt            // a chunk extension
	inSizeLF         // the LF after a chunk line's CR
	inChunk          // a chunk's data
	afterChunk       // the line end after it
	inChunkLF        // the LF of that line end
	inTrailer
	done
)

// scratch is what the parsing of a head needs on the heap: the Head itself,
// since it is passed through an interface, and the bytes of a head in parts.
type scratch struct {
	head Head
	buf  []byte
}

//nolint:gochecknoglobals // A pool is of use only if every connection shares it.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

func takeScratch() *scratch { return scratches.Get().(*scratch) }

func (s *scratch) release() {
	s.head = Head{} // it refers to the caller's bytes
	if cap(s.buf) > keptHeadBytes {
		s.buf = nil
	}
	s.buf = s.buf[:0]
	scratches.Put(s)
}

// Write parses p, the next bytes of the connection, and calls h with what they
// complete. It returns how many bytes belong to this message: n < len(p) with
// a nil error means that the message is complete and p[n:] follows it. The
// bytes of p are neither changed nor kept.
//
// An error wraps [ErrMalformed] or [ErrHeadTooLarge], or is the handler's own.
// It is final: Write returns it again until Reset. Where in p it was noticed,
// and so n beside it, may depend on how the bytes were split.
func (r *Response) Write(p []byte, h Handler) (n int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	for n < len(p) && r.state != done {
		var m int
		switch r.state {
		case inHead:
			m, err = r.writeHead(p[n:], h)
		case inSized:
			m, err = r.writeData(p[n:], h, done)
		case inUnsized:
			m, err = len(p)-n, h.Body(p[n:])
		default:
			m, err = r.writeChunks(p[n:], h)
		}
		n += m
		if err != nil {
			r.fail(err)
			return n, err
		}
	}
	return n, nil
}

// Done reports whether the message is complete.
func (r *Response) Done() bool { return r.state == done && r.err == nil }

// HeadDone reports whether the head of the final response has been parsed.
func (r *Response) HeadDone() bool { return r.state != inHead }

// End says that the connection has ended. It returns nil when the message is
// complete, and when its body is one that ends with the connection (RFC 9112,
// section 6.3, item 8), which it then is. Otherwise it returns an error that
// wraps [ErrClosedEarly] and says where (section 8), or the error that had
// ended parsing before.
func (r *Response) End() error {
	if r.err != nil || r.state == done {
		return r.err
	}
	if r.state == inUnsized {
		r.state = done
		return nil
	}
	var where string
	switch r.state {
	case inHead:
		switch {
		case r.held != nil:
			where = fmt.Sprintf("within the head, after %d bytes", r.count)
		case r.count > 0:
			where = "after an interim response, before the final one"
		default:
			where = "before a response"
		}
	case inSized:
		where = fmt.Sprintf("%d bytes short of the Content-Length", r.left)
	case inChunk:
		where = fmt.Sprintf("within a chunk, %d bytes short", r.left)
	case afterChunk, inChunkLF:
		where = "within a chunk, before the line end after its data"
	case inTrailer:
		where = "within the trailer section"
	default:
		where = "within a chunk size line"
		if r.state == inSize && r.digits == 0 {
			where = "between chunks, before the last one"
		}
	}
	r.fail(fmt.Errorf("%w: %s", ErrClosedEarly, where))
	return r.err
}

// Reset makes r ready for the next message on the connection, whatever became
// of the last.
func (r *Response) Reset() {
	r.drop()
	*r = Response{}
}

func (r *Response) fail(err error) {
	r.drop()
	r.err = err
}

// drop gives the buffer of an unfinished head back.
func (r *Response) drop() {
	if r.held != nil {
		r.held.release()
		r.held = nil
	}
}

// writeHead takes p up to the end of the head that it belongs to.
func (r *Response) writeHead(p []byte, h Handler) (n int, err error) {
	if err := r.checkStart(p); err != nil {
		return 0, err
	}
	end, line := scanLines(p, r.line)
	n = end
	if end < 0 {
		n = len(p)
	}
	if n > MaxHeadBytes-int(r.count) {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrHeadTooLarge, MaxHeadBytes)
	}
	r.count += uint32(n)
	r.line = line
	if end < 0 {
		if r.held == nil {
			r.held = takeScratch()
		}
		r.held.buf = append(r.held.buf, p...)
		return n, nil
	}

	s, raw := r.held, p[:n]
	if s == nil {
		s = takeScratch()
	} else {
		s.buf = append(s.buf, raw...)
		raw = s.buf
		r.held = nil
	}
	err = r.finishHead(s, raw, h)
	s.release()
	return n, err
}

// finishHead parses a whole head and hands it on, unless it is an interim one.
func (r *Response) finishHead(s *scratch, raw []byte, h Handler) (err error) {
	head := &s.head
	if s.buf, err = head.parse(raw, s.buf); err != nil {
		return err
	}
	if head.Status == 101 {
		return fmt.Errorf("%w: unexpected upgrade, status 101", ErrMalformed)
	}
	if head.Status >= 100 && head.Status < 200 {
		return nil // count goes on: the limit is on all heads together
	}
	r.count = 0
	switch {
	case head.Chunked:
		r.state = inSize
	case head.ContentLength > 0:
		r.state, r.left = inSized, head.ContentLength
	case head.ContentLength == 0:
		r.state = done
	default:
		r.state = inUnsized
	}
	return h.Head(head)
}

// checkStart compares the first bytes of a head, as they arrive, with what
// every head begins with.
func (r *Response) checkStart(p []byte) error {
	const start = "HTTP/1.x "
	var held []byte
	if r.held != nil {
		held = r.held.buf
	}
	for i, c := range p[:min(len(p), max(0, len(start)-len(held)))] {
		want := start[len(held)+i]
		if c != want && (want != 'x' || c != '0' && c != '1') {
			return notHTTP(append(bytes.Clone(held), p[:min(len(p), excerptBytes+1)]...))
		}
	}
	return nil
}

// line is what the current line consists of so far, as far as it takes to see
// an empty one.
type line uint8

const (
	lineEmpty line = iota
	lineCR         // a CR alone
	lineText       // anything else
)

// scanLines looks for the end of the first empty line, which ends a head or a
// trailer section; l carries the state from one piece to the next. It returns
// the index after it, or -1.
func scanLines(p []byte, l line) (end int, next line) {
	for i := 0; i < len(p); {
		j := bytes.IndexByte(p[i:], '\n')
		piece := p[i:]
		if j >= 0 {
			piece = p[i : i+j]
		}
		switch {
		case len(piece) == 0:
		case l == lineEmpty && len(piece) == 1 && piece[0] == '\r':
			l = lineCR
		default:
			l = lineText
		}
		if j < 0 {
			return -1, l
		}
		i += j + 1
		if l != lineText {
			return i, lineEmpty
		}
		l = lineEmpty
	}
	return -1, l
}

// writeData takes what p holds of the r.left bytes of data to come; after the
// last of them the state is next.
func (r *Response) writeData(p []byte, h Handler, next state) (int, error) {
	if int64(len(p)) >= r.left {
		p = p[:r.left]
		r.state = next
	}
	r.left -= int64(len(p))
	return len(p), h.Body(p)
}

// writeChunks takes p up to the end of a chunked body (RFC 9112, section 7.1)
// with its trailer section.
func (r *Response) writeChunks(p []byte, h Handler) (n int, err error) {
	for n < len(p) {
		switch r.state {
		case inSize:
			if r.digits == 0 {
				var m int
				if m, err = writeWholeChunks(p[n:], h); m > 0 || err != nil {
					n += m
					if err != nil {
						return n, err
					}
					continue
				}
			}
			err = r.chunkSize(p[n:])
			n++
		case inChunk:
			var m int
			m, err = r.writeData(p[n:], h, afterChunk)
			n += m
		case inTrailer:
			end, line := scanLines(p[n:], r.line)
			r.line = line
			m := end
			if end < 0 {
				m = len(p) - n
			}
			if m > MaxHeadBytes-int(r.count) {
				return n, fmt.Errorf("%w: a trailer section of more than %d bytes", ErrHeadTooLarge, MaxHeadBytes)
			}
			r.count += uint32(m)
			n += m
			if end >= 0 {
				r.state = done
				return n, nil
			}
		default:
			err = r.chunkLine(p[n:])
			n++
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// writeWholeChunks is the fast path: chunks that lie in p from size to final
// line end, in the form that servers send. It stops at the first that is
// anything else, and leaves it to the state machine. It returns the bytes
// taken.
func writeWholeChunks(p []byte, h Handler) (n int, err error) {
	const maxDigits = 7 // fits an int everywhere
	for {
		size, i := 0, n
		for i < len(p) {
			d := hexDigit[p[i]]
			if d == 0 {
				break
			}
			size = size<<4 | int(d-1)
			i++
			if i-n > maxDigits {
				return n, nil
			}
		}
		// A size of 0 is the last chunk, or no digits at all.
		if size == 0 || len(p)-i < size+4 || p[i] != '\r' || p[i+1] != '\n' {
			return n, nil
		}
		data := p[i+2 : i+2+size]
		i += 2 + size
		if p[i] != '\r' || p[i+1] != '\n' {
			return n, nil
		}
		n = i + 2
		if err := h.Body(data); err != nil {
			return n, err
		}
	}
}

// chunkSize takes p[0] in the digits of a chunk size.
func (r *Response) chunkSize(p []byte) error {
	d := hexDigit[p[0]]
	if d == 0 {
		if r.digits == 0 {
			return malformed("no chunk size where one is due", p)
		}
		r.count = 0
		r.state = inSizePad
		return r.chunkLine(p)
	}
	if r.digits == maxSizeDigits {
		return malformed(fmt.Sprintf("a chunk size of more than %d digits, going on", maxSizeDigits), p)
	}
	if r.left > math.MaxInt64>>4 {
		return malformed(fmt.Sprintf("a chunk size beyond 63 bits, %#x, going on", r.left), p)
	}
	r.left = r.left<<4 | int64(d-1)
	r.digits++
	return nil
}

// chunkLine takes p[0] in what surrounds a chunk: the rest of its size line,
// and the line end after its data.
func (r *Response) chunkLine(p []byte) error {
	c := p[0]
	switch r.state {
	case inSizePad, inExt:
		r.count++
		switch {
		case c == '\n':
			r.sizeDone()
		case c == '\r':
			r.state = inSizeLF
		case r.count > maxExtensionBytes:
			return malformed(fmt.Sprintf("a chunk extension of more than %d bytes, going on", maxExtensionBytes), p)
		case r.state == inExt || isSpace(c):
		case c == ';':
			r.state = inExt
		default:
			return malformed("a chunk size followed by", p)
		}
	case inSizeLF:
		if c != '\n' {
			return malformed("a bare CR in a chunk size line, before", p)
		}
		r.sizeDone()
	case afterChunk:
		switch c {
		case '\n':
			r.nextChunk()
		case '\r':
			r.state = inChunkLF
		default:
			return malformed("a chunk longer than its size, going on", p)
		}
	case inChunkLF:
		if c != '\n' {
			return malformed("a bare CR after a chunk, before", p)
		}
		r.nextChunk()
	}
	return nil
}

// sizeDone ends the size line of a chunk. The last chunk has the size 0 and
// the trailer section after it.
func (r *Response) sizeDone() {
	if r.left > 0 {
		r.state = inChunk
		return
	}
	r.state, r.count, r.line = inTrailer, 0, lineEmpty
}

func (r *Response) nextChunk() {
	r.state, r.left, r.digits = inSize, 0, 0
}
