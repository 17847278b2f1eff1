package http2

import (
	"bytes"
	"fmt"

	"golang.org/x/net/http2/hpack"
)

// Encoder compresses the heads of requests, RFC 7541, without a dynamic table: what
// it encodes does not depend on what went before, so that one serves any number of
// connections. It is for one goroutine at a time.
type Encoder struct {
	enc *hpack.Encoder
	buf bytes.Buffer
}

// sizeUpdate sets the size of the dynamic table to 0, RFC 7541 section 6.3. It
// stands before the first block of each connection, so that a server whose table is
// smaller than the default waits for no other.
const sizeUpdate = 0x20

// NewEncoder makes an Encoder.
func NewEncoder() *Encoder {
	e := &Encoder{}
	e.enc = hpack.NewEncoder(&e.buf)
	e.enc.SetMaxDynamicTableSizeLimit(0)
	// The encoder itself says once what sizeUpdate says to each connection.
	_ = e.enc.WriteField(hpack.HeaderField{Name: "x"}) // into memory
	e.buf.Reset()
	return e
}

// Reset begins a new head.
func (e *Encoder) Reset() { e.buf.Reset() }

// Field adds a header field. name must be in lower case, RFC 9113 section 8.2.1.
// The value of a secret one is marked as such to those on the way, RFC 7541 section
// 7.1.3.
func (e *Encoder) Field(name, value string, secret bool) error {
	err := e.enc.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: secret})
	if err != nil {
		return fmt.Errorf("encode field %s: %w", name, err)
	}
	return nil
}

// Block is the head as it stands, for [Conn.Open]. It is valid until Reset.
func (e *Encoder) Block() []byte { return e.buf.Bytes() }
