package testserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"
)

// ErrProfileListen is what Listen, and RunWorker, wrap when ProfileConfig.Addr
// cannot be listened on.
var ErrProfileListen = errors.New("listen for profiles")

// ProfileConfig lets others profile a server while it is under load. The rates are
// those of the whole process, so that two servers in one process share them.
type ProfileConfig struct {
	// Addr is the TCP address, host:port, where each process of the server serves
	// /debug/pprof and nothing else, so that who asks for a profile does not wait
	// in the queue of those who load the server; port 0 takes a free one, and with
	// several workers has to. Empty is none. Config.Auth holds here too.
	Addr string

	// MutexFraction and BlockRate are what runtime.SetMutexProfileFraction and
	// runtime.SetBlockProfileRate (in nanoseconds) are given as serving begins; 0
	// leaves them alone. At its end the fraction is what it was, and the block
	// rate, which cannot be asked for, is 0.
	MutexFraction, BlockRate int
}

const profilePath = "/debug/pprof"

// profileGrace is how long the end of a server waits until the profiles under way
// have been sent.
const profileGrace = time.Second

// check refuses what cannot work.
func (p *ProfileConfig) check(workers int) error {
	switch {
	case p == nil:
		return nil
	case p.MutexFraction < 0:
		return errors.New("mutex profile fraction must not be negative")
	case p.BlockRate < 0:
		return errors.New("block profile rate must not be negative")
	case workers > 1 && p.Addr != "":
		if _, port, err := net.SplitHostPort(p.Addr); err == nil && port != "0" {
			return fmt.Errorf("each of %d workers needs a port for its profiles, so that it cannot be %s: use port 0", workers, port)
		}
	}
	return nil
}

// listen binds the address; the listener is nil when there is none.
func (p *ProfileConfig) listen() (net.Listener, error) {
	if p == nil || p.Addr == "" {
		return nil, nil
	}
	ln, err := net.Listen("tcp", p.Addr)
	if err != nil {
		return nil, fmt.Errorf("%w on %s: %w", ErrProfileListen, p.Addr, bareListenError(err))
	}
	return ln, nil
}

// bareListenError takes off what net says of the operation and the address.
func bareListenError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// Profiles waits until every process of the server listens for those who want
// profiles of it, and returns where: Stats.Profiles. The error is ctx's, or
// net.ErrClosed when the server ended before.
func (s *Server) Profiles(ctx context.Context) ([]string, error) {
	if s.cfg.Profile == nil || s.cfg.Profile.Addr == "" {
		return nil, nil
	}
	if s.cfg.Workers > 1 {
		select {
		case <-s.clustered:
		case <-s.served:
		case <-ctx.Done():
			return nil, fmt.Errorf("profiles: %w", ctx.Err())
		}
	}
	select {
	case <-s.served:
		return nil, fmt.Errorf("profiles: %w", net.ErrClosed)
	default:
	}
	st, err := s.Stats(ctx)
	return st.Profiles, err
}

// profileURLs are those of this process, one or none.
func (s *Server) profileURLs() []string {
	s.life.Lock()
	defer s.life.Unlock()
	if s.profiles == nil {
		return nil
	}
	return []string{"http://" + reachable(s.profiles.Addr().String()) + profilePath}
}

// reachable turns the address of a listener on all interfaces into one to connect to.
func reachable(addr string) string {
	bound, err := netip.ParseAddrPort(addr)
	if err != nil || !bound.Addr().IsUnspecified() {
		return addr
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), bound.Port()).String()
}

// startProfiles sets the rates and serves the profiles of this process until stop
// is called. Those under way then end early and are sent, within profileGrace.
func (s *Server) startProfiles(ctx context.Context) (stop func()) {
	p := s.cfg.Profile
	if p == nil {
		return func() {}
	}
	restore := p.setRates()
	s.life.Lock()
	ln := s.profiles
	s.life.Unlock()
	if ln == nil {
		return restore
	}
	end := s.serveProfiles(ctx, ln)
	return func() {
		end()
		restore()
	}
}

func (p *ProfileConfig) setRates() (restore func()) {
	before := 0
	if p.MutexFraction > 0 {
		before = runtime.SetMutexProfileFraction(p.MutexFraction)
	}
	if p.BlockRate > 0 {
		runtime.SetBlockProfileRate(p.BlockRate)
	}
	return func() {
		if p.MutexFraction > 0 {
			runtime.SetMutexProfileFraction(before)
		}
		if p.BlockRate > 0 {
			runtime.SetBlockProfileRate(0)
		}
	}
}

func (s *Server) serveProfiles(ctx context.Context, ln net.Listener) (end func()) {
	// The profiles outlast the clients, whose end is of interest too.
	ctx = context.WithoutCancel(ctx)
	profiling, cancel := context.WithCancel(ctx)
	web := &http.Server{
		Handler: http.HandlerFunc(s.routeProfile),
		// Not a write timeout: a profile takes as long as its asker wants. The end
		// of this context is the end of every profile under way.
		BaseContext:       func(net.Listener) context.Context { return profiling },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Log.Error("no more profiles", "addr", ln.Addr(), "error", err)
		}
	})
	return func() {
		cancel()
		limited, done := context.WithTimeout(ctx, profileGrace)
		defer done()
		// What is left then is cut off.
		_ = web.Shutdown(limited)
		web.Close()
		serving.Wait()
	}
}

// routeProfile serves net/http/pprof and nothing else.
func (s *Server) routeProfile(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	switch {
	case path != profilePath && !strings.HasPrefix(path, profilePath+"/"):
		fail(w, http.StatusNotFound, "no such page: here is nothing but "+profilePath+"/")
	case s.cfg.Auth != nil && !s.cfg.Auth.allows(r):
		w.Header().Set("WWW-Authenticate", s.cfg.Auth.challenge())
		fail(w, http.StatusUnauthorized, "wrong or missing credentials")
	case path == profilePath:
		// The index links to its neighbours.
		http.Redirect(w, r, profilePath+"/", http.StatusMovedPermanently)
	default:
		profile(path)(w, r)
	}
}
