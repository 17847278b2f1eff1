package cli

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/observe"
	"github.com/sseload/sseload/pkg/profile"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/scenarios"
	"github.com/sseload/sseload/testserver"
)

// resolveTimeout bounds the look-up of the target and the trial connection.
const resolveTimeout = 10 * time.Second

// remote is a server that is there already.
type remote struct {
	target  *target.Target
	pid     int // as the user said; 0: find it
	timeout time.Duration
	log     *slog.Logger
	known   bool

	profile     *profileFlags
	credentials http.Header // for what is the target's own
}

// Start implements [scenarios.Server]. The first call looks the target up.
func (r *remote) Start(ctx context.Context) (*scenarios.Site, error) {
	if !r.known {
		if err := r.target.Resolve(ctx, min(r.timeout, resolveTimeout)); err != nil {
			return nil, unreachable(r.target, err)
		}
		r.findPID(ctx)
		r.known = true
	}
	return &scenarios.Site{
		Target: r.target, Kind: "url", PID: r.pid, Stop: func() {},
		Profile: func() (profile.Source, error) { return r.profile.remoteSource(r) },
	}, nil
}

// located is a server at a URL.
type located interface {
	// locate has the target looked up.
	locate(ctx context.Context) (*remote, error)
}

// locate implements [located].
func (r *remote) locate(ctx context.Context) (*remote, error) {
	_, err := r.Start(ctx)
	return r, err
}

// findPID looks for the process that serves a local target. That it cannot be
// found is said in the record.
func (r *remote) findPID(ctx context.Context) {
	if r.pid != 0 || !r.local() {
		return
	}
	find, where := observe.FindListener, r.target.Subscribe.Addr.String()
	if path := r.target.Subscribe.Unix; path != "" {
		find, where = observe.FindUnixListener, path
	}
	pid, ok, err := find(ctx, where)
	if err != nil {
		r.log.Debug("the target's process cannot be found", "err", err)
	}
	if ok {
		r.pid = pid
	}
}

// local tells whether the server is on this machine, as far as can be seen: what is
// behind a proxy cannot.
func (r *remote) local() bool {
	sub := r.target.Subscribe
	return sub.Unix != "" || sub.Proxy == nil && target.Local(sub.Addr.Addr())
}

// checkProxy is what can be done about a proxy.
const checkProxy = "check HTTP_PROXY and HTTPS_PROXY, or name the host in NO_PROXY to go there without a proxy"

// unreachable adds what can be done about a target that cannot be reached.
func unreachable(t *target.Target, err error) error {
	hint := ""
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case len(t.Proxies()) > 0:
		hint = checkProxy
	case errors.Is(err, fs.ErrNotExist), t.Subscribe.Unix != "" && errors.Is(err, syscall.ECONNREFUSED):
		hint = "is the server running, and does it listen at this path?"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "is the server running, and on this port?"
	case errors.As(err, new(*net.DNSError)):
		hint = "check the host's name"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		hint = "check the address, and that no firewall is in between"
	}
	return &hinted{err, hint}
}

// bundled starts the reference server as a child process for each run.
type bundled struct {
	greeting bool
	workers  int
	faults   faults
	request  requestFlags
	profile  []profile.Kind // those that it is to be ready for
	at       bundledFlags
	http3    bool
	said     *lastWords // by the child started last, on stderr
}

// ready is the line in which a managed server tells where it listens.
type ready struct {
	URL         string `json:"url"`
	Unix        string `json:"unix,omitempty"`        // path of its socket
	Certificate string `json:"certificate,omitempty"` // PEM, to trust
}

// trust is what a client of the server trusts; nil without a certificate.
func (r *ready) trust() *x509.CertPool {
	if r.Certificate == "" {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(r.Certificate))
	return pool
}

// client asks the server questions, each on a connection of its own.
func (r *ready) client() *http.Client {
	transport := &http.Transport{DisableKeepAlives: true}
	if pool := r.trust(); pool != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if r.Unix != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", r.Unix)
		}
	}
	return &http.Client{Transport: transport}
}

// childStartTimeout is how long the child may take until it listens, and
// childStopTimeout until it has ended by itself.
const (
	childStartTimeout = 10 * time.Second
	childStopTimeout  = 5 * time.Second
)

// Start implements [scenarios.Server].
//
// The child ends when its standard input does. This process holds the other end
// and never closes it but in stop, so that the child ends whatever becomes of
// this process, SIGKILL included.
func (b *bundled) Start(ctx context.Context) (*scenarios.Site, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("bundled server: %w", err)
	}
	return b.launch(ctx, exe)
}

