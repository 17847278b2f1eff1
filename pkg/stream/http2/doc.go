// Package http2 is the client's side of an HTTP/2 connection (RFC 9113) as a pure
// push machine: bytes in, response heads and bodies out, and the frames that are
// to be written in a buffer to take. It does no I/O, starts no goroutine and reads
// no clock, so that an event loop, a goroutine per connection and a fuzzer can all
// drive it.
//
// A [Conn] is one connection, from [Conn.Start] on. [Conn.Open] sends a request on
// a [Stream] that the caller has memory for, [Conn.Write] is given what a read
// returned, however the bytes were split, and tells a [Handler] what came on which
// stream. Whenever one of these has been called, what [Conn.Take] returns is to be
// written, in order. [Conn.Ended] says what the end of the connection means, and
// [Conn.Close] ends the streams that are left.
//
// # Vocabulary
//
// A stream carries one request and its response. It is over when the server has
// ended it, when either side has reset it, or when the connection is over. A
// stream error concerns one stream, a connection error all of them (RFC 9113,
// section 5.4). A server that goes away (GOAWAY) answers the streams that it has
// begun to process, and no further ones.
//
// # Memory
//
// A Stream is a few words, meant to be embedded by the thousand, and an idle Conn
// about half a KiB. No frame is held: the data of a stream are handed on as they
// arrive, and what the header compression needs is bounded by [MaxHeadBytes]. No
// DATA frame allocates. What the machine has to answer (acknowledgements, updates
// of windows) is bounded as well: a server that provokes more than it reads is cut
// off.
//
// Byte slices handed to a Handler are borrowed from those given to Write, and valid
// until the call returns.
//
// # Flow control
//
// What has been handed on counts as consumed, so that a server is held up by a
// Handler that is slow, but not by the windows (RFC 9113, section 5.2): these are
// large, and given back when half is used.
//
// # What is not covered
//
// Pushed responses are refused in the settings, priorities ignored (RFC 9113,
// section 5.3.2). The dynamic table of the header compression is used by neither
// side: the server is asked for that, and what a stream's one head would save does
// not pay for what the tables of thousands of connections take.
package http2
