package cli

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/observe"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/pkg/threshold"
	"github.com/sseload/sseload/scenarios"
	"github.com/sseload/sseload/testserver"
)

// requestFlags say how to subscribe to a URL. connect, rooms and tail have them.
type requestFlags struct {
	headers  []string
	bearer   string
	user     string
	cookies  []string
	origin   string
	insecure bool
	caCert   string
	http     httpVersion
	identity identityFlags
	reach    reachFlags
}

func (f *requestFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "header `'Name: value'` of the subscribe request; may hold {room} and {client}")
	flags.StringVar(&f.bearer, "bearer", "", "`TOKEN` of an Authorization header; may hold {room} and {client}, as --user and --cookie may")
	flags.StringVar(&f.user, "user", "", "`NAME:PASSWORD` of an Authorization header")
	flags.StringArrayVar(&f.cookies, "cookie", nil, "cookie `NAME=VALUE`")
	flags.StringVar(&f.origin, "origin", "", "`ORIGIN` header, as a browser would send it")
	flags.BoolVar(&f.insecure, "insecure", false, "do not verify the server's certificate")
	flags.StringVar(&f.caCert, "cacert", "", "PEM `FILE` with the certificates to trust instead of the system's")
	flags.Var(&f.http, "http", "version of HTTP to subscribe by: 1.1, 2 (over TLS, or with prior knowledge over http://) or 3 (https:// only)")
	f.identity.add(flags)
	f.reach.add(flags)
}

// authorization is the header with which the user says who may subscribe, as far
// as it is the same for all clients.
func (f *requestFlags) authorization() http.Header {
	r := http.Request{Header: http.Header{}}
	if user, ok := everyones(f.user); ok {
		name, password, _ := strings.Cut(user, ":")
		r.SetBasicAuth(name, password)
	}
	if token, ok := everyones(f.bearer); ok {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, line := range f.headers {
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(strings.TrimSpace(name), "Authorization") && !strings.Contains(value, "{") {
			r.Header.Set("Authorization", strings.TrimSpace(value))
		}
	}
	return r.Header
}

// everyones is what a credential is for every client, if it is the same for all.
func everyones(credential string) (string, bool) {
	t, err := target.ParseTemplate(credential, target.SubscribeKeys)
	if credential == "" || err != nil || t.Uses(target.Client) || t.Uses(target.Room) {
		return "", false
	}
	return string(t.Append(nil, target.Vars{})), true
}

func (f *requestFlags) spec(rawURL string) (target.Spec, error) {
	s := target.Spec{
		URL: rawURL, Headers: f.headers, Bearer: f.bearer, User: f.user, Cookies: f.cookies,
		Origin: f.origin, Insecure: f.insecure, UserAgent: "sseload/" + version(), HTTP: target.Version(f.http),
	}
	if err := f.identity.spec(&s); err != nil {
		return s, err
	}
	if f.caCert != "" {
		pem, err := readInput(f.caCert)
		if err != nil {
			return s, &hinted{fmt.Errorf("--cacert: %w", err), "name a file with certificates in PEM"}
		}
		s.RootCAs = x509.NewCertPool()
		if !s.RootCAs.AppendCertsFromPEM(pem) {
			return s, &hinted{fmt.Errorf("--cacert: %s holds no PEM certificate", f.caCert), "name a file with certificates in PEM"}
		}
	}
	return s, f.reach.spec(&s)
}

// streamFlags say how a subscription is held. connect, rooms and tail have them.
type streamFlags struct {
	timeout      time.Duration
	engine       engine
	maxEventSize size
}

func (f *streamFlags) add(flags *pflag.FlagSet, maxEventSize size, timeoutFor string) {
	f.engine, f.maxEventSize = engine(stream.Auto), maxEventSize
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, timeoutFor)
	flags.Var(&f.engine, "engine", "how connections are read: "+strings.Join(stream.KindNames(), ", "))
	flags.Var(&f.maxEventSize, "max-event-size", "memory that one event may take")
}

