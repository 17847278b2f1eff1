package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const epollAvailable = true

// epoll is an Engine with one goroutine, the loop, for all its sockets. Every
// field but the inbox belongs to the loop.
type epoll struct {
	cfg    Config
	fd     int
	wakeFD int // eventfd: the inbox has something
	events []unix.EpollEvent

	recv    receiver
	buf     []byte // what was read last
	request []byte // what is to be written next
	scratch []byte

	disp    dispatcher
	again   bool   // the Handler subscribed the id that disp is busy with
	heldID  []byte // that one's last event ID when it was unsubscribed, or subscribed again
	conns   []subscription
	opening deadlines
	waiting []int32                // subscriptions that this turn is to dial
	rest    map[int][]byte         // of requests that the socket did not take whole
	moved   map[int]*redirects     // subscriptions that were redirected, until they are open
	at      map[int]netip.AddrPort // where those are connected to that are not at the target's address
	hosts   map[string]*host       // to which subscriptions were redirected, by host and port
	sends   sendPool
	alarm   alarm
	timer   kernelTimer // of the alarm; opened with the first one
	napping bool        // it may wait as nap says
	naps    int         // that were interrupted since something came
	pace    pace        // of slow readers
	pauses  deadlines   // of theirs, when those end
	full    fullQueue   // who waits for a place in a Unix listener's
	freely  bool        // they are slow no more

	ctx     context.Context // of look-ups
	cancel  context.CancelFunc
	lookups sync.WaitGroup

	mu     sync.Mutex
	inbox  []func()
	closed bool
	done   chan struct{}
}

// subscription is all that a client costs here.
type subscription struct {
	machine
	timing Timing
	fd     int32
	gen    int32 // moves on with each socket, so that events and deadlines of an old one are known
	state  state
	slow   bool // it reads slowly once it is open
	paused bool // and its socket is not in the epoll set now
}

type state uint8

const (
	closed     state = iota
	waiting          // to be dialed at the end of this turn
	resolving        // a redirect's host is looked up, or a failure is about to be told
	connecting       // no request written yet
	requested        // waiting for the response head
	open
)

// What an epoll event is about stands in its Pad field: a subscription's
// generation (positive), a send connection's (negative), or the loop itself (0).
// Then Fd says which of its own.
const (
	aboutLoop = 0

	inboxEvent = 0
	alarmEvent = 1
)

func newEpoll(cfg Config) (Engine, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), unix.Close(fd))
	}
	e := &epoll{
		cfg: cfg, fd: fd, wakeFD: wake,
		events: make([]unix.EpollEvent, 256),
		buf:    make([]byte, 64<<10),
		conns:  make([]subscription, cfg.Clients),
		rest:   map[int][]byte{},
		moved:  map[int]*redirects{},
		at:     map[int]netip.AddrPort{},
		hosts:  map[string]*host{},
		timer:  kernelTimer{fd: -1},

		napping: runtime.GOMAXPROCS(0) > 1,
		pace:    cfg.pace(),
		done:    make(chan struct{}),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.disp = dispatcher{h: cfg.Handler, clock: cfg.Clock}
	e.sends = sendPool{e: e, limit: cfg.SendConnections}
	e.full.e = e
	for i := range e.conns {
		e.conns[i].fd = -1
	}
	if err := e.control(unix.EPOLL_CTL_ADD, wake, unix.EPOLLIN, inboxEvent, aboutLoop); err != nil {
		e.cancel()
		return nil, errors.Join(err, unix.Close(wake), unix.Close(fd))
	}
	go e.loop()
	return e, nil
}

// Do implements [Engine].
func (e *epoll) Do(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.inbox = append(e.inbox, f)
	if len(e.inbox) == 1 {
		e.wake()
	}
}

// wake must be called with mu held, so that the eventfd is still open.
func (e *epoll) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(e.wakeFD, one[:]) // it can only fail when it is awake already
}

// Close implements [Engine].
func (e *epoll) Close() {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		e.wake()
	}
	e.mu.Unlock()
	<-e.done
	e.cancel()
	e.lookups.Wait()
}

