package testserver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// http3Server serves HTTP/3 (RFC 9114) on a UDP socket.
type http3Server struct {
	web       *http3.Server
	transport *quic.Transport
	ln        *quic.EarlyListener
	packets   *net.UDPConn
}

// openHTTP3 starts to take connections. That one with open streams stays alive is
// its client's business (RFC 9114 section 5.1), and so no ping is sent.
func (s *Server) openHTTP3(packets *net.UDPConn) (*http3Server, error) {
	h := &http3Server{transport: &quic.Transport{Conn: packets}, packets: packets}
	var err error
	h.ln, err = h.transport.ListenEarly(http3.ConfigureTLSConfig(s.tlsConfig()), &quic.Config{
		MaxIncomingStreams: int64(s.cfg.MaxStreams),
		MaxIdleTimeout:     s.idleTimeout,
	})
	if err != nil {
		h.release()
		return nil, fmt.Errorf("http/3: %w", err)
	}
	h.web = &http3.Server{
		Handler:        http.HandlerFunc(s.route),
		MaxHeaderBytes: maxHead,
		Logger:         slog.New(errorsOnly{s.cfg.Log.Handler()}),
	}
	return h, nil
}

// serve answers requests until shutDown; the error is then [http.ErrServerClosed].
func (h *http3Server) serve() error { return h.web.ServeListener(h.ln) }

// shutDown tells every client that there will be no more (RFC 9114 section 5.2), and
// returns when all have left, or ctx ends and those that have not are cut off. A nil
// server has none.
func (h *http3Server) shutDown(ctx context.Context) {
	if h == nil {
		return
	}
	_ = h.web.Shutdown(ctx) // that somebody was cut off is as it should be
	h.release()
}

// release lets go of the socket.
func (h *http3Server) release() {
	if h.ln != nil {
		_ = h.ln.Close() // nobody listens any more
	}
	_ = h.transport.Close() // the same
	_ = h.packets.Close()   // the same
}

// errorsOnly leaves out what would be said of every request.
type errorsOnly struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (e errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && e.Handler.Enabled(ctx, level)
}

// altService is the Alt-Svc value that leads to HTTP/3 (RFC 7838 section 3). It is
// good for a minute: the port may soon be another's.
func altService(port int) string { return `h3=":` + strconv.Itoa(port) + `"; ma=60` }