// mostTimeout bounds --timeout: beyond it there is surely a slip.
const mostTimeout = 24 * time.Hour

func (f *streamFlags) check() error {
	if f.timeout <= 0 || f.timeout > mostTimeout {
		return usagef("write for example --timeout 30s", "--timeout: %s is not between nothing and a day", f.timeout)
	}
	return nil
}

// loadFlags are those that every load command has.
type loadFlags struct {
	request            requestFlags
	clients            counts
	roomSize           count
	connectRate        rate
	connectConcurrency count
	streamFlags
	// streamsPerConnection is how many clients share a connection.
	streamsPerConnection count

	sources   addresses
	event     string
	targetPID int
	command   serverFlags
	workers   count
	serve     bundledFlags
	faults    faults
	labels    labels
	outputs   []string
	profile   profileFlags
	affinity  affinityFlags
	telemetry telemetryFlags
	strict    bool
	repeat    count

	thresholds  thresholdFlags
	noReconnect bool
	jitter      jitter
	flags       *pflag.FlagSet // to see which were set
}

// connecting is how many clients may be at once unless the user says: on two shared
// cores fewer leave a server without work now and then, and more would overflow the
// listen queue of 511 that Node and others have.
const connecting = 384

// connectingQUIC is the same for connections of HTTP/3: servers on quic-go refuse those
// beyond 32 that they have not accepted yet.
const connectingQUIC = 32

// add adds the flags. figures is the most that a run of the command can be asked for.
func (f *loadFlags) add(flags *pflag.FlagSet, timeoutFor string, figures threshold.Asked) {
	*f = loadFlags{clients: counts{1000}, roomSize: 6, connectConcurrency: connecting, streamsPerConnection: 1, workers: 1, repeat: 1, labels: labels{}, flags: flags}
	flags.VarP(&f.clients, "clients", "c", "number of EventSource clients; a list makes a series of runs, and three sizes show what one more costs")
	flags.Var(&f.roomSize, "room-size", "clients a room; client i is in room i / N")
	flags.Var(&f.connectRate, "connect-rate", "clients to connect per second; 0: as fast as the concurrency allows")
	flags.Var(&f.connectConcurrency, "connect-concurrency",
		fmt.Sprintf("clients that may be connecting at once (with --http 3 those of %d connections unless said)", connectingQUIC))
	f.streamFlags.add(flags, sse.DefaultLimit, timeoutFor)
	flags.Var(&f.repeat, "repeat", "make the whole series of runs this often, each with a bundled server of its own; what sseload compare can tell apart grows with it")
	flags.Var(&f.streamsPerConnection, "streams-per-connection", "clients that share a connection, as tabs of a browser do; needs --http 2 or 3")
	flags.BoolVar(&f.noReconnect, "no-reconnect", false, "take the end of a stream for the end of its client; else it is opened again, as a browser does")
	flags.Var(&f.jitter, "reconnect-jitter", "random time to add to the reconnection time, up to this much or this share of it")
	flags.Var(&f.sources, "source", "local addresses to spread connections over")
	flags.StringVar(&f.event, "event", "", "only events of this `TYPE` carry messages")
	flags.IntVar(&f.targetPID, "target-pid", 0, "`PID` of the server to observe, with its children; found by itself for a local target")
	flags.Var(&f.workers, "workers", "worker processes of the bundled server")
	f.command.add(flags)
	f.serve.add(flags)
	flags.Var(&f.faults, "fault", "something for the bundled server to do wrong, such as drop,every=7; see sseload serve --help")
	flags.BoolVar(&f.strict, "strict", false, "exit with 4 when the generator was overloaded, so that a run cannot be trusted")
	flags.Var(&f.labels, "label", "what the tables say of the run: machine=…, type=…, env=…, or names of your own")
	f.thresholds.add(flags, figures)
	f.thresholds.addAbort(flags, figures)
	addOutputFlag(flags, &f.outputs)
	f.profile.add(flags)
	f.affinity.add(flags)
	f.telemetry.add(flags)
	f.request.add(flags)
}

