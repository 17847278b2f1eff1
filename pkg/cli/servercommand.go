package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/profile"
	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/scenarios"
)

// serverFlags say how the server at the URL is started for each run.
type serverFlags struct {
	command string
	ready   string
	timeout time.Duration
	log     string
	grace   time.Duration // how long it may take to end
}

// serverTimeout is how long a server may take to come up unless the user says.
const serverTimeout = 30 * time.Second

func (f *serverFlags) add(flags *pflag.FlagSet) {
	f.grace = childStopTimeout
	flags.StringVar(&f.command, "server-command", "", "shell `COMMAND` that starts the server at the URL, anew for each run, and is ended after it")
	flags.StringVar(&f.ready, "server-ready", "", "`PATH` on that server which has to answer 2xx before a run; else it is ready when it accepts connections")
	flags.DurationVar(&f.timeout, "server-timeout", serverTimeout, "how long it may take until it is ready")
	flags.StringVar(&f.log, "server-log", "", "`FILE` to append to what it prints")
}

// check finds what is wrong with the flags together. url tells whether there is one,
// and pid is that of --target-pid.
func (f *serverFlags) check(url bool, pid int) error {
	for _, flag := range []struct {
		name string
		set  bool
	}{{"--server-ready", f.ready != ""}, {"--server-timeout", f.timeout != serverTimeout}, {"--server-log", f.log != ""}} {
		if flag.set && f.command == "" {
			return usagef("add for example --server-command 'node server.js'", "%s is about the server of --server-command, which is not given", flag.name)
		}
	}
	switch {
	case f.command == "":
		return nil
	case !url:
		return usagef("name the URL to subscribe to as well, or leave it out: the bundled server is started by itself", "--server-command needs a URL to subscribe to")
	case pid != 0:
		return usagef("leave --target-pid out: what the command starts is observed by itself", "--target-pid: the server of --server-command is not there yet")
	case f.ready != "" && !strings.HasPrefix(f.ready, "/"):
		return usagef("write for example --server-ready /healthz", "--server-ready=%s: not a path", f.ready)
	case f.timeout <= 0 || f.timeout > mostTimeout:
		return usagef("write for example --server-timeout 30s", "--server-timeout: %s is not between nothing and a day", f.timeout)
	}
	return nil
}

// checkTarget finds out whether it can be seen that a server at t comes up.
func (f *serverFlags) checkTarget(t *target.Target) error {
	if proxies := t.Proxies(); f.command != "" && len(proxies) > 0 {
		return usagef("name the host in NO_PROXY to go there without the proxy",
			"--server-command: behind the proxy %s it cannot be seen when the server is ready", proxies[0])
	}
	return nil
}

// commanded starts the server at a URL by a command of the user, for each run.
type commanded struct {
	*remote
	flags *serverFlags
	// leaving is where the server is ended when this process ends at once.
	leaving *leaving
	// waiting is up already, for the first run: what there is to know before a run is
	// found out from it.
	waiting *scenarios.Site
	last    *serverProcess // the one started last
}

// Start implements [scenarios.Server].
func (c *commanded) Start(ctx context.Context) (*scenarios.Site, error) {
	site := c.waiting
	if site == nil {
		return c.begin(ctx)
	}
	c.waiting = nil
	if isClosed(site.Gone) {
		site.Stop()
		err := c.ended()
		c.last = nil
		return nil, err
	}
	return site, nil
}

// locate implements [located].
func (c *commanded) locate(ctx context.Context) (*remote, error) {
	var err error
	c.waiting, err = c.begin(ctx)
	return c.remote, err
}

// release ends a server that waits for a run which does not come.
func (c *commanded) release() {
	if c.waiting != nil {
		c.waiting.Stop()
		c.waiting = nil
	}
}

// lastSaid implements [speaker].
func (c *commanded) lastSaid(error) (text string, ok bool) {
	if c.last == nil || !c.last.endedByItself() {
		return "", false
	}
	return fmt.Sprintf("the server of --server-command ended (%s)%s", c.last.how(), c.last.wordsBehind(", its last words: ")), true
}

// begin starts the server and waits until it is ready.
func (c *commanded) begin(ctx context.Context) (*scenarios.Site, error) {
	if err := c.vacant(ctx); err != nil {
		return nil, err
	}
	p, err := launchServer(ctx, c.flags, c.log)
	if err != nil {
		return nil, err
	}
	if c.leaving != nil {
		forget, stop := c.leaving.first(p.kill), p.stop
		p.stop = func() {
			stop()
			forget()
		}
	}
	c.last = p
	if err := c.await(ctx); err != nil {
		p.stop()
		c.last = nil // err has told what it said
		return nil, err
	}
	line := redactedCommand(c.flags.command)
	c.pid = c.observable(ctx)
	return &scenarios.Site{
		Target: c.target, Kind: "url", Command: &line, PID: c.pid, Stop: p.stop, Gone: p.gone,
		Profile: func() (profile.Source, error) { return c.profile.remoteSource(c.remote) },
	}, nil
}

