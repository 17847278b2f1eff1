package stream

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	r3 "github.com/r3labs/sse/v2"

	"github.com/sseload/sseload/pkg/sse"
)

// r3labs is an Engine on the client of github.com/r3labs/sse/v2, for teams whose
// service uses it: they see what their clients would see. The client's requests
// go through the same net/http set-up as those of netHTTP, and the response is
// judged by the same rules, in its ResponseValidator; its own reconnecting is
// switched off. What remains its own is the parsing, which deviates from the
// specification (version 2.10.0):
//
//   - Comments are not offered; Handler.Comment is never called.
//   - A block without data is dispatched, with empty data, if it has an id, a
//     type or a reconnection time.
//   - A block that the end of the stream cuts off is dispatched.
//   - A byte order mark hides the first field.
//   - An event ends only at two line terminators of the same kind, or a CRLF and
//     an LF, in a row; a CR CR is seen, but CR LF CR is not.
//   - An empty id field does not reset the last event ID.
//   - An id with a NUL is taken. Field names match by their beginning.
//   - A reconnection time is offered only with its block, not with its line.
//   - Without a User-Agent to send, net/http's is sent, and a header
//     "Connection: keep-alive" always is.
//   - The bound on an event counts its whole text, line terminators included.
//
// The time of receipt is that of the hand-over by the client's goroutines.
type r3labs struct {
	shard
	client *webClient
}

func newR3Labs(cfg Config) Engine {
	r := &r3labs{client: newSubscribeClient(cfg)}
	r.init(cfg, func(a *attempt) {
		w := r.request(a, r.client)
		r.work.Go(func() { r.end(a, w, r.run(a, w)) })
	})
	return r
}

// Close implements [Engine].
func (r *r3labs) Close() {
	r.shard.Close()
	r.client.close()
}

// once is the client's ReconnectStrategy: it stops after the first failure.
// Waiting is not for the client, as it cannot be interrupted there.
type once struct{}

// NextBackOff returns what package backoff calls Stop.
func (once) NextBackOff() time.Duration { return -1 }

// Reset has nothing to do.
func (once) Reset() {}

func (r *r3labs) run(a *attempt, w *wait) error {
	if w.err != nil {
		return w.err
	}
	c := r3.NewClient(w.req.URL.String(), r3.ClientMaxBufferSize(r.cfg.MaxEventSize))
	c.Connection = &r.client.Client
	c.ReconnectStrategy = once{}
	for name, values := range w.req.Header {
		c.Headers[name] = values[0]
	}
	if id := w.trip.lastEventID; id != nil {
		c.LastEventID.Store(id)
	}
	c.ResponseValidator = func(_ *r3.Client, resp *http.Response) error {
		err := checkResponse(resp)
		if err == nil {
			err = r.opened(a, w)
		}
		if err != nil {
			_ = resp.Body.Close() // the client does not
		}
		return err
	}
	err := c.SubscribeRawWithContext(w.req.Context(), func(msg *r3.Event) { r.event(a, msg) })
	switch {
	case err == nil:
		return errEnded
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%w: over the limit of %d bytes", sse.ErrEventTooLarge, r.cfg.MaxEventSize)
	}
	return bare(err)
}

func (r *r3labs) event(a *attempt, msg *r3.Event) {
	at := Stamp{Read: r.cfg.Clock.Now()}
	if !r.enter(a) {
		return
	}
	defer r.leave()
	const most = math.MaxInt64 / uint64(time.Millisecond)
	if ms, err := strconv.ParseUint(string(msg.Retry), 10, 64); err == nil {
		r.cfg.Handler.Retry(a.id, time.Duration(min(ms, most))*time.Millisecond)
	}
	a.dec.SetLastEventID(msg.ID) // for the next Subscribe; the decoder decodes nothing
	typ := msg.Event
	if len(typ) == 0 {
		typ = []byte("message")
	}
	if r.subs[a.id] == a {
		r.cfg.Handler.Event(a.id, at, sse.Event{Type: typ, Data: msg.Data, ID: msg.ID})
	}
}
