//go:build unix

package testserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
)

// ErrHubGone is returned by RunWorker when the cluster's parent ended without
// saying so.
var ErrHubGone = errors.New("the parent process is gone")

// ErrNotWorker is returned by RunWorker in a process that no server started.
var ErrNotWorker = errors.New("not started as a worker by a server")

// RunWorker is the whole life of a worker process, the one that
// Config.WorkerCommand starts: it takes the listening socket and the bus from
// descriptors 3 to 5, its configuration from the bus, and serves until the
// parent stops it (nil), the parent is gone (ErrHubGone) or ctx ends (nil). A
// nil log discards.
func RunWorker(ctx context.Context, log *slog.Logger) error {
	for fd, mode := range map[int]uint32{workerSocket: syscall.S_IFSOCK, workerIn: syscall.S_IFIFO, workerOut: syscall.S_IFIFO} {
		// Descriptors that are not what a hub hands over belong to the Go
		// runtime or the caller, and are left alone.
		var st syscall.Stat_t
		if err := syscall.Fstat(fd, &st); err != nil || uint32(st.Mode)&syscall.S_IFMT != mode {
			return ErrNotWorker
		}
		syscall.CloseOnExec(fd)
		// Non-blocking, a pipe is served by the poller and can be closed
		// while somebody reads it.
		if err := syscall.SetNonblock(fd, true); err != nil {
			return fmt.Errorf("descriptor %d: %w", fd, err)
		}
	}
	socket := os.NewFile(workerSocket, "listening socket")
	ln, err := net.FileListener(socket)
	_ = socket.Close() // the listener has a copy
	if err != nil {
		return fmt.Errorf("inherited socket: %w", err)
	}
	defer ln.Close()
	p := newPipe(os.NewFile(workerIn, "bus in"), os.NewFile(workerOut, "bus out"), nil)
	defer p.finish()
	defer p.in.Close()

	kind, payload, err := p.read()
	if err != nil || kind != frameConfig {
		return fmt.Errorf("no configuration came: %w", errors.Join(ErrHubGone, err))
	}
	var cfg workerConfig
	if err := json.Unmarshal(payload, &cfg); err != nil {
		return fmt.Errorf("configuration from the parent: %w", err)
	}
	cfg.Config.Log = log
	s, err := newServer(cfg.Config, cfg.Made)
	if err != nil {
		return err
	}
	s.listener = ln
	if s.profiles, err = cfg.Config.Profile.listen(); err != nil {
		return err
	}
	defer s.startProfiles(ctx)()
	b := &workerBus{s: s, pipe: p, calls: make(map[uint64]*call)}
	s.bus = b
	return b.run(ctx)
}

// workerBus is a worker's side of the bus.
type workerBus struct {
	s    *Server
	pipe *pipe
	idle sync.Pool // *call

	mu      sync.Mutex
	request uint64
	calls   map[uint64]*call
	gone    bool
}

// call waits for the hub's reply.
type call struct {
	done chan struct{} // of capacity 1
	ok   bool
	a, b uint64
	text []byte
}

func (b *workerBus) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		err := b.listen(stop)
		b.fail()
		stop()
		ended <- err
	}()
	b.pipe.commit(b.pipe.begin(frameReady))
	err := b.s.serveAlone(ctx)
	_ = b.pipe.in.Close() // wakes listen
	if busErr := <-ended; err == nil && !errors.Is(busErr, os.ErrClosed) {
		err = busErr
	}
	return err
}

// listen handles frames until the hub is gone. Told to stop, it calls stop and
// goes on, since requests under way still need answers, and returns nil at the
// end.
func (b *workerBus) listen(stop context.CancelFunc) error {
	stopped := false
	for {
		kind, payload, err := b.pipe.read()
		if err != nil {
			if stopped {
				return nil
			}
			return fmt.Errorf("%w: %w", ErrHubGone, err)
		}
		f := fields{rest: payload}
		switch kind {
		case frameDeliver:
			id, room, typ := f.number(), f.text(), string(f.text())
			if f.bad {
				return errFrame
			}
			if b.s.inject == nil {
				b.deliver(id, room, typ, f.rest)
				continue
			}
			// Frozen, a worker must still hear that it is to stop.
			room, body := bytes.Clone(room), bytes.Clone(f.rest)
			b.s.inject.ice.orLater(func() { b.deliver(id, room, typ, body) })
		case frameReply:
			b.answer(f)
		case frameAsk:
			var told workerStats
			told.Stats, told.Rooms = b.s.localStats(true)
			text, err := json.Marshal(told)
			if err != nil {
				return fmt.Errorf("stats: %w", err)
			}
			frame := binary.AppendUvarint(b.pipe.begin(frameTell), f.number())
			b.pipe.commit(append(frame, text...))
		case frameStop:
			stopped = true
			stop()
		default:
			return fmt.Errorf("%w: kind %d", errFrame, kind)
		}
	}
}