func (e *epoll) loop() {
	defer close(e.done)
	defer e.release()
	for {
		n := e.wait()
		for i := range e.events[:n] {
			e.ring() // a turn may be long
			ev := &e.events[i]
			switch {
			case ev.Pad == aboutLoop && ev.Fd == inboxEvent:
				if !e.readInbox() {
					return
				}
			case ev.Pad == aboutLoop: // the timer, which has done its work by waking the loop
			case ev.Pad > 0:
				if c := &e.conns[ev.Fd]; c.gen == ev.Pad && c.fd >= 0 {
					e.ready(int(ev.Fd), c, ev.Events)
				}
			default:
				e.sends.ready(ev.Fd, -ev.Pad, ev.Events)
			}
		}
		e.ring()
		e.expire()
		e.dialWaiting()
	}
}

// The loop waits without the Go scheduler's knowledge for up to nap milliseconds at
// a time, and knows by mostNaps that nothing has come for about as long. To tell the
// scheduler costs little; but it then looks after the thread every 20 µs, which was
// up to half of what bursts of events cost. Without being told it takes the thread to
// be busy, and interrupts it every 10 ms, as it does when it needs it. Others have
// the other cores meanwhile; a timer of the runtime that waits on this one may be late
// by those 10 ms.
const (
	nap      = 100
	mostNaps = 10
)

// wait fills e.events and returns how many there are.
func (e *epoll) wait() int {
	timeout := 0
	if e.napping && (e.alarm.f == nil || !e.alarm.soon(e.cfg.Clock.Now())) {
		if timeout = e.patience(); timeout < 0 || timeout > nap {
			timeout = nap
		}
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])),
		uintptr(len(e.events)), uintptr(timeout), 0, 0)
	switch {
	case errno == 0 && n > 0:
		e.naps = 0
		return int(n)
	case errno == unix.EINTR && e.naps < mostNaps:
		e.naps++
		return 0
	case e.alarm.f != nil && e.alarm.soon(e.cfg.Clock.Now()):
		return 0
	}
	e.naps = 0
	blocked, err := unix.EpollWait(e.fd, e.events, e.patience())
	if err != nil {
		return 0 // a signal
	}
	return blocked
}

// patience is for how many milliseconds nothing falls due; -1 is for ever.
func (e *epoll) patience() int {
	at, any := int64(math.MaxInt64), false
	for _, q := range [...]*deadlines{&e.opening, &e.sends.deadlines, &e.pauses} {
		if next, ok := q.next(); ok {
			at, any = min(at, next), true
		}
	}
	if e.alarm.f != nil {
		at, any = min(at, e.alarm.at), true
	}
	if e.full.len() > 0 {
		at, any = min(at, e.full.at), true
	}
	if !any {
		return -1
	}
	now := e.cfg.Clock.Now()
	left := time.Duration(max(at, now) - now)
	return int(min(left/time.Millisecond, math.MaxInt32-1)) + 1 // the kernel's int
}

// readInbox runs what Do was given. It returns false once the engine is closed.
func (e *epoll) readInbox() bool {
	var count [8]byte
	_, _ = unix.Read(e.wakeFD, count[:])
	e.mu.Lock()
	work, isClosed := e.inbox, e.closed
	e.inbox = nil
	e.mu.Unlock()
	if isClosed {
		return false
	}
	for _, f := range work {
		f()
	}
	return true
}

func (e *epoll) release() {
	for i := range e.conns {
		e.drop(i, &e.conns[i])
	}
	e.sends.release()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.timer.fd >= 0 {
		_ = unix.Close(e.timer.fd)
	}
	_ = unix.Close(e.wakeFD)
	_ = unix.Close(e.fd)
}

func (e *epoll) expire() {
	if e.opening.len() > 0 {
		now := e.cfg.Clock.Now()
		for {
			d, ok := e.opening.expired(now, e.isOpenOrGone)
			if !ok {
				break
			}
			c := &e.conns[d.index]
			e.fail(int(d.index), c, openTimeout(c.state == requested, e.cfg.Timeout))
		}
	}
	e.sends.expire()
	if e.pauses.len() > 0 {
		e.resume(e.cfg.Clock.Now())
	}
	e.full.retry()
}

func (e *epoll) isOpenOrGone(d deadline) bool {
	c := &e.conns[d.index]
	return c.gen != d.gen || c.state == open || c.state == closed
}

