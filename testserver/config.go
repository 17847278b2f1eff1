package testserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"
)

const (
	// DefaultClientBuffer is the number of unsent bytes after which a slow
	// client is dropped, unless Config.ClientBuffer says otherwise.
	DefaultClientBuffer = 256 << 10
	// DefaultRememberedRooms is the number of rooms without members whose
	// backlog is kept, unless Config.RememberedRooms says otherwise.
	DefaultRememberedRooms = 1024
	// MaxBody is the longest message accepted, in bytes.
	MaxBody = 1 << 20
	// MaxRoomName is the longest room name accepted, in bytes.
	MaxRoomName = 256
	// MaxWorkers is the largest Config.Workers.
	MaxWorkers = 64
	// DefaultRoom is the room of a subscription that names none.
	DefaultRoom = "lobby"
	// DefaultMaxStreams is how many streams a connection may have open at once,
	// unless Config.MaxStreams says otherwise: more than a load test asks for.
	DefaultMaxStreams = 100_000
)

// Config says what a server does. The zero value is a plain server on a free
// port of 127.0.0.1. It travels to the workers of a cluster as JSON.
type Config struct {
	// Addr is the TCP address to listen on, host:port; port 0 takes a free
	// one. Or it is unix:PATH, a Unix socket at PATH, which is removed at the
	// end; one that a dead server left there is replaced. unix: alone makes a
	// folder for it among the system's temporary files. Empty means 127.0.0.1:0.
	Addr string

	// StatusInterval is the time between status lines written to Status.
	// Nothing is written when it is 0 or Status is nil.
	StatusInterval time.Duration
	Status         io.Writer `json:"-"`

	// Log takes what an operator should see: dropped clients at debug level,
	// dead workers at error level. Nil discards it.
	Log *slog.Logger `json:"-"`

	Heartbeat time.Duration // time between comments to every client; 0 is off
	Retry     time.Duration // sent as retry: at the start of a stream; 0 is off
	IDs       bool          // events carry ids: 1, 2, 3, … over the whole server

	// Replay is the number of messages a room remembers for clients that come
	// back with Last-Event-ID (or ?lastEventId=). Above 0 it implies IDs. A
	// room's backlog is also bounded to 4 MiB.
	Replay int
	// RememberedRooms bounds the rooms without members whose backlog is kept;
	// the one empty for longest goes first. 0 means DefaultRememberedRooms.
	RememberedRooms int

	// Greeting sends `event: open` with a small JSON object as soon as a
	// client has subscribed, in the same write as the response head.
	Greeting bool

	Auth          *Auth  // who may use anything but /healthz; nil is everyone
	CORSOrigin    string // Access-Control-Allow-Origin: "*" or one origin; empty is off
	SessionCookie string // name of a cookie set, when absent, on subscribing; empty is off

	// ListenBacklog is the length of the kernel's queue of connections not yet
	// accepted; 0 leaves Go's choice, the system's maximum. Unix only.
	ListenBacklog int
	MaxClients    int // subscriptions held at once, over all workers; more get 503; 0 is no limit
	ClientBuffer  int // unsent bytes held for a slow client before it is dropped; 0 means DefaultClientBuffer

	CertFile, KeyFile string // PEM files; both set serves TLS, with HTTP/2
	// SelfSigned serves TLS with a certificate made for the occasion, which
	// Server.Certificate hands out.
	SelfSigned bool
	// ClientCAFile is a PEM file with the authorities of which each client must
	// present a certificate; it needs TLS. Empty demands none.
	ClientCAFile string
	// HTTP3 serves HTTP/3 on the UDP port of the same number, too, and says so in
	// an Alt-Svc field of the other responses. It needs TLS and a single process.
	HTTP3 bool
	// MaxStreams is how many requests a client may have open at once on one
	// connection of HTTP/2 or HTTP/3; 0 means DefaultMaxStreams.
	MaxStreams int

	Pprof bool // serves /debug/pprof, beside everything else
	// Profile says how the server can be profiled without that; nil is not at all.
	Profile *ProfileConfig

	// Workers above 1 runs that many worker processes. Unix only.
	Workers int
	// WorkerCommand is the argv of a process that calls RunWorker; needed when
	// Workers is above 1.
	WorkerCommand []string `json:"-"`
	// WorkerOutput takes what workers write to stdout and stderr; nil discards it.
	WorkerOutput io.Writer `json:"-"`

	// Faults is what the server does wrong, see Fault. Each entry counts on
	// its own; in a cluster each worker does, and Stats sums what they did.
	Faults []Fault
}

// Auth is what a client must present. Exactly one of Bearer and User is set.
type Auth struct {
	Bearer         string // token of an Authorization: Bearer header (RFC 6750)
	User, Password string // credentials of an Authorization: Basic header (RFC 7617)
}