// deliver delivers a message here and acknowledges it.
func (b *workerBus) deliver(id uint64, room []byte, typ string, body []byte) {
	got := b.s.apply(room, typ, body, id)
	b.s.ids.Store(id)
	frame := binary.AppendUvarint(b.pipe.begin(frameAck), id)
	b.pipe.commit(binary.AppendUvarint(frame, uint64(got.receivers)))
}

func (b *workerBus) answer(f fields) {
	request, x, y := f.number(), f.number(), f.number()
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[request]
	if c == nil {
		return // whoever asked has left
	}
	delete(b.calls, request)
	c.ok, c.a, c.b, c.text = true, x, y, append(c.text[:0], f.rest...)
	c.done <- struct{}{}
}

// fail ends all calls under way and to come.
func (b *workerBus) fail() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = true
	for request, c := range b.calls {
		delete(b.calls, request)
		c.done <- struct{}{}
	}
}

// ask sends a request and waits for the reply, which release gives back. The
// frame's further payload is written by fill, if not nil.
func (b *workerBus) ask(ctx context.Context, kind byte, fill func([]byte) []byte) (*call, error) {
	c, _ := b.idle.Get().(*call)
	if c == nil {
		c = &call{done: make(chan struct{}, 1)}
	}
	c.ok = false
	b.mu.Lock()
	if b.gone {
		b.mu.Unlock()
		return nil, ErrHubGone
	}
	b.request++
	request := b.request
	b.calls[request] = c
	b.mu.Unlock()

	frame := binary.AppendUvarint(b.pipe.begin(kind), request)
	if fill != nil {
		frame = fill(frame)
	}
	b.pipe.commit(frame)
	select {
	case <-c.done:
	case <-ctx.Done():
		b.mu.Lock()
		_, waiting := b.calls[request]
		delete(b.calls, request)
		b.mu.Unlock()
		if waiting {
			return nil, ctx.Err()
		}
		<-c.done // the reply came at the same moment
	}
	if !c.ok {
		return nil, ErrHubGone
	}
	return c, nil
}

func (b *workerBus) publish(ctx context.Context, room []byte, typ string, body []byte) (receipt, error) {
	c, err := b.ask(ctx, framePublish, func(frame []byte) []byte {
		return append(appendText(appendText(frame, room), typ), body...)
	})
	if err != nil {
		return receipt{}, err
	}
	defer b.idle.Put(c)
	return receipt{receivers: int(c.a), id: c.b}, nil
}

func (b *workerBus) stats(ctx context.Context) (Stats, error) {
	c, err := b.ask(ctx, frameStats, nil)
	if err != nil {
		return Stats{}, err
	}
	defer b.idle.Put(c)
	var st Stats
	if err := json.Unmarshal(c.text, &st); err != nil {
		return Stats{}, fmt.Errorf("stats from the parent: %w", err)
	}
	return st, nil
}

func (b *workerBus) admit(ctx context.Context) (bool, error) {
	// A place granted to someone who has left would be lost, so this waits;
	// the hub answers at once or is gone.
	c, err := b.ask(context.WithoutCancel(ctx), frameAdmit, nil)
	if err != nil {
		return false, err
	}
	defer b.idle.Put(c)
	return c.a == 1, nil
}

func (b *workerBus) release() { b.pipe.commit(b.pipe.begin(frameRelease)) }

func (b *workerBus) catchUp(ctx context.Context) error {
	c, err := b.ask(ctx, frameSync, nil)
	if err != nil {
		return err
	}
	b.idle.Put(c)
	return nil
}
