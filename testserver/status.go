package testserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/process"
)

// Stats is what a server has done and holds. In a cluster it is about all
// workers and, for CPU and memory, the parent too. Counts begin at the start.
type Stats struct {
	Clients     int    `json:"clients"`
	Rooms       int    `json:"rooms"`        // rooms with members
	Messages    uint64 `json:"messages"`     // accepted, with receivers or without
	Deliveries  uint64 `json:"deliveries"`   // copies handed to the kernel or to a client's buffer; counted as that begins
	DroppedSlow uint64 `json:"dropped_slow"` // clients dropped because they did not read
	Refused     uint64 `json:"refused"`      // subscriptions answered with 503
	Workers     int    `json:"workers"`      // processes that serve clients
	WorkersDied int    `json:"workers_died"`
	UptimeNS    int64  `json:"uptime_ns"`
	PIDs        []int  `json:"pids"` // a cluster's parent first
	// Profiles are where each of PIDs serves its profiles, in that order, as
	// http://host:port/debug/pprof; absent without ProfileConfig.Addr.
	Profiles []string `json:"profiles,omitempty"`

	// CPU time used and memory resident now; nil when unknown.
	CPUNS    *int64  `json:"cpu_ns"`
	RSSBytes *uint64 `json:"rss_bytes"`

	// Injected counts what each of Config.Faults did, in that order; absent
	// without faults.
	Injected []FaultCount `json:"injected,omitempty"`
	// FaultDelayNS is the delay that FaultDelay added, summed over the copies it
	// counts; what a copy waits behind others is not in it.
	FaultDelayNS int64 `json:"fault_delay_ns,omitempty"`
	Held         int64 `json:"held,omitempty"` // copies that FaultReorder holds back at the moment
}

