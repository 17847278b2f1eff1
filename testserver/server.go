package testserver

import (
	"container/list"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// stopGrace is how long a graceful stop waits for slow clients and requests.
const stopGrace = 2 * time.Second

// Server is a reference server. Make one with New, then call Serve; Listen
// first if the address is needed before.
type Server struct {
	cfg     Config
	cert    *tls.Certificate // nil without TLS
	made    *madeCertificate // the same, when it was made for Config.SelfSigned
	altSvc  string           // where HTTP/3 is; empty without
	opening []byte           // stream text every subscription begins with
	jsonCT  []string         // shared header value
	cors    []headerLine
	inject  *injector // nil without faults
	// clientCAs are those of which a client must have a certificate; nil is no matter.
	clientCAs *x509.CertPool
	bus       bus // nil unless this is a worker
	started   time.Time

	// Timeouts of a connection, see the constants; tests have shorter ones.
	headTimeout, idleTimeout time.Duration

	buffers sync.Pool // *buffer

	mu       sync.RWMutex
	rooms    map[string]*room
	idle     *list.List  // of *room, empty for longest first
	stopping atomic.Bool // written under mu

	ids        atomic.Uint64
	joined     atomic.Uint64
	clients    atomic.Int64
	messages   atomic.Uint64
	deliveries atomic.Uint64
	dropped    atomic.Uint64
	refused    atomic.Uint64

	wg sync.WaitGroup // watchers, drainers and the front's connections

	life     sync.Mutex // guards the fields below
	listener net.Listener
	packets  *net.UDPConn // nil without HTTP/3
	profiles net.Listener // nil when nobody may ask for profiles
	hub      *hub         // non-nil while a cluster runs
	front    *front       // nil until Serve, and where net/http does everything
	serving  bool
	closed   bool
	quit     chan struct{} // closed by Close
	served   chan struct{} // closed when Serve returns

	clustered chan struct{} // closed when a cluster's workers can be asked
}

// bus connects a worker to the other workers of a cluster.
type bus interface {
	// publish delivers to the members on every worker.
	publish(ctx context.Context, room []byte, typ string, body []byte) (receipt, error)
	// stats asks for the whole cluster.
	stats(ctx context.Context) (Stats, error)
	// admit asks for a place among Config.MaxClients; release gives it back.
	admit(ctx context.Context) (bool, error)
	release()
	// catchUp returns when every message published before the call has been
	// delivered here.
	catchUp(ctx context.Context) error
}

// New checks a configuration, reads or makes its certificate, and starts nothing.
func New(cfg Config) (*Server, error) { return newServer(cfg, nil) }

// newServer is New with a certificate that was made already, or nil.
func newServer(cfg Config, made *madeCertificate) (*Server, error) {
	cfg, err := cfg.prepared()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:     cfg,
		inject:  newInjector(cfg.Faults),
		cors:    corsHeaders(cfg.CORSOrigin),
		jsonCT:  []string{"application/json"},
		started: time.Now(),
		rooms:   make(map[string]*room),
		idle:    list.New(),
		quit:    make(chan struct{}),
		served:  make(chan struct{}),

		clustered: make(chan struct{}),

		headTimeout: headTimeout,
		idleTimeout: idleTimeout,
	}
	s.buffers.New = func() any { return &buffer{b: make([]byte, 0, 1<<10)} }
	if cfg.Retry > 0 {
		s.opening = AppendRetry(nil, cfg.Retry)
	}
	return s, s.readCertificates(made)
}

