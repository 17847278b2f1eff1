package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"

	"github.com/sseload/sseload/pkg/stream"
)

// capabilities are the optional features that the harness may try.
//
//nolint:gochecknoglobals // a constant table
var capabilities = []string{
	"bom", "comments", "event-type-listeners", "headers", "last-event-id", "post",
	"read-timeout", "report", "restart", "server-directed-shutdown-request",
}

// service is the test service: it has the streams that the harness opened.
type service struct {
	engine stream.Kind
	log    *slog.Logger
	client http.Client // for callbacks
	enough chan struct{}

	mu      sync.Mutex
	closed  bool
	last    int // number of the stream opened last
	streams map[int]*subscription
}

func newService(engine stream.Kind, log *slog.Logger) *service {
	return &service{
		engine: engine, log: log, enough: make(chan struct{}), streams: map[int]*subscription{},
		client: http.Client{Transport: &http.Transport{}},
	}
}

// close ends all streams, and those that are about to be opened.
func (s *service) close() {
	s.mu.Lock()
	s.closed = true
	streams := s.streams
	s.streams = nil
	s.mu.Unlock()
	for _, sub := range streams {
		sub.close()
	}
	s.client.CloseIdleConnections()
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.status)
	mux.HandleFunc("POST /{$}", s.open)
	mux.HandleFunc("DELETE /{$}", s.quit)
	mux.HandleFunc("POST /streams/{number}", s.command)
	mux.HandleFunc("DELETE /streams/{number}", s.drop)
	return mux
}

func (s *service) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // a harness that has gone needs no answer
		"name": "sseload, engine " + string(s.engine), "capabilities": capabilities,
	})
}

// order is what a stream is asked to be.
type order struct {
	StreamURL      string            `json:"streamUrl"`
	CallbackURL    string            `json:"callbackUrl"`
	Tag            string            `json:"tag"`
	InitialDelayMS *uint32           `json:"initialDelayMs"`
	ReadTimeoutMS  *uint32           `json:"readTimeoutMs"`
	LastEventID    string            `json:"lastEventId"`
	Headers        map[string]string `json:"headers"`
	Method         string            `json:"method"`
	Body           *string           `json:"body"`
}

func (s *service) open(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if o.StreamURL == "" || o.CallbackURL == "" {
		http.Error(w, "streamUrl and callbackUrl are needed", http.StatusBadRequest)
		return
	}
	sub, err := s.subscribe(r, o)
	if err != nil {
		s.log.Warn("cannot open", "tag", o.Tag, "error", err)
		code := http.StatusBadRequest
		if refused := new(unreachableError); errors.As(err, &refused) {
			code = http.StatusBadGateway
		}
		http.Error(w, err.Error(), code)
		return
	}
	number, ok := s.add(sub)
	if !ok {
		sub.close()
		http.Error(w, "the service ends", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Location", fmt.Sprintf("http://%s/streams/%d", r.Host, number))
	w.WriteHeader(http.StatusCreated)
}

func (s *service) add(sub *subscription) (number int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, false
	}
	s.last++
	s.streams[s.last] = sub
	return s.last, true
}

// number is that of the stream which a request is about; 0, which none has, when it
// is not a number.
func number(r *http.Request) int {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return 0
	}
	return n
}

func (s *service) command(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	sub := s.streams[number(r)]
	s.mu.Unlock()
	if sub == nil {
		http.NotFound(w, r)
		return
	}
	var c struct {
		Command string `json:"command"`
		Listen  struct {
			Type *string `json:"type"`
		} `json:"listen"`
	}
	err := json.NewDecoder(r.Body).Decode(&c)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case c.Command == "restart":
		sub.restart()
		w.WriteHeader(http.StatusAccepted)
	case c.Command == "listen" && c.Listen.Type != nil:
		sub.listen(*c.Listen.Type)
		w.WriteHeader(http.StatusAccepted)
	default:
		http.Error(w, fmt.Sprintf("unknown command %q", c.Command), http.StatusBadRequest)
	}
}

func (s *service) drop(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	sub := s.streams[number(r)]
	delete(s.streams, number(r))
	s.mu.Unlock()
	if sub == nil {
		http.NotFound(w, r)
		return
	}
	sub.close()
	w.WriteHeader(http.StatusNoContent)
}

// quit ends the service.
func (s *service) quit(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusNoContent)
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.enough:
	default:
		close(s.enough)
	}
}
