// Package http1 parses HTTP/1.1 responses as a pure push machine: bytes in,
// one head and the decoded body out. It does no I/O, starts no goroutine and
// reads no clock, so an event loop, a goroutine per connection and a fuzzer
// can all drive it.
//
// A [Response] is one message on one connection. [Response.Write] is given
// what a read returned, however the bytes were split, and calls a [Handler]:
// once with the [Head] of the final response, then with the body as it
// arrives, free of chunk framing. [Response.End] tells it that the connection
// ended, and [Response.Reset] makes it ready for the next message on a
// connection that was kept alive.
//
//	n, err := r.Write(buf[:n], h)
//	switch {
//	case err != nil:                    // malformed, too large, or the handler's own error
//	case r.Done() && n < len(buf):      // the next message begins at buf[n]
//	case r.Done():                      // complete
//	default:                            // read more
//	}
//
// # Vocabulary
//
// The head is the status line and the header section. An interim response is
// a 1xx head that precedes the final one (RFC 9110, section 15.2). The
// framing is what says where the body ends: a length, chunks, or the end of
// the connection (RFC 9112, section 6.3).
//
// # Memory
//
// A Response is a few words, meant to be embedded by the thousand. It refers
// to heap memory only while a head has arrived in part, and after an error
// (the error). Neither a head that arrives whole nor any part of a body
// allocates. All slices handed to a Handler are borrowed, from the bytes
// given to Write or from a pool: they are valid only until the call returns.
//
// # What is accepted
//
// The rules are those of RFC 9112 for a client, strict where leniency would
// let a broken server pass unnoticed and lenient where the specification
// asks for it. Lines may end in a bare LF (section 2.2), and so may chunk
// lines; folded header lines are joined by one space (section 5.2); the
// reason phrase may be missing, with the space before it (section 4). A
// version other than HTTP/1.0 and HTTP/1.1, whitespace around a field name, a
// bare CR or a NUL in the head, contradictory lengths and transfer codings
// other than chunked are malformed. Trailer fields and chunk extensions are
// skipped unread, within bounds.
//
// A status code is any three digits: one beyond 599 reaches the handler as it
// is, with its body, for section 15 of RFC 9110 would have it treated as a
// server error, not as a broken message.
//
// # What is not covered
//
// The answers to HEAD and CONNECT, whose framing depends on the request, and
// upgrades: a 101 is malformed, since nobody here asks for one. Content codings
// (gzip) are left to the handler, which sees [Head.ContentEncoding].
package http1
