// Package sse decodes the event-stream format of Server-Sent Events
// (text/event-stream) as the WHATWG HTML standard defines it in sections 9.2.5,
// "Parsing an event stream", and 9.2.6, "Interpreting an event stream".
//
// # Model
//
// A [Decoder] is a push machine: whoever reads the connection hands it bytes
// with [Decoder.Write], cut anywhere, and it calls a [Sink] for each event,
// comment and reconnection time as soon as the byte that completes it is there.
// It does no I/O, starts no goroutine and keeps no clock. Its work is linear in
// the bytes written, whatever they are.
//
// The zero Decoder is ready to use and small enough to be embedded in each of
// many thousand idle connections. Between events it owns no memory but the last
// event ID. An event that lies whole in one written slice is handed to the sink
// as sub-slices of it; an event, or a line, that is cut by the end of a write
// waits in pooled buffers. Neither way allocates once the pool is warm, unless
// the last event ID outgrows its buffer or shrinks far below it.
//
// # Vocabulary
//
//   - A line ends with LF, CRLF or CR. A CR ends its line at once: an event
//     closed by CR CR is dispatched without waiting to see whether LF follows,
//     and an LF that does follow, even in a later write, belongs to that CR.
//   - A field is a line "name: value"; one space after the colon is dropped. The
//     names data, event, id and retry have a meaning, case matters, others are
//     ignored. A line without a colon is a field with an empty value.
//   - A comment is a line that begins with a colon. The standard ignores it; the
//     sink gets it because heartbeats are comments.
//   - A blank line dispatches: the last event ID is set, and if there was any
//     data field, even an empty one, the sink gets an event. Without one there is
//     no event, and the event type is forgotten.
//   - The last event ID outlives its event and its connection: later events
//     without an id carry it too. An id field with an empty value resets it; one
//     that contains U+0000 NULL is ignored.
//   - An event that no blank line has closed when the stream ends is discarded.
//     The Decoder needs no call for it: dropping it, or [Decoder.Reset], does that.
//
// # Decisions where the standard leaves room
//
//   - Field values are bytes as they came. The standard decodes the stream as
//     UTF-8 first, with U+FFFD for what is ill-formed. Checking every byte would
//     cost the hot path its speed, so that step is apart: [ToValid] gives the very
//     text that a browser would show. Lines, colons, spaces, digits and the names
//     are ASCII, so decoding after parsing equals decoding before it. The byte
//     order mark is dropped here.
//   - A retry field without any digit is ignored; a value beyond the range of
//     [time.Duration] becomes the largest one.
//   - Section 9.2.6 starts each stream with an empty last event ID buffer, which
//     read literally would erase the ID at the first event after a reconnection.
//     As in browsers, the buffer starts from the last event ID.
//   - The size of an event is bounded, by [DefaultLimit] or [Decoder.SetLimit].
//     The bound counts the type, id and data of the event so far plus the whole
//     current line, with its field name, without its terminator. A comment counts
//     alike. Whether a stream exceeds it does not depend on how writes cut it.
//     Buffers hold at most about twice the limit, at the moment in which a line
//     joins the data before it.
//
// # Caveats
//
// Every slice given to a sink is valid during that call only, and must not be
// modified: it may lie in the written slice or in a buffer that the next event
// reuses. Of the Decoder that is calling it a sink may call LastEventID only. A
// Decoder is for one goroutine at a time and must not be copied once written to.
package sse
