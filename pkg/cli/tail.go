package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
)

type tailOptions struct {
	request     requestFlags
	format      string
	comments    bool
	reconnect   bool
	count       int
	duration    time.Duration
	event       string
	lastEventID string
	streamFlags
}

// tailEventSize is how large an event tail takes: it holds one stream only, so
// it can be generous.
const tailEventSize = 16 << 20

func (a *App) tailCommand() *cobra.Command {
	var o tailOptions
	cmd := &cobra.Command{
		Use:   "tail URL",
		Short: "Print a stream's events as they are parsed",
		Long: `Subscribes one EventSource client and prints each event as the specification has
it parsed: with its type, its data, and the last event ID as it stands after it.
Exit code 0 when the server ended the stream cleanly, or --count or --duration was
reached; 1 when the stream was refused or broke off.`,
		Example: `  sseload tail 'http://127.0.0.1:8123/events?room=lobby'
  sseload tail http://127.0.0.1:3000/events/7 -o jsonl --count 10
  sseload tail https://example.test/feed --bearer TOKEN --comments --reconnect`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("for example "+strings.SplitN(strings.TrimSpace(cmd.Example), "\n", 2)[0], "%s needs one URL", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), a, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.format, "output", "o", "text", "`FORMAT` of the output: text or jsonl, one JSON object an event")
	flags.BoolVar(&o.comments, "comments", false, "print comments too")
	flags.BoolVar(&o.reconnect, "reconnect", false, "reconnect as a browser does when the stream ends or breaks off")
	flags.IntVar(&o.count, "count", 0, "stop after `N` events; 0: never")
	flags.DurationVar(&o.duration, "duration", 0, "stop after this time; 0: never")
	flags.StringVar(&o.event, "event", "", "print only events of this `TYPE`")
	flags.StringVar(&o.lastEventID, "last-event-id", "", "resume behind the event with this `ID`")
	o.streamFlags.add(flags, tailEventSize, "for the stream to open")
	o.request.add(flags)
	return cmd
}

func (o *tailOptions) check() error {
	switch {
	case o.format != "text" && o.format != "jsonl":
		return usagef("write -o text or -o jsonl", "--output: unknown format %q", o.format)
	case o.count < 0:
		return usagef("", "--count: %d is less than nothing", o.count)
	case o.duration < 0:
		return usagef("", "--duration: %s is less than nothing", o.duration)
	case strings.ContainsAny(o.lastEventID, "\r\n\x00"):
		return usagef("", "--last-event-id: %q cannot be an ID", o.lastEventID)
	}
	return o.streamFlags.check()
}

