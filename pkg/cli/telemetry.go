package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel"
	"golang.org/x/net/http/httpguts"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/pkg/telemetry"
	"github.com/sseload/sseload/scenarios"
)

// telemetryFlags say to whom a run is shown while it goes on.
type telemetryFlags struct {
	listen   string
	write    string
	otlp     string
	headers  []string
	interval time.Duration
	flags    *pflag.FlagSet // to see which were set
}

func (f *telemetryFlags) add(flags *pflag.FlagSet) {
	f.flags = flags
	flags.StringVar(&f.listen, "prometheus", "", "show metrics for Prometheus at http://`HOST:PORT`/metrics while the command runs; no HOST: on every address, port 0: any that is free")
	flags.StringVar(&f.write, "prometheus-write", "", "push metrics by Prometheus remote write to this `URL`; without a path, to its /api/v1/write")
	flags.StringVar(&f.otlp, "otlp", "", "push metrics by OTLP over HTTP to this `URL`; without a path, to its /v1/metrics; OTEL_EXPORTER_OTLP_… variables say how")
	flags.StringArrayVar(&f.headers, "telemetry-header", nil, "header `'Name: value'` of what is pushed")
	flags.DurationVar(&f.interval, "telemetry-interval", 5*time.Second, "time from one push to the next; the end of each run is pushed too")
}

// leastTelemetryInterval is how often metrics may be pushed without costing the
// generator more than is lost in noise.
const leastTelemetryInterval = 100 * time.Millisecond

// check finds what is wrong with the flags.
func (f *telemetryFlags) check() error {
	_, err := f.config()
	return err
}

// config is what the flags say.
func (f *telemetryFlags) config() (telemetry.Config, error) {
	c := telemetry.Config{Listen: f.listen, Interval: f.interval}
	pushes := f.write != "" || f.otlp != ""
	for _, flag := range []string{"telemetry-header", "telemetry-interval"} {
		if f.flags.Changed(flag) && !pushes {
			return c, usagef("add --prometheus-write or --otlp", "--%s is about what is pushed, and nothing is", flag)
		}
	}
	if f.interval < leastTelemetryInterval {
		return c, usagef("write for example --telemetry-interval 5s", "--telemetry-interval: %s is less than %s", f.interval, leastTelemetryInterval)
	}
	if f.listen != "" {
		_, port, err := net.SplitHostPort(f.listen)
		if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
			return c, usagef("write for example --prometheus :9464 or --prometheus 127.0.0.1:9464", "--prometheus: %s is not HOST:PORT", withoutUser(f.listen))
		}
	}
	var err error
	if c.RemoteWrite, err = telemetryURL("--prometheus-write", f.write, "http://127.0.0.1:9090/api/v1/write"); err != nil {
		return c, err
	}
	if c.OTLP, err = telemetryURL("--otlp", f.otlp, "http://127.0.0.1:4318"); err != nil {
		return c, err
	}
	if c.OTLP != nil && c.OTLP.RawQuery != "" {
		return c, usagef("put what it says into a --telemetry-header", "--otlp: a query is not sent to collectors")
	}
	c.Header, err = telemetryHeader(f.headers)
	return c, err
}

// telemetryURL is the URL that a flag names; nil when it names none.
func telemetryURL(flag, text, example string) (*url.URL, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // the flag was not given, which is no error
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("write for example "+flag+" "+example, "%s: %s is not a URL of HTTP", flag, withoutUser(target.Redacted(text)))
	}
	return u, nil
}

func telemetryHeader(lines []string) (http.Header, error) {
	header := http.Header{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, usagef("write for example --telemetry-header 'X-Scope-OrgID: load'", "--telemetry-header: one is not 'Name: value'") // and may be a secret
		}
		header.Set(name, value)
	}
	return header, nil
}

// exporter tells other systems of runs.
type exporter struct {
	app *App
	to  *telemetry.Exporter
	// going is the run that goes on.
	going scenarios.Going
}

// open begins to show runs, if any flag asks for it: else it is nil, and costs nothing.
// It is to be closed in either case.
func (f *telemetryFlags) open(ctx context.Context, a *App, l labels) (*exporter, error) {
	if f.listen == "" && f.write == "" && f.otlp == "" {
		return nil, nil //nolint:nilnil // nobody is to be told
	}
	cfg, err := f.config()
	if err != nil {
		return nil, err
	}
	cfg.Labels, cfg.Instance, cfg.Version, cfg.Env, cfg.Log = l, hostName(), version(), a.Env, a.log()
	cfg.Failed = a.pushFailed
	if cfg.OTLP != nil {
		// These two are global in that library, and would write to stderr by themselves.
		otel.SetLogger(logr.FromSlogHandler(cfg.Log.Handler()))
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { cfg.Log.Warn("OpenTelemetry", "err", err) }))
	}
	e := &exporter{app: a}
	if e.to, err = telemetry.Open(ctx, cfg); err != nil {
		return nil, f.unopened(err)
	}
	if addr, ok := e.to.Addr().(*net.TCPAddr); ok {
		tell := a.note
		if _, port, _ := net.SplitHostPort(f.listen); port == "0" {
			tell = a.tell // which nobody can know otherwise
		}
		tell("metrics are at http://%s/metrics", reachable(addr))
	}
	return e, nil
}