// ParseAuth reads "bearer:TOKEN" or "basic:USER:PASSWORD".
func ParseAuth(text string) (*Auth, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "bearer":
		if rest != "" {
			return &Auth{Bearer: rest}, nil
		}
	case "basic":
		if user, password, ok := strings.Cut(rest, ":"); ok && user != "" {
			return &Auth{User: user, Password: password}, nil
		}
	}
	// The text holds a secret, so the error does not repeat it.
	return nil, errors.New("auth is neither bearer:TOKEN nor basic:USER:PASSWORD")
}

// allows compares in constant time.
func (a *Auth) allows(r *http.Request) bool {
	if a.Bearer != "" {
		scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
		return ok && strings.EqualFold(scheme, "Bearer") && sameSecret(token, a.Bearer)
	}
	user, password, ok := r.BasicAuth()
	userOK, passwordOK := sameSecret(user, a.User), sameSecret(password, a.Password)
	return ok && userOK && passwordOK
}

func sameSecret(got, want string) bool {
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(g[:], w[:]) == 1
}

// challenge is the WWW-Authenticate value of a 401 (RFC 9110 section 11.6.1).
func (a *Auth) challenge() string {
	if a.Bearer != "" {
		return `Bearer realm="sseload"`
	}
	return `Basic realm="sseload", charset="UTF-8"`
}

// prepared fills in defaults and refuses what cannot work.
func (c Config) prepared() (Config, error) {
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"status interval", int64(c.StatusInterval)}, {"heartbeat", int64(c.Heartbeat)},
		{"retry", int64(c.Retry)}, {"replay", int64(c.Replay)},
		{"remembered rooms", int64(c.RememberedRooms)}, {"listen backlog", int64(c.ListenBacklog)},
		{"max clients", int64(c.MaxClients)}, {"client buffer", int64(c.ClientBuffer)},
		{"workers", int64(c.Workers)}, {"max streams", int64(c.MaxStreams)},
	} {
		if n.value < 0 {
			return c, fmt.Errorf("%s must not be negative", n.name)
		}
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.RememberedRooms == 0 {
		c.RememberedRooms = DefaultRememberedRooms
	}
	if c.ClientBuffer == 0 {
		c.ClientBuffer = DefaultClientBuffer
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = DefaultMaxStreams
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.IDs = c.IDs || c.Replay > 0
	if c.Auth != nil && (c.Auth.Bearer == "") == (c.Auth.User == "") {
		return c, errors.New("auth needs a bearer token or a user, one of them")
	}
	if c.CORSOrigin != "" && c.CORSOrigin != "*" {
		u, err := url.Parse(c.CORSOrigin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != c.CORSOrigin {
			return c, fmt.Errorf("cors origin %q is neither * nor scheme://host[:port]", c.CORSOrigin)
		}
	}
	if c.SessionCookie != "" {
		if err := (&http.Cookie{Name: c.SessionCookie, Value: "x"}).Valid(); err != nil {
			return c, fmt.Errorf("session cookie %q: %w", c.SessionCookie, err)
		}
	}
	if err := c.checkTransport(); err != nil {
		return c, err
	}
	if c.ListenBacklog > 0 && !canSetBacklog {
		return c, fmt.Errorf("a listen backlog cannot be set on %s", runtime.GOOS)
	}
	if c.Workers > 1 {
		switch {
		case !canRunWorkers:
			return c, fmt.Errorf("workers share a listening socket, which %s does not offer", runtime.GOOS)
		case c.Workers > MaxWorkers:
			return c, fmt.Errorf("%d workers are more than the %d supported", c.Workers, MaxWorkers)
		case len(c.WorkerCommand) == 0:
			return c, errors.New("workers need a worker command")
		}
	}
	if err := c.Profile.check(c.Workers); err != nil {
		return c, err
	}
	if err := CheckFaults(c.Faults); err != nil {
		return c, err
	}
	return c, nil
}

// checkTransport refuses what cannot work together on the way to the clients.
func (c *Config) checkTransport() error {
	path, isUnix := c.socketPath()
	tls := c.SelfSigned || c.CertFile != ""
	switch {
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("tls needs both a certificate file and a key file")
	case c.SelfSigned && c.CertFile != "":
		return errors.New("tls takes the certificate from its file or makes one, not both")
	case c.ClientCAFile != "" && !tls:
		return errors.New("certificates of clients need tls")
	case c.HTTP3 && !tls:
		return errors.New("http/3 needs tls")
	case c.HTTP3 && isUnix:
		return errors.New("http/3 needs a port, not a unix socket")
	case c.HTTP3 && c.Workers > 1:
		return errors.New("http/3 is served by one process, not by several workers")
	case isUnix && len(path) > maxSocketPath:
		return fmt.Errorf("socket path %q is %d bytes long, and the system takes %d", path, len(path), maxSocketPath)
	}
	return nil
}