// vacantTimeout bounds the look whether somebody is there already.
const vacantTimeout = time.Second

// vacant is an error when something listens at the target already: that would be
// measured in the place of what the command starts, which could not listen there.
func (c *commanded) vacant(ctx context.Context) error {
	subscribe := *c.target
	subscribe.Send = nil // that may be another server, which is up
	err := subscribe.Resolve(ctx, vacantTimeout)
	switch {
	case err == nil:
		return &hinted{
			fmt.Errorf("--server-command: something listens at %s already", c.target.Subscribe.Peer()),
			"end it, or leave --server-command out to measure that",
		}
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, new(*net.DNSError)):
		return unreachable(c.target, err)
	}
	return nil
}

// observable is the process to observe, with all that it has started; 0 when it is not
// known.
func (c *commanded) observable(ctx context.Context) int {
	switch {
	case !c.local():
		return 0 // what the command starts here reaches out to there
	case !c.last.detached():
		return beneathShell(c.last.cmd.Process.Pid)
	}
	c.pid = 0
	c.findPID(ctx)
	return c.pid
}

// knockPause is between two looks whether the server is ready, and knockTimeout
// bounds one of them.
const (
	knockPause   = 10 * time.Millisecond
	knockTimeout = 5 * time.Second
)

// await waits until the server started last is ready.
func (c *commanded) await(parent context.Context) error {
	deadline := time.Now().Add(c.flags.timeout)
	ctx, cancel := context.WithDeadline(parent, deadline)
	defer cancel()
	client := c.client()
	defer client.CloseIdleConnections()
	pause := time.NewTicker(knockPause)
	defer pause.Stop()
	var missing error
	for {
		err := c.knock(ctx, client)
		if err == nil {
			return nil
		}
		if time.Now().Before(deadline) || missing == nil {
			missing = err // else it is that time was up
		}
		select {
		case <-c.last.gone:
			return c.ended()
		case <-ctx.Done():
			if err := parent.Err(); err != nil {
				return err
			}
			return c.late(missing)
		case <-pause.C:
		}
	}
}

// knock is an error as long as the server is not ready.
func (c *commanded) knock(ctx context.Context, client *http.Client) error {
	if err := c.target.Resolve(ctx, knockTimeout); err != nil || c.flags.ready == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	sub := c.target.Subscribe
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, sub.Scheme+"://"+sub.HostPort+c.flags.ready, http.NoBody)
	if err != nil {
		return err
	}
	r.Header = c.credentials.Clone()
	answer, err := client.Do(r)
	if err != nil {
		return errors.Unwrap(err) // of the method and the URL
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %d", c.flags.ready, answer.StatusCode)
	}
	return nil
}

// client asks the server whether it is ready, by the target's way and version of HTTP:
// where that is 3, by the one over TCP beside it.
func (c *commanded) client() *http.Client {
	var versions http.Protocols
	two := c.target.HTTP == target.HTTP2
	versions.SetHTTP1(!two)
	versions.SetHTTP2(two)
	versions.SetUnencryptedHTTP2(two)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		sub, d := c.target.Subscribe, new(net.Dialer)
		if sub.Unix != "" {
			return target.DialUnix(ctx, d, sub.Unix)
		}
		return d.DialContext(ctx, "tcp", sub.Addr.String())
	}
	trust := c.target.TLS.Clone()
	trust.NextProtos = nil // which the transport knows from its protocols
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: !two, Protocols: &versions, DialContext: dial, TLSClientConfig: trust},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ended is the error of a server that did not last until its run.
func (c *commanded) ended() error {
	hint := "it has to listen there, and to stay until it is ended, in the foreground best"
	return &hinted{fmt.Errorf("--server-command ended before %s was ready: %s%s", c.target.Subscribe.Peer(), c.last.how(), c.last.wordsBehind(": ")), hint}
}

// late is the error of a server that did not come up in time; missing is what was
// still amiss.
func (c *commanded) late(missing error) error {
	hint := "does it listen there? --server-timeout waits longer"
	if c.flags.ready != "" {
		hint = "does it listen there, and is " + c.flags.ready + " the right path? --server-timeout waits longer"
	}
	return &hinted{fmt.Errorf("--server-command was not ready within %s: %w%s", c.flags.timeout, missing, c.last.wordsBehind("; its last words: ")), hint}
}

// serverProcess is a command that serves, with all that it has started.
type serverProcess struct {
	cmd  *exec.Cmd
	out  *serverOutput
	stop func() // ends it, and returns when it has ended

	left  chan struct{} // closed when the shell has ended, and has been waited for
	going chan struct{} // closed when it is to end
	gone  chan struct{} // closed when all has ended, and what it said is read
}

