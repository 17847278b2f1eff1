package http1

import (
	"bytes"
	"fmt"
	"iter"
	"math"
)

// Head is the head of the final response. It and its slices are valid only
// during [Handler.Head]: copy what is kept.
type Head struct {
	// Status is the status code, three digits as sent; never 1xx.
	Status int
	// ContentType, Location and ContentEncoding are the values of the first
	// such fields without surrounding whitespace; nil when there is none.
	ContentType, Location, ContentEncoding []byte
	// KeepAlive says whether the connection may carry another message once
	// this one is complete (RFC 9112, section 9.3). It is also false when the
	// body ends with the connection, and when the framing is dubious: a
	// Transfer-Encoding from an HTTP/1.0 server or beside a Content-Length
	// (section 6.1), or a broken framing field on a response without a body.
	KeepAlive bool
	// Chunked says that the body is framed in chunks (RFC 9112, section 7.1).
	Chunked bool
	// ContentLength is the length in bytes of the body that follows: 0 for 204
	// and 304 whatever the field says, -1 when it is not known in advance
	// (chunks, or a body that ends with the connection).
	ContentLength int64

	fields []byte // the header section: validated, unfolded, without the empty line
}

// Field returns the value of the first field of that name, in any case, and
// whether there is one. It does not allocate.
func (h *Head) Field(name string) ([]byte, bool) {
	for rest := h.fields; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		n, v := splitField(line)
		if equalFold(n, name) {
			return v, true
		}
	}
	return nil, false
}

// Fields iterates over names and values in the order they were sent, names in
// the case they were sent, for fields that repeat (Set-Cookie). It does not
// allocate.
func (h *Head) Fields() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for rest := h.fields; len(rest) > 0; {
			var line []byte
			line, rest = cutLine(rest)
			if !yield(splitField(line)) {
				return
			}
		}
	}
}

// framing collects the fields that decide where the body ends and whether the
// connection outlives it.
type framing struct {
	length       int64 // of Content-Length, -1 without
	lengthErr    error
	coded        bool // there is a Transfer-Encoding
	chunked      bool // and chunked has been seen in it
	codingErr    error
	close, alive bool // connection options
}

// parse reads a whole head, which ends in its empty line. Where lines are
// folded they are joined in buf, which may share its memory with raw; parse
// returns buf for reuse.
func (h *Head) parse(raw, buf []byte) ([]byte, error) {
	folded, err := checkLines(raw)
	if err != nil {
		return buf, err
	}
	if folded {
		buf = unfold(buf[:0], raw)
		raw = buf
	}
	line, rest := cutLine(raw)
	minor, err := h.parseStatusLine(line)
	if err != nil {
		return buf, err
	}
	f := framing{length: -1}
	for start := rest; ; {
		line, next := cutLine(rest)
		if len(line) == 0 {
			h.fields = start[:len(start)-len(rest)]
			break
		}
		rest = next
		if err := h.parseField(line, &f); err != nil {
			return buf, err
		}
	}
	return buf, h.frame(minor, &f)
}

// parseStatusLine reads what RFC 9112, section 4, calls the status line. Its
// first nine bytes, version and space, have been checked as they arrived.
func (h *Head) parseStatusLine(line []byte) (minor byte, err error) {
	const code = len("HTTP/1.1 ")
	if len(line) < code+3 || len(line) > code+3 && line[code+3] != ' ' {
		return 0, malformed("status line", line)
	}
	for _, c := range line[code : code+3] {
		if c < '0' || c > '9' {
			return 0, malformed("status code", line)
		}
		h.Status = h.Status*10 + int(c-'0')
	}
	return line[code-2] - '0', nil
}

func (h *Head) parseField(line []byte, f *framing) error {
	name, value := splitField(line)
	if len(name) == len(line) {
		return malformed("header line without a colon", line)
	}
	if len(name) == 0 {
		return malformed("header line with an empty name", line)
	}
	for _, c := range name {
		if tokenByte[c] {
			continue
		}
		if last := name[len(name)-1]; last == ' ' || last == '\t' {
			// RFC 9112, section 5.1: no whitespace before the colon.
			return malformed("whitespace between a header name and its colon", line)
		}
		return malformed("header name", line)
	}
	switch len(name) {
	case len("location"):
		if h.Location == nil && equalFold(name, "location") {
			h.Location = value
		}
	case len("connection"):
		if equalFold(name, "connection") {
			f.connection(value)
		}
	case len("content-type"):
		if h.ContentType == nil && equalFold(name, "content-type") {
			h.ContentType = value
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			f.contentLength(value)
		}
	case len("content-encoding"):
		if h.ContentEncoding == nil && equalFold(name, "content-encoding") {
			h.ContentEncoding = value
		}
	case len("transfer-encoding"):
		if equalFold(name, "transfer-encoding") {
			f.transferEncoding(value)
		}
	}
	return nil
}

func (f *framing) connection(value []byte) {
	for more := true; more; {
		var option []byte
		option, value, more = cutElement(value)
		f.close = f.close || equalFold(option, "close")
		f.alive = f.alive || equalFold(option, "keep-alive")
	}
}

