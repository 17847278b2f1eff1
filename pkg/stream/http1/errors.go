package http1

import (
	"errors"
	"fmt"
	"strconv"
)

// The errors of this package. What [Response.Write] and [Response.End] return
// wraps one of them and says what was found, unless it is the handler's own.
var (
	// ErrMalformed: the bytes break the rules of HTTP/1.1, are not HTTP at all,
	// or use a feature that is not supported.
	ErrMalformed = errors.New("malformed http response")
	// ErrHeadTooLarge: the head, interim responses included, or the trailer
	// section exceeds [MaxHeadBytes].
	ErrHeadTooLarge = errors.New("http response head too large")
	// ErrClosedEarly: the connection ended before the message did.
	ErrClosedEarly = errors.New("connection closed early")
)

// excerptBytes bounds what of a server's bytes is repeated in an error.
const excerptBytes = 64

// excerpt quotes the start of b in plain ASCII, safe for a terminal.
func excerpt(b []byte) string {
	if len(b) <= excerptBytes {
		return strconv.QuoteToASCII(string(b))
	}
	return strconv.QuoteToASCII(string(b[:excerptBytes])) + "..."
}

// malformed is an ErrMalformed that says what is wrong and quotes where.
func malformed(what string, found []byte) error {
	return fmt.Errorf("%w: %s: %s", ErrMalformed, what, excerpt(found))
}

// notHTTP is the error for a first line that cannot be one of HTTP/1.x; b is
// what has arrived of it. It is given before the line is complete: a server of
// another protocol may well send a few bytes and then wait.
func notHTTP(b []byte) error {
	switch {
	case len(b) > 5 && string(b[:5]) == "HTTP/":
		return malformed("the status line is not one of HTTP/1.0 or HTTP/1.1", b)
	case b[0] >= 0x14 && b[0] <= 0x17 && (len(b) < 2 || b[1] == 3):
		// A TLS record: type, then major version 3 (RFC 8446, section 5.1).
		return malformed("not HTTP but TLS", b)
	}
	return malformed("not HTTP", b)
}
