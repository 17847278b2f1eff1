package testserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type headerLine struct{ name, value string }

// corsHeaders are sent with every response. They name the one allowed origin
// whatever the request's is: the browser compares (Fetch section 3.2).
func corsHeaders(origin string) []headerLine {
	switch origin {
	case "":
		return nil
	case "*":
		return []headerLine{{"Access-Control-Allow-Origin", "*"}}
	}
	return []headerLine{
		{"Access-Control-Allow-Origin", origin},
		{"Access-Control-Allow-Credentials", "true"},
		{"Vary", "Origin"},
	}
}

// route is the whole HTTP surface.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if s.inject != nil {
		s.inject.ice.pass()
	}
	for _, h := range s.cors {
		w.Header().Set(h.name, h.value)
	}
	if s.altSvc != "" && r.ProtoMajor < 3 {
		w.Header().Set("Alt-Svc", s.altSvc)
	}
	path := r.URL.EscapedPath()
	var serve http.HandlerFunc
	allow := "GET, HEAD"
	room, isRoom := strings.CutPrefix(path, "/rooms/")
	if isRoom {
		room, isRoom = strings.CutSuffix(room, "/messages")
		isRoom = isRoom && !strings.Contains(room, "/")
	}
	switch {
	case path == "/events":
		serve = s.serveEvents
		allow = "GET, HEAD, POST"
	case isRoom:
		serve = func(w http.ResponseWriter, r *http.Request) { s.serveMessage(w, r, room) }
		allow = "POST"
	case path == "/stats":
		serve = s.serveStats
	case path == "/healthz":
		serve = serveHealth
	case s.cfg.Pprof && strings.HasPrefix(path, "/debug/pprof"):
		serve = profile(path)
		allow = "GET, HEAD, POST"
	default:
		fail(w, http.StatusNotFound, "no such page: try /events?room=R, /rooms/R/messages, /stats or /healthz")
		return
	}
	if r.Method == http.MethodOptions && len(s.cors) > 0 {
		// A preflight carries no credentials, so it comes before auth.
		preflight(w, allow)
		return
	}
	if s.cfg.Auth != nil && path != "/healthz" && !s.cfg.Auth.allows(r) {
		w.Header().Set("WWW-Authenticate", s.cfg.Auth.challenge())
		fail(w, http.StatusUnauthorized, "wrong or missing credentials")
		return
	}
	if !slices.Contains(strings.Split(allow, ", "), r.Method) {
		w.Header().Set("Allow", allow)
		fail(w, http.StatusMethodNotAllowed, "method "+r.Method+" is not for this page: use "+allow)
		return
	}
	serve(w, r)
}

func fail(w http.ResponseWriter, status int, line string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// Whoever hung up does not read the error either.
	_, _ = io.WriteString(w, line+"\n")
}

func preflight(w http.ResponseWriter, allow string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", allow)
	h.Set("Access-Control-Allow-Headers", "Authorization, Cache-Control, Content-Type, Last-Event-ID")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

func serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n") // a caller that hung up needs no answer
}

func profile(path string) http.HandlerFunc {
	switch strings.TrimPrefix(path, "/debug/pprof/") {
	case "cmdline":
		return pprof.Cmdline
	case "profile":
		return pprof.Profile
	case "symbol":
		return pprof.Symbol
	case "trace":
		return pprof.Trace
	}
	return pprof.Index
}

