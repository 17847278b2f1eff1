package cli

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// standIn is a server in the test process for the program to meet: mostly a bad
// one. It listens on a free port of 127.0.0.1.
type standIn struct {
	*httptest.Server
	state watched[standInState]
	once  sync.Once

	mu    sync.Mutex
	rooms map[string][]chan []byte
}

type standInState struct {
	connections int
	streams     int      // open now
	cuts        int      // streams that the client cut while they were being written
	requests    []string // head and body, in the order in which they came
}

// newStandIn starts a server of a kind:
//
//	status CODE            every answer has this status
//	html                   every answer is a page, with status 200
//	silent                 takes requests and never answers
//	rooms                  rooms laid out as those of the reference server
//	mute                   the same, but messages are taken and never delivered
//	deaf                   the same, but every message is refused with status 500
//	longline CLIENT BYTES  open streams, that of ?client=CLIENT one line so long
//	files FILE...          the n-th request gets the n-th file as its stream; then
//	                       204. FILE! breaks the stream off behind the file, FILE+
//	                       keeps it open.
func newStandIn(door standInDoor, kind string, args []string, file func(string) string) (*standIn, error) {
	s := &standIn{rooms: map[string][]chan []byte{}}
	handler, err := s.handler(kind, args, file)
	if err != nil {
		return nil, err
	}
	s.Server = httptest.NewUnstartedServer(s.recorded(handler))
	s.Config.ErrorLog = nil
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.state.update(func(st *standInState) { st.connections++ })
		}
	}
	if door.listener != nil {
		_ = s.Listener.Close()
		s.Listener = door.listener
	}
	if door.tls {
		s.TLS = door.config
		s.StartTLS()
	} else {
		s.Start()
	}
	return s, nil
}

func (s *standIn) handler(kind string, args []string, file func(string) string) (http.HandlerFunc, error) {
	numbers := make([]int, len(args))
	for i, arg := range args {
		numbers[i], _ = strconv.Atoi(arg)
	}
	switch {
	case kind == "status" && len(args) == 1:
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "as told", numbers[0]) }, nil
	case kind == "html" && len(args) == 0:
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<!doctype html><title>Welcome</title>\n")
		}, nil
	case kind == "silent" && len(args) == 0:
		return func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil
	case slices.Contains([]string{"rooms", "mute", "deaf"}, kind) && len(args) == 0:
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case !strings.HasPrefix(r.URL.Path, "/rooms/"):
				s.subscribe(w, r)
			case kind == "deaf":
				http.Error(w, "as told", http.StatusInternalServerError)
			case kind == "rooms":
				s.publish(w, r)
			}
		}, nil
	case kind == "longline" && len(args) == 2:
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("client") != args[0] {
				s.stream(w, r, nil, true)
				return
			}
			s.longLine(w, numbers[1])
		}, nil
	case kind == "files" && len(args) > 0:
		var served watched[int]
		return func(w http.ResponseWriter, r *http.Request) {
			var n int
			served.update(func(total *int) { n = *total; *total++ })
			if n >= len(args) {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			name := strings.TrimRight(args[n], "!+")
			s.stream(w, r, []byte(file(name)), strings.HasSuffix(args[n], "+"))
			if strings.HasSuffix(args[n], "!") {
				panic(http.ErrAbortHandler)
			}
		}, nil
	}
	return nil, fmt.Errorf("no server is %s %s", kind, strings.Join(args, " "))
}

// recorded keeps every request.
func (s *standIn) recorded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL.RequestURI())
		_ = r.Header.Write(&b)
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		text := strings.ReplaceAll(b.String(), "\r\n", "\n") + "\n" + string(body)
		s.state.update(func(st *standInState) { st.requests = append(st.requests, text) })
		next(w, r)
	}
}

// open answers with the head of a stream. The function it returns notes its end.
func (s *standIn) open(w http.ResponseWriter) (flush func(), done func()) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flusher := w.(http.Flusher)
	flusher.Flush()
	s.state.update(func(st *standInState) { st.streams++ })
	return flusher.Flush, func() { s.state.update(func(st *standInState) { st.streams-- }) }
}

func (s *standIn) stream(w http.ResponseWriter, r *http.Request, text []byte, hold bool) {
	flush, done := s.open(w)
	defer done()
	_, _ = w.Write(text)
	flush()
	if hold {
		<-r.Context().Done()
	}
}

func (s *standIn) longLine(w http.ResponseWriter, size int) {
	_, done := s.open(w)
	defer done()
	block := bytes.Repeat([]byte("x"), 64<<10)
	_, err := io.WriteString(w, "data: ")
	for sent := 0; sent < size && err == nil; sent += len(block) {
		_, err = w.Write(block)
	}
	if err != nil {
		s.state.update(func(st *standInState) { st.cuts++ })
	}
}

// subscribe holds a stream of a room.
func (s *standIn) subscribe(w http.ResponseWriter, r *http.Request) {
	room := r.URL.Query().Get("room")
	inbox := make(chan []byte, 16)
	s.mu.Lock()
	s.rooms[room] = append(s.rooms[room], inbox)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rooms[room] = slices.DeleteFunc(s.rooms[room], func(c chan []byte) bool { return c == inbox })
	}()
	flush, done := s.open(w)
	defer done()
	for {
		select {
		case event := <-inbox:
			_, _ = w.Write(event)
			flush()
		case <-r.Context().Done():
			return
		}
	}
}

// publish sends the body to everyone in the room of /rooms/ROOM/messages.
func (s *standIn) publish(w http.ResponseWriter, r *http.Request) {
	room := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/rooms/"), "/messages")
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	members := slices.Clone(s.rooms[room])
	s.mu.Unlock()
	for _, inbox := range members {
		select {
		case inbox <- fmt.Appendf(nil, "data: %s\n\n", body):
		case <-r.Context().Done():
			return
		}
	}
	w.WriteHeader(http.StatusAccepted)
}

// stop ends the server as a crash would: streams break off, nothing listens.
func (s *standIn) stop() {
	s.once.Do(func() {
		_ = s.Listener.Close()
		s.CloseClientConnections()
		s.Close()
	})
}

// untouched reports whether nobody has connected so far. It connects itself:
// connections are accepted in the order in which they came, so that once its own
// is, every earlier one would have been.
func (s *standIn) untouched() error {
	c, err := net.Dial(s.Listener.Addr().Network(), s.Listener.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	var all int
	if err := s.state.await(func(st *standInState) bool { all = st.connections; return all > 0 }); err != nil {
		return err
	}
	if all != 1 {
		return fmt.Errorf("%d connections were made", all-1)
	}
	return nil
}

// writeCertificate saves what a client must trust.
func (s *standIn) writeCertificate(path string) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600)
}
