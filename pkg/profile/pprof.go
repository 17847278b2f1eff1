package profile

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/google/pprof/profile"
)

// PprofConfig says where the debug pages of a Go program are.
type PprofConfig struct {
	// URLs are the /debug/pprof folders, http or https, one for each process of
	// the target. Profiles of the same kind and phase are merged. A user and a
	// password in a URL are sent as Basic authentication. A query goes with every
	// request, without the parameters of net/http/pprof, which are set here:
	// seconds, gc and debug. Neither is told in a problem.
	URLs []*url.URL
	// TLS is for https URLs; nil is Go's default.
	TLS *tls.Config
	// Header goes with every request.
	Header http.Header
}

// Pprof is a Go program that serves net/http/pprof. Nothing else is asked of the
// program, and no proxy stands between: connections go to it straight.
func Pprof(c PprofConfig) Source {
	s := &pprofSource{}
	var seen []string
	for _, u := range c.URLs {
		// One process, asked twice at once, has no second cpu profile.
		if !slices.Contains(seen, u.String()) {
			seen = append(seen, u.String())
			s.pages = append(s.pages, newPages(u, c))
		}
	}
	return s
}

type pprofSource struct{ pages []*pages }

func (*pprofSource) Name() string { return "pprof" }

func (*pprofSource) kinds() []Kind {
	kinds := make([]Kind, len(shapes))
	for i, s := range shapes {
		kinds[i] = s.kind
	}
	return kinds
}

func (s *pprofSource) begin(ctx context.Context, kinds []Kind, n *notes) recording {
	r := &pprofRecording{kinds: kinds, notes: n}
	for _, p := range s.pages {
		r.parts = append(r.parts, &pprofPart{
			pages: p, kinds: kinds, notes: n,
			before: map[Kind]*profile.Profile{},
		})
	}
	r.each(func(p *pprofPart) { p.begin(ctx) })
	return r
}

func (s *pprofSource) close() {
	for _, p := range s.pages {
		p.client.CloseIdleConnections()
	}
}

// pprofRecording is one phase of all processes of the target.
type pprofRecording struct {
	kinds []Kind
	notes *notes
	parts []*pprofPart
}

func (r *pprofRecording) each(do func(*pprofPart)) {
	var all sync.WaitGroup
	for _, p := range r.parts {
		all.Go(func() { do(p) })
	}
	all.Wait()
}

func (r *pprofRecording) end(ctx context.Context) []capture {
	r.each(func(p *pprofPart) { p.end(ctx) })
	var merged []capture
	for _, k := range r.kinds {
		var c capture
		var data []*profile.Profile
		for _, p := range r.parts {
			i := slices.IndexFunc(p.captures, func(c capture) bool { return c.kind == k })
			if i < 0 {
				continue
			}
			if data == nil || p.captures[i].began.Before(c.began) {
				c.began = p.captures[i].began
			}
			c.kind, c.elapsed = k, max(c.elapsed, p.captures[i].elapsed)
			c.missed = max(c.missed, p.captures[i].missed)
			data = append(data, p.captures[i].data)
		}
		if data == nil {
			continue
		}
		var err error
		if c.data, err = profile.Merge(data); err != nil {
			r.notes.tell("the %s profiles of the target's processes do not go together: %v", k, err)
			continue
		}
		// Processes run side by side: Merge adds up how long.
		c.data.TimeNanos, c.data.DurationNanos = c.began.UnixNano(), int64(c.elapsed)
		merged = append(merged, c)
	}
	return merged
}

// pprofPart is one phase of one process.
type pprofPart struct {
	pages *pages
	kinds []Kind
	notes *notes

	began    time.Time // when the difference kinds were looked at
	before   map[Kind]*profile.Profile
	cpu      *cpuRun // nil if not wanted
	captures []capture
}

func (p *pprofPart) begin(ctx context.Context) {
	// The cpu profile last: looking at the others costs CPU time.
	p.began = time.Now()
	for _, k := range p.kinds {
		if !k.shape().since {
			continue
		}
		data, err := p.pages.snapshot(ctx, k)
		if err != nil {
			p.notes.tell("%v", err)
			if silent(err) {
				break
			}
			continue
		}
		p.before[k] = data
	}
	if slices.Contains(p.kinds, CPU) {
		p.cpu = startCPU(ctx, p.pages, p.notes)
	}
}

func (p *pprofPart) end(ctx context.Context) {
	ended := time.Now()
	if p.cpu != nil {
		if c, ok := p.cpu.end(ctx); ok {
			p.captures = append(p.captures, c)
		}
	}
	// Heap last, as it begins with a collection.
	order := slices.Clone(p.kinds)
	slices.SortStableFunc(order, func(a, b Kind) int { return cmp.Compare(rank(a), rank(b)) })
	for _, k := range order {
		before, looked := p.before[k]
		if k == CPU || k.shape().since && !looked {
			continue
		}
		now := time.Now()
		data, err := p.pages.snapshot(ctx, k)
		if err != nil {
			p.notes.tell("%v", err)
			if silent(err) {
				return
			}
			continue
		}
		c := capture{kind: k, began: now, data: data}
		if k.shape().since {
			c.began, c.elapsed = p.began, ended.Sub(p.began)
			if !p.subtract(&c, before) {
				continue
			}
		}
		p.captures = append(p.captures, c)
	}
}

func rank(k Kind) int {
	switch {
	case k.shape().since:
		return 0
	case k == Heap:
		return 2
	}
	return 1
}

// subtract leaves in c what came after the look before.
func (p *pprofPart) subtract(c *capture, before *profile.Profile) bool {
	if len(c.data.Sample) == 0 && (c.kind == Mutex || c.kind == Block) {
		setter := "runtime.SetMutexProfileFraction"
		if c.kind == Block {
			setter = "runtime.SetBlockProfileRate"
		}
		p.notes.tell("there is no %s profile: nothing of the kind happened, or the target does not count it, for which there is %s", c.kind, setter)
		return false
	}
	data, err := difference(before, c.data, c.kind.shape())
	if err != nil {
		p.notes.tell("%v", p.pages.problem(c.kind, err))
		return false
	}
	c.data = data
	return true
}

// difference is what the later of two cumulative profiles has more than the
// former. Both are used up.
func difference(before, after *profile.Profile, s shape) (*profile.Profile, error) {
	for _, p := range []*profile.Profile{before, after} {
		if err := keepCounterOf(p, s); err != nil {
			return nil, err
		}
	}
	// Not Scale, which goes through floating point.
	for _, sample := range before.Sample {
		for i, v := range sample.Value {
			sample.Value[i] = -v
		}
	}
	data, err := profile.Merge([]*profile.Profile{before, after})
	if err != nil {
		return nil, err
	}
	// Times of waiting come out of a conversion from ticks: what nobody waited
	// for again can differ by a rounding.
	data.Sample = slices.DeleteFunc(data.Sample, func(sample *profile.Sample) bool {
		return slices.Min(sample.Value) <= 0
	})
	return data.Compact(), nil
}

// keepCounterOf leaves the main value and the count beside it: the others of an
// allocs profile, what is in use, are no counters.
func keepCounterOf(p *profile.Profile, s shape) error {
	i, err := mainValue(p, s)
	if err != nil {
		return err
	}
	from := max(0, i-1)
	p.SampleType = p.SampleType[from : i+1]
	for _, sample := range p.Sample {
		sample.Value = sample.Value[from : i+1]
	}
	p.DefaultSampleType = s.value
	return nil
}
