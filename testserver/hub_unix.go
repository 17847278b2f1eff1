//go:build unix

package testserver

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const canRunWorkers = true

// hub is the parent of a cluster. It numbers every message and sends it to all
// workers in that order; it serves no client itself.
type hub struct {
	s *Server

	mu       sync.Mutex
	workers  []*hubWorker
	alive    int
	died     int
	stopping bool
	seq      uint64 // id of the last message
	pending  map[uint64]pendingMessage
	token    uint64 // of the last stats query
	queries  map[uint64]*statsQuery
	admitted int

	failed chan error // the first reason to give up; buffered
}

type hubWorker struct {
	slot     int // its bit in sets of workers
	cmd      *exec.Cmd
	pipe     *pipe
	alive    bool
	ready    bool
	admitted int
	done     chan struct{} // closed when the process has been reaped
}

// pendingMessage waits for the acknowledgements of the workers in waiting.
type pendingMessage struct {
	origin    *hubWorker
	request   uint64
	waiting   uint64
	receivers uint64
}

// statsQuery waits for the stats of the workers in waiting.
type statsQuery struct {
	waiting uint64
	sum     Stats
	rooms   map[string]struct{}
	answer  func(Stats) // called with the hub locked; must not block
}

// serveCluster runs the workers until ctx ends, Close is called or all died.
func (s *Server) serveCluster(ctx context.Context) error {
	h := &hub{
		s: s, failed: make(chan error, 1),
		pending: make(map[uint64]pendingMessage), queries: make(map[uint64]*statsQuery),
	}
	if err := h.start(); err != nil {
		h.kill()
		return err
	}
	s.life.Lock()
	s.hub = h
	s.life.Unlock()
	close(s.clustered)

	running, stop := context.WithCancel(ctx)
	defer stop()
	var chores sync.WaitGroup
	s.startStatus(running, &chores)
	var err error
	select {
	case <-ctx.Done():
		h.stop()
	case <-s.quit:
	case err = <-h.failed:
	}
	stop()
	chores.Wait()
	h.kill()
	return err
}

// start starts all workers, and only then tells any its configuration: before
// that none serves, so each gets every message.
func (h *hub) start() error {
	shared, ok := h.s.listener.(sharedListener)
	if !ok {
		return fmt.Errorf("listener %T cannot be shared with workers", h.s.listener)
	}
	socket, err := shared.File()
	if err != nil {
		return fmt.Errorf("share the listening socket: %w", err)
	}
	defer socket.Close()

	cfg := h.s.cfg
	cfg.Workers, cfg.ListenBacklog, cfg.StatusInterval = 1, 0, 0
	text, err := json.Marshal(workerConfig{Config: cfg, Made: h.s.made})
	if err != nil {
		return fmt.Errorf("worker configuration: %w", err)
	}
	output := &lockedWriter{w: h.s.cfg.WorkerOutput}
	for slot := range h.s.cfg.Workers {
		w, err := h.startWorker(slot, socket, output)
		if err != nil {
			return fmt.Errorf("start worker %d of %d (%s): %w", slot+1, h.s.cfg.Workers, h.s.cfg.WorkerCommand[0], err)
		}
		h.mu.Lock()
		h.workers = append(h.workers, w)
		h.alive++
		h.mu.Unlock()
		go h.tend(w)
	}
	// Handing the socket to a process makes it blocking, and that is a property
	// all holders share: undone before any worker accepts.
	if err := makeNonblocking(shared); err != nil {
		return err
	}
	for _, w := range h.workers {
		w.pipe.commit(append(w.pipe.begin(frameConfig), text...))
	}
	return nil
}

// sharedListener is a listener on a socket that other processes can have, too.
type sharedListener interface {
	syscall.Conn
	File() (*os.File, error)
}

func makeNonblocking(ln syscall.Conn) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return fmt.Errorf("listening socket: %w", err)
	}
	var setErr error
	if err := raw.Control(func(fd uintptr) { setErr = syscall.SetNonblock(int(fd), true) }); err != nil {
		return fmt.Errorf("listening socket: %w", err)
	}
	if setErr != nil {
		return fmt.Errorf("listening socket: %w", setErr)
	}
	return nil
}

// Descriptors of a worker, in the order of ExtraFiles.
const (
	workerSocket = 3 + iota
	workerIn
	workerOut
)