// Subscribe implements [Engine].
func (e *epoll) Subscribe(id int, lastEventID []byte) {
	if e.disp.busy && e.disp.id == id {
		// The Handler unsubscribed id in this very call, and the machine is still
		// at work: read subscribes again once it has come to rest.
		e.again = true
		if lastEventID != nil {
			e.heldID = append(e.heldID[:0], lastEventID...)
		}
		return
	}
	c := &e.conns[id]
	if lastEventID != nil {
		c.dec.SetLastEventID(lastEventID)
	}
	c.state = waiting
	e.waiting = append(e.waiting, int32(id))
}

// dialWaiting connects what was subscribed in this turn of the loop. One after the
// other, and not each between two reads, they wake a server on the same machine fewer
// times.
func (e *epoll) dialWaiting() {
	for _, id := range e.waiting {
		c := &e.conns[id]
		if c.state != waiting {
			continue // it was unsubscribed
		}
		c.timing = Timing{Dialed: e.cfg.Clock.Now()}
		e.dial(int(id), c)
	}
	e.waiting = e.waiting[:0]
}

// Unsubscribe implements [Engine].
func (e *epoll) Unsubscribe(id int) {
	if e.disp.busy && e.disp.id == id {
		// read drops it once the machine has come to rest. What that finds until
		// then never happened.
		if !e.disp.stopped {
			e.heldID = append(e.heldID[:0], e.conns[id].dec.LastEventID()...)
		}
		e.disp.stopped, e.again = true, false
		return
	}
	e.drop(id, &e.conns[id])
}

// dial connects a subscription to the target, or to where that redirected it, and
// writes the request if that goes at once, as it does over loopback, where the
// handshake is done when connect returns.
func (e *epoll) dial(id int, c *subscription) {
	for {
		f := e.dialOnce(id, c)
		if f == nil {
			return
		}
		if !e.nextAddr(id) {
			e.failLater(id, c, f)
			return
		}
	}
}

// nextAddr moves a redirected subscription on to the next address of its host,
// the one that it has having failed. It returns false when there is none.
func (e *epoll) nextAddr(id int) bool {
	r, ok := e.moved[id]
	if !ok || len(r.addrs) < 2 {
		return false
	}
	failed := r.addrs[0]
	r.addrs = r.addrs[1:]
	if h, ok := e.hosts[r.host]; ok && len(h.addrs) > 1 && h.addrs[0] == failed {
		h.addrs = append(h.addrs[1:len(h.addrs):len(h.addrs)], failed) // spares the others the trial
	}
	return true
}

func (e *epoll) dialOnce(id int, c *subscription) *Failure {
	c.hangUp()
	c.reset(e.cfg.MaxEventSize)
	c.gen++
	c.state = connecting
	addr := e.cfg.Target.Subscribe.Addr
	delete(e.at, id)
	if r, ok := e.moved[id]; ok && r.addrs[0] != addr {
		addr = r.addrs[0]
		e.at[id] = addr
	}
	c.slow = e.cfg.slow(id)
	unixPath := e.cfg.Target.Subscribe.Unix
	fd, err := e.socket(addr, unixPath, e.source(id), c.slow)
	if err != nil {
		return classify(err)
	}
	c.fd = int32(fd)
	// How long data waits for a slow reader is part of what it stands for, and of what
	// comes by a Unix socket the kernel takes no times.
	if !c.slow && unixPath == "" {
		if err := stampReceipts(fd); err != nil {
			return classify(fmt.Errorf("receive timestamps: %w", err))
		}
	}
	e.opening.add(deadline{at: e.cfg.deadline(c.timing.Dialed), index: int32(id), gen: c.gen}, e.isOpenOrGone)
	switch wait, err := e.full.connect(fd, unixPath, int32(id), c.gen); {
	case err != nil:
		return classify(err)
	case wait:
		return nil
	}
	return e.watch(id, c)
}

// watch writes the request of a subscription whose connection has begun, if that goes
// at once, and has epoll tell of it.
func (e *epoll) watch(id int, c *subscription) *Failure {
	interest := uint32(unix.EPOLLIN)
	again, f := e.writeRequest(id, c)
	if f != nil {
		return f
	}
	if again {
		interest |= unix.EPOLLOUT
	}
	if err := e.control(unix.EPOLL_CTL_ADD, int(c.fd), interest, int32(id), c.gen); err != nil {
		return classify(err)
	}
	return nil
}

