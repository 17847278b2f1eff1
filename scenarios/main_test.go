package scenarios

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/result/resulttest"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// there is a Server that is there already.
type there struct{ site Site }

func (s there) Start(context.Context) (*Site, error) {
	site := s.site
	site.Stop = func() {}
	return &site, nil
}

// serve runs a reference server for the test and returns it with an Env for it.
func serve(t *testing.T, cfg testserver.Config) (*testserver.Server, *Env) {
	t.Helper()
	server, err := testserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	tg, err := target.New(target.Spec{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Resolve(context.Background(), time.Minute); err != nil {
		t.Fatal(err)
	}
	return server, &Env{Server: there{Site{Target: tg, Kind: "url"}}}
}

// asked is a load of n clients in rooms of 6.
func asked(n int, kind stream.Kind) Load {
	return Load{
		Clients: n, RoomSize: 6, Engine: kind, Ramp: load.Ramp{Concurrency: 32}, Timeout: time.Minute, SendConnections: 4,
		Labels: result.Labels{Machine: "test", Type: "Normal", Env: "Local", Protocol: "EventSource"},
	}
}

// check validates the record as it would be written.
func check(t *testing.T, run *result.Run) {
	t.Helper()
	if run == nil {
		t.Fatal("no record")
	}
	file := &result.File{
		Schema: result.Schema, Tool: result.Tool{Version: "test", Commit: "unknown", Go: "go"}, Command: []string{"sseload"},
		Host: result.Host{Name: "test", OS: "test", Arch: "test", Cores: 1}, StartedAt: time.Now(), Runs: []result.Run{*run},
	}
	resulttest.Validate(t, encode(t, file))
}

// eachEngine runs f for the engines that can serve everywhere and with every
// target of these tests.
func eachEngine(t *testing.T, f func(t *testing.T, kind stream.Kind)) {
	for _, kind := range []stream.Kind{stream.Auto, stream.Conn, stream.NetHTTP, stream.R3Labs} {
		t.Run(string(kind), func(t *testing.T) { f(t, kind) })
	}
}

// when is an Env.Show that does act, once, as soon as the run has come so far.
func when(reached func(Progress) bool, act func()) []Observer {
	return []Observer{&waiting{reached: reached, act: act}}
}

type waiting struct {
	reached func(Progress) bool
	act     func()
	stop    chan struct{}
	done    sync.WaitGroup
}

// Begin implements [Observer].
func (w *waiting) Begin(g Going) {
	w.stop = make(chan struct{})
	w.done.Go(func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for acted := false; ; {
			select {
			case <-w.stop:
				return
			case <-ticker.C:
			}
			if !acted && w.reached(g.Progress()) {
				acted = true
				w.act()
			}
		}
	})
}

// Sample implements [Observer].
func (w *waiting) Sample(result.Sample) {}

// End implements [Observer].
func (w *waiting) End(*result.Run) {
	close(w.stop)
	w.done.Wait()
}

// runOf carries out s as a series of its own.
func runOf(ctx context.Context, env *Env, s Scenario) (*result.Run, error) {
	runs, err := Series(ctx, env, []Scenario{s})
	if len(runs) == 0 {
		return nil, err
	}
	return &runs[0], err
}
