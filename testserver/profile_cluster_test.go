//go:build unix

package testserver

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
)

// TestClusterProfiles: the hub and each worker listen for themselves, and are who
// they say they are.
func TestClusterProfiles(t *testing.T) {
	cfg := clusterConfig(2, Config{Profile: &ProfileConfig{Addr: "127.0.0.1:0", MutexFraction: 3}})
	s, stop := startStoppable(t, cfg)
	urls := profilesOf(t, s)
	st, err := ReadStats(t.Context(), nil, s.URL())
	if err != nil {
		t.Fatal(err)
	}
	if len(urls) != 3 || len(st.Profiles) != 3 || len(st.PIDs) != 3 {
		t.Fatalf("profiles at %q, stats %+v", urls, st)
	}
	for i, u := range st.Profiles {
		demandProfile(t, u)
		if _, text := newPoster(t, u).do("GET", "/mutex?debug=1", ""); !strings.Contains(text, "sampling period=3\n") {
			t.Errorf("the mutex profile of %s: %.100q", u, text)
		}
		_, line := newPoster(t, u).do("GET", "/cmdline", "")
		if worker := strings.HasSuffix(line, "run-worker"); worker != (i > 0) {
			t.Errorf("process %s of %v: %q", strconv.Itoa(st.PIDs[i]), st.PIDs, line)
		}
	}
	stop()
	for _, u := range urls {
		demandRefused(t, u)
	}
	if _, err := s.Profiles(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestProfilesOfAClusterThatNeverWas: nobody waits for it for ever.
func TestProfilesOfAClusterThatNeverWas(t *testing.T) {
	cfg := clusterConfig(2, profiled())
	cfg.WorkerCommand = []string{"/nonexistent/worker"}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Profiles(ctx); err == nil {
		t.Error("profiles before it serves")
	}
	if err := s.Serve(t.Context()); err == nil {
		t.Fatal("it served")
	}
	if _, err := s.Profiles(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