// source is the local address for a subscription.
func (e *epoll) source(id int) netip.Addr {
	if len(e.cfg.Sources) == 0 {
		return netip.Addr{}
	}
	return sourceFor(e.cfg.Sources, e.cfg.Handler.Vars(id).Client)
}

// socket begins a connection to addr, of a slow reader or not. With the path of a Unix
// socket it is left to connect.
func (e *epoll) socket(addr netip.AddrPort, unixPath string, source netip.Addr, slow bool) (int, error) {
	family := unix.AF_INET
	var to unix.Sockaddr
	switch {
	case unixPath != "":
		family, source = unix.AF_UNIX, netip.Addr{}
	default:
		var err error
		if to, err = sockaddr(addr); err != nil {
			return -1, fmt.Errorf("connect to %s: %w", addr, err)
		}
		if addr.Addr().Unmap().Is6() {
			family = unix.AF_INET6
		}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := prepare(fd, source, slow); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	if to == nil {
		return fd, nil
	}
	if err := connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return -1, errors.Join(fmt.Errorf("connect to %s: %w", addr, err), unix.Close(fd))
	}
	return fd, nil
}

// prepare sets up a socket before it is connected.
func prepare(fd int, source netip.Addr, slow bool) error {
	if slow {
		if err := shrink(uintptr(fd)); err != nil {
			return fmt.Errorf("socket: %w", err)
		}
	}
	if !source.IsValid() {
		return nil
	}
	// The port is chosen at connect, per destination, instead of one for all.
	_ = setOption(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT)
	from, err := sockaddr(netip.AddrPortFrom(source, 0))
	if err == nil {
		err = unix.Bind(fd, from)
	}
	if err != nil {
		return fmt.Errorf("bind to %s: %w", source, err)
	}
	return nil
}

func sockaddr(addr netip.AddrPort) (unix.Sockaddr, error) {
	ip := addr.Addr().Unmap()
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: ip.As4()}, nil
	}
	zone, err := zoneID(ip.Zone())
	return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: ip.As16(), ZoneId: zone}, err
}

// zoneID is the number of the interface to which an address of its link belongs,
// RFC 4007 section 11; 0 is none.
func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err == nil {
		return uint32(ifi.Index), nil
	}
	n, nerr := strconv.ParseUint(zone, 10, 32)
	if nerr != nil {
		return 0, fmt.Errorf("zone %q: %w", zone, err)
	}
	return uint32(n), nil
}

