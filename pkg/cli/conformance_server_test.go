package cli

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// framing is how a response tells where its body ends.
type framing string

// The framings. A body that is short or cut ends before its end was told, and with
// nothing there is no response at all.
const (
	byLength framing = "length"
	byChunks framing = "chunks"
	byClose  framing = "close"
	short    framing = "short"
	cut      framing = "cut"
	nothing  framing = "none"
)

// delivery is how a response comes: with which framing, and byte by byte, each with a
// write and, where there are chunks, a chunk of its own, or in one piece.
type delivery struct {
	framing  framing
	bytewise bool
}

func (d delivery) String() string {
	if d.bytewise {
		return "by " + string(d.framing) + ", byte by byte"
	}
	return "by " + string(d.framing)
}

// bytes are the response as it goes over the wire.
func (x *exchange) bytes(d delivery) string {
	if x.framing != "" {
		d.framing = x.framing
	}
	if d.framing == nothing {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", x.status, http.StatusText(x.status))
	for _, line := range x.headers {
		b.WriteString(line + "\r\n")
	}
	named := slices.ContainsFunc(x.headers, func(line string) bool { return strings.HasPrefix(line, "Content-Type:") })
	if !named && !x.bare {
		b.WriteString("Content-Type: text/event-stream\r\n")
	}
	switch {
	case x.status == http.StatusNoContent: // RFC 9110 section 8.6 allows it no length
		b.WriteString("\r\n")
	case x.body == "" && x.status != http.StatusOK:
		b.WriteString("Content-Length: 0\r\n\r\n")
	default:
		b.WriteString(framed(x.body, d))
	}
	return b.String()
}

// framed is body with the header field that tells of its framing, if one does.
func framed(body string, d delivery) string {
	switch d.framing {
	case byLength:
		return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	case short:
		return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body)+10, body)
	case byChunks:
		return "Transfer-Encoding: chunked\r\n\r\n" + chunks(body, d) + "0\r\n\r\n"
	case cut:
		return "Transfer-Encoding: chunked\r\n\r\n" + chunks(body, d)
	}
	return "\r\n" + body
}

func chunks(body string, d delivery) string {
	size := len(body)
	if d.bytewise {
		size = 1
	}
	var b strings.Builder
	for len(body) > 0 {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", size, body[:size])
		body = body[size:]
	}
	return b.String()
}

// vectorServer is a server that plays a vector's connections, one after the other.
type vectorServer struct {
	ln       net.Listener
	script   []exchange
	delivery delivery
	played   int
	ended    time.Time // of the connection before
	faults   []string  // what the requests were not as the vector wants them
	work     sync.WaitGroup
}

func playVector(v *vector, d delivery) (*vectorServer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &vectorServer{ln: ln, script: v.script, delivery: d}
	s.work.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.play(c, time.Now())
			c.Close()
		}
	})
	return s, nil
}

func (s *vectorServer) url() string { return "http://" + s.ln.Addr().String() + "/stream" }

// stop ends the server and returns what was wrong with the requests.
func (s *vectorServer) stop() []string {
	s.ln.Close()
	s.work.Wait()
	if missing := len(s.script) - s.played; missing > 0 {
		s.fault("did not come, and %d behind it", missing-1)
	}
	return s.faults
}

// fault notes something about the connection at hand.
func (s *vectorServer) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf("connection %d ", s.played+1)+fmt.Sprintf(format, args...))
}

// play answers one request. A connection without one was to see whether somebody
// listens.
func (s *vectorServer) play(c net.Conn, accepted time.Time) {
	_ = c.SetDeadline(accepted.Add(patience)) // a client that hangs is not waited for longer
	r := bufio.NewReader(c)
	if _, err := r.Peek(1); err != nil {
		return
	}
	if s.played == len(s.script) {
		s.fault("was not expected")
		return
	}
	x := &s.script[s.played]
	request, err := readRequest(r)
	if err != nil {
		s.fault("has no whole request: %v", err)
	}
	s.check(x, request)
	if waited := accepted.Sub(s.ended); waited < x.after {
		s.fault("came after %s, not %s", waited, x.after)
	}
	s.played++
	s.say(c, x.bytes(s.delivery))
}

// check compares a request, byte by byte, with what the vector wants.
func (s *vectorServer) check(x *exchange, request map[string]string) {
	for _, w := range x.wants {
		if got, ok := request[strings.ToLower(w[0])]; !ok || got != w[1] {
			s.fault("has %s %q, not %q", w[0], got, w[1])
		}
	}
	for _, name := range x.lacks {
		if got, ok := request[strings.ToLower(name)]; ok {
			s.fault("has %s %q, not none", name, got)
		}
	}
}

// readRequest reads the head of a request: its header fields by their names in
// lower case, and its method and path by theirs.
func readRequest(r *bufio.Reader) (map[string]string, error) {
	request := map[string]string{}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return request, err
		}
		line = strings.TrimSuffix(line, "\r\n")
		switch {
		case line == "":
			return request, nil
		case len(request) == 0:
			parts := append(strings.Split(line, " "), "")
			request[strings.ToLower(methodOf)], request[strings.ToLower(pathOf)] = parts[0], parts[1]
		default:
			name, value, _ := strings.Cut(line, ":")
			request[strings.ToLower(name)] = strings.Trim(value, " \t")
		}
	}
}

// say writes a response. From just before its last byte on its end may be known. A
// client that has gone meanwhile knows why.
func (s *vectorServer) say(c net.Conn, response string) {
	s.ended = time.Now()
	if !s.delivery.bytewise {
		_, _ = io.WriteString(c, response)
		return
	}
	for i := range len(response) {
		s.ended = time.Now()
		if _, err := io.WriteString(c, response[i:i+1]); err != nil {
			return
		}
		runtime.Gosched() // to whoever may read that byte alone
	}
}