// Listen binds the address; connections queue up in the kernel until Serve
// accepts them. The error names the address and wraps the system's, such as
// syscall.EADDRINUSE. A second call does nothing.
func (s *Server) Listen() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if s.listener != nil {
		return nil
	}
	ln, packets, err := s.cfg.bind()
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.cfg.Addr, bareListenError(err))
	}
	if s.cfg.ListenBacklog > 0 {
		err = setBacklog(ln.(syscall.Conn), s.cfg.ListenBacklog)
	}
	if err == nil {
		s.profiles, err = s.cfg.Profile.listen()
	}
	if err != nil {
		ln.Close()
		closePackets(packets)
		return err
	}
	if packets != nil {
		s.altSvc = altService(packets.LocalAddr().(*net.UDPAddr).Port)
	}
	s.listener, s.packets = ln, packets
	return nil
}

// closePackets closes a socket that need not be there.
func closePackets(packets *net.UDPConn) {
	if packets != nil {
		_ = packets.Close() // a socket of packets has nothing left to tell
	}
}

// Addr is the bound address, nil before Listen.
func (s *Server) Addr() net.Addr {
	s.life.Lock()
	defer s.life.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// URL is the bound address as http://host:port (or https), empty before Listen. Of a
// Unix socket, which has neither, it names localhost: see Socket.
func (s *Server) URL() string {
	addr := s.Addr()
	if addr == nil {
		return ""
	}
	scheme, host := "http://", addr.String()
	if s.cert != nil {
		scheme = "https://"
	}
	if s.Socket() != "" {
		host = "localhost"
	}
	return scheme + host
}

// Socket is the path of the Unix socket that the server listens on; empty before
// Listen, and of a TCP address.
func (s *Server) Socket() string {
	if addr, ok := s.Addr().(*net.UnixAddr); ok {
		return addr.Name
	}
	return ""
}

// Serve listens, if Listen was not called, and serves until ctx ends or Close
// is called. At the end of ctx every stream gets its proper end and slow
// clients two seconds to read it; Serve then returns nil. It can be called once.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	s.life.Lock()
	if s.serving || s.closed {
		s.life.Unlock()
		return net.ErrClosed
	}
	s.serving = true
	s.life.Unlock()
	defer close(s.served)
	defer s.listener.Close()
	defer closePackets(s.packets)
	defer s.startProfiles(ctx)()

	if s.cfg.Workers > 1 {
		return s.serveCluster(ctx)
	}
	return s.serveAlone(ctx)
}

// serveAlone serves from this process, be it the only one or a worker.
func (s *Server) serveAlone(ctx context.Context) error {
	web := s.newWeb()
	var h3 *http3Server
	if s.packets != nil {
		var err error
		if h3, err = s.openHTTP3(s.packets); err != nil {
			return fmt.Errorf("serve on %s: %w", s.listener.Addr(), err)
		}
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var chores sync.WaitGroup
	s.startChores(running, &chores)
	s.startStatus(running, &chores)

	ln := s.openFront(ctx)
	failed := make(chan error, 2)
	serving := 1
	go func() {
		if s.cert == nil {
			failed <- web.Serve(ln)
			return
		}
		web.TLSConfig = s.tlsConfig()
		failed <- web.ServeTLS(ln, "", "")
	}()
	if h3 != nil {
		serving++
		go func() { failed <- h3.serve() }()
	}

	grace := stopGrace
	var err error
	select {
	case <-ctx.Done():
	case <-s.quit:
		grace = 0
	case err = <-failed:
		err = fmt.Errorf("serve on %s: %w", s.listener.Addr(), err)
		serving--
		grace = 0
	}
	s.mu.Lock()
	s.stopping.Store(true)
	s.mu.Unlock()
	stop()
	if s.inject != nil {
		s.inject.stop()
	}
	chores.Wait()
	s.stopClients(ctx, web, h3, grace)
	for range serving {
		if late := <-failed; err == nil && !errors.Is(late, http.ErrServerClosed) {
			err = fmt.Errorf("serve on %s: %w", s.listener.Addr(), late)
		}
	}
	return err
}

// maxHead is the longest head of a request, in bytes.
const maxHead = 64 << 10

// newWeb is what serves every request but those that the front does, and HTTP/3.
// HTTP/2 is spoken over TLS, and without it to who begins with its preface (RFC 9113
// section 3.3).
func (s *Server) newWeb() *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: s.cfg.MaxStreams},
		Handler:           http.HandlerFunc(s.route),
		ReadHeaderTimeout: s.headTimeout,
		IdleTimeout:       s.idleTimeout,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// startChores starts what runs beside the requests.