// check finds what is wrong with the flags together.
func (f *loadFlags) check() error {
	if f.targetPID < 0 {
		return usagef("", "--target-pid: %d is no process", f.targetPID)
	}
	if f.streamsPerConnection > 1 && target.Version(f.request.http) == target.HTTP1 {
		return usagef("add --http 2 or --http 3", "--streams-per-connection: a connection of HTTP/1.1 carries one stream")
	}
	if f.noReconnect && f.jitter != (jitter{}) {
		return usagef("leave one of them out", "--reconnect-jitter: with --no-reconnect no stream is opened again")
	}
	if err := cmp.Or(f.affinity.check(), f.telemetry.check()); err != nil {
		return err
	}
	return f.streamFlags.check()
}

// figures is what the flags ask of a run, as far as its figures depend on it.
func (f *loadFlags) figures() threshold.Asked {
	return threshold.Asked{
		Named: true, Reconnect: !f.noReconnect, Affinity: f.affinity.affinity().By != load.NoAffinity,
		Shared: target.Version(f.request.http) != target.HTTP1,
	}
}

// asked is what the flags ask of each scenario of n clients.
func (f *loadFlags) asked(n int, sources addresses, l result.Labels) scenarios.Load {
	concurrency := int(f.connectConcurrency)
	if target.Version(f.request.http) == target.HTTP3 && !f.flags.Changed("connect-concurrency") {
		concurrency = connectingQUIC * int(f.streamsPerConnection)
	}
	asked := scenarios.Load{
		Clients: n, RoomSize: int(f.roomSize), Engine: stream.Kind(f.engine),
		Ramp:    load.Ramp{Rate: float64(f.connectRate), Concurrency: concurrency},
		Timeout: f.timeout, Sources: sources, MaxEventSize: int(f.maxEventSize), EventType: f.event, Labels: l,
		StreamsPerConnection: int(f.streamsPerConnection),
		Affinity:             f.affinity.affinity(),
	}
	if !f.noReconnect {
		asked.Reconnect = (*stream.Jitter)(&f.jitter)
	}
	return asked
}

// labelsFor completes the labels that the user gave, but for the protocol, which the
// target says.
func (f *loadFlags) labelsFor(local bool) result.Labels {
	l := result.Labels{Machine: hostName(), Type: "Normal", Env: "Netw"}
	if f.workers > 1 {
		l.Type = "Cluster"
	}
	if local {
		l.Env = "Local"
	}
	known := map[string]*string{"machine": &l.Machine, "type": &l.Type, "env": &l.Env, "protocol": &l.Protocol}
	for _, key := range slices.Sorted(maps.Keys(f.labels)) {
		if field, ok := known[key]; ok {
			*field = f.labels[key]
			continue
		}
		if l.Extra == nil {
			l.Extra = map[string]string{}
		}
		l.Extra[key] = f.labels[key]
	}
	return l
}

