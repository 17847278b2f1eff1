package testserver

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func profiled() Config { return Config{Profile: &ProfileConfig{Addr: "127.0.0.1:0"}} }

// profilesOf asks where s can be profiled.
func profilesOf(t *testing.T, s *Server) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	urls, err := s.Profiles(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return urls
}

// demandProfile asks for a heap profile at a base URL.
func demandProfile(t *testing.T, base string) {
	t.Helper()
	status, text := newPoster(t, base).do("GET", "/heap", "")
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", base, status, text)
	}
	demandPacked(t, base, []byte(text))
}

// demandPacked demands what every profile is: something whole, packed by gzip.
func demandPacked(t *testing.T, what string, text []byte) {
	t.Helper()
	packed, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	plain, err := io.ReadAll(packed)
	if err != nil || len(plain) == 0 {
		t.Fatalf("%s: %d bytes, %v", what, len(plain), err)
	}
}

func demandRefused(t *testing.T, base string) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := net.DialTimeout("tcp", u.Host, patience); err == nil {
		c.Close()
		t.Errorf("somebody listens on %s", u.Host)
	}
}

func TestProfileListener(t *testing.T) {
	s, stop := startStoppable(t, profiled())
	urls := profilesOf(t, s)
	if len(urls) != 1 || !strings.HasSuffix(urls[0], "/debug/pprof") {
		t.Fatalf("profiles at %q", urls)
	}
	st, err := ReadStats(t.Context(), nil, s.URL())
	if err != nil || !slices.Equal(st.Profiles, urls) {
		t.Errorf("stats %+v, %v; want profiles at %q", st, err, urls)
	}
	demandProfile(t, urls[0])
	base := strings.TrimSuffix(urls[0], "/debug/pprof")
	p := newPoster(t, base)
	for path, want := range map[string]string{
		"/debug/pprof": "goroutine?debug=1", "/debug/pprof/": "goroutine?debug=1", "/debug/pprof/cmdline": "", "/debug/pprof/symbol": "num_symbols",
		"/debug/pprof/goroutine?debug=2": "goroutine ", "/debug/pprof/trace?seconds=0.01": "go 1.",
	} {
		if status, text := p.do("GET", path, ""); status != http.StatusOK || text == "" || !strings.Contains(text, want) {
			t.Errorf("%s: %d %.80q", path, status, text)
		}
	}
	for _, path := range []string{"/", "/healthz", "/stats", "/events", "/debug/pprofs", "/debug/vars"} {
		if status, _ := p.do("GET", path, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	// The port under load has none of it.
	if status, _ := newPoster(t, s.URL()).do("GET", "/debug/pprof/heap", ""); status != http.StatusNotFound {
		t.Errorf("the main port answers %d", status)
	}
	stop()
	demandRefused(t, urls[0])
}

func TestProfileListenerDemandsCredentials(t *testing.T) {
	cfg := profiled()
	cfg.Auth = &Auth{User: "me", Password: "pass"}
	urls := profilesOf(t, start(t, cfg))
	status, text := newPoster(t, urls[0]).do("GET", "/cmdline", "")
	if status != http.StatusUnauthorized {
		t.Errorf("without: %d %s", status, text)
	}
	demandProfile(t, strings.Replace(urls[0], "http://", "http://me:pass@", 1))
}

// askCPU begins a CPU profile of an hour, and returns once it runs.
func askCPU(t *testing.T, base string) *net.TCPConn {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET "+u.Path+"/profile?seconds=3600 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// The handler has begun the profile once it sleeps. To try to begin one here
	// would have it refused.
	deadline := time.Now().Add(patience)
	for {
		var stacks bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(stacks.Bytes(), []byte("net/http/pprof.sleep(")) {
			return conn.(*net.TCPConn)
		}
		if time.Now().After(deadline) {
			t.Fatal("the profile does not begin")
		}
		runtime.Gosched()
	}
}

func demandCPU(t *testing.T, conn net.Conn) {
	t.Helper()
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		t.Fatalf("answer %.200q", text)
	}
	// The body may be chunked; that gzip's first bytes are in it shows that it is
	// a profile.
	if i := bytes.Index(text, []byte("\x1f\x8b")); i < 0 {
		t.Errorf("no profile in %d bytes", len(text))
	}
}

// TestCPUProfileEndsWithItsAsker: nothing of a long profile is lost when whoever
// asked for it has enough.
func TestCPUProfileEndsWithItsAsker(t *testing.T) {
	conn := askCPU(t, profilesOf(t, start(t, profiled()))[0])
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	demandCPU(t, conn)
}

func TestCPUProfileEndsWithTheServer(t *testing.T) {
	s, stop := startStoppable(t, profiled())
	conn := askCPU(t, profilesOf(t, s)[0])
	stop()
	demandCPU(t, conn)
}

// TestProfileRates: they hold while a server serves, and not longer.
func TestProfileRates(t *testing.T) {
	before := runtime.SetMutexProfileFraction(-1)
	_, stop := startStoppable(t, Config{Pprof: true, Profile: &ProfileConfig{MutexFraction: 7, BlockRate: 1}})
	deadline := time.Now().Add(patience)
	for runtime.SetMutexProfileFraction(-1) != 7 {
		if time.Now().After(deadline) {
			t.Fatalf("the mutex profile fraction is %d", runtime.SetMutexProfileFraction(-1))
		}
		runtime.Gosched()
	}
	for was := blockings(t); blockings(t) == was; {
		if time.Now().After(deadline) {
			t.Fatal("nothing that blocked was recorded")
		}
		block()
	}
	stop()
	if got := runtime.SetMutexProfileFraction(-1); got != before {
		t.Errorf("the mutex profile fraction is %d, and was %d", got, before)
	}
	was := blockings(t)
	for range 100 {
		block()
	}
	if got := blockings(t); got != was {
		t.Errorf("blocking was recorded after the end: %s, then %s", was, got)
	}
}

// block blocks, for a moment.
func block() {
	c := make(chan struct{})
	go close(c)
	<-c
}

// blockings are the block profile's records, without the head, which tells how fast
// the clock is.
func blockings(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	if err := pprof.Lookup("block").WriteTo(&text, 1); err != nil {
		t.Fatal(err)
	}
	_, records, _ := strings.Cut(text.String(), "cycles/second=")
	_, records, _ = strings.Cut(records, "\n")
	return records
}

func TestProfileConfigRefused(t *testing.T) {
	for want, cfg := range map[string]Config{
		"mutex profile fraction": {Profile: &ProfileConfig{MutexFraction: -1}},
		"block profile rate":     {Profile: &ProfileConfig{BlockRate: -1}},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	p := &ProfileConfig{Addr: "127.0.0.1:6060"}
	if err := p.check(2); err == nil || !strings.Contains(err.Error(), "port 0") {
		t.Errorf("a port for two workers: %v", err)
	}
}

func TestProfileListenFails(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	s, err := New(Config{Profile: &ProfileConfig{Addr: held.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Listen()
	if !errors.Is(err, ErrProfileListen) || !strings.Contains(err.Error(), held.Addr().String()) {
		t.Errorf("%v", err)
	}
	if runtime.GOOS != "windows" && !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v does not say why", err)
	}
	if addr := s.Addr(); addr != nil {
		t.Errorf("it listens on %s", addr)
	}
}

func TestCloseBeforeServeEndsProfiles(t *testing.T) {
	s, err := New(profiled())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	urls := profilesOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	demandRefused(t, urls[0])
}

func TestReachable(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:7": "127.0.0.1:7", "0.0.0.0:7": "127.0.0.1:7", "[::]:7": "127.0.0.1:7", "[::1]:7": "[::1]:7",
	} {
		if got := reachable(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// TestProfilesOfManyAtOnce: servers in one process have a listener each.
func TestProfilesOfManyAtOnce(t *testing.T) {
	one, two := start(t, profiled()), start(t, profiled())
	urls := append(profilesOf(t, one), profilesOf(t, two)...)
	if len(urls) != 2 || urls[0] == urls[1] {
		t.Fatalf("profiles at %q", urls)
	}
	var asked sync.WaitGroup
	for _, u := range urls {
		asked.Go(func() {
			resp, err := http.Get(u + "/allocs")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", u, resp.Status)
			}
		})
	}
	asked.Wait()
	http.DefaultClient.CloseIdleConnections()
}