// unopened explains why metrics cannot be shown.
func (f *telemetryFlags) unopened(err error) error {
	if _, ok := err.(*net.OpError); ok { //nolint:errorlint // of Listen, unwrapped
		return &hinted{fmt.Errorf("--prometheus: %w", err), "name an address of this machine and a port that nothing listens on, or port 0 for any that is free"}
	}
	return &hinted{fmt.Errorf("--otlp: %w", err), "see the OTEL_… variables of the environment"}
}

// reachable is where a listener can be reached from this machine.
func reachable(addr *net.TCPAddr) string {
	if addr.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", addr.Port)
	}
	return addr.String()
}

// beside is others, and e behind them.
func (e *exporter) beside(others []scenarios.Observer) []scenarios.Observer {
	if e == nil {
		return others
	}
	return append(slices.Clone(others), e)
}

// Begin implements [scenarios.Observer].
func (e *exporter) Begin(g scenarios.Going) {
	e.going = g
	e.app.shown++
	e.to.Begin(telemetry.Run{Number: e.app.shown, Record: g.Run, Read: func() telemetry.Reading { return reading(g) }})
}

// Sample implements [scenarios.Observer].
func (e *exporter) Sample(s result.Sample) { e.to.Sample(s) }

// End implements [scenarios.Observer].
func (e *exporter) End(r *result.Run) {
	final := reading(e.going)
	if m, d := final.Messages, r.Delivery; m != nil && d != nil {
		m.Received = d.Received
		m.Faults = telemetry.Faults{Lost: d.Lost, Duplicate: d.Duplicate, Reordered: d.Reordered, Misrouted: d.Misrouted, Late: d.Late}
	}
	e.to.End(final)
}

// reading is where a run stands, as far as it is known before its end.
func reading(g scenarios.Going) telemetry.Reading {
	p, l := g.Progress(), g.Latencies()
	r := telemetry.Reading{Phase: p.Phase, Clients: clientsOf(&p.Live), Open: l.Open}
	if model := g.Run.Params.Model; model != nil {
		r.Messages = &telemetry.Messages{
			Succeeded: p.Live.Sent, Failed: p.Live.Unsent, Received: p.Live.Received, Latency: l.Delivery,
			Faults: telemetry.Faults{
				Duplicate: &p.Live.Duplicate, Reordered: &p.Live.Reordered, Misrouted: &p.Live.Misrouted, Late: &p.Live.Late,
			},
		}
		if *model == "closed" {
			r.Messages.Iterations = new(int64(p.Iteration))
		}
	}
	return r
}

func clientsOf(l *load.Live) telemetry.Clients {
	return telemetry.Clients{Open: l.Open, Away: l.Away, Failed: l.Failed, Dropped: l.Dropped, Opened: l.Opened}
}

// pushFailed tells of the first push that failed.
func (a *App) pushFailed(to telemetry.Destination, err error) {
	const most = 300 // receivers answer with whole pages
	flag, hint := pushFlag(to)
	text := oneLine(err.Error())
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	a.note("warning: %s: a push failed: %s", flag, text)
	a.note("hint: %s", hint)
}

// pushFlag is the flag that has metrics pushed there, and what to look at when they are
// not taken.
func pushFlag(to telemetry.Destination) (flag, hint string) {
	if to == telemetry.OTLP {
		return "--otlp", "check the URL, that a collector takes OTLP over HTTP there, and its credentials (--telemetry-header)"
	}
	return "--prometheus-write", "check the URL, that remote write is taken there (--web.enable-remote-write-receiver of Prometheus), and its credentials (--telemetry-header)"
}

// close pushes what is to be pushed, also when ctx is done, and says how often that
// failed.
func (e *exporter) close(ctx context.Context) {
	if e == nil {
		return
	}
	for _, p := range e.to.Close(context.WithoutCancel(ctx)) {
		if p.Failed > 0 {
			flag, _ := pushFlag(p.To)
			e.app.note("warning: %s: %d of %d pushes failed", flag, p.Failed, p.All)
		}
	}
}