// launch is Start with the program at exe.
func (b *bundled) launch(ctx context.Context, exe string) (*scenarios.Site, error) {
	args := []string{"serve", "--managed", "--addr", b.at.addr, "--status-interval", "0s", "--workers", strconv.Itoa(b.workers)}
	if b.at.tls {
		args = append(args, "--tls")
	}
	if b.http3 {
		args = append(args, "--http3")
	}
	for _, f := range b.faults {
		args = append(args, "--fault", f.String())
	}
	args = append(args, profilable(b.profile)...)
	if b.greeting {
		args = append(args, "--greeting")
	}
	cmd := exec.Command(exe, args...) //nolint:gosec,noctx // this very program; it is ended through its standard input
	cmd.Env = withoutSettings(os.Environ())
	if slices.Contains(b.profile, profile.Heap) || slices.Contains(b.profile, profile.Allocs) {
		cmd.Env = append(cmd.Env, "GODEBUG="+strings.TrimPrefix(os.Getenv("GODEBUG")+",memprofilerate=16384", ",")) // of 512 KiB, a client is nothing
	}
	b.said = &lastWords{}
	cmd.Stderr = b.said
	cmd.WaitDelay = childStopTimeout // a worker that is stuck may hold stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("bundled server: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("bundled server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("bundled server: %w", err)
	}
	at, err := awaitReady(ctx, stdout)
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended does not matter
		close(gone)
	}()
	stop := sync.OnceFunc(func() {
		endChild(cmd, stdin, gone)
		b.tidy(at)
	})
	if err != nil {
		stop()
		if text := b.said.first(); text != "" {
			err = errors.New(text)
		}
		return nil, fmt.Errorf("bundled server: %w", err)
	}
	t, err := b.target(*at)
	if err == nil {
		err = t.Resolve(ctx, resolveTimeout)
	}
	if err != nil {
		stop()
		return nil, err
	}
	site := &scenarios.Site{Target: t, Kind: "reference", PID: cmd.Process.Pid, Stop: stop, Gone: gone}
	site.Profile = func() (profile.Source, error) { return b.source(ctx, at) }
	if len(b.faults) > 0 {
		site.Faults = func(ctx context.Context) []result.Fault { return b.injected(ctx, at) }
	}
	return site, nil
}

// lastSaid implements [speaker].
func (b *bundled) lastSaid(err error) (text string, ok bool) {
	if !errors.Is(err, load.ErrGone) {
		return "", false
	}
	return "the bundled server's last words: " + oneLine(cmp.Or(strings.TrimSpace(b.said.String()), "none")), true
}

// tidy removes what a child that was killed left of a folder that it had made.
func (b *bundled) tidy(at *ready) {
	if at != nil && at.Unix != "" && b.at.addr == temporarySocket {
		_ = os.Remove(at.Unix) // mostly both are gone
		_ = os.Remove(filepath.Dir(at.Unix))
	}
}

// temporarySocket is the address of a socket in a folder that the server makes.
const temporarySocket = "unix:"

// profilable makes the child ready for profiles of these kinds. Its runtime counts
// waits only when told to: each on a lock, and of all others those of a
// microsecond, of shorter ones a share.
func profilable(kinds []profile.Kind) []string {
	if len(kinds) == 0 {
		return nil
	}
	args := []string{"--pprof-addr", "127.0.0.1:0"}
	if slices.Contains(kinds, profile.Mutex) {
		args = append(args, "--mutex-profile-fraction", "1")
	}
	if slices.Contains(kinds, profile.Block) {
		args = append(args, "--block-profile-rate", "1000")
	}
	return args
}

// source is how the child can be profiled: all of its processes.
func (b *bundled) source(ctx context.Context, at *ready) (profile.Source, error) {
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	stats, err := testserver.ReadStats(ctx, at.client(), at.URL)
	if err != nil {
		return nil, fmt.Errorf("ask the bundled server: %w", err)
	}
	cfg := profile.PprofConfig{}
	for _, text := range stats.Profiles {
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("the bundled server says %q: %w", text, err)
		}
		cfg.URLs = append(cfg.URLs, u)
	}
	return profile.Pprof(cfg), nil
}

// statsTimeout bounds a question to the bundled server, which may do things wrong on
// purpose.
const statsTimeout = 5 * time.Second

// injected asks the child how often it did each of the faults. A child that
// does not say leaves that unknown.
func (b *bundled) injected(ctx context.Context, at *ready) []result.Fault {
	out := make([]result.Fault, len(b.faults))
	for i, f := range b.faults {
		out[i].Fault = f.String()
	}
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	stats, err := testserver.ReadStats(ctx, at.client(), at.URL)
	if err != nil || len(stats.Injected) != len(out) {
		return out
	}
	for i, f := range stats.Injected {
		out[i].Injected = &f.Injected
	}
	return out
}