// contentLength accepts a list and repeated fields as long as all values are
// the same number (RFC 9112, section 6.3, item 5).
func (f *framing) contentLength(value []byte) {
	for rest, more := value, true; more && f.lengthErr == nil; {
		var digits []byte
		digits, rest, more = cutElement(rest)
		n, ok := parseLength(digits)
		switch {
		case !ok:
			f.lengthErr = malformed("Content-Length", value)
		case f.length >= 0 && f.length != n:
			f.lengthErr = fmt.Errorf("%w: Content-Length is both %d and %d", ErrMalformed, f.length, n)
		}
		f.length = n
	}
}

// transferEncoding accepts chunked, once, and nothing else: every other coding
// would hand the body on still encoded, and parameters are not defined for
// chunked (RFC 9112, section 7.1).
func (f *framing) transferEncoding(value []byte) {
	f.coded = true
	for more := true; more && f.codingErr == nil; {
		var coding []byte
		coding, value, more = cutElement(value)
		switch {
		case len(coding) == 0:
			// An empty list element, to be ignored (RFC 9110, section 5.6.1.2).
		case !equalFold(coding, "chunked"):
			f.codingErr = malformed("unsupported transfer coding", coding)
		case f.chunked:
			f.codingErr = malformed("transfer coding applied twice", coding)
		default:
			f.chunked = true
		}
	}
}

// frame decides where the body ends, in the order of RFC 9112, section 6.3,
// and whether another message can follow (section 9.3). A field that the order
// never asks for cannot make the message malformed, but it does end the trust
// in the connection.
func (h *Head) frame(minor byte, f *framing) error {
	if f.coded && !f.chunked && f.codingErr == nil {
		f.codingErr = fmt.Errorf("%w: empty Transfer-Encoding", ErrMalformed)
	}
	h.KeepAlive = !f.close && (minor >= 1 || f.alive)
	if f.codingErr != nil || f.lengthErr != nil || f.coded && (minor == 0 || f.length >= 0) {
		h.KeepAlive = false
	}
	switch {
	case h.Status >= 100 && h.Status < 200 || h.Status == 204 || h.Status == 304:
		h.ContentLength = 0
	case f.coded:
		h.Chunked, h.ContentLength = true, -1
		return f.codingErr
	case f.lengthErr != nil:
		return f.lengthErr
	case f.length >= 0:
		h.ContentLength = f.length
	default:
		h.ContentLength = -1
		h.KeepAlive = false
	}
	return nil
}

// checkLines looks for what must not be anywhere in a head and tells whether
// any header line is folded.
func checkLines(raw []byte) (folded bool, err error) {
	for rest, n := raw, 0; len(rest) > 0; n++ {
		line, next := cutLine(rest)
		// RFC 9112, section 2.2, and RFC 9110, section 5.5.
		if bytes.IndexByte(line, '\r') >= 0 {
			return false, malformed("a bare CR in the head", line)
		}
		if bytes.IndexByte(line, 0) >= 0 {
			return false, malformed("a NUL in the head", line)
		}
		if len(line) > 0 && isSpace(line[0]) {
			if n == 1 {
				// There is nothing it could continue (RFC 9112, section 2.2).
				return false, malformed("whitespace before the first header", line)
			}
			folded = true
		}
		rest = next
	}
	return folded, nil
}

// unfold appends src to dst with each line fold, and the whitespace around it,
// turned into one space (RFC 9112, section 5.2). The result is never longer
// than src at any point, so dst may be src[:0].
func unfold(dst, src []byte) []byte {
	for len(src) > 0 {
		var line []byte
		line, src = cutLine(src)
		if len(line) > 0 && isSpace(line[0]) {
			dst[len(dst)-1] = ' ' // in place of the LF of the line continued
		}
		dst = append(dst, trimSpace(line)...)
		dst = append(dst, '\n')
	}
	return dst
}

// cutLine cuts b after its first LF and returns the line without its LF or
// CRLF. There is always one: a head is parsed when it is complete.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	line, rest = b[:i], b[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest
}

// splitField cuts a header line at its colon and trims the value. Without a
// colon the name is the whole line.
func splitField(line []byte) (name, value []byte) {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return line, nil
	}
	return line[:i], trimSpace(line[i+1:])
}

// cutElement cuts the first element, trimmed, off a comma-separated list, and
// tells whether there was a comma and so another element.
func cutElement(list []byte) (element, rest []byte, more bool) {
	i := bytes.IndexByte(list, ',')
	if i < 0 {
		return trimSpace(list), nil, false
	}
	return trimSpace(list[:i]), list[i+1:], true
}

// parseLength parses decimal digits alone: no sign, no space, no overflow.
func parseLength(digits []byte) (n int64, ok bool) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := int64(c - '0')
		if n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(digits) > 0
}

// trimSpace trims optional whitespace, which is space and tab alone (RFC 9110,
// section 5.6.3).
func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// equalFold compares ASCII without regard to case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if lower(c) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
