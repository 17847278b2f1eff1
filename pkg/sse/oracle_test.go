package sse_test

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/sseload/sseload/pkg/sse"
)

// call is one call of a sink, as text that a failing test can show.
type call string

func eventCall(typ, data, id string) call {
	return call(fmt.Sprintf("event type=%q data=%q id=%q", typ, data, id))
}

func commentCall(text string) call { return call(fmt.Sprintf("comment %q", text)) }

func retryCall(d time.Duration) call { return call(fmt.Sprintf("retry %d", d)) }

// outcome is all that a stream did to its user.
type outcome struct {
	calls    []call
	lastID   string
	tooLarge bool
}

func (o outcome) String() string {
	var b strings.Builder
	for _, c := range o.calls {
		fmt.Fprintf(&b, "\n\t%s", c)
	}
	fmt.Fprintf(&b, "\n\tlast event ID %q, too large: %t", o.lastID, o.tooLarge)
	return b.String()
}

// interpret is the oracle: sections 9.2.5 and 9.2.6 read aloud, over a whole
// stream, with no care for time or memory. It works on the bytes of text, whether
// or not they are decoded yet. With limit > 0 it also keeps the size rule that the
// package adds.
func interpret(text string, limit int) outcome {
	var (
		out         outcome
		lastEventID string // of the EventSource object
		dataBuffer  string
		typeBuffer  string
		idBuffer    string
		idInFlight  string // what the open event holds of an id, for the limit
	)
	tooLarge := func(line string) bool {
		return limit > 0 && len(dataBuffer)+len(typeBuffer)+len(idInFlight)+len(line) > limit
	}
	for {
		// end-of-line = ( cr lf / cr / lf )
		n := strings.IndexAny(text, "\r\n")
		if n < 0 {
			// "Once the end of the file is reached, any pending data must be
			// discarded."
			out.tooLarge = tooLarge(text)
			break
		}
		line := text[:n]
		if strings.HasPrefix(text[n:], "\r\n") {
			n++
		}
		text = text[n+1:]
		if tooLarge(line) {
			out.tooLarge = true
			break
		}

		if line == "" {
			lastEventID = idBuffer
			idInFlight = ""
			if dataBuffer == "" {
				typeBuffer = ""
				continue
			}
			data := strings.TrimSuffix(dataBuffer, "\n")
			typ := "message"
			if typeBuffer != "" {
				typ = typeBuffer
			}
			dataBuffer, typeBuffer = "", ""
			out.calls = append(out.calls, eventCall(typ, data, lastEventID))
			continue
		}
		if strings.HasPrefix(line, ":") {
			out.calls = append(out.calls, commentCall(line[1:]))
			continue
		}
		field, value, hasColon := strings.Cut(line, ":")
		if hasColon {
			value = strings.TrimPrefix(value, " ")
		}
		switch field {
		case "event":
			typeBuffer = value
		case "data":
			dataBuffer += value
			dataBuffer += "\n"
		case "id":
			if !strings.Contains(value, "\x00") {
				idBuffer = value
				idInFlight = value
			}
		case "retry":
			if value == "" || strings.Trim(value, "0123456789") != "" {
				continue
			}
			ms, _ := new(big.Int).SetString(value, 10)
			ns := ms.Mul(ms, big.NewInt(1e6))
			if ns.IsInt64() {
				out.calls = append(out.calls, retryCall(time.Duration(ns.Int64())))
			} else {
				out.calls = append(out.calls, retryCall(1<<63-1))
			}
		}
	}
	out.lastID = lastEventID
	return out
}

const byteOrderMark = "\xEF\xBB\xBF"

// stripBOM is the first step of "UTF-8 decode". A stream that ends within the
// mark holds no text that could matter.
func stripBOM(stream string) string {
	if strings.HasPrefix(byteOrderMark, stream) {
		return ""
	}
	return strings.TrimPrefix(stream, byteOrderMark)
}

// utf8Decode is the UTF-8 decoder of the Encoding standard, section 8.1.1, its
// handler step by step, with error mode "replacement".
func utf8Decode(stream string) string {
	var (
		out         []rune
		codePoint   rune
		bytesSeen   int
		bytesNeeded int
		lower       byte = 0x80
		upper       byte = 0xBF
	)
	for i := 0; i < len(stream); i++ {
		b := stream[i]
		if bytesNeeded == 0 {
			switch {
			case b <= 0x7F:
				out = append(out, rune(b))
			case b >= 0xC2 && b <= 0xDF:
				bytesNeeded = 1
				codePoint = rune(b & 0x1F)
			case b >= 0xE0 && b <= 0xEF:
				if b == 0xE0 {
					lower = 0xA0
				}
				if b == 0xED {
					upper = 0x9F
				}
				bytesNeeded = 2
				codePoint = rune(b & 0xF)
			case b >= 0xF0 && b <= 0xF4:
				if b == 0xF0 {
					lower = 0x90
				}
				if b == 0xF4 {
					upper = 0x8F
				}
				bytesNeeded = 3
				codePoint = rune(b & 0x7)
			default:
				out = append(out, 0xFFFD)
			}
			continue
		}
		if b < lower || b > upper {
			codePoint, bytesNeeded, bytesSeen = 0, 0, 0
			lower, upper = 0x80, 0xBF
			i-- // restore byte to the stream
			out = append(out, 0xFFFD)
			continue
		}
		lower, upper = 0x80, 0xBF
		codePoint = codePoint<<6 | rune(b&0x3F)
		bytesSeen++
		if bytesSeen != bytesNeeded {
			continue
		}
		out = append(out, codePoint)
		codePoint, bytesNeeded, bytesSeen = 0, 0, 0
	}
	if bytesNeeded != 0 {
		out = append(out, 0xFFFD)
	}
	return string(out)
}

// recorder is a sink that keeps copies, as they came or as valid UTF-8.
type recorder struct {
	calls []call
	valid bool
}

func (r *recorder) text(b []byte) string {
	if r.valid {
		return string(sse.ToValid(b))
	}
	return string(b)
}

func (r *recorder) Event(e sse.Event) {
	r.calls = append(r.calls, eventCall(r.text(e.Type), r.text(e.Data), r.text(e.ID)))
}

func (r *recorder) Comment(text []byte) {
	r.calls = append(r.calls, commentCall(r.text(text)))
}

func (r *recorder) Retry(d time.Duration) {
	r.calls = append(r.calls, retryCall(d))
}
