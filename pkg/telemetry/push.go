package telemetry

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
)

const (
	// pushMost bounds one push.
	pushMost = 5 * time.Second
	// waiting is how many runs may have ended that are not pushed yet.
	waiting = 64
)

var errNoAnswer = errors.New("no answer in time")

// destination takes pages.
type destination interface {
	push(ctx context.Context, page []*dto.MetricFamily) error
	close(ctx context.Context)
}

// pusher pushes to one destination, so that one that hangs holds up no other.
type pusher struct {
	from       *Exporter
	to         destination
	interval   time.Duration
	ended      chan []*dto.MetricFamily // pages of runs' ends
	stop, done chan struct{}
	failed     func(error)
	count      Pushes // its goroutine's until done
	missed     atomic.Int64
}

// push begins to push to d.
func (e *Exporter) push(ctx context.Context, cfg *Config, name Destination, d destination) {
	p := &pusher{
		from: e, to: d, interval: cfg.Interval, count: Pushes{To: name},
		ended: make(chan []*dto.MetricFamily, waiting), stop: make(chan struct{}), done: make(chan struct{}),
		failed: func(err error) { cfg.Failed(name, err) },
	}
	e.pushers = append(e.pushers, p)
	go p.run(ctx)
}

// page is what all metrics are now, with the time.
func (p *pusher) page() []*dto.MetricFamily {
	page, _ := p.from.Gather() // which has no errors
	now := time.Now().UnixMilli()
	for _, f := range page {
		for _, m := range f.GetMetric() {
			m.TimestampMs = &now
		}
	}
	return page
}

// runEnded has the page of this moment pushed, in its turn. When too many wait it counts
// as a push that failed.
func (p *pusher) runEnded() {
	select {
	case p.ended <- p.page():
	default:
		p.missed.Add(1)
	}
}

// pushes is what became of all, once it is done.
func (p *pusher) pushes() Pushes {
	missed := int(p.missed.Load())
	return Pushes{To: p.count.To, All: p.count.All + missed, Failed: p.count.Failed + missed}
}

func (p *pusher) run(ctx context.Context) {
	defer close(p.done)
	defer p.to.close(ctx)
	ticker := time.NewTicker(p.interval)
	defer ticker.Stop()
	for {
		select {
		case page := <-p.ended:
			p.push(ctx, page)
		case <-ticker.C:
			p.pushNow(ctx)
		case <-p.stop:
			for len(p.ended) > 0 {
				p.push(ctx, <-p.ended)
			}
			p.pushNow(ctx)
			return
		}
	}
}

// pushNow pushes where things stand, if there is anything to see. What has ended goes
// first: receivers want a series in the order of time.
func (p *pusher) pushNow(ctx context.Context) {
	for len(p.ended) > 0 {
		p.push(ctx, <-p.ended)
	}
	if p.from.any() {
		p.push(ctx, p.page())
	}
}

func (p *pusher) push(ctx context.Context, page []*dto.MetricFamily) {
	ctx, cancel := context.WithTimeout(ctx, pushMost)
	defer cancel()
	p.count.All++
	err := p.to.push(ctx, page)
	if err == nil {
		return
	}
	if ctx.Err() != nil {
		err = errNoAnswer
	}
	if p.count.Failed++; p.count.Failed == 1 {
		p.failed(err)
	}
}