func (h *hub) startWorker(slot int, socket *os.File, output io.Writer) (*hubWorker, error) {
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirIn.Close()
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		_ = ourOut.Close()
		return nil, err
	}
	defer theirOut.Close()
	argv := h.s.cfg.WorkerCommand
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.ExtraFiles = []*os.File{socket, theirIn, theirOut}
	if h.s.cfg.WorkerOutput != nil {
		cmd.Stdout, cmd.Stderr = output, output
	}
	cmd.WaitDelay = time.Second
	// A group of its own keeps the terminal's Ctrl-C away: the parent decides
	// how the cluster ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		_ = ourOut.Close()
		_ = ourIn.Close()
		return nil, err
	}
	p := newPipe(ourIn, ourOut, func() {
		h.s.cfg.Log.Error("a worker is stuck and is killed", "pid", cmd.Process.Pid)
		_ = cmd.Process.Kill() // ended already is what is wanted
	})
	return &hubWorker{slot: slot, cmd: cmd, pipe: p, alive: true, done: make(chan struct{})}, nil
}

// tend reads from one worker until it ends, and reaps it.
func (h *hub) tend(w *hubWorker) {
	defer close(w.done)
	var err error
	for err == nil {
		var kind byte
		var payload []byte
		if kind, payload, err = w.pipe.read(); err == nil {
			err = h.handle(w, kind, payload)
		}
	}
	// Without its bus it must not serve on. One that closed the bus itself is
	// about to end and gets the time for it.
	patience := 2 * stopGrace
	if !errors.Is(err, io.EOF) {
		h.s.cfg.Log.Error("bus of a worker broke", "pid", w.cmd.Process.Pid, "error", err)
		patience = 0
	}
	killer := time.AfterFunc(patience, func() { _ = w.cmd.Process.Kill() }) // ended already is what is wanted
	defer killer.Stop()
	w.pipe.finish()
	_ = w.pipe.in.Close() // read to its end
	h.buried(w, w.cmd.Wait())
}

// handle acts on one frame; an error means that the worker cannot be trusted.
func (h *hub) handle(w *hubWorker, kind byte, payload []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := fields{rest: payload}
	switch kind {
	case frameReady:
		w.ready = true
	case framePublish:
		request := f.number()
		h.publish(w, request, f.rest)
	case frameAck:
		id, receivers := f.number(), f.number()
		if m, ok := h.pending[id]; ok {
			m.receivers += receivers
			h.settle(id, m, w)
		}
	case frameTell:
		token := f.number()
		var told workerStats
		if err := json.Unmarshal(f.rest, &told); err != nil {
			return fmt.Errorf("stats of a worker: %w", err)
		}
		if q := h.queries[token]; q != nil {
			if len(told.Stats.Injected) != len(q.sum.Injected) {
				return fmt.Errorf("stats of a worker: %d faults are not %d", len(told.Stats.Injected), len(q.sum.Injected))
			}
			q.sum.add(told.Stats)
			for _, name := range told.Rooms {
				q.rooms[name] = struct{}{}
			}
			h.settleQuery(token, q, w)
		}
	case frameStats:
		request := f.number()
		h.ask(func(st Stats) {
			// A struct of numbers and faults always has a JSON form.
			text, _ := json.Marshal(st)
			reply(w, request, 0, 0, text)
		})
	case frameAdmit:
		request, granted := f.number(), uint64(0)
		if h.admitted < h.s.cfg.MaxClients {
			h.admitted++
			w.admitted++
			granted = 1
		}
		reply(w, request, granted, 0, nil)
	case frameRelease:
		h.admitted--
		w.admitted--
	case frameSync:
		reply(w, f.number(), 0, 0, nil)
	default:
		return fmt.Errorf("%w: kind %d", errFrame, kind)
	}
	if f.bad {
		return fmt.Errorf("%w: kind %d is cut short", errFrame, kind)
	}
	return nil
}

func reply(w *hubWorker, request, a, b uint64, text []byte) {
	frame := w.pipe.begin(frameReply)
	frame = binary.AppendUvarint(frame, request)
	frame = binary.AppendUvarint(frame, a)
	frame = binary.AppendUvarint(frame, b)
	w.pipe.commit(append(frame, text...))
}

// publish gives a message its number and sends it to every worker. message is
// room, event type and body as the worker encoded them.
func (h *hub) publish(origin *hubWorker, request uint64, message []byte) {
	h.seq++
	m := pendingMessage{origin: origin, request: request}
	for _, w := range h.workers {
		if !w.alive {
			continue
		}
		m.waiting |= 1 << w.slot
		frame := binary.AppendUvarint(w.pipe.begin(frameDeliver), h.seq)
		w.pipe.commit(append(frame, message...))
	}
	h.pending[h.seq] = m
}

