package profile

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/google/pprof/profile"
)

// Inspector is a Node program that runs with --inspect. The URL is what it prints
// when it starts, ws://127.0.0.1:9229/UUID, or http://127.0.0.1:9229, where the
// program tells the rest itself. No proxy stands between. While a phase is profiled
// other debuggers may be connected.
//
// The protocol is the Chrome DevTools Protocol, domains Profiler and HeapProfiler.
//
// TLS is for wss and https; nil trusts what the system does.
func Inspector(u *url.URL, trust *tls.Config) Source {
	return &inspector{url: u, client: &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:        trust.Clone(),
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type inspector struct {
	url    *url.URL
	client *http.Client
}

func (*inspector) Name() string { return "inspector" }

func (*inspector) kinds() []Kind { return []Kind{CPU, Heap, Allocs} }

func (*inspector) close() {}

// String is the address without secrets: whoever knows a path of an inspector
// commands the process.
func (s *inspector) String() string { return s.url.Scheme + "://" + s.url.Host }

const (
	// cpuInterval is V8's own, microseconds: at 10 µs a sample that is a
	// percent.
	cpuInterval = 1000
	// heapInterval is V8's own, bytes between two samples on average.
	heapInterval = 32768
	// inspectWait is how long one command may take; to serialise a long profile
	// takes a second or two.
	inspectWait = 4 * time.Second
)

func (s *inspector) begin(ctx context.Context, kinds []Kind, n *notes) recording {
	r := &inspection{source: s, notes: n}
	kinds = s.feasible(kinds, n)
	conn, err := s.dial(ctx)
	if err != nil {
		n.tell("the inspector at %s: %v", s, explain(err))
		return r
	}
	r.listen(conn) //nolint:contextcheck // it listens until hangUp
	// A program that ends waits for its debuggers to go, unless they know to.
	if err := r.call(ctx, "NodeRuntime.notifyWhenWaitingForDisconnect", map[string]any{"enabled": true}, nil); err != nil && silent(err) {
		n.tell("the inspector at %s: %v", s, explain(err))
		return r
	}
	// The cpu profile last, which the others would be in.
	slices.SortStableFunc(kinds, func(a, b Kind) int { return strings.Compare(string(b), string(a)) })
	for _, k := range kinds {
		if err := r.start(ctx, k); err != nil {
			n.tell("the %s profile of %s: %v", k, s, explain(err))
			if silent(err) {
				break
			}
			continue
		}
		r.begun = append(r.begun, begun{k, time.Now()})
	}
	return r
}

// feasible leaves out what does not go together.
func (s *inspector) feasible(kinds []Kind, n *notes) []Kind {
	kinds = slices.Clone(kinds)
	if slices.Contains(kinds, Heap) && slices.Contains(kinds, Allocs) {
		n.tell("%s has heap or allocs profiles, one at a time: allocs is left out", s.Name())
		kinds = slices.DeleteFunc(kinds, func(k Kind) bool { return k == Allocs })
	}
	return kinds
}

// dial finds the program's address where it is not given.
func (s *inspector) dial(ctx context.Context) (*websocket.Conn, error) {
	to := *s.url
	to.User = nil
	switch to.Scheme {
	case "http", "https":
		path, err := s.list(ctx)
		if err != nil {
			return nil, err
		}
		to.Path, to.RawPath, to.RawQuery = path, "", ""
	}
	conn, response, err := websocket.Dial(ctx, to.String(), &websocket.DialOptions{HTTPClient: s.client}) //nolint:bodyclose // Dial has closed it
	if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("it does not take the connection (status %d): is the path the one that node printed? It answers to localhost or a number alone", response.StatusCode)
	}
	if err != nil {
		var cause *url.Error
		if errors.As(err, &cause) {
			return nil, cause // without the path
		}
		return nil, err
	}
	conn.SetReadLimit(maxAnswer)
	return conn, nil
}

// list is the path of the first program that the inspector offers. The host is
// the one that was asked, whatever the answer says.
func (s *inspector) list(ctx context.Context) (path string, err error) {
	u := url.URL{Scheme: s.url.Scheme, Host: s.url.Host, Path: "/json/list"}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("/json/list answers with status %d: is it node --inspect?", response.StatusCode)
	}
	var programs []struct {
		Address string `json:"webSocketDebuggerUrl"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&programs); err != nil {
		return "", fmt.Errorf("/json/list: %w", err)
	}
	for _, p := range programs {
		if u, err := url.Parse(p.Address); err == nil && u.Path != "" {
			return u.Path, nil
		}
	}
	return "", errors.New("/json/list names no program")
}

// inspection is one phase of a Node program, on a connection of its own: a program
// that was started anew in between is found again.
type inspection struct {
	source *inspector
	notes  *notes
	conn   *websocket.Conn // nil if there is none
	last   int             // the number of the last command
	begun  []begun

	answers chan reply    // closed when nothing more comes
	over    chan struct{} // closed when nobody listens any more
	why     error         // why nothing more comes; once answers is closed
}

// reply is what a program says: to a command, or, with a method, by itself.
type reply struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// errLeaving says that the program waited for us to go.
var errLeaving = errors.New("the program has ended")

// listen reads what the program says until the connection ends.
func (r *inspection) listen(conn *websocket.Conn) {
	r.conn, r.answers, r.over = conn, make(chan reply), make(chan struct{})
	go func() {
		defer close(r.answers)
		for {
			_, message, err := conn.Read(context.Background()) // ended by closing conn
			if err != nil {
				r.why = err
				return
			}
			var a reply
			if err := json.Unmarshal(message, &a); err != nil {
				r.why = fmt.Errorf("the answer: %w", err)
				return
			}
			if a.Method == "NodeRuntime.waitingForDisconnect" {
				r.why = errLeaving
				_ = conn.CloseNow() // which is what it waits for
				return
			}
			if a.ID == 0 {
				continue
			}
			select {
			case r.answers <- a:
			case <-r.over:
				return
			}
		}
	}()
}

// left tells, once nothing can be written any more, whether the program has ended.
func (r *inspection) left(ctx context.Context) bool {
	for {
		select {
		case _, ok := <-r.answers:
			if !ok {
				return errors.Is(r.why, errLeaving)
			}
		case <-ctx.Done():
			return false
		}
	}
}

// hangUp ends the connection and waits for its reader.
func (r *inspection) hangUp() {
	close(r.over)
	// Not the closing handshake: a program that is held up would not take part.
	_ = r.conn.CloseNow() // nothing is under way
	for range r.answers {
		continue // until it is closed
	}
}

type begun struct {
	kind Kind
	at   time.Time
}

func (r *inspection) start(ctx context.Context, k Kind) error {
	type command struct {
		method string
		params map[string]any
	}
	commands := []command{{"HeapProfiler.enable", nil}, {"HeapProfiler.startSampling", map[string]any{
		"samplingInterval":                 heapInterval,
		"includeObjectsCollectedByMajorGC": k == Allocs,
		"includeObjectsCollectedByMinorGC": k == Allocs,
	}}}
	if k == CPU {
		commands = []command{
			{"Profiler.enable", nil},
			{"Profiler.setSamplingInterval", map[string]any{"interval": cpuInterval}},
			{"Profiler.start", nil},
		}
	}
	for _, c := range commands {
		if err := r.call(ctx, c.method, c.params, nil); err != nil {
			return err
		}
	}
	return nil
}

func (r *inspection) end(ctx context.Context) []capture {
	if r.conn == nil {
		return nil
	}
	defer r.hangUp()
	var captures []capture
	// The cpu profile first, which began last.
	for _, b := range slices.Backward(r.begun) {
		c, err := r.stop(ctx, b)
		if err != nil {
			r.notes.tell("the %s profile of %s: %v", b.kind, r.source, explain(err))
			if silent(err) {
				break
			}
			continue
		}
		captures = append(captures, c)
	}
	return captures
}

func (r *inspection) stop(ctx context.Context, b begun) (capture, error) {
	c := capture{kind: b.kind, began: b.at, elapsed: time.Since(b.at), ending: ".cpuprofile"}
	method, convert := "Profiler.stop", fromCPUProfile
	if b.kind != CPU {
		c.ending = ".heapprofile"
		method, convert = "HeapProfiler.stopSampling", func(raw []byte) (*profile.Profile, error) {
			return fromHeapProfile(raw, b.kind)
		}
	}
	var result struct {
		Profile json.RawMessage `json:"profile"`
	}
	if err := r.call(ctx, method, nil, &result); err != nil {
		return capture{}, err
	}
	data, err := convert(result.Profile)
	if err != nil {
		return capture{}, err
	}
	c.raw, c.data = result.Profile, data
	return c, nil
}

// call sends a command and waits for its answer. What else the program says in
// between is of no interest. After an error of the connection all further calls
// fail at once.
func (r *inspection) call(ctx context.Context, method string, params, result any) error {
	ctx, cancel := context.WithTimeout(ctx, inspectWait)
	defer cancel()
	r.last++
	command, err := json.Marshal(struct {
		ID     int    `json:"id"`
		Method string `json:"method"`
		Params any    `json:"params,omitempty"`
	}{r.last, method, params})
	if err != nil {
		return err
	}
	if err := r.conn.Write(ctx, websocket.MessageText, command); err != nil {
		if r.left(ctx) {
			err = errLeaving
		}
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		var a reply
		ok := false
		select {
		case a, ok = <-r.answers:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", method, ctx.Err())
		}
		switch {
		case !ok:
			return fmt.Errorf("%s: %w", method, r.why)
		case a.ID != r.last:
			continue
		case a.Error != nil:
			return fmt.Errorf("%s: %s", method, clean(a.Error.Message, maxName))
		case result == nil:
			return nil
		}
		if err := json.Unmarshal(a.Result, result); err != nil {
			return fmt.Errorf("%s: the answer: %w", method, err)
		}
		return nil
	}
}
