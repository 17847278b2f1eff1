package profile

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/google/pprof/profile"
)

// The cpu profile of a phase whose length nobody knows yet: it is asked for with
// more seconds than a phase has, and ended by closing the write side of the
// connection. net/http then cancels the request's context, net/http/pprof stops
// and writes what it has, and the read side is still open for that.
//
// A stretch may end before: a server of Go before 1.22 with a WriteTimeout wants
// fewer seconds, and what stands before the debug pages may end a request's
// context by a clock. Then the next stretch begins, and all are merged.

//nolint:gochecknoglobals // a constant table
var stretches = []int{3600, 240, 110, 55, 28, 14, 9, 4, 2, 1} // seconds, what common WriteTimeouts allow

const (
	// busyWait is for how long a former profile may keep the target from
	// beginning; to stop, Go takes up to a fifth of a second.
	busyWait  = 1500 * time.Millisecond
	busyPause = 50 * time.Millisecond
	// settle is for a refusal that comes just after the sign that all is well.
	settle = 10 * time.Millisecond
	// stopWait is how long the target may take to write the profile down.
	stopWait = 4 * time.Second
	// shortest is what a server must hold out by itself for another try.
	shortest = 500 * time.Millisecond
)

// cpuRun is the cpu profile of one process over one phase. A goroutine of its own
// goes from stretch to stretch.
type cpuRun struct {
	pages *pages
	notes *notes

	running chan struct{} // closed when the first stretch is under way
	stop    chan struct{} // closed to end
	done    chan struct{} // closed at the end of the goroutine
	kill    context.CancelFunc
	due     time.Time // when it should run

	// The goroutine's, until done.
	data     []*profile.Profile
	began    time.Time // of the first stretch
	covered  time.Duration
	longest  int // the index in stretches of what the server allows
	patience time.Time
}

// startCPU returns when the profile runs, or has failed, or when the context ends:
// then it may still begin.
func startCPU(ctx context.Context, p *pages, n *notes) *cpuRun {
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	c := &cpuRun{
		pages: p, notes: n, kill: kill,
		running: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
		patience: time.Now().Add(busyWait),
	}
	go c.run(life)
	select {
	case <-c.running:
	case <-c.done:
	case <-ctx.Done():
	}
	c.due = time.Now()
	return c
}

// end stops the profile and waits for it, not longer than the context.
func (c *cpuRun) end(ctx context.Context) (capture, bool) {
	defer c.kill()
	asked := time.Now()
	close(c.stop)
	select {
	case <-c.done:
	case <-ctx.Done():
		c.kill()
		<-c.done
	}
	if len(c.data) == 0 {
		return capture{}, false
	}
	data, err := profile.Merge(c.data)
	if err != nil {
		c.notes.tell("%v", c.pages.problem(CPU, err))
		return capture{}, false
	}
	return capture{
		kind: CPU, data: data, began: c.began, elapsed: max(0, asked.Sub(c.began)),
		missed: max(0, asked.Sub(c.due)-c.covered),
	}, true
}

func (c *cpuRun) run(ctx context.Context) {
	defer close(c.done)
	for more := true; more && !c.stopping(); {
		var err error
		if more, err = c.stretch(ctx); err != nil {
			c.notes.tell("%v", c.pages.problem(CPU, err))
			return
		}
	}
	if len(c.data) == 0 {
		c.notes.tell("%v", c.pages.problem(CPU, errors.New("the phase was over before the target could begin")))
	}
}

func (c *cpuRun) stopping() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// stretch takes one, and says whether there is to be another.
func (c *cpuRun) stretch(ctx context.Context) (more bool, err error) {
	asking, cancel := context.WithTimeout(ctx, beginWait)
	defer cancel()
	s, err := c.ask(asking)
	if err != nil {
		return false, err
	}
	defer s.close()
	began, err := c.barrier(asking, s)
	if err != nil {
		return false, err
	}
	a, ended, err := c.await(ctx, s)
	if err != nil {
		return false, err
	}
	if a.status != http.StatusOK {
		return c.refused(ctx, a)
	}
	data, err := parse(a.body, maxAnswer)
	if err != nil {
		return false, err
	}
	length := ended.Sub(began)
	if len(c.data) == 0 {
		c.began = began
	}
	c.data = append(c.data, data)
	c.covered += length
	c.patience = ended.Add(busyWait)
	if length < shortest && !c.stopping() {
		return false, fmt.Errorf("the target ended it by itself after %s", length.Round(time.Millisecond))
	}
	return true, nil
}