func (s *Server) serveStats(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	stats, err := s.Stats(ctx)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, "no stats: "+err.Error())
		return
	}
	text, err := json.Marshal(stats)
	if err != nil {
		fail(w, http.StatusInternalServerError, "no stats: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(text, '\n')) // a caller that hung up needs no answer
}

func checkRoom(name string) error {
	switch {
	case name == "":
		return errors.New("the room has no name")
	case len(name) > MaxRoomName:
		return errors.New("the room's name is longer than " + strconv.Itoa(MaxRoomName) + " bytes")
	}
	return nil
}

// serveMessage delivers the request's body to a room.
func (s *Server) serveMessage(w http.ResponseWriter, r *http.Request, escaped string) {
	room, err := url.PathUnescape(escaped)
	if err == nil {
		err = checkRoom(room)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	typ := ""
	if r.URL.RawQuery != "" {
		typ = r.URL.Query().Get("event")
		if err := checkField("event type", typ); err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	body := s.buffers.Get().(*buffer)
	defer s.putBuffer(body)
	if !body.take(w, r) {
		return
	}
	got, err := s.publish(r.Context(), []byte(room), typ, body.b)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, notDelivered(err))
		return
	}
	body.b = s.appendReceipt(body.b[:0], got)
	w.Header()["Content-Type"] = s.jsonCT
	_, _ = w.Write(body.b) // a sender that hung up needs no answer
}

func notDelivered(err error) string { return "not delivered: " + err.Error() }

// appendReceipt appends what a sender is told about a message.
func (s *Server) appendReceipt(dst []byte, got receipt) []byte {
	dst = append(dst, `{"receivers":`...)
	dst = strconv.AppendInt(dst, int64(got.receivers), 10)
	if s.cfg.IDs {
		dst = append(dst, `,"id":"`...)
		dst = strconv.AppendUint(dst, got.id, 10)
		dst = append(dst, '"')
	}
	return append(dst, "}\n"...)
}

var errTooLong = errors.New("the message is longer than " + strconv.Itoa(MaxBody) + " bytes")

// take reads the request's body, or answers why it cannot.
func (b *buffer) take(w http.ResponseWriter, r *http.Request) (ok bool) {
	var err error
	b.b, err = readBody(b.b[:0], r)
	switch {
	case err == nil:
		return true
	case errors.Is(err, errTooLong):
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close") // the rest of it is not read
		}
		fail(w, http.StatusRequestEntityTooLarge, err.Error())
	default:
		fail(w, http.StatusBadRequest, "the message did not arrive: "+err.Error())
	}
	return false
}

// readBody appends the request's body to dst.
func readBody(dst []byte, r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return dst, errTooLong
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Body.Read(dst[len(dst):min(cap(dst), MaxBody+1)])
		dst = dst[:len(dst)+n]
		if len(dst) > MaxBody {
			return dst, errTooLong
		}
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// serveEvents subscribes to a room.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	room, from, ok := s.subscription(w, r)
	if !ok {
		return
	}
	if r.Method == http.MethodHead {
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no")
		return
	}
	if r.Method == http.MethodPost && !s.skipBody(w, r) {
		return
	}
	admitted, err := s.subscribes(r.Context(), room)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, "no place: "+err.Error())
		return
	}
	if !admitted {
		s.refused.Add(1)
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "too many clients: try again later")
		return
	}
	if s.bus != nil && from.ok && from.after > s.ids.Load() {
		// The client comes from a worker that is ahead. Once this one has
		// caught up, what follows is newer than what the client has.
		if err := s.bus.catchUp(r.Context()); err != nil {
			s.release()
			fail(w, http.StatusServiceUnavailable, "no replay: "+err.Error())
			return
		}
	}
	if r.ProtoMajor > 1 {
		s.subscribeStream(w, r, room, from)
		return
	}
	s.subscribeHTTP1(w, r, room, from)
}

// skipBody reads what a client asks for in a body, which means nothing here.
func (s *Server) skipBody(w http.ResponseWriter, r *http.Request) (ok bool) {
	body := s.buffers.Get().(*buffer)
	defer s.putBuffer(body)
	return body.take(w, r)
}

// subscribes takes a place for a subscription, if faults let it.
func (s *Server) subscribes(ctx context.Context, room string) (bool, error) {
	if s.inject != nil {
		if s.inject.refuses(room) {
			return false, nil
		}
		if err := s.inject.holdHead(ctx, room); err != nil {
			return false, err
		}
	}
	return s.admit(ctx)
}

// subscription reads what the request asks for.
func (s *Server) subscription(w http.ResponseWriter, r *http.Request) (room string, from resume, ok bool) {
	room = DefaultRoom
	last := r.Header.Get("Last-Event-ID")
	if r.URL.RawQuery != "" {
		q := r.URL.Query()
		if name := q.Get("room"); name != "" {
			room = name
		}
		if last == "" {
			last = q.Get("lastEventId")
		}
	}
	if err := checkRoom(room); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return room, from, false
	}
	if s.cfg.Replay > 0 && last != "" {
		// An id that is not ours says nothing about what the client has.
		if id, err := strconv.ParseUint(last, 10, 64); err == nil && id < 1<<63 {
			from = resume{after: id, ok: true}
		}
	}
	return room, from, true
}

