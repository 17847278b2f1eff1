package scenarios

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"time"

	"github.com/sseload/sseload/pkg/observe"
	"github.com/sseload/sseload/pkg/profile"
	"github.com/sseload/sseload/pkg/result"
)

// Profiles says which profiles of the target to take in each phase, and where
// their files go. It is for one series of runs.
type Profiles struct {
	Kinds []profile.Kind
	Dir   string
	Shown string // Dir as a record names it: relative to the record's folder
	names map[string]int
}

// stem begins the names of a run's files. No two runs have the same.
func (p *Profiles) stem(run string) string {
	if p.names == nil {
		p.names = map[string]int{}
	}
	p.names[run]++
	if n := p.names[run]; n > 1 {
		return run + "-" + strconv.Itoa(n)
	}
	return run
}

// openProfiler begins the profiles of a run that is called so, if any are asked for.
// When none can be had the record will say why.
func (s *session) openProfiler(ctx context.Context, p *Profiles, run string) {
	if p == nil {
		return
	}
	source, err := s.site.Profile()
	if err != nil {
		s.unprofiled = []string{fmt.Sprintf("no profile was taken: %v", err)}
		return
	}
	s.profilesIn = p.Shown
	s.profiler = profile.New(profile.Config{Kinds: p.Kinds, Source: source, Dir: p.Dir, Stem: p.stem(run)})
	// Before the first look at memory: a target takes some for its profiles.
	s.profiler.Begin(ctx, phaseConnect)
}

// turnProfiles ends the profiles of the phase before and begins those of the next.
// What that takes is in neither.
func (s *session) turnProfiles(ctx context.Context, next string) {
	if s.profiler == nil || s.phase.Load() == nil { // those of the first phase run already
		return
	}
	began := s.people.Clock().Now()
	s.begin(phaseProfile, 0)
	s.endProfiles(ctx, s.profiler.End)
	s.profiler.Begin(ctx, next)
	s.paused += time.Duration(s.people.Clock().Now() - began)
}

// profilesAfterInterrupt bounds how long one who has pressed Ctrl-C waits for
// profiles.
const profilesAfterInterrupt = time.Second

// endProfiles has end take what is under way, in a short time once ctx is done.
func (s *session) endProfiles(ctx context.Context, end func(context.Context)) {
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(profilesAfterInterrupt, cancel) })
	defer stop()
	end(patient)
}

// recordProfiles ends the profiles under way and enters all of them.
func (s *session) recordProfiles(ctx context.Context, seen observe.Report) {
	if s.profiler == nil {
		return
	}
	var taken []profile.Profile
	var problems []string
	s.endProfiles(ctx, func(ctx context.Context) { taken, problems = s.profiler.Close(ctx) })
	for _, p := range taken {
		out := result.Profile{
			Kind: string(p.Kind), Phase: p.Phase, Source: p.Source,
			StartNS: int64(max(0, p.Began.Sub(seen.StartedAt))), ElapsedNS: int64(p.Elapsed),
			File: path.Join(s.profilesIn, p.File), Flame: path.Join(s.profilesIn, p.Flame),
			Unit: p.Unit, Total: p.Total, Samples: p.Samples, Top: []result.Function{},
		}
		for _, f := range p.Top {
			out.Top = append(out.Top, result.Function(f))
		}
		s.run.Profiles = append(s.run.Profiles, out)
	}
	for _, text := range problems {
		s.run.Notes = append(s.run.Notes, "profiles: "+text)
	}
}