// launchServer runs the command. ctx does not end it.
func launchServer(ctx context.Context, f *serverFlags, log *slog.Logger) (*serverProcess, error) {
	out := &serverOutput{}
	if f.log != "" {
		file, err := os.OpenFile(f.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // the user's own, and no more secret than reports
		if err != nil {
			return nil, fmt.Errorf("--server-log: %w", err)
		}
		out.file = file
	}
	p := &serverProcess{out: out, left: make(chan struct{}), going: make(chan struct{}), gone: make(chan struct{})}
	if err := p.start(ctx, f, log); err != nil {
		return nil, errors.Join(fmt.Errorf("--server-command: %w", err), out.close())
	}
	return p, nil
}

func (p *serverProcess) start(ctx context.Context, f *serverFlags, log *slog.Logger) error {
	p.cmd = shell(context.WithoutCancel(ctx), f.command)
	p.cmd.Env = withoutSettings(os.Environ())
	// Nothing is ever written to it. Some servers end when it does, and so do not
	// outlive this process.
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return err
	}
	// A pipe of our own: what the shell leaves behind may go on writing to it.
	read, write, err := os.Pipe()
	if err != nil {
		return errors.Join(err, stdin.Close())
	}
	p.cmd.Stdout, p.cmd.Stderr = write, write
	err = p.cmd.Start()
	_ = write.Close() // the child has it
	if err != nil {
		return errors.Join(err, read.Close())
	}
	unguard, err := guard(p.cmd)
	if err != nil {
		endGroup(p.cmd, true)
		return errors.Join(err, p.cmd.Wait(), read.Close())
	}
	go p.watch(read, log)
	p.stop = sync.OnceFunc(func() {
		_ = stdin.Close()
		p.end(f.grace, log)
		unguard()
	})
	return nil
}

// lastWordsTimeout is how long to listen for the output's end once the server has
// ended: something that got away from it may hold it open.
const lastWordsTimeout = time.Second

// watch waits for the end.
func (p *serverProcess) watch(read *os.File, log *slog.Logger) {
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		_, _ = io.Copy(p.out, read) // its error is the end
	}()
	_ = p.cmd.Wait() // how it ended stands in ProcessState
	close(p.left)
	p.awaitGroup()
	timer := time.NewTimer(lastWordsTimeout)
	defer timer.Stop()
	select {
	case <-heard:
	case <-timer.C:
	}
	_ = read.Close()
	<-heard
	if err := p.out.close(); err != nil {
		log.Warn("--server-log is not complete", "err", err)
	}
	close(p.gone)
}

// How often to look after what a shell that has ended left behind: while that serves,
// and when it is to end.
const (
	servingLook = 250 * time.Millisecond
	endingLook  = 5 * time.Millisecond
)

// awaitGroup waits until nothing lives any more that the shell has left behind.
func (p *serverProcess) awaitGroup() {
	look, going := servingLook, p.going
	for groupLives(p.cmd) {
		timer := time.NewTimer(look)
		select {
		case <-timer.C:
		case <-going:
			look, going = endingLook, nil
		}
		timer.Stop()
	}
}

// end asks the server to end, and ends it if it does not.
func (p *serverProcess) end(grace time.Duration, log *slog.Logger) {
	if isClosed(p.gone) {
		return
	}
	close(p.going)
	for _, step := range []struct {
		force bool
		after string
	}{
		{false, "the server of --server-command did not end and is killed"},
		{true, "what --server-command started could not be ended"},
	} {
		endGroup(p.cmd, step.force)
		timer := time.NewTimer(grace)
		select {
		case <-p.gone:
			timer.Stop()
			return
		case <-timer.C:
			log.Warn(step.after, "waited", grace)
		}
	}
}

// detached tells whether the shell has ended, while something that it started may
// serve on.
func (p *serverProcess) detached() bool { return isClosed(p.left) }

// isClosed tells whether a channel to which nothing is sent is closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// endedByItself tells whether the end came before it was asked for.
func (p *serverProcess) endedByItself() bool {
	return isClosed(p.gone) && !isClosed(p.going)
}

// how says how the command ended, which it has.
func (p *serverProcess) how() string { return p.cmd.ProcessState.String() }

// wordsBehind are the last that it said, as they may be shown, behind what introduces
// them; nothing when it said nothing.
func (p *serverProcess) wordsBehind(introduction string) string {
	text := strings.TrimSpace(report.Clean(p.out.said.end()))
	if text == "" {
		return ""
	}
	return introduction + text
}

// kill ends it by force, without waiting for that.
func (p *serverProcess) kill() {
	if !isClosed(p.gone) {
		endGroup(p.cmd, true)
	}
}

// serverOutput is where a server's output goes. It never fails, so that the server is
// never held up.
type serverOutput struct {
	said   lastWords
	file   *os.File // nil: none
	failed error
}

func (o *serverOutput) Write(p []byte) (int, error) {
	_, _ = o.said.Write(p) // which never fails
	if o.file != nil && o.failed == nil {
		_, o.failed = o.file.Write(p)
	}
	return len(p), nil
}

// close gives the first error that the file had, if there is one. Nothing may be
// written any more.
func (o *serverOutput) close() error {
	if o.file == nil {
		return nil
	}
	return errors.Join(o.failed, o.file.Close())
}
