package http2

import (
	"iter"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// MaxHeadBytes bounds the head of a response, and its trailers, in bytes as RFC 9113
// section 6.5.2 counts them: names and values, and 32 for each field.
const MaxHeadBytes = 64 << 10

// mostBlock bounds a head in its encoded form, beyond what one within MaxHeadBytes
// could take; a frame counts as no fewer than its own head.
const mostBlock = 2 * MaxHeadBytes

// mostInterim bounds how many interim responses come before a response.
const mostInterim = 100

// Head is the head of a response.
type Head struct {
	Status int
	fields []hpack.HeaderField
}

// Fields are the header fields, in order. Names are in lower case.
func (h *Head) Fields() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, f := range h.fields {
			if !f.IsPseudo() && !yield(f.Name, f.Value) {
				return
			}
		}
	}
}

// Field is the value of the first field called name, which must be in lower case.
func (h *Head) Field(name string) (value string, ok bool) {
	for n, v := range h.Fields() {
		if n == name {
			return v, true
		}
	}
	return "", false
}

// block is a head that is being read.
type block struct {
	id        uint32
	s         *Stream // nil when nobody waits for it
	fields    []hpack.HeaderField
	size      int // as MaxHeadBytes counts
	encoded   int
	endStream bool
}

// grow counts n more bytes of the encoded form.
func (b *block) grow(n int) error {
	if b.encoded += n; b.encoded > mostBlock {
		return connErrorf(EnhanceYourCalm, "a head of more than %d bytes", mostBlock)
	}
	return nil
}

// add takes a field that was decoded.
func (b *block) add(f hpack.HeaderField) {
	b.size += int(f.Size())
	if b.s != nil && b.size <= MaxHeadBytes {
		b.fields = append(b.fields, f)
	}
}

// head is what the fields say, RFC 9113 sections 8.2 and 8.3.2.
func (b *block) head() (*Head, error) {
	if b.size > MaxHeadBytes {
		return nil, streamErrorf(Cancel, "a head of more than %d bytes", MaxHeadBytes)
	}
	h := &Head{fields: b.fields}
	for i, f := range b.fields {
		if !f.IsPseudo() {
			if err := checkField(f); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case f.Name != ":status":
			return nil, streamErrorf(ProtocolError, "a response with a field %s", quote(f.Name))
		case i > 0:
			return nil, streamErrorf(ProtocolError, "%s is not the first field, or is there twice", f.Name)
		}
		status, err := strconv.Atoi(f.Value)
		if err != nil || len(f.Value) != 3 || status < 100 {
			return nil, streamErrorf(ProtocolError, "a status of %s", quote(f.Value))
		}
		h.Status = status
	}
	if h.Status == 0 {
		return nil, streamErrorf(ProtocolError, "a response without a status")
	}
	return h, nil
}

// trailers checks the fields that follow a body, RFC 9113 section 8.1. What they say
// is of no interest.
func (b *block) trailers() error {
	if !b.endStream {
		return streamErrorf(ProtocolError, "a second head")
	}
	for _, f := range b.fields {
		if f.IsPseudo() {
			return streamErrorf(ProtocolError, "trailers with a field %s", quote(f.Name))
		}
	}
	return nil
}

func checkField(f hpack.HeaderField) error {
	for i := range len(f.Name) {
		if c := f.Name[i]; c <= ' ' || c >= 0x7f || c >= 'A' && c <= 'Z' || c == ':' {
			return streamErrorf(ProtocolError, "the field name %s", quote(f.Name))
		}
	}
	if f.Name == "" || strings.ContainsAny(f.Value, "\x00\r\n") {
		return streamErrorf(ProtocolError, "the field %s with the value %s", quote(f.Name), quote(f.Value))
	}
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return streamErrorf(ProtocolError, "the field %s, which HTTP/2 does not have", f.Name)
	}
	return nil
}

// quote bounds text of a server for an error message.
func quote(text string) string {
	const most = 64
	if len(text) > most {
		return strconv.QuoteToASCII(text[:most]) + "..."
	}
	return strconv.QuoteToASCII(text)
}

// contentLength is the length that the head gives the body; -1 for none. A response
// without a body may name the length that another would have, RFC 9110 section 8.6.
func (h *Head) contentLength() (int64, error) {
	length := int64(-1)
	for name, value := range h.Fields() {
		if name != "content-length" {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 || value[0] == '+' || length >= 0 && n != length {
			return 0, streamErrorf(ProtocolError, "a content-length of %s", quote(value))
		}
		length = n
	}
	if h.Status == 204 || h.Status == 304 {
		return -1, nil
	}
	return length, nil
}
