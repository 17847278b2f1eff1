//go:build unix

package testserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// The frames of the bus: four bytes of length, one of kind, the payload.
// Numbers in a payload are uvarints, texts are a uvarint length and the bytes,
// the last field of a frame has no length.
const (
	// From the hub.
	frameConfig  = iota + 1 // workerConfig as JSON; always the first frame
	frameDeliver            // id, room, event type, body: deliver and acknowledge
	frameAsk                // token: tell your stats
	frameReply              // request, a, b, text: the answer to a worker's request
	frameStop               // end gracefully

	// From a worker. All but the first four carry a request number to answer to.
	frameReady   // serving
	frameAck     // id, receivers
	frameTell    // token, workerStats as JSON
	frameRelease // a client admitted earlier has left
	framePublish // request, room, event type, body
	frameStats   // request: the cluster's stats
	frameAdmit   // request: a place among MaxClients
	frameSync    // request: answered after everything published before it
)

const (
	maxFrame = 64 << 20
	// maxQueued is the size of a queue of frames at which its reader counts as
	// stuck. Senders wait for their answers, so a live bus stays far below.
	maxQueued = 64 << 20
)

var errFrame = errors.New("malformed frame on the bus")

// pipe is one end of the connection between hub and worker. Frames queue up in
// memory and one goroutine writes all that is there at once: under load many
// frames share a write, and without load none waits.
type pipe struct {
	in  *os.File
	out *os.File
	r   *bufio.Reader
	buf []byte // payload of the last frame read

	mu     sync.Mutex
	filled *sync.Cond
	queue  []byte
	start  int // of the frame being appended
	closed bool
	stuck  func() // called when the queue is full, which the pipe does not survive; may be nil

	written chan struct{} // closed when the writer has ended
}

func newPipe(in, out *os.File, stuck func()) *pipe {
	p := &pipe{in: in, out: out, stuck: stuck, r: bufio.NewReaderSize(in, 64<<10), written: make(chan struct{})}
	p.filled = sync.NewCond(&p.mu)
	go p.write()
	return p
}

// begin starts a frame and locks the pipe until commit; the caller appends the
// payload to what begin returns.
func (p *pipe) begin(kind byte) []byte {
	p.mu.Lock()
	p.start = len(p.queue)
	return append(p.queue, 0, 0, 0, 0, kind)
}

func (p *pipe) commit(b []byte) {
	binary.BigEndian.PutUint32(b[p.start:], uint32(len(b)-p.start-4))
	switch {
	case p.closed:
	case len(b) > maxQueued:
		p.closed = true
		p.queue = nil
		_ = p.out.Close() // unblocks the writer; the other side sees the end
		if p.stuck != nil {
			p.stuck()
		}
	default:
		p.queue = b
	}
	p.mu.Unlock()
	p.filled.Signal()
}

func (p *pipe) write() {
	defer close(p.written)
	defer p.out.Close()
	var taken []byte
	for {
		p.mu.Lock()
		for len(p.queue) == 0 && !p.closed {
			p.filled.Wait()
		}
		if len(p.queue) == 0 {
			p.mu.Unlock()
			return
		}
		if cap(taken) > 1<<20 {
			taken = nil // a burst's memory need not stay
		}
		taken, p.queue = p.queue, taken[:0]
		p.mu.Unlock()
		if _, err := p.out.Write(taken); err != nil {
			// The reader side notices the end of the other process.
			p.mu.Lock()
			p.closed = true
			p.queue = nil
			p.mu.Unlock()
			return
		}
	}
}

// finish writes what is queued and closes the sending side.
func (p *pipe) finish() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.filled.Signal()
	<-p.written
}

// read returns the next frame; the payload is valid until the next read.
func (p *pipe) read() (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:4])) - 1
	if n < 0 || n > maxFrame {
		return 0, nil, fmt.Errorf("%w: length %d", errFrame, n)
	}
	if cap(p.buf) < n || cap(p.buf) > 1<<20 && n < 64<<10 {
		p.buf = make([]byte, n, n+n/4)
	}
	p.buf = p.buf[:n]
	if _, err := io.ReadFull(p.r, p.buf); err != nil {
		return 0, nil, err
	}
	return head[4], p.buf, nil
}

// fields reads a payload front to back.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) number() uint64 {
	n, size := binary.Uvarint(f.rest)
	if size <= 0 {
		f.bad, f.rest = true, nil
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

func (f *fields) text() []byte {
	n := f.number()
	if n > uint64(len(f.rest)) {
		f.bad, f.rest = true, nil
		return nil
	}
	t := f.rest[:n]
	f.rest = f.rest[n:]
	return t
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// workerConfig is what a worker is told at its start.
type workerConfig struct {
	Config Config
	Made   *madeCertificate // nil without Config.SelfSigned
}

// workerStats is what a worker tells the hub.
type workerStats struct {
	Stats Stats
	Rooms []string
}