// ReadStats asks the server at base, http://host:port, for its Stats. client knows
// how to reach it and what to trust; nil is a plain one of the call's own.
func ReadStats(ctx context.Context, client *http.Client, base string) (Stats, error) {
	var st Stats
	page := base + "/stats"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return st, fmt.Errorf("stats: %w", err)
	}
	if client == nil {
		// No connection stays in one that is shared.
		client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	resp, err := client.Do(req)
	if err != nil {
		return st, fmt.Errorf("stats: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return st, fmt.Errorf("stats: %s answers %s", page, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStats)).Decode(&st); err != nil {
		return st, fmt.Errorf("stats: %s: %w", page, err)
	}
	return st, nil
}

// maxStats is more than the JSON of any Stats with a sane list of faults.
const maxStats = 1 << 20

// Stats reads the counters. In a cluster it asks every worker and waits for
// their answers or the end of ctx.
func (s *Server) Stats(ctx context.Context) (Stats, error) {
	if s.bus != nil {
		return s.bus.stats(ctx)
	}
	s.life.Lock()
	h := s.hub
	s.life.Unlock()
	if h != nil {
		return h.stats(ctx)
	}
	st, _ := s.localStats(false)
	return st, nil
}

// Injected sums the counts of the faults carried out in this process by kind;
// every configured kind is there. In a cluster the faults happen in the workers:
// ask Stats, which also tells faults of one kind apart.
func (s *Server) Injected() map[FaultKind]int64 {
	if s.inject == nil {
		return nil
	}
	sums := make(map[FaultKind]int64)
	for _, f := range s.inject.counts() {
		sums[f.Fault.Kind] += f.Injected
	}
	return sums
}

// localStats are this process's own; the names of its rooms on demand, since
// a cluster counts the union.
func (s *Server) localStats(names bool) (Stats, []string) {
	st := Stats{
		Clients:     int(s.clients.Load()),
		Messages:    s.messages.Load(),
		Deliveries:  s.deliveries.Load(),
		DroppedSlow: s.dropped.Load(),
		Refused:     s.refused.Load(),
		Workers:     1,
		UptimeNS:    int64(time.Since(s.started)),
		PIDs:        []int{os.Getpid()},
		Profiles:    s.profileURLs(),
	}
	var rooms []string
	s.mu.RLock()
	st.Rooms = len(s.rooms) - s.idle.Len()
	if names {
		for name, r := range s.rooms {
			if r.refs > 0 {
				rooms = append(rooms, name)
			}
		}
	}
	s.mu.RUnlock()
	if s.inject != nil {
		st.Injected = s.inject.counts()
		st.FaultDelayNS, st.Held = s.inject.delayNS.Load(), s.inject.held.Load()
	}
	st.CPUNS, st.RSSBytes = processCost()
	return st, rooms
}

// add sums what can be summed over processes.
func (a *Stats) add(b Stats) {
	a.Clients += b.Clients
	a.Deliveries += b.Deliveries
	a.DroppedSlow += b.DroppedSlow
	a.Refused += b.Refused
	a.Workers += b.Workers
	a.PIDs = append(a.PIDs, b.PIDs...)
	a.Profiles = append(a.Profiles, b.Profiles...)
	a.Held += b.Held
	a.FaultDelayNS += b.FaultDelayNS
	for i, f := range b.Injected {
		a.Injected[i].Injected += f.Injected // all processes have one configuration
	}
	if a.CPUNS != nil && b.CPUNS != nil {
		*a.CPUNS += *b.CPUNS
	} else {
		a.CPUNS = nil
	}
	if a.RSSBytes != nil && b.RSSBytes != nil {
		*a.RSSBytes += *b.RSSBytes
	} else {
		a.RSSBytes = nil
	}
}

// processCost reads CPU time and resident memory of this process.
func processCost() (cpu *int64, rss *uint64) {
	p := &process.Process{Pid: int32(os.Getpid())}
	if t, err := p.Times(); err == nil {
		ns := int64((t.User + t.System) * float64(time.Second))
		cpu = &ns
	}
	if m, err := p.MemoryInfo(); err == nil {
		rss = &m.RSS
	}
	return cpu, rss
}

// runStatus writes a line about clients, traffic and machine every interval.
func (s *Server) runStatus(ctx context.Context) {
	tick := time.NewTicker(s.cfg.StatusInterval)
	defer tick.Stop()
	last := Stats{}
	at := s.started
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A worker that is stuck costs a line, never the server.
		limited, cancel := context.WithTimeout(ctx, max(s.cfg.StatusInterval, time.Second))
		now, err := s.Stats(limited)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				s.cfg.Log.Warn("no status", "error", err)
			}
			continue
		}
		when := time.Now()
		if _, err := io.WriteString(s.cfg.Status, statusLine(when, when.Sub(at), last, now)+"\n"); err != nil {
			s.cfg.Log.Warn("status lines end", "error", err)
			return
		}
		last, at = now, when
	}
}

// statusLine says what happened since the last one. What the system does not
// tell is left out.
func statusLine(when time.Time, span time.Duration, last, now Stats) string {
	rate := func(a, b uint64) float64 { return float64(b-min(a, b)) / span.Seconds() }
	line := fmt.Sprintf("%s  clients %d  rooms %d  msgs/s %.0f  deliveries/s %.0f",
		when.Format(time.TimeOnly), now.Clients, now.Rooms,
		rate(last.Messages, now.Messages), rate(last.Deliveries, now.Deliveries))
	if now.DroppedSlow > 0 {
		line += fmt.Sprintf("  dropped %d", now.DroppedSlow)
	}
	if now.Refused > 0 {
		line += fmt.Sprintf("  refused %d", now.Refused)
	}
	if now.Workers > 1 || now.WorkersDied > 0 {
		line += fmt.Sprintf("  workers %d", now.Workers)
	}
	if now.CPUNS != nil {
		used := *now.CPUNS
		if last.CPUNS != nil && slices.Equal(last.PIDs, now.PIDs) {
			used -= *last.CPUNS
		}
		line += fmt.Sprintf("  cpu %.1f %%", 100*float64(used)/float64(span))
	}
	if now.RSSBytes != nil {
		line += "  rss " + bytesText(*now.RSSBytes)
	}
	line += "  |  machine"
	if avg, err := load.Avg(); err == nil {
		line += fmt.Sprintf(" load %.2f", avg.Load1)
	}
	if m, err := mem.VirtualMemory(); err == nil {
		line += fmt.Sprintf(" memory free %s of %s", bytesText(m.Available), bytesText(m.Total))
	}
	return line
}

func bytesText(n uint64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
