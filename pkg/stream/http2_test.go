package stream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
)

// everyTransport is everyEngine, and the engines of HTTP/2 in both of its forms,
// where f is about what is served and not about the bytes of HTTP/1.1.
func everyTransport(t *testing.T, f func(*testing.T, Kind)) {
	t.Helper()
	everyEngine(t, f)
	everyHTTP2(t, f)
}

// everyHTTP2 runs f as a subtest over h2c, and over h2. Within it a server speaks
// that, see serveHTTP2, and targets are made for it.
func everyHTTP2(t *testing.T, f func(*testing.T, Kind)) {
	t.Helper()
	for _, form := range []string{"h2c", "h2"} {
		for _, k := range []Kind{Conn, NetHTTP} {
			t.Run(string(k)+" over "+form, func(t *testing.T) {
				checkLeaks(t)
				f(t, k)
			})
		}
	}
}

// overHTTP2 tells whether t runs within everyHTTP2.
func overHTTP2(t testing.TB) bool { return inForm(t, "h2c") || inForm(t, "h2") }

func inForm(t testing.TB, form string) bool {
	return strings.Contains(t.Name()+"/", "_over_"+form+"/")
}

// cutOff is what text, which is about a connection of HTTP/1.1, says of a stream:
// a server resets one that it cannot complete.
func cutOff(t testing.TB, text string) string {
	if overHTTP2(t) {
		return strings.Replace(text, "closed early", "reset", 1)
	}
	return text
}

type connKey struct{}

// serveHTTP2 has package net/http's server speak HTTP/2 for a handler that says
// HTTP/1.1: each stream is to it a connection of one request. Where it ends one
// before its response is complete, the stream is reset.
func (s *server) serveHTTP2(t *testing.T, handle func(*peer)) {
	t.Helper()
	web := s.webServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.streams++
		n := s.streams
		s.mu.Unlock()
		s.work.Add(1)
		defer s.work.Done()
		s.relay(w, r, n, handle)
	}))
	s.run(t, web)
}

// webServer is package net/http's server in the form that t is about.
func (s *server) webServer(t *testing.T, h http.Handler) *http.Server {
	t.Helper()
	web := &http.Server{
		Handler: h, ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.count++
			if secure, ok := c.(*tls.Conn); ok {
				c = secure.NetConn()
			}
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	web.Protocols.SetUnencryptedHTTP2(true)
	if inForm(t, "h2") {
		if s.tls == nil {
			s.tls, _ = certificate(t, "127.0.0.1")
		}
		web.TLSConfig = s.tls
		web.Protocols.SetHTTP2(true)
	}
	return web
}

// run serves until the test ends.
func (s *server) run(t *testing.T, web *http.Server) {
	t.Helper()
	s.work.Go(func() {
		var err error
		if s.tls != nil {
			err = web.ServeTLS(s.ln, "", "")
		} else {
			err = web.Serve(s.ln)
		}
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		s.mu.Lock()
		s.over.Do(func() { close(s.quit) })
		s.mu.Unlock()
		_ = web.Close()
		s.work.Wait()
	})
}

// relay has handle answer r.
func (s *server) relay(w http.ResponseWriter, r *http.Request, n int, handle func(*peer)) {
	tcp, ok := r.Context().Value(connKey{}).(net.Conn)
	if !ok {
		panic("a request without a connection")
	}
	here, there := net.Pipe()
	there = streamConn{there, tcp}
	s.work.Go(func() {
		defer there.Close()
		handle(&peer{Conn: there, in: bufio.NewReader(there), n: n, s: s, tcp: tcp})
	})
	s.work.Go(func() { // the request, and then whatever else the handler wants to hear
		_, err := fmt.Fprintf(here, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.RequestURI, r.Host)
		if err == nil && r.ContentLength >= 0 {
			_, err = fmt.Fprintf(here, "Content-Length: %d\r\n", r.ContentLength)
		}
		if err == nil {
			err = r.Header.Write(here)
		}
		if err == nil {
			_, err = io.WriteString(here, "\r\n")
		}
		if err == nil {
			_, err = io.Copy(here, r.Body)
		}
		if err != nil {
			return // the handler has ended, or the stream
		}
		<-r.Context().Done()
		_ = here.Close()
	})
	whole := answerBy(w, bufio.NewReader(here))
	_ = here.Close()
	if !whole {
		panic(http.ErrAbortHandler)
	}
}

// answerBy says over w what is read from in, and reports whether that was a whole
// response.
func answerBy(w http.ResponseWriter, in *bufio.Reader) bool {
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			if name != "Connection" {
				w.Header()[name] = values
			}
		}
		for _, name := range []string{"Content-Type", "Date"} { // what the server would add
			if resp.Header[name] == nil {
				w.Header()[name] = nil
			}
		}
		w.WriteHeader(resp.StatusCode)
		if resp.StatusCode < 200 {
			clear(w.Header())
			continue
		}
		control := http.NewResponseController(w)
		if control.Flush() != nil {
			return true // nobody listens
		}
		p := make([]byte, 64<<10)
		for {
			n, err := resp.Body.Read(p)
			if n > 0 {
				if _, err := w.Write(p[:n]); err != nil || control.Flush() != nil {
					return true
				}
			}
			if err != nil {
				return err == io.EOF
			}
		}
	}
}

// streamConn is a stream as a connection, with the addresses of the one that
// carries it.
type streamConn struct {
	net.Conn
	carrier net.Conn
}

func (c streamConn) RemoteAddr() net.Addr { return c.carrier.RemoteAddr() }