// target is the child's, asked for as the user's request flags say.
func (b *bundled) target(at ready) (*target.Target, error) {
	spec, err := b.request.spec(at.URL)
	if err != nil {
		return nil, err
	}
	spec.Unix, spec.Proxy = at.Unix, nil
	if pool := at.trust(); pool != nil {
		spec.RootCAs = pool
	}
	t, err := target.New(spec)
	if err != nil {
		return nil, &usageError{err: err}
	}
	return t, nil
}

// withoutSettings takes this program's settings out of an environment: the child
// has its own.
func withoutSettings(env []string) []string {
	var out []string
	for _, entry := range env {
		if !strings.HasPrefix(entry, environmentPrefix) {
			out = append(out, entry)
		}
	}
	return out
}

// awaitReady reads the child's first line.
func awaitReady(ctx context.Context, stdout io.Reader) (*ready, error) {
	type answer struct {
		line []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(stdout).ReadBytes('\n')
		answers <- answer{line, err}
	}()
	timer := time.NewTimer(childStartTimeout)
	defer timer.Stop()
	select {
	case a := <-answers:
		var r ready
		if a.err != nil {
			return nil, errors.New("it ended before it was ready")
		}
		if err := json.Unmarshal(a.line, &r); err != nil {
			return nil, fmt.Errorf("it said %q: %w", a.line, err)
		}
		return &r, nil
	case <-timer.C:
		return nil, fmt.Errorf("it was not ready within %s", childStartTimeout)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// endChild asks the child to end, and ends it if it does not. gone is closed when it
// has been waited for.
func endChild(cmd *exec.Cmd, stdin io.Closer, gone <-chan struct{}) {
	_ = stdin.Close()
	killer := time.AfterFunc(childStopTimeout, func() { _ = cmd.Process.Kill() })
	defer killer.Stop()
	<-gone
}

// explain adds hints to what ended a run.
func explain(err error) error {
	if errors.Is(err, load.ErrGone) {
		return &hinted{err, "the server ended, or cut every client off: its log will say why"}
	}
	var f *stream.Failure
	if errors.Is(err, scenarios.ErrNotSent) {
		if !errors.As(err, &f) || f.Class == stream.TimedOut {
			return &hinted{err, "does the server hang? --timeout waits longer; else check --send-url"}
		}
		return &hinted{err, "check --send-url, --send-method, --send-header and --send-body"}
	}
	if err == nil || !errors.As(err, &f) {
		return err
	}
	hint := ""
	switch {
	case f.Class == stream.Status && f.Status == 407:
		hint = "give credentials with the proxy's URL: HTTP_PROXY=http://USER:PASSWORD@HOST:PORT"
	case f.Class == stream.Proxy, f.Proxied && (f.Status == 502 || f.Status == 504):
		hint = checkProxy
	case f.Class == stream.Status && (f.Status == 401 || f.Status == 403):
		hint = "credentials are missing, or refused: see --bearer, --bearer-file, --jwt-secret, --user, --cookie and -H"
	case f.Class == stream.Status && f.Status == 204:
		hint = "with 204 a server tells clients not to connect again: is this the right path?"
	case f.Class == stream.Status && f.Status == 400:
		hint = "is the scheme of the URL the right one, http or https?"
	case f.Class == stream.Status && (f.Status == 404 || f.Status == 405):
		hint = "check the URL's path: no event stream is there"
	case f.Class == stream.Status && (f.Status == 503 || f.Status == 429):
		hint = "the server refuses more clients: try fewer, or --connect-rate"
	case f.Class == stream.Status && f.Status >= 500:
		hint = "the server failed: its log will say why"
	case f.Class == stream.ContentType:
		hint = "this is no event stream: check the URL's path"
	case f.Class == stream.TimedOut:
		hint = "is the server overloaded, or does it, or a proxy before it, hold headers back until the first event? --timeout waits longer"
	case f.Class == stream.StreamLimit:
		hint = "lower --streams-per-connection, or raise the server's limit"
	case f.Class == stream.Protocol:
		hint = "does the server speak this version of HTTP (--http), and is the scheme of the URL the right one?"
	case f.Class == stream.TLS && errors.As(err, new(tls.RecordHeaderError)):
		hint = "this port speaks no TLS: use http:// instead of https://"
	case f.Class == stream.TLS && f.ByPeer():
		hint = "the server refused the client: show it a certificate with --cert FILE and --key FILE"
	case f.Class == stream.TLS:
		hint = "trust its certificate with --cacert FILE, or --insecure"
	case f.Class == stream.DNS:
		hint = "check the host's name, or where the server redirects to"
	case f.Class == stream.Refused:
		hint = "is the server running, and on this port?"
	case f.Class == stream.NoFiles, f.Class == stream.NoPorts:
		hint = "see sseload doctor"
	}
	return &hinted{err, hint}
}
