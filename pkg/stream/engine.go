package stream

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/target"
)

// Engine holds a shard of subscriptions and sends messages.
//
// All but Do and Close may be called in the engine's context only: in a Handler
// call, or in a function given to Do or Alarm. None of them blocks.
type Engine interface {
	// Do has f called soon in the engine's context. Calls keep their order. It
	// must not be called in that context, nor after Close.
	Do(f func())
	// Subscribe opens subscription id, which must not be open or opening. The
	// outcome is a call of Handler.Opened or Handler.Closed. lastEventID, when not
	// empty, goes with the request; it is not kept after the call. nil continues
	// with the last event ID that id had, which is not that of its last Event: a
	// block without data sets it too, HTML section 9.2.6. Engine r3labs has it from
	// events alone, as its client offers no more.
	Subscribe(id int, lastEventID []byte)
	// Unsubscribe closes subscription id, open or opening, without a further
	// Handler call about it. On a closed one it does nothing.
	Unsubscribe(id int)
	// Send sends the message that Handler.Message gives for tag as soon as a
	// connection is free. Sends begin in the order of these calls. due is when the
	// message should leave, on the Clock; the engine does not wait for that, and
	// hands it to Message. The outcome is a call of Handler.Sent.
	Send(tag Tag, due int64)
	// Alarm has f called in the engine's context as soon as it can be once the
	// Clock has reached at, but not within this call. There is one alarm: another
	// call replaces one that has not gone off yet. On Linux an idle engine is late
	// by some microseconds, for which it looks at the clock for up to 100 µs before,
	// but no more than a twentieth of the time; a busy one by as long as what it is
	// at takes. Elsewhere it is about a millisecond, or whatever the system's timers
	// are good for. It allocates nothing, but on Linux takes a descriptor; when none
	// is left it is as late as elsewhere.
	Alarm(at int64, f func())
	// ReadFreely lets slow readers, see Config.Slow, read as fast as others from
	// now on, also those that open later. Their receive buffers stay small.
	ReadFreely()
	// Close ends everything and waits until it has ended, so it must not be called
	// in the engine's context. No Handler call is made
	// afterwards, and none for what Close itself ended.
	Close()
}

// Tag names one send, in whatever way the Handler likes.
type Tag uint64

// Handler is told what happens. Calls of one Engine never overlap. A Handler
// must not block and must not keep byte slices.
type Handler interface {
	// Vars are the values for the subscribe request of id.
	Vars(id int) target.Vars
	// Opened: status 200 and text/event-stream were read.
	Opened(id int, t Timing)
	// Event: an event was dispatched.
	Event(id int, at Stamp, ev sse.Event)
	// Comment: a comment line was read.
	Comment(id int, at Stamp, text []byte)
	// Retry: the server set the reconnection time.
	Retry(id int, d time.Duration)
	// Closed: the subscription failed before it was open, or ended afterwards.
	Closed(id int, f *Failure)
	// Message is called when the send of tag begins: once a connection for it is
	// established, with TLS where there is one, just before its request is written,
	// so that what it takes to connect is no part of a latency. It is called too
	// when no connection is to be had, just before Sent says so. When ok is false
	// the send is called off: nothing is sent, Sent is not called, and the
	// connection serves the next one. due is what Send was given.
	Message(tag Tag, due int64) (v target.Vars, ok bool)
	// Sent: the response to the send was read after elapsed, or the send failed. It
	// is called once for each Message that was not called off. elapsed counts from
	// Message on.
	Sent(tag Tag, elapsed time.Duration, f *Failure)
}

// Timing is when a subscription reached which state, on the engine's [Clock].
type Timing struct {
	Dialed    int64
	Connected int64 // TCP connection established; with TLS, before the handshake
	Requested int64 // just before the request was written
	Opened    int64 // response head read; from the kernel's stamp where there is one
}

// Stamp is when bytes arrived, on the engine's [Clock].
type Stamp struct {
	Kernel int64 // when the kernel received them; 0 when it does not say
	Read   int64 // when they were read
}

// Arrived is the best that is known of the time of arrival.
func (s Stamp) Arrived() int64 {
	if s.Kernel != 0 {
		return s.Kernel
	}
	return s.Read
}

// Config is what an Engine needs.
type Config struct {
	Target  *target.Target // resolved
	Clients int            // ids run from 0 to Clients-1
	Handler Handler
	Clock   *Clock
	// Timeout is for a subscription to open, for a connection for sends to be
	// established, and then for each send, from Handler.Message on.
	Timeout time.Duration
	// SendConnections bounds how many sends are under way at once.
	SendConnections int
	// Sources are the local addresses to spread subscriptions over, by client
	// number. Empty: the system chooses.
	Sources []netip.Addr
	// StreamsPerConnection is how many subscriptions share a connection of HTTP/2 or
	// HTTP/3: those of the clients with the numbers (see [target.Vars]) from k times
	// that many on. 0 means 1. With HTTP/1.1 each has its own. One that a subscription
	// times out on, and that has said nothing in that time or is of no use to others,
	// gets no further ones: the next takes another, and as long as streams that were
	// open before stay on the first, there are two at once.
	StreamsPerConnection int
	// Connections, when not nil, counts the connections that subscriptions have had,
	// where several may share one.
	Connections *atomic.Int64
	// Head, when not nil, is told of the head of each response, in the engine's
	// context, before what follows from it: of those to subscriptions, redirects and
	// refusals included, and of those to sends. v is what the request was made for.
	// The fields are valid during the call only.
	Head func(v target.Vars, h ResponseHead)
	// Read, when not nil, is told in the engine's context whenever bytes of a
	// subscription were read, those of a response's head included, before what they
	// say: for those who give a silent connection up. Engine r3labs does not tell,
	// and nethttp tells of bodies alone.
	Read func(id int, at Stamp)
	// MaxEventSize bounds the memory that one event may take, in bytes. 0 means
	// [sse.DefaultLimit].
	MaxEventSize int
	// Slow tells which subscriptions are slow readers: through a small receive
	// buffer (4 KiB, of which Linux makes 8), and once they are open at SlowRate
	// bytes a second at most, in steps of a tenth of that. With TLS those are bytes
	// of its records. What came along with the response head is handed on with it.
	// What their Stamps call Read is when they read, and Kernel is 0: how long data
	// waited for them is part of what they stand for. Slow is called in the
	// engine's context; nil means none. SlowRate must be above 0 when there are any.
	Slow     func(id int) bool
	SlowRate int
}