// server is where the load goes: the URL, or a bundled server for each run.
func (f *loadFlags) server(a *App, args []string, greeting bool, send *sendFlags) (scenarios.Server, *target.Target, error) {
	if err := f.profile.check(len(args) == 0); err != nil {
		return nil, nil, err
	}
	if err := f.serve.check(len(args) == 0); err != nil {
		return nil, nil, err
	}
	if err := f.command.check(len(args) > 0, f.targetPID); err != nil {
		return nil, nil, err
	}
	if len(args) == 0 {
		if flag, ok := send.given(); ok {
			return nil, nil, usagef("name the URL to subscribe to as well", "%s needs a URL to subscribe to", flag)
		}
		if f.targetPID != 0 {
			return nil, nil, usagef("leave it out: the bundled server is observed by itself", "--target-pid needs a URL to subscribe to")
		}
		if err := testserver.CheckFaults(f.faults); err != nil {
			return nil, nil, usagef("leave one of them out", "--fault: %w", err)
		}
		if err := f.request.reach.checkBundled(); err != nil {
			return nil, nil, err
		}
		if f.serve.unix() && len(f.sources) > 0 {
			return nil, nil, errSourceOfUnix()
		}
		b := &bundled{greeting: greeting, workers: int(f.workers), faults: f.faults, request: f.request, profile: f.profile.kinds, at: f.serve}
		// The URL is not known yet; what the user asked for is.
		return b, nil, b.foresee(stream.Kind(f.engine))
	}
	if f.workers > 1 {
		return nil, nil, usagef("leave the URL out, or --workers", "--workers is for the bundled server, but a URL is given")
	}
	if len(f.faults) > 0 {
		return nil, nil, usagef("leave the URL out, or start that server with sseload serve --fault", "--fault is for the bundled server, but a URL is given")
	}
	if f.targetPID != 0 {
		if _, err := observe.NewTree(f.targetPID); err != nil {
			return nil, nil, &hinted{fmt.Errorf("--target-pid: %w", err), "leave it out: the process that listens on the target's port is found by itself"}
		}
	}
	spec, err := f.request.spec(args[0])
	if err != nil {
		return nil, nil, err
	}
	if spec.Proxy, err = a.proxies(); err != nil {
		return nil, nil, err
	}
	send.spec(&spec)
	t, err := target.New(spec)
	if err != nil {
		return nil, nil, &usageError{err: err}
	}
	if _, err := stream.Kind(f.engine).For(t); err != nil {
		return nil, nil, &usageError{err: err}
	}
	if spec.Unix != "" && len(f.sources) > 0 {
		return nil, nil, errSourceOfUnix()
	}
	if err := f.command.checkTarget(t); err != nil {
		return nil, nil, err
	}
	a.warn(t, f.request.insecure)
	there := &remote{
		target: t, pid: f.targetPID, timeout: f.timeout, log: a.log(), profile: &f.profile, credentials: f.request.authorization(),
	}
	if f.command.command != "" {
		return &commanded{remote: there, flags: &f.command, leaving: &a.leaving}, t, nil
	}
	return there, t, nil
}

// sendFlags say how to send a message to a URL.
type sendFlags struct {
	url     string
	method  string
	headers []string
	body    string
	flags   *pflag.FlagSet // to see which were set; nil where there are none
}

func (f *sendFlags) add(flags *pflag.FlagSet) {
	f.flags = flags
	flags.StringVar(&f.url, "send-url", "", "`URL` to send messages to; may hold {room}, {client}, {iteration} and {payload}")
	flags.StringVar(&f.method, "send-method", "POST", "`METHOD` of the send request")
	flags.StringArrayVar(&f.headers, "send-header", nil, "header `'Name: value'` of the send request; may hold the keys of --send-url")
	flags.StringVar(&f.body, "send-body", "{payload}", "`BODY` of the send request; may hold the keys of --send-url")
}

// given is the first of the flags that the user has set.
func (f *sendFlags) given() (flag string, ok bool) {
	if f.flags == nil {
		return "", false
	}
	f.flags.Visit(func(set *pflag.Flag) {
		if !ok && strings.HasPrefix(set.Name, "send-") && set.Name != "send-connections" {
			flag, ok = "--"+set.Name, true
		}
	})
	return flag, ok
}

// spec adds what the flags say to s.
func (f *sendFlags) spec(s *target.Spec) {
	s.SendURL, s.SendMethod, s.SendHeaders = f.url, f.method, f.headers
	if f.flags != nil && f.flags.Changed("send-body") {
		s.SendBody = &f.body
	}
}