func (e *epoll) control(op, fd int, events uint32, index, about int32) error {
	ev := unix.EpollEvent{Events: events, Fd: index, Pad: about}
	if err := unix.EpollCtl(e.fd, op, fd, &ev); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// oneSegment is what surely goes in one: the last part of a longer request would wait
// for the receipt of the parts before it (RFC 9293 section 3.7.4) unless told not to,
// which a system call for each client is too much for where there is one part.
const oneSegment = 1000

// writeRequest writes what is to be written of the subscribe request. again is
// true when the socket takes no more, or is not connected yet.
func (e *epoll) writeRequest(id int, c *subscription) (again bool, f *Failure) {
	p, begun := e.rest[id]
	if !begun {
		p = e.subscribeRequest(id, c)
		if len(p) > oneSegment && e.cfg.Target.Subscribe.Unix == "" {
			if err := sendAtOnce(int(c.fd)); err != nil {
				return false, classify(err)
			}
		}
	}
	// The time is taken before the write: over loopback the answer may be there
	// before the write returns.
	now := e.cfg.Clock.Now()
	n, errno := write(int(c.fd), p)
	switch {
	case errno == unix.EAGAIN || errno == unix.ENOTCONN:
		return true, nil
	case errno != 0:
		return false, classify(fmt.Errorf("connect to %s: %w", e.peer(id), errno))
	case c.state == connecting:
		c.timing.Connected = now
		c.state = requested
	}
	if n < len(p) {
		e.rest[id] = append([]byte(nil), p[n:]...)
		return true, nil
	}
	delete(e.rest, id)
	c.timing.Requested = now
	return false, nil
}

func (e *epoll) subscribeRequest(id int, c *subscription) []byte {
	v := e.cfg.Handler.Vars(id)
	if r, ok := e.moved[id]; ok {
		e.request, e.scratch = e.cfg.Target.Subscribe.AppendRedirected(e.request[:0], e.scratch, r.Redirect, v, c.dec.LastEventID())
	} else {
		e.request, e.scratch = e.cfg.Target.Subscribe.Append(e.request[:0], e.scratch, v, c.dec.LastEventID())
	}
	return e.request
}

func (e *epoll) addr(id int) netip.AddrPort {
	if addr, ok := e.at[id]; ok {
		return addr
	}
	return e.cfg.Target.Subscribe.Addr
}

// peer is what a subscription is connected to, for messages.
func (e *epoll) peer(id int) string {
	if addr, ok := e.at[id]; ok {
		return addr.String()
	}
	return e.cfg.Target.Subscribe.Peer()
}

// ready handles what epoll says about a subscription's socket.
func (e *epoll) ready(id int, c *subscription, events uint32) {
	if events&unix.EPOLLOUT != 0 {
		again, f := e.writeRequest(id, c)
		if f != nil && c.state == connecting && e.nextAddr(id) {
			e.dial(id, c)
			return
		}
		if f != nil {
			e.fail(id, c, f)
			return
		}
		if !again {
			if err := e.control(unix.EPOLL_CTL_MOD, int(c.fd), unix.EPOLLIN, int32(id), c.gen); err != nil {
				e.fail(id, c, classify(err))
				return
			}
		}
	}
	if events&^unix.EPOLLOUT != 0 {
		e.read(id, c)
	}
}

func (e *epoll) read(id int, c *subscription) {
	held, buf := e.held(c), e.buf
	if held {
		buf = buf[:min(len(buf), e.pace.most())]
	}
	n, real, errno := e.recv.read(int(c.fd), buf)
	if errno != 0 {
		if errno != unix.EAGAIN {
			e.fail(id, c, classify(fmt.Errorf("read from %s: %w", e.peer(id), errno)))
		}
		return
	}
	if n == 0 {
		e.fail(id, c, classify(c.end()))
		return
	}
	e.disp.timing = c.timing
	err := e.disp.write(&c.machine, id, e.cfg.Clock.stamp(real), buf[:n])
	if e.disp.stopped {
		e.drop(id, c)
		c.dec.SetLastEventID(e.heldID)
		if e.again {
			e.again = false
			e.Subscribe(id, nil)
		}
		return
	}
	if e.disp.opened {
		c.state = open
		delete(e.moved, id)
	}
	switch {
	case err != nil:
		e.ended(id, c, err)
	case held && e.held(c):
		e.pause(id, c, n)
	}
}

// ended handles the end of a response that the machine found.
func (e *epoll) ended(id int, c *subscription, err error) {
	var to *redirect
	if !errors.As(err, &to) {
		e.fail(id, c, e.moved[id].through(e.cfg.Target.Subscribe, classify(err)))
		return
	}
	e.redirect(id, c, to)
}

// fail ends subscription id and tells the Handler why.
func (e *epoll) fail(id int, c *subscription, f *Failure) {
	e.drop(id, c)
	e.cfg.Handler.Closed(id, f)
}

// failLater is fail outside of the caller's call: Subscribe promises that the
// Handler is not called back while it runs.
func (e *epoll) failLater(id int, c *subscription, f *Failure) {
	e.drop(id, c)
	c.state = resolving
	gen := c.gen
	e.Do(func() {
		if c.gen == gen && c.state == resolving {
			e.fail(id, c, f)
		}
	})
}

// drop closes a subscription's socket and forgets what was going on.
func (e *epoll) drop(id int, c *subscription) {
	c.hangUp()
	if c.state != closed {
		c.gen++
		c.state = closed
		delete(e.rest, id)
		delete(e.moved, id)
		delete(e.at, id)
		c.reset(e.cfg.MaxEventSize)
	}
}

func (c *subscription) hangUp() {
	if c.fd >= 0 {
		_ = unix.Close(int(c.fd)) // which also takes it out of the epoll set
		c.fd, c.paused = -1, false
	}
}