// barrier returns when the profile can be taken to run: the server answers other
// requests that came after, and did not answer this one. It gives when that was.
func (c *cpuRun) barrier(ctx context.Context, s *stretch) (time.Time, error) {
	// Once would do but for the order in which a server of many threads gets
	// to what has arrived.
	for range 2 {
		if _, err := c.pages.get(ctx, "cmdline", ""); err != nil {
			return time.Time{}, err
		}
	}
	began := time.Now()
	settled := time.NewTimer(settle)
	defer settled.Stop()
	select {
	case <-s.answered:
		return began, nil // await says what
	case <-settled.C:
	}
	select {
	case <-c.running:
	default:
		close(c.running)
	}
	return began, nil
}

// await lets the stretch go on until the target or the phase ends it.
func (c *cpuRun) await(ctx context.Context, s *stretch) (a answer, ended time.Time, err error) {
	select {
	case <-s.answered:
		return s.answer, time.Now(), s.err
	case <-ctx.Done():
		return answer{}, time.Now(), ctx.Err()
	case <-c.stop:
	}
	ended = time.Now()
	if err := s.conn.CloseWrite(); err != nil {
		return answer{}, ended, err
	}
	late := time.NewTimer(stopWait)
	defer late.Stop()
	select {
	case <-s.answered:
		if errors.Is(s.err, io.EOF) || errors.Is(s.err, io.ErrUnexpectedEOF) {
			return answer{}, ended, errors.New("the connection ended without it: a proxy, or a limit of the server's on the length of an answer, may be in the way")
		}
		return s.answer, ended, s.err
	case <-late.C:
	case <-ctx.Done():
	}
	return answer{}, ended, fmt.Errorf("it did not come within %s of its end: the target is held up, or a proxy does not pass the end on", time.Since(ended).Round(time.Millisecond))
}

// refused looks for a way around, and says whether to try again.
func (c *cpuRun) refused(ctx context.Context, a answer) (again bool, err error) {
	switch {
	case a.status == http.StatusBadRequest && bytes.Contains(a.body, []byte("WriteTimeout")) && c.longest+1 < len(stretches):
		c.longest++
		return true, nil
	case a.status == http.StatusInternalServerError && bytes.Contains(a.body, []byte("already in use")):
		if time.Now().After(c.patience) {
			return false, errors.New("somebody else is taking one: Go has one at a time")
		}
		pause := time.NewTimer(busyPause)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-c.stop:
		case <-ctx.Done():
		}
		return true, nil
	}
	return false, a.refusal()
}

// stretch is a request on a connection of its own. A goroutine reads the answer.
type stretch struct {
	conn     halfCloser
	answered chan struct{} // closed when answer and err are there
	answer   answer
	err      error
}

// halfCloser is a *net.TCPConn or a *tls.Conn.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// close waits for the goroutine too.
func (s *stretch) close() {
	s.conn.Close()
	<-s.answered
}

func (c *cpuRun) ask(ctx context.Context) (*stretch, error) {
	r, err := c.pages.request(ctx, "profile", "seconds="+strconv.Itoa(stretches[c.longest]))
	if err != nil {
		return nil, err
	}
	conn, err := c.pages.dial(ctx)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetWriteDeadline(deadline) // a socket has deadlines
	if err := r.Write(conn); err != nil {
		conn.Close()
		return nil, err
	}
	_ = conn.SetWriteDeadline(time.Time{})
	s := &stretch{conn: conn, answered: make(chan struct{})}
	go func() {
		defer close(s.answered)
		// The head is limited too.
		in := bufio.NewReader(io.LimitReader(conn, maxAnswer+1<<20))
		response, err := http.ReadResponse(in, r)
		if err != nil {
			s.err = err
			return
		}
		defer response.Body.Close()
		s.answer, s.err = read(response)
	}()
	return s, nil
}

func (p *pages) dial(ctx context.Context) (halfCloser, error) {
	port := p.base.Port()
	secure := p.base.Scheme == "https"
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[secure]
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(p.base.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if !secure {
		return conn.(*net.TCPConn), nil
	}
	config := p.tls.Clone()
	if config.ServerName == "" {
		config.ServerName = p.base.Hostname()
	}
	over := tls.Client(conn, config)
	if err := over.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return over, nil
}
