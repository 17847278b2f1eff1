package telemetry

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/sseload/sseload/pkg/result"
)

// Config says where metrics go to.
type Config struct {
	// Listen is the address, HOST:PORT, at which /metrics can be scraped. Empty: none.
	Listen string
	// RemoteWrite is the URL of a receiver of Prometheus' remote write; without a path,
	// that of Prometheus itself is meant. Nil: none.
	RemoteWrite *url.URL
	// OTLP is the URL of a collector that takes OTLP over HTTP; without a path, that
	// of the specification is meant. Nil: none.
	OTLP *url.URL
	// Header goes with every push. So do credentials that a URL holds.
	Header http.Header
	// Interval is from one push to the next; more than 0.
	Interval time.Duration

	// Labels are the user's, for every series. Their names are made ones that
	// Prometheus allows.
	Labels map[string]string
	// Instance tells this generator from others, where nothing else does: it is the label
	// instance of what is written, and the service.instance.id of OTLP.
	Instance string
	// Version is that of this program.
	Version string
	// Env looks up a variable of the environment, for those of OpenTelemetry.
	Env func(string) (string, bool)
	// Log is where a scrape that goes wrong is told.
	Log *slog.Logger
	// Failed is told of the first push to a destination that fails, from any goroutine.
	Failed func(Destination, error)
}

// Destination is where metrics are pushed to.
type Destination string

// The destinations.
const (
	RemoteWrite Destination = "remote write"
	OTLP        Destination = "OTLP"
)

// Pushes is how many there were to a destination.
type Pushes struct {
	To     Destination
	All    int
	Failed int
}

// closing bounds how long the last pushes, and a scrape that is under way, may hold up
// the end.
const closing = 5 * time.Second

// Exporter shows runs to other systems. Its methods may be called from any goroutine;
// Begin and End in turn.
type Exporter struct {
	users   labels
	since   time.Time
	scraper *scraper // nil: there is none
	pushers []*pusher
	cancel  context.CancelFunc // of pushes

	mu        sync.Mutex
	now, last *run // the run that goes on, and the one before it; nil: none
	over      int64
}

// Open begins to listen, and to push once there is a run. It sends nothing yet. Close
// must be called. ctx is for its values alone: pushes go on when it is done, so that
// the end of an interrupted run is seen.
//
// Its errors are those of the address, and of settings of the environment.
func Open(ctx context.Context, cfg Config) (*Exporter, error) {
	e := &Exporter{users: sanitised(cfg.Labels), since: time.Now()}
	ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := e.open(ctx, &cfg); err != nil {
		e.Close(ctx)
		return nil, err
	}
	return e, nil
}

func (e *Exporter) open(ctx context.Context, cfg *Config) error {
	if cfg.Listen != "" {
		var err error
		if e.scraper, err = listen(ctx, cfg.Listen, e, cfg.Log); err != nil {
			return err
		}
	}
	if cfg.RemoteWrite != nil {
		w, err := newWriter(cfg)
		if err != nil {
			return err
		}
		e.push(ctx, cfg, RemoteWrite, w)
	}
	if cfg.OTLP != nil {
		o, err := newOTLP(ctx, cfg)
		if err != nil {
			return err
		}
		e.push(ctx, cfg, OTLP, o)
	}
	return nil
}

// Addr is where it listens; nil where it does not.
func (e *Exporter) Addr() net.Addr {
	if e.scraper == nil {
		return nil
	}
	return e.scraper.addr
}

// Begin says that a run begins.
func (e *Exporter) Begin(r Run) {
	common := labelsOf(&r, e.users)
	next := &run{labels: common, info: infoOf(r.Record, common), began: time.Now(), read: r.Read}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = next
}

// Sample says what was sampled of the run.
func (e *Exporter) Sample(s result.Sample) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.now != nil {
		e.now.sampled = &s
	}
}

// End says that the run is over, and how it stood then. It waits for no push.
func (e *Exporter) End(final Reading) {
	e.mu.Lock()
	if e.now != nil {
		e.now.ended = &final
		e.last, e.now = e.now, nil
		e.over++
	}
	e.mu.Unlock()
	for _, p := range e.pushers {
		p.runEnded()
	}
}

// Gather implements the Gatherer of Prometheus' client library.
func (e *Exporter) Gather() ([]*dto.MetricFamily, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var runs []*run
	for _, r := range []*run{e.last, e.now} {
		if r != nil {
			runs = append(runs, r)
		}
	}
	return pageOf(runs, e.over, e.since), nil
}

// any reports whether there has been a run.
func (e *Exporter) any() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now != nil || e.last != nil
}

// Close pushes once more, ends everything, and says how many pushes there were. It
// returns within seconds, whatever the receivers do, and at once when ctx is done.
func (e *Exporter) Close(ctx context.Context) []Pushes {
	ctx, cancel := context.WithTimeout(ctx, closing)
	defer cancel()
	defer context.AfterFunc(ctx, e.cancel)()
	defer e.cancel()
	for _, p := range e.pushers {
		close(p.stop)
	}
	var all []Pushes
	for _, p := range e.pushers {
		<-p.done
		all = append(all, p.pushes())
	}
	if e.scraper != nil {
		e.scraper.close(ctx)
		e.scraper = nil
	}
	e.pushers = nil
	return all
}

// credentials are those that a URL holds, and the URL without them.
func credentials(u *url.URL, header http.Header) (*url.URL, http.Header) {
	bare, header := *u, header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if u.User != nil && header.Get("Authorization") == "" {
		password, _ := u.User.Password()
		r := http.Request{Header: header}
		r.SetBasicAuth(u.User.Username(), password)
	}
	bare.User = nil
	return &bare, header
}