func (o *tailOptions) run(parent context.Context, a *App, rawURL string) error {
	if err := o.check(); err != nil {
		return err
	}
	spec, err := o.request.spec(rawURL)
	if err != nil {
		return err
	}
	spec.Literal = true
	if spec.Proxy, err = a.proxies(); err != nil {
		return err
	}
	t, err := target.New(spec)
	if err != nil {
		return &usageError{err: err}
	}
	kind, err := stream.Kind(o.engine).For(t)
	if err != nil {
		return &usageError{err: err}
	}
	a.warn(t, o.request.insecure)
	ctx, stop := a.interruptible(parent, "")
	defer stop()
	if err := t.Resolve(ctx, min(o.timeout, resolveTimeout)); err != nil {
		return unreachable(t, err)
	}
	clock := stream.NewClock()
	follower := &tail{o: o, app: a, print: o.printer(a.Stdout), done: make(chan error, 1)}
	//nolint:contextcheck // an engine lives until Close
	follower.engine, err = stream.New(kind, stream.Config{
		Target: t, Clients: 1, Handler: follower, Clock: clock, Timeout: o.timeout, MaxEventSize: int(o.maxEventSize),
	})
	if err != nil {
		return err
	}
	defer follower.leave()
	follower.again = stream.NewReconnector(follower.engine, clock, 1, stream.Jitter{}, follower.subscribe)
	follower.engine.Do(func() { follower.engine.Subscribe(0, []byte(o.lastEventID)) })
	var over <-chan time.Time
	if o.duration > 0 {
		timer := time.NewTimer(o.duration)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case err := <-follower.done:
		return explain(err)
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tail is the Handler of the one subscription. All its fields belong to the
// engine's context.
type tail struct {
	o      *tailOptions
	app    *App
	engine stream.Engine
	print  printer
	done   chan error // takes what ended it, once

	again  *stream.Reconnector
	retry  *time.Duration // set by the server and not printed yet
	events int
	opened bool // at least once
	ended  bool
}

// leaveTimeout is how long to wait for the engine: it cannot end while nobody
// reads what it prints.
const leaveTimeout = 500 * time.Millisecond

// leave closes t, if that goes at once.
func (t *tail) leave() {
	closed := make(chan struct{})
	go func() {
		t.close()
		close(closed)
	}()
	timer := time.NewTimer(leaveTimeout)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	}
}

// close ends the engine, and a reconnection that waits.
func (t *tail) close() {
	stopped := make(chan struct{})
	t.engine.Do(func() {
		t.ended = true
		close(stopped)
	})
	<-stopped
	t.again.Stop()
	t.engine.Close()
}

// subscribe opens the stream again, from the last event ID on.
func (t *tail) subscribe(id int) {
	if !t.ended {
		t.engine.Subscribe(id, nil)
	}
}

func (t *tail) end(err error) {
	if !t.ended {
		t.ended = true
		t.engine.Unsubscribe(0)
		t.done <- err
	}
}

// Vars implements [stream.Handler].
func (t *tail) Vars(int) target.Vars { return target.Vars{} }

// Opened implements [stream.Handler].
func (t *tail) Opened(int, stream.Timing) {
	t.opened = true
	t.again.Opened(0)
	if t.app.verbose {
		t.app.note("connected")
	}
}

// Event implements [stream.Handler].
func (t *tail) Event(_ int, at stream.Stamp, ev sse.Event) {
	if t.ended || t.o.event != "" && t.o.event != string(ev.Type) {
		return
	}
	err := t.print.event(time.Unix(0, at.Arrived()), ev, t.retry)
	t.retry = nil
	t.events++
	if err != nil {
		t.end(err)
	} else if t.events == t.o.count {
		t.end(nil)
	}
}

// Comment implements [stream.Handler].
func (t *tail) Comment(_ int, at stream.Stamp, text []byte) {
	if t.o.comments && !t.ended {
		if err := t.print.comment(time.Unix(0, at.Arrived()), text); err != nil {
			t.end(err)
		}
	}
}

// Retry implements [stream.Handler].
func (t *tail) Retry(_ int, d time.Duration) {
	t.again.SetRetry(0, d)
	t.retry = &d
}

// Closed implements [stream.Handler].
func (t *tail) Closed(_ int, f *stream.Failure) {
	if t.ended {
		return
	}
	if t.opened && t.o.reconnect && f.Status == 204 {
		t.app.note("the server answered 204: it wants no reconnection")
		t.end(nil)
		return
	}
	if t.o.reconnect {
		if delay, again := t.again.Closed(0, f); again {
			t.app.note("%s; reconnecting in %s", oneLine(f.Error()), delay)
			return
		}
	}
	if f.Class == stream.Ended {
		if t.app.verbose {
			t.app.note("%s", f)
		}
		t.end(nil)
		return
	}
	t.end(f)
}

// Message implements [stream.Handler].
func (t *tail) Message(stream.Tag, int64) (target.Vars, bool) { return target.Vars{}, false }

// Sent implements [stream.Handler].
func (t *tail) Sent(stream.Tag, time.Duration, *stream.Failure) {}

// printer is how tail prints. retry is nil when the server did not set it since
// the event before.
type printer interface {
	event(at time.Time, ev sse.Event, retry *time.Duration) error
	comment(at time.Time, text []byte) error
}

func (o *tailOptions) printer(w io.Writer) printer {
	if o.format == "jsonl" {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return jsonLines{enc}
	}
	return textLines{w}
}

// textLines prints for people: a line an event, and further lines of data
// indented.
type textLines struct{ w io.Writer }

const clockFormat = "15:04:05.000000"

func (p textLines) event(at time.Time, ev sse.Event, retry *time.Duration) error {
	var b strings.Builder
	b.WriteString(at.Format(clockFormat))
	if retry != nil {
		fmt.Fprintf(&b, " retry=%s", *retry)
	}
	if len(ev.ID) > 0 {
		fmt.Fprintf(&b, " id=%s", printable(ev.ID))
	}
	lines := strings.Split(printable(ev.Data), "\n")
	fmt.Fprintf(&b, " %s: %s\n", printable(ev.Type), lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintf(&b, "%*s| %s\n", len(clockFormat)+1, "", line)
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

func (p textLines) comment(at time.Time, text []byte) error {
	_, err := fmt.Fprintf(p.w, "%s :%s\n", at.Format(clockFormat), printable(text))
	return err
}

// printable makes text of a server safe for a terminal: control characters but
// line feed and tab are shown as escapes.
func printable(text []byte) string {
	var b strings.Builder
	for _, r := range string(sse.ToValid(text)) {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, `\x%02x`, r)
	}
	return b.String()
}

// jsonLines prints for programs.
type jsonLines struct{ enc *json.Encoder }

type jsonEvent struct {
	Type    string    `json:"type"`
	Data    string    `json:"data"`
	ID      string    `json:"id"` // EventSource's lastEventId
	RetryMS *int64    `json:"retry,omitempty"`
	Time    time.Time `json:"time"` // when it arrived
}

type jsonComment struct {
	Comment string    `json:"comment"`
	Time    time.Time `json:"time"`
}

func (p jsonLines) event(at time.Time, ev sse.Event, retry *time.Duration) error {
	e := jsonEvent{Type: valid(ev.Type), Data: valid(ev.Data), ID: valid(ev.ID), Time: at.UTC()}
	if retry != nil {
		ms := retry.Milliseconds()
		e.RetryMS = &ms
	}
	return p.enc.Encode(e)
}

func (p jsonLines) comment(at time.Time, text []byte) error {
	return p.enc.Encode(jsonComment{Comment: valid(text), Time: at.UTC()})
}

func valid(text []byte) string { return string(sse.ToValid(text)) }
