// Package testserver is the reference server of sseload: a small, lean
// EventSource server with rooms, made to be loaded, profiled and, on demand,
// to misbehave by an exact amount.
//
// # Model
//
// A client subscribes to a room with GET /events?room=R and becomes a member
// of it. A message posted to /rooms/R/messages is encoded once and written to
// every member. One such write for one member is a copy. Members of a room see
// its messages in one order, and ids grow with that order.
//
// The server must not be what is measured, so a subscription costs little: the
// connection's buffers are let go, and what stays is one goroutine that waits for
// the client to leave. A copy is one non-blocking write from the goroutine that
// handles the post; nothing is queued and nobody is woken. Only when the kernel
// does not take everything does the rest go to a bounded buffer of that client,
// which a goroutine drains; when the bound is passed the client is dropped and
// counted. TLS, HTTP/2, HTTP/3 and systems without raw writes always use that buffer.
//
// # Transports
//
// A server listens on a TCP port or on a Unix socket. Without TLS it speaks HTTP/1.1,
// and HTTP/2 to those who begin with it; with TLS either, as client and server agree;
// and with Config.HTTP3 also HTTP/3, on the UDP port of the same number. What many
// streams share is the connection: one that its client does not read is dropped like
// any slow client, and holds up no other.
//
// # Front
//
// Messages and subscriptions in their plain form are served without net/http, by a
// front that accepts the connections: from the request to the answer a message
// allocates nothing. A connection on which anything else comes is passed on to
// net/http for good, and with TLS, credentials, CORS or faults net/http serves all.
// What a client sees is the same, byte for byte.
//
// # Cluster
//
// With Config.Workers above one, the server is a parent process (the hub) that
// holds the listening socket and starts workers, which accept on it and join
// one bus of pipes; see docs/decisions/0003-worker-bus.md.
//
// # Faults
//
// Config.Faults makes the server do wrong, to copies, messages, subscriptions or
// as a whole: see FaultKind. It does so by counting and never by chance, but for
// the length of delays and the bytes of garbage, and counts what it did, so that a
// calibration test can demand the exact number from a load tool. Each stage at
// which faults act has a file: fault_subscription.go, fault_message.go and
// fault_copy.go; a server without faults passes them all by.
//
// # Caveats
//
// The encoder is this package's own and shares nothing with pkg/sse, so that a
// mistake in one is seen by the other. Byte slices handed to exported
// functions are only read during the call.
//
// A stream that is cut off over HTTP/3 ends with a reset, which may overtake what was
// written before it (RFC 9000 section 3.2): of a client that FaultClose cuts the last
// copies may be missing. And quic-go writes to package log, once, when the system
// grants a UDP socket little memory, unless the environment says
// QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING=true.
package testserver
