package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// collector takes OTLP over HTTP. The variables OTEL_EXPORTER_OTLP_… of the environment
// are the exporter's to read, but for the endpoint, which is said, the headers, to which
// ours are added, and the temporality: what is exported is cumulative.
type collector struct {
	exporter *otlpmetrichttp.Exporter
	pages    metric.Producer
	page     handed
	resource *resource.Resource
}

// handed is the page to export, as a Gatherer.
type handed struct{ page []*dto.MetricFamily }

// Gather implements the Gatherer of Prometheus' client library.
func (h *handed) Gather() ([]*dto.MetricFamily, error) { return h.page, nil }

// otlpPath is where a collector takes metrics (OTLP 1.9, "OTLP/HTTP Request").
const otlpPath = "/v1/metrics"

func newOTLP(ctx context.Context, cfg *Config) (*collector, error) {
	u, header := credentials(cfg.OTLP, cfg.Header)
	if strings.Trim(u.Path, "/") == "" {
		u.Path = otlpPath
	}
	headers, err := otlpHeaders(header, cfg.Env)
	if err != nil {
		return nil, err
	}
	options := []otlpmetrichttp.Option{
		otlpmetrichttp.WithEndpointURL(u.String()),
		otlpmetrichttp.WithHeaders(headers),
		// What a push had is in the next.
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{
			Enabled: true, InitialInterval: retryAfter, MaxInterval: time.Second, MaxElapsedTime: 2 * time.Second,
		}),
	}
	if _, _, said := variable(cfg.Env, "COMPRESSION"); !said {
		options = append(options, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	}
	c := &collector{}
	if c.exporter, err = otlpmetrichttp.New(ctx, options...); err != nil {
		return nil, err
	}
	c.pages = bridge.NewMetricProducer(bridge.WithGatherer(&c.page))
	c.resource, err = resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", "sseload"), attribute.String("service.version", cfg.Version),
			attribute.String("service.instance.id", cfg.Instance),
		),
		resource.WithFromEnv(), // which has the last word
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return c, nil
}

// variable is a setting of OpenTelemetry's exporter: that for metrics before that for
// all (OpenTelemetry Protocol Exporter, "Configuration Options"). An empty one is none.
func variable(env func(string) (string, bool), name string) (key, value string, ok bool) {
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_METRICS_", "OTEL_EXPORTER_OTLP_"} {
		if value, _ = env(prefix + name); value != "" {
			return prefix + name, value, true
		}
	}
	return "", "", false
}

// otlpHeaders are the headers of every request: ours, and of those that the environment
// names for OpenTelemetry the ones that we do not have.
func otlpHeaders(ours http.Header, env func(string) (string, bool)) (map[string]string, error) {
	// One request in seconds keeps no connection, and the exporter has no way to
	// close one that is kept.
	all := map[string]string{"Connection": "close"}
	if key, value, ok := variable(env, "HEADERS"); ok {
		for _, pair := range strings.Split(strings.Trim(value, ", "), ",") {
			name, escaped, found := strings.Cut(pair, "=")
			text, err := url.PathUnescape(strings.TrimSpace(escaped))
			if !found || err != nil {
				return nil, fmt.Errorf("%s: a part of it is not NAME=VALUE", key) // which may be a secret
			}
			all[http.CanonicalHeaderKey(strings.TrimSpace(name))] = text
		}
	}
	for name := range ours {
		all[name] = ours.Get(name)
	}
	return all, nil
}

func (c *collector) push(ctx context.Context, page []*dto.MetricFamily) error {
	c.page.page = page
	scopes, err := c.pages.Produce(ctx)
	if err != nil {
		return err
	}
	return c.exporter.Export(ctx, &metricdata.ResourceMetrics{Resource: c.resource, ScopeMetrics: scopes})
}

func (c *collector) close(ctx context.Context) {
	_ = c.exporter.Shutdown(ctx) // it holds nothing that could be lost
}
