package testserver

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrField is returned for a field value that the format cannot carry: an
// event type or a comment with a line break, an id with a line break or a NUL.
var ErrField = errors.New("value cannot stand in one field")

// Event is one message of an event stream, as WHATWG HTML section 9.2 defines
// it. Data may be any bytes: each LF, CRLF or CR in it is a line break, and a
// client reads it back as LF.
type Event struct {
	ID   string // left out when empty
	Type string // left out when empty; clients then dispatch "message"
	Data []byte // only read during the call that takes the event
}

// AppendEvent appends ev, with the blank line that dispatches it, to dst and
// returns the extended slice. An event with empty data is still dispatched.
func AppendEvent(dst []byte, ev Event) ([]byte, error) {
	if err := checkField("event type", ev.Type); err != nil {
		return dst, err
	}
	if err := checkField("event id", ev.ID); err != nil {
		return dst, err
	}
	if strings.ContainsRune(ev.ID, 0) {
		return dst, fmt.Errorf("event id %q: %w: clients ignore an id with a NUL", ev.ID, ErrField)
	}
	if ev.ID != "" {
		dst = append(dst, "id: "...)
		dst = append(dst, ev.ID...)
		dst = append(dst, '\n')
	}
	return appendBody(dst, ev.Type, ev.Data), nil
}

// AppendRetry appends a retry field, in whole milliseconds, and a blank line.
func AppendRetry(dst []byte, d time.Duration) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, d.Milliseconds(), 10)
	return append(dst, "\n\n"...)
}

// AppendComment appends a comment line, which clients skip, and a blank line.
func AppendComment(dst []byte, text string) ([]byte, error) {
	if err := checkField("comment", text); err != nil {
		return dst, err
	}
	dst = append(dst, ": "...)
	dst = append(dst, text...)
	return append(dst, "\n\n"...), nil
}

func checkField(what, value string) error {
	if strings.ContainsAny(value, "\r\n") {
		return fmt.Errorf("%s %q: %w: it has a line break", what, value, ErrField)
	}
	return nil
}

// appendNumbered appends an event whose id is a number; typ has been checked.
// An id of 0 is left out.
func appendNumbered(dst []byte, id uint64, typ string, data []byte) []byte {
	if id != 0 {
		dst = append(dst, "id: "...)
		dst = strconv.AppendUint(dst, id, 10)
		dst = append(dst, '\n')
	}
	return appendBody(dst, typ, data)
}

// appendBody appends event type, data and the dispatching blank line.
func appendBody(dst []byte, typ string, data []byte) []byte {
	if typ != "" {
		dst = append(dst, "event: "...)
		dst = append(dst, typ...)
		dst = append(dst, '\n')
	}
	for more := true; more; {
		segment := data
		lf := bytes.IndexByte(data, '\n')
		if more = lf >= 0; more {
			// The CR of a CRLF belongs to this line break, not to the line.
			segment = bytes.TrimSuffix(data[:lf], []byte{'\r'})
			data = data[lf+1:]
		}
		for {
			cr := bytes.IndexByte(segment, '\r')
			if cr < 0 {
				break
			}
			dst = appendLine(dst, segment[:cr])
			segment = segment[cr+1:]
		}
		dst = appendLine(dst, segment)
	}
	return append(dst, '\n')
}

// appendLine appends one data line. The space is always written, so that a
// line that begins with a space keeps it (a client strips one).
func appendLine(dst, line []byte) []byte {
	dst = append(dst, "data: "...)
	dst = append(dst, line...)
	return append(dst, '\n')
}

// frame is a piece of the stream, encoded once for all members: wire with
// chunked framing (RFC 9112 section 7.1), event without, both in one array.
type frame struct {
	wire  []byte
	event []byte
}

const (
	// chunkHeader is the longest chunk header written: eight hex digits, CRLF.
	chunkHeader = 10
	lastChunk   = "0\r\n\r\n"
)

// startFrame empties buf and leaves room for the chunk header.
func startFrame(buf []byte) []byte {
	var space [chunkHeader]byte
	return append(buf[:0], space[:]...)
}

// closeFrame frames the stream text appended to a buffer from startFrame.
// The frame lives in the buffer that is returned with it.
func closeFrame(buf []byte) (frame, []byte) {
	end := len(buf)
	var digits [16]byte
	hex := strconv.AppendUint(digits[:0], uint64(end-chunkHeader), 16)
	begin := chunkHeader - 2 - len(hex)
	copy(buf[begin:], hex)
	buf[chunkHeader-2], buf[chunkHeader-1] = '\r', '\n'
	buf = append(buf, "\r\n"...)
	return frame{wire: buf[begin:], event: buf[chunkHeader:end]}, buf
}

// clone copies the frame out of a buffer that will be used again.
func (f frame) clone() frame {
	wire := bytes.Clone(f.wire)
	begin := len(f.wire) - 2 - len(f.event)
	return frame{wire: wire, event: wire[begin : begin+len(f.event)]}
}
