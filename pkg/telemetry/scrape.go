package telemetry

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// scrapesAtOnce bounds what a mistaken scraper costs the generator.
	scrapesAtOnce = 4
	// scrapeMost bounds how long a scraper may take to ask, and to read.
	scrapeMost = 10 * time.Second
)

// scraper is where metrics can be had.
type scraper struct {
	addr   net.Addr
	server *http.Server
	serve  sync.WaitGroup
}

func listen(ctx context.Context, address string, from prometheus.Gatherer, log *slog.Logger) (*scraper, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	// The page is some KiB long: to compress it would cost more than to make it.
	mux.Handle("GET /metrics", promhttp.HandlerFor(from, promhttp.HandlerOpts{
		EnableOpenMetrics: true, DisableCompression: true, MaxRequestsInFlight: scrapesAtOnce,
	}))
	s := &scraper{addr: l.Addr(), server: &http.Server{
		Handler: mux, ReadTimeout: scrapeMost, WriteTimeout: scrapeMost,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	s.serve.Go(func() {
		if err := s.server.Serve(l); err != http.ErrServerClosed {
			log.Warn("metrics can no longer be scraped", "err", err)
		}
	})
	return s, nil
}

// close lets scrapes under way end, for a moment.
func (s *scraper) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close() // whoever still reads has had its time
	}
	s.serve.Wait()
}