func (s *Server) startChores(ctx context.Context, chores *sync.WaitGroup) {
	if s.cfg.Heartbeat > 0 {
		chores.Go(func() { s.runHeartbeat(ctx) })
	}
	if s.inject != nil {
		chores.Go(func() { s.runDelays(ctx) })
	}
}

func (s *Server) startStatus(ctx context.Context, chores *sync.WaitGroup) {
	if s.cfg.StatusInterval > 0 && s.cfg.Status != nil {
		chores.Go(func() { s.runStatus(ctx) })
	}
}

// stopClients ends every stream and every request, and returns when nothing of
// the server runs any more.
func (s *Server) stopClients(ctx context.Context, web *http.Server, h3 *http3Server, grace time.Duration) {
	// The caller's context has ended; what is left to do has its own bound.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	deadline, _ := ctx.Deadline()
	if grace > 0 {
		s.everyRoom(func(r *room) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, c := range r.members {
				s.endHeld(c)
				s.end(c, c.tail(), deadline)
			}
		})
	}
	gone := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(gone)
	}()
	var leaving sync.WaitGroup
	leaving.Go(func() { h3.shutDown(ctx) })
	// Past the deadline what is left is cut off below.
	_ = web.Shutdown(ctx)
	select {
	case <-gone:
	case <-ctx.Done():
		s.everyRoom(func(r *room) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, c := range r.members {
				c.abort()
			}
		})
	}
	web.Close()
	s.front.cut()
	leaving.Wait()
	<-gone
}

func (s *Server) runHeartbeat(ctx context.Context) {
	beat, _ := closeFrame(append(startFrame(nil), ": still here\n\n"...))
	tick := time.NewTicker(s.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.broadcast(beat)
		}
	}
}

// Close stops at once, without telling the clients, and waits for Serve to
// return. Unlike the end of Serve's context it cuts streams off.
func (s *Server) Close() error {
	s.life.Lock()
	if s.closed {
		s.life.Unlock()
		return nil
	}
	s.closed = true
	close(s.quit)
	serving, ln, profiles := s.serving, s.listener, s.profiles
	packets := s.packets
	s.life.Unlock()
	if serving {
		<-s.served
		return nil
	}
	if profiles != nil {
		profiles.Close()
	}
	closePackets(packets)
	if ln != nil {
		return ln.Close()
	}
	return nil
}

// admit takes a place among Config.MaxClients.
func (s *Server) admit(ctx context.Context) (bool, error) {
	if s.cfg.MaxClients > 0 && s.bus != nil {
		ok, err := s.bus.admit(ctx)
		if ok {
			s.clients.Add(1)
		}
		return ok, err
	}
	if n := s.clients.Add(1); s.cfg.MaxClients > 0 && n > int64(s.cfg.MaxClients) {
		s.clients.Add(-1)
		return false, nil
	}
	return true, nil
}

func (s *Server) release() {
	s.clients.Add(-1)
	if s.cfg.MaxClients > 0 && s.bus != nil {
		s.bus.release()
	}
}

// publish delivers a message everywhere. room and body are only read during the
// call.
func (s *Server) publish(ctx context.Context, room []byte, typ string, body []byte) (receipt, error) {
	if s.inject != nil {
		s.inject.freeze(string(room))
	}
	if s.bus != nil {
		return s.bus.publish(ctx, room, typ, body)
	}
	if s.inject != nil {
		s.inject.ice.enter()
		defer s.inject.ice.leave()
	}
	return s.apply(room, typ, body, 0), nil
}