// subscribeHTTP1 takes the connection over and writes the response itself.
func (s *Server) subscribeHTTP1(w http.ResponseWriter, r *http.Request, room string, from resume) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.release()
		fail(w, http.StatusInternalServerError, "connection cannot be taken over: "+err.Error())
		return
	}
	if passed, ok := conn.(*passedConn); ok {
		conn = passed.socket
	}
	bare := !r.ProtoAtLeast(1, 1)
	s.occupy(conn, bare, room, s.appendHead(make([]byte, 0, 512), bare, s.cookie(r)), from)
}

// occupy makes a connection that the server has admitted a client, or closes it.
func (s *Server) occupy(conn net.Conn, bare bool, room string, head []byte, from resume) {
	c := &client{conn: conn, fd: int32(descriptor(conn)), bare: bare}
	if err := s.join(c, room, head, from); err != nil {
		s.release()
		conn.Close()
		return
	}
	// A goroutine of its own starts on a small stack; the one that handled the
	// request, and its buffers with it, end here.
	go s.watch(c)
}

// subscribeStream lives in the handler: a stream of HTTP/2 or HTTP/3 ends when it
// returns.
func (s *Server) subscribeStream(w http.ResponseWriter, r *http.Request, room string, from resume) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	if cookie := s.cookie(r); cookie != "" {
		h.Set("Set-Cookie", cookie)
	}
	stream := newMuxStream(w)
	c := &client{conn: stream, fd: noDescriptor, bare: true}
	// Who has the head is in the room already. What is sent to the room meanwhile
	// waits behind it.
	stream.mu.Lock()
	if err := s.join(c, room, nil, from); err != nil {
		stream.mu.Unlock()
		s.release()
		fail(w, http.StatusServiceUnavailable, "no place: "+err.Error())
		return
	}
	if s.inject != nil {
		s.inject.ice.pass()
	}
	w.WriteHeader(http.StatusOK)
	// A client that is gone already ends the request's context below.
	_ = stream.rc.Flush()
	stream.mu.Unlock()
	select {
	case <-r.Context().Done():
	case <-stream.done:
	}
	stream.retire()
	cut := stream.cut.Load()
	s.watch(c)
	if cut {
		panic(http.ErrAbortHandler) // the way to reset a stream
	}
}

// appendHead appends the response head (RFC 9112 section 4). An HTTP/1.0
// client gets a body that ends with the connection.
func (s *Server) appendHead(dst []byte, bare bool, cookie string) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\nDate: "...)
	dst = time.Now().UTC().AppendFormat(dst, http.TimeFormat)
	if bare {
		dst = append(dst, "\r\nConnection: close\r\n"...)
	} else {
		dst = append(dst, "\r\nTransfer-Encoding: chunked\r\n"...)
	}
	for _, h := range s.cors {
		dst = append(append(append(append(dst, h.name...), ": "...), h.value...), "\r\n"...)
	}
	if s.altSvc != "" {
		dst = append(append(append(dst, "Alt-Svc: "...), s.altSvc...), "\r\n"...)
	}
	if cookie != "" {
		dst = append(append(append(dst, "Set-Cookie: "...), cookie...), "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// cookie is the session cookie to set, empty when there is none to set.
func (s *Server) cookie(r *http.Request) string {
	if s.cfg.SessionCookie == "" {
		return ""
	}
	if _, err := r.Cookie(s.cfg.SessionCookie); err == nil {
		return ""
	}
	var id [16]byte
	rand.Read(id[:]) // never fails
	c := http.Cookie{
		Name: s.cfg.SessionCookie, Value: hex.EncodeToString(id[:]), Path: "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if s.cert != nil {
		// Over TLS a page of another origin may carry it too.
		c.Secure, c.SameSite = true, http.SameSiteNoneMode
	}
	return c.String()
}

// appendGreeting appends the open event, which tells when a first event can
// arrive. It has no id, so it does not move the client's Last-Event-ID.
func (s *Server) appendGreeting(dst []byte, room string) []byte {
	data, err := json.Marshal(struct {
		Room   string `json:"room"`
		Client uint64 `json:"client"`
	}{room, s.joined.Add(1)})
	if err != nil {
		return dst // strings and numbers always have a JSON form
	}
	return appendNumbered(dst, 0, "open", data)
}