// settle notes that w is done with a message and answers when all are.
func (h *hub) settle(id uint64, m pendingMessage, w *hubWorker) {
	m.waiting &^= 1 << w.slot
	if m.waiting != 0 {
		h.pending[id] = m
		return
	}
	delete(h.pending, id)
	if m.origin.alive {
		reply(m.origin, m.request, m.receivers, id, nil)
	}
}

// ask collects the stats of all workers.
func (h *hub) ask(answer func(Stats)) (token uint64) {
	h.token++
	q := &statsQuery{answer: answer, rooms: make(map[string]struct{})}
	// The hub's own share: it serves nobody, but it costs.
	own, _ := h.s.localStats(false)
	q.sum = Stats{PIDs: own.PIDs, Profiles: own.Profiles, CPUNS: own.CPUNS, RSSBytes: own.RSSBytes, UptimeNS: own.UptimeNS, Injected: own.Injected}
	q.sum.Messages, q.sum.WorkersDied = h.seq, h.died
	for _, w := range h.workers {
		if w.alive {
			q.waiting |= 1 << w.slot
			w.pipe.commit(binary.AppendUvarint(w.pipe.begin(frameAsk), h.token))
		}
	}
	if q.waiting == 0 {
		answer(q.sum)
		return h.token
	}
	h.queries[h.token] = q
	return h.token
}

func (h *hub) settleQuery(token uint64, q *statsQuery, w *hubWorker) {
	q.waiting &^= 1 << w.slot
	if q.waiting == 0 {
		delete(h.queries, token)
		q.sum.Rooms = len(q.rooms)
		q.answer(q.sum)
	}
}

func (h *hub) stats(ctx context.Context) (Stats, error) {
	got := make(chan Stats, 1)
	h.mu.Lock()
	token := h.ask(func(st Stats) { got <- st })
	h.mu.Unlock()
	select {
	case st := <-got:
		return st, nil
	case <-ctx.Done():
		h.mu.Lock()
		delete(h.queries, token)
		h.mu.Unlock()
		return Stats{}, fmt.Errorf("stats of the workers: %w", ctx.Err())
	}
}

// buried strikes a worker off: nothing waits for it any more. A worker that
// died is not replaced: it would not know what the others replay, and a server
// under measurement should show its wounds.
func (h *hub) buried(w *hubWorker, exit error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.alive = false
	h.alive--
	h.admitted -= w.admitted
	for id, m := range h.pending {
		if m.waiting&(1<<w.slot) != 0 {
			h.settle(id, m, w)
		}
	}
	for token, q := range h.queries {
		if q.waiting&(1<<w.slot) != 0 {
			h.settleQuery(token, q, w)
		}
	}
	if h.stopping {
		return
	}
	h.died++
	h.s.cfg.Log.Error("a worker died", "pid", w.cmd.Process.Pid, "exit", exit, "left", h.alive)
	var why error
	switch {
	case !w.ready:
		why = fmt.Errorf("worker %s ended before it was ready: %w", h.s.cfg.WorkerCommand[0], exitError(exit))
	case h.alive == 0:
		why = fmt.Errorf("all %d workers died, the last: %w", len(h.workers), exitError(exit))
	default:
		return
	}
	select {
	case h.failed <- why:
	default: // one reason is enough
	}
}

// exitError gives a worker that ended without an error a word too.
func exitError(exit error) error {
	if exit == nil {
		return errors.New("exit status 0")
	}
	return exit
}

// stop ends the workers gracefully, within twice the grace they have.
func (h *hub) stop() {
	h.mu.Lock()
	h.stopping = true
	for _, w := range h.workers {
		if w.alive {
			w.pipe.commit(w.pipe.begin(frameStop))
		}
	}
	h.mu.Unlock()
	limit := time.NewTimer(2 * stopGrace)
	defer limit.Stop()
	for _, w := range h.workers {
		select {
		case <-w.done:
		case <-limit.C:
			return
		}
	}
}

// kill ends what still runs and returns when all of it has ended.
func (h *hub) kill() {
	h.mu.Lock()
	h.stopping = true
	h.mu.Unlock() // h.workers does not change after start
	for _, w := range h.workers {
		// Ended already is what is wanted.
		_ = w.cmd.Process.Kill()
	}
	for _, w := range h.workers {
		<-w.done
	}
}

// lockedWriter lets several workers write to one place; nil discards.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