// ResponseHead is the head of a response.
type ResponseHead struct {
	Status int
	// Send says that it answers a send, and not a subscription.
	Send bool
	// URL is that of the request, which after a redirect is not the target's.
	URL *url.URL
	// Fields are the names, in any case, and values of the header fields, in order.
	Fields iter.Seq2[[]byte, []byte]
}

// deadline is when what began at from, on the Clock, has taken too long. The
// longest of times ends with the Clock's.
func (c *Config) deadline(from int64) int64 {
	return from + min(int64(c.Timeout), math.MaxInt64-from)
}

// Kind names an engine.
type Kind string

// The engines. Auto is epoll where it can be used and conn elsewhere.
const (
	Auto    Kind = "auto"
	Epoll   Kind = "epoll"
	Conn    Kind = "conn"
	NetHTTP Kind = "nethttp"
	R3Labs  Kind = "r3labs"
)

// Kinds are the names a user may choose from.
//
//nolint:gochecknoglobals // a constant table
var Kinds = []Kind{Auto, Epoll, Conn, NetHTTP, R3Labs}

// KindNames are the names of Kinds.
func KindNames() []string {
	names := make([]string, len(Kinds))
	for i, k := range Kinds {
		names[i] = string(k)
	}
	return names
}

// ParseKind finds the engine called name.
func ParseKind(name string) (Kind, error) {
	if k := Kind(name); slices.Contains(Kinds, k) {
		return k, nil
	}
	return "", fmt.Errorf("unknown engine %q: choose one of %s", name, strings.Join(KindNames(), ", "))
}

// For is the engine that k stands for with t. The error says why k cannot serve.
func (k Kind) For(t *target.Target) (Kind, error) {
	switch {
	case t.HTTP == target.HTTP3 && !t.Encrypted():
		return "", fmt.Errorf("HTTP/3 needs https, which %s is not", t.URL)
	case t.HTTP == target.HTTP3 && t.Subscribe.Unix != "":
		return "", fmt.Errorf("HTTP/3 needs UDP, which the Unix socket %s is not", t.Subscribe.Unix)
	case t.HTTP == target.HTTP3 && len(t.Proxies()) > 0:
		return "", fmt.Errorf("HTTP/3 cannot pass the proxy %s; name the host in NO_PROXY", strings.Join(t.Proxies(), ", "))
	case k == Auto && t.HTTP == target.HTTP3:
		return NetHTTP, nil
	case k == Auto && epollAvailable && t.Plain() && !t.Tunnels() && t.HTTP == target.HTTP1:
		return Epoll, nil
	case k == Auto:
		return Conn, nil
	case k == Conn && t.HTTP == target.HTTP3:
		return "", errors.New("engine conn does not speak HTTP/3; use nethttp or auto")
	case k == Epoll && t.HTTP != target.HTTP1:
		return "", fmt.Errorf("engine epoll does not speak HTTP/%s; use %s or auto", t.HTTP, other[t.HTTP])
	case k == Epoll && !epollAvailable:
		return "", fmt.Errorf("engine epoll needs Linux; use conn or auto on %s", runtime.GOOS)
	case k == Epoll && !t.Plain():
		return "", fmt.Errorf("engine epoll speaks no TLS; use conn or auto for %s", t.URL)
	case k == Epoll && t.Tunnels():
		return "", fmt.Errorf("engine epoll cannot ask the proxy %s for connections; use conn or auto", strings.Join(t.Proxies(), ", "))
	}
	return k, nil
}

// other are the engines to name where epoll does not speak a version.
//
//nolint:gochecknoglobals // a constant table
var other = map[target.Version]Kind{target.HTTP2: Conn, target.HTTP3: NetHTTP}

// Shards is how many engines of kind k to run on this machine. One epoll loop
// keeps a core busy, and the server and the kernel need theirs; the engines with
// a goroutine per subscription are sharded to keep their locks free.
func (k Kind) Shards() int {
	cores := runtime.GOMAXPROCS(0)
	if k == Epoll {
		return max(1, cores/2)
	}
	return cores
}

// New starts an engine. k must be what [Kind.For] returned. The error is of the
// system: no descriptors left, for example.
func New(k Kind, cfg Config) (Engine, error) {
	if cfg.MaxEventSize == 0 {
		cfg.MaxEventSize = sse.DefaultLimit
	}
	cfg.SendConnections = max(1, cfg.SendConnections)
	switch k {
	case Epoll:
		return newEpoll(cfg)
	case Conn:
		return newConn(cfg), nil
	case NetHTTP:
		return newNetHTTP(cfg), nil
	case R3Labs:
		return newR3Labs(cfg), nil
	}
	return nil, fmt.Errorf("engine %q is not one", k)
}
