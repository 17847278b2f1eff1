// Package load is the engine room of a run: a [Population] of EventSource
// clients in rooms, what they are made to do, and the account of what arrived.
//
// A Population is split into shards by room. Each shard has one [stream.Engine]
// and is its Handler, so that reading, decoding, matching and recording a
// delivery happen in one place, one at a time, without a lock. Shards meet only
// where a phase begins or ends; their recorders are merged when the Population
// is closed.
//
// The words: clients are numbered from 0, client i is in room i / room size. A
// sender is a client that sends; a message is sent once, and a copy of it is
// expected at every client of the room. In the closed model an iteration sends
// one message per sender and ends when every copy has arrived. In the open model
// messages are due by a schedule of [Arrivals], whatever became of those before; one
// that begins late is behind, and its latency runs from when it was due. What is
// under way when the sending is over is drained. Slow readers are clients that read
// at a pace; nobody waits for them until then.
//
// Memory does not grow with the length of a run, but for what goes wrong: 8 bytes
// for each run of lost copies, and 16 for each of a bounded number of sends that wait
// or have failed.
package load
