package profile

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	runtimepprof "runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// serverOf is in this process, which has one cpu profile at a time: no test that
// takes one is parallel to another.
func serverOf(t *testing.T, h http.Handler, set func(*httptest.Server)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	if set != nil {
		set(s)
	}
	if s.TLS != nil {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func pagesOf(t *testing.T, s *httptest.Server) *url.URL {
	t.Helper()
	return parseURL(t, s.URL+"/debug/pprof")
}

// profiled goes through one phase, with work in it.
func profiled(t *testing.T, c Config, work func()) ([]Profile, []string) {
	t.Helper()
	p := New(c)
	p.Begin(soon(t), "work")
	work()
	p.End(soon(t))
	return p.Close(soon(t))
}

func TestCPUOfAPhaseOfAnyLength(t *testing.T) {
	for name, set := range map[string]func(*httptest.Server){
		"plain": nil,
		"TLS":   func(s *httptest.Server) { s.TLS = &tls.Config{} },
		"plain, with a WriteTimeout": func(s *httptest.Server) {
			s.Config.WriteTimeout = 300 * time.Millisecond
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serverOf(t, debugPages(), set)
			dir := filepath.Join(t.TempDir(), "made", "when needed")
			var roots *tls.Config
			if s.TLS != nil {
				roots = s.Client().Transport.(*http.Transport).TLSClientConfig
			}
			began := time.Now()
			var worked time.Duration
			taken, problems := profiled(t, Config{
				Kinds: []Kind{CPU}, Dir: dir, Stem: "run-1",
				Source: Pprof(PprofConfig{URLs: []*url.URL{pagesOf(t, s)}, TLS: roots}),
			}, func() {
				begin := time.Now()
				burn(spent(stint))
				worked = time.Since(begin)
			})
			clear(t, problems)
			p := wanted(t, taken, CPU)
			f, ok := function(p, "profile.burn")
			switch {
			case p.Phase != "work" || p.Source != "pprof" || p.Unit != "nanoseconds":
				t.Errorf("%+v", p)
			case p.Began.Before(began) || p.Elapsed < worked || p.Elapsed > time.Since(began):
				t.Errorf("it began %v after this test, and went on for %v", p.Began.Sub(began), p.Elapsed)
			case !ok || f.Flat < p.Total/4 || p.Total < int64(stint)/4 || f.Cumulative < f.Flat || f.Cumulative > p.Total:
				t.Errorf("of %d: %+v", p.Total, p.Top)
			case p.Samples < 5 || p.Total < p.Samples*int64(time.Millisecond):
				t.Errorf("%d samples of %d ns", p.Samples, p.Total)
			case p.File != "run-1-work-cpu.pb.gz" || p.Flame != "run-1-work-cpu.folded":
				t.Errorf("%q, %q", p.File, p.Flame)
			}
			opened(t, filepath.Join(dir, p.File), "profile.burn")
			folded(t, filepath.Join(dir, p.Flame), p.Total, "profile.burn")
		})
	}
}

// opened has go tool pprof find a function in a file.
func opened(t *testing.T, file, function string) {
	t.Helper()
	cmd := exec.Command("go", "tool", "pprof", "-top", file)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), function) {
		t.Errorf("%s: %v\n%s", cmd, err, out)
	}
}

// folded checks the flame graph data as a tool reads it.
func folded(t *testing.T, file string, total int64, function string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	seen := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		i := strings.LastIndex(line, " ")
		v, err := strconv.ParseInt(line[i+1:], 10, 64)
		if err != nil || v <= 0 {
			t.Fatalf("line %q", line)
		}
		n += v
		stack := strings.Split(line[:i], ";")
		seen = seen || strings.Contains(stack[len(stack)-1], function)
	}
	if n != total || !seen {
		t.Errorf("%s: %d of %d, %q is a leaf: %v", file, n, total, function, seen)
	}
}

//go:noinline
func allocate() (kept [][]byte) {
	for range 2000 {
		kept = append(kept, make([]byte, 16<<10))
	}
	return kept
}

func TestSnapshotsAndDifferences(t *testing.T) {
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	t.Cleanup(func() {
		runtime.SetMutexProfileFraction(0)
		runtime.SetBlockProfileRate(0)
	})
	earlier()
	s := serverOf(t, debugPages(), nil)
	dir := t.TempDir()
	var kept [][]byte
	var waited time.Duration
	const crowd = 30
	release := make(chan struct{})
	var parked sync.WaitGroup
	for range crowd {
		parked.Go(func() { park(release) })
	}
	defer parked.Wait()
	defer close(release)
	taken, problems := profiled(t, Config{
		Kinds: []Kind{Heap, Allocs, Mutex, Block, Goroutine, ThreadCreate, Heap}, Dir: dir, Stem: "s",
		Source: Pprof(PprofConfig{URLs: []*url.URL{pagesOf(t, s)}}),
	}, func() {
		kept = allocate()
		waited = contend()
	})
	clear(t, problems)
	if len(taken) != 6 {
		t.Fatalf("%d profiles", len(taken))
	}
	for k, want := range map[Kind]struct {
		unit, function string
		min            int64
	}{
		Heap:      {"bytes", "profile.allocate", 16 << 20},
		Allocs:    {"bytes", "profile.allocate", 16 << 20},
		Mutex:     {"nanoseconds", "profile.contend", int64(waited) / 4},
		Block:     {"nanoseconds", "profile.contend.func1", int64(waited) / 4},
		Goroutine: {"count", "profile.park", crowd},
	} {
		p := wanted(t, taken, k)
		f, ok := function(p, want.function)
		if p.Unit != want.unit || !ok || f.Cumulative < want.min {
			t.Errorf("%s, in %s: wants %d of %s in %+v", k, p.Unit, want.min, want.function, p.Top)
		}
		if snapshot := !k.shape().since; snapshot != (p.Elapsed == 0) {
			t.Errorf("%s: elapsed %v", k, p.Elapsed)
		}
	}
	if p := wanted(t, taken, ThreadCreate); p.Total < 1 || p.Unit != "count" {
		t.Errorf("%+v", p)
	}
	// What had been before is in the process's own profile, and not in ours.
	if p := wanted(t, taken, Mutex); strings.Contains(fmt.Sprint(p.Top), "profile.earlier") {
		t.Errorf("%+v", p.Top)
	}
	var own strings.Builder
	if err := runtimepprof.Lookup("mutex").WriteTo(&own, 1); err != nil || !strings.Contains(own.String(), "profile.earlier") {
		t.Errorf("it has to be there: %v\n%s", err, &own)
	}
	opened(t, filepath.Join(dir, wanted(t, taken, Allocs).File), "profile.allocate")
	runtime.KeepAlive(kept)
}

// earlier is not in the phase.
//
//go:noinline
func earlier() { contend() }

//go:noinline
func park(release <-chan struct{}) { <-release }

// contend gives how long one goroutine waited for the other's lock.
//
//go:noinline
func contend() time.Duration {
	var mu sync.Mutex
	mu.Lock()
	var waiter sync.WaitGroup
	var waited time.Duration
	trying := make(chan struct{})
	waiter.Go(func() {
		close(trying)
		begin := time.Now()
		mu.Lock()
		waited = time.Since(begin)
		mu.Unlock()
	})
	<-trying
	burn(spent(stint / 2))
	mu.Unlock()
	waiter.Wait()
	return waited
}

func TestDifferencesLeaveOutWhatWasBefore(t *testing.T) {
	at := func(values ...int64) *profile.Profile {
		s := newStacks(&profile.ValueType{Type: "contentions", Unit: count}, &profile.ValueType{Type: "delay", Unit: nanoseconds})
		for i := 0; i < len(values); i += 2 {
			if err := s.add([]frame{{name: fmt.Sprint("f", i/2)}}, values[i], values[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		return s.data
	}
	d, err := difference(at(5, 1<<60, 7, 100, 1, 1), at(5, 1<<60+1, 8, 130, 0, 0, 2, 3), Mutex.shape())
	if err != nil {
		t.Fatal(err)
	}
	got, err := tabulate(d, Mutex.shape())
	if err != nil || got.total != 33 || got.samples != 3 || len(got.top) != 2 || got.top[0] != (Function{"f1", 30, 30}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestEmptyBecauseSwitchedOff(t *testing.T) {
	t.Parallel()
	_, u := server(t)
	taken, problems := profiled(t, Config{
		Kinds: []Kind{Mutex, Block}, Dir: t.TempDir(), Stem: "s",
		Source: Pprof(PprofConfig{URLs: []*url.URL{u}}),
	}, func() {})
	if len(taken) != 0 || len(problems) != 2 {
		t.Errorf("%+v", taken)
	}
	mentions(t, problems, "mutex", "runtime.SetMutexProfileFraction")
	mentions(t, problems, "block", "runtime.SetBlockProfileRate")
}

func TestClusterIsMerged(t *testing.T) {
	t.Parallel()
	first, one := server(t)
	second, two := server(t)
	dir := t.TempDir()
	p := New(Config{
		Kinds: []Kind{Goroutine, CPU}, Dir: dir, Stem: "cluster",
		Source: Pprof(PprofConfig{URLs: []*url.URL{one, two, one}}), // one address twice is one process
	})
	for range 2 {
		p.Begin(soon(t), "phase/1")
		first.work(t, "left")
		second.work(t, "right")
		p.End(soon(t))
	}
	taken, problems := p.Close(soon(t))
	clear(t, problems)
	if len(taken) != 4 || taken[0].Kind != Goroutine || taken[1].Kind != CPU {
		t.Fatalf("%+v", taken)
	}
	if taken[1].File != "cluster-phase_1-cpu.pb.gz" || taken[3].File != "cluster-phase_1-2-cpu.pb.gz" || taken[3].Phase != "phase/1" {
		t.Errorf("%+v", taken)
	}
	// Both have a goroutine that waits for standard input.
	if f, ok := function(taken[0], "profile.serve"); !ok || f.Cumulative < 2 {
		t.Errorf("%+v", taken[0].Top)
	}
	data := readBack(t, filepath.Join(dir, taken[1].File))
	if data.DefaultSampleType != "cpu" || data.DurationNanos != int64(taken[1].Elapsed) {
		t.Errorf("default %q, %v", data.DefaultSampleType, time.Duration(data.DurationNanos))
	}
	for _, name := range []string{"profile.left", "profile.right"} {
		if f, _ := function(taken[1], name); f.Cumulative < taken[1].Total/10 || f.Cumulative == 0 {
			t.Errorf("%s is not in %+v", name, taken[1].Top)
		}
	}
}

func readBack(t *testing.T, file string) *profile.Profile {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pieces counts the pieces of a cpu profile that a server has begun.
type pieces struct{ begun atomic.Int32 }

// work is in one piece first, and then in those that follow.
func (p *pieces) work() {
	hung := time.Now().Add(patience)
	early(func() bool { return p.begun.Load() > 1 || time.Now().After(hung) })
	late(spent(stint))
}

//go:noinline
func early(enough func() bool) { burn(enough) }

//go:noinline
func late(enough func() bool) { burn(enough) }

// merged tells that the profile is of all pieces.
func merged(t *testing.T, p Profile) {
	t.Helper()
	for _, name := range []string{"profile.early", "profile.late"} {
		if f, _ := function(p, name); f.Cumulative < int64(stint)/10 {
			t.Errorf("%s: %+v in %+v", name, f, p.Top)
		}
	}
}

// Servers of Go before 1.22 refuse more seconds than their WriteTimeout.
func TestWriteTimeoutTakesPieces(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	var count pieces
	s := serverOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/profile") {
			debugPages().ServeHTTP(w, r)
			return
		}
		seconds, _ := strconv.Atoi(r.FormValue("seconds"))
		mu.Lock()
		asked = append(asked, r.FormValue("seconds"))
		mu.Unlock()
		if seconds >= 2 {
			http.Error(w, "profile duration exceeds server's WriteTimeout", http.StatusBadRequest)
			return
		}
		count.begun.Add(1)
		pprof.Profile(w, r)
	}), nil)
	taken, problems := profiled(t, Config{
		Kinds: []Kind{CPU}, Dir: t.TempDir(), Stem: "s",
		Source: Pprof(PprofConfig{URLs: []*url.URL{pagesOf(t, s)}}),
	}, count.work)
	merged(t, wanted(t, taken, CPU))
	mu.Lock()
	defer mu.Unlock()
	if last := len(asked) - 1; last < len(stretches) || asked[last] != "1" || asked[last-1] != "1" {
		t.Errorf("asked for %q", asked)
	}
	// What is missing is told.
	for _, text := range problems {
		if !strings.Contains(text, "lacks") {
			t.Errorf("problem: %s", text)
		}
	}
}

// What limits the time of all requests ends a profile too.
func TestRequestTimeoutTakesPieces(t *testing.T) {
	var count pieces
	inner := debugPages()
	s := serverOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/profile") {
			count.begun.Add(1)
		}
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		inner.ServeHTTP(w, r.WithContext(ctx))
	}), nil)
	taken, _ := profiled(t, Config{
		Kinds: []Kind{CPU}, Dir: t.TempDir(), Stem: "s",
		Source: Pprof(PprofConfig{URLs: []*url.URL{pagesOf(t, s)}}),
	}, count.work)
	merged(t, wanted(t, taken, CPU))
	if count.begun.Load() < 2 {
		t.Error("there was one piece")
	}
}

// endedUnanswered tells that a phase, which had no work in it, was over before a busy
// machine had brought the answer.
func endedUnanswered(problem string) bool {
	return strings.Contains(problem, "over before the target could begin")
}

func TestWhatServersRefuse(t *testing.T) {
	t.Parallel() // no cpu profile is really taken here
	status := func(code int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, code) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		words   []string
		others  int // problems besides
	}{
		"nothing there": {status(404, "no"), []string{`_ "net/http/pprof"`, "/debug/pprof"}, 0},
		"no leave":      {status(401, "no"), []string{"status 401", "user and password"}, 0},
		"forbidden":     {status(403, "no"), []string{"status 403"}, 0},
		"broken":        {status(503, "come\x1b[2J back"), []string{"cpu", "status 503: come[2J back"}, 2},
		"in use":        {status(500, "Could not enable CPU profiling: cpu profiling already in use"), []string{"one at a time"}, 2},
		"no profile":    {status(200, "<html>"), []string{"cpu", "no profile"}, 2},
		"redirects":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, []string{"cpu", "status 302"}, 2},
		"long head": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}, []string{"cpu", "headers"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serverOf(t, c.handler, nil)
			dir := filepath.Join(t.TempDir(), "none")
			refused := func() []string {
				p := New(Config{
					Kinds: []Kind{CPU, Heap, Allocs}, Dir: dir, Stem: "s",
					Source: Pprof(PprofConfig{URLs: []*url.URL{pagesOf(t, s)}}),
				})
				for range 2 {
					p.Begin(soon(t), "a")
					p.End(soon(t))
				}
				taken, problems := p.Close(soon(t))
				if len(taken) != 0 {
					t.Errorf("%+v", taken)
				}
				return problems
			}
			problems := refused()
			for i := 0; i < 10 && slices.ContainsFunc(problems, endedUnanswered); i++ {
				problems = refused()
			}
			found := 0
			for _, text := range problems {
				all := true
				for _, w := range c.words {
					all = all && strings.Contains(text, w)
				}
				if all {
					found++
				}
			}
			if found == 0 || len(problems) > c.others+1 {
				t.Errorf("%q in none of %q", c.words, problems)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("a directory for nothing")
			}
		})
	}
}

// What is small as it comes may be large once unpacked.
func TestBomb(t *testing.T) {
	var packed bytes.Buffer
	if err := inlined().Write(&packed); err != nil {
		t.Fatal(err)
	}
	if _, err := parse(packed.Bytes(), 1<<10); err != nil {
		t.Error(err)
	}
	if _, err := parse(packed.Bytes(), 16); !errors.Is(err, errTooLong) {
		t.Errorf("%v", err)
	}
}

func TestCredentials(t *testing.T) {
	inner := debugPages()
	s := serverOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "u" || password != "secret" || r.Header.Get("X-Key") != "k" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}), nil)
	u := pagesOf(t, s)
	for password, want := range map[string]int{"secret": 2, "wrong": 0} {
		u.User = url.UserPassword("u", password)
		taken, problems := profiled(t, Config{
			Kinds: []Kind{CPU, Goroutine}, Dir: t.TempDir(), Stem: "s",
			Source: Pprof(PprofConfig{URLs: []*url.URL{u}, Header: http.Header{"X-Key": {"k"}}}),
		}, func() { burn(spent(stint / 8)) })
		if len(taken) != want || (want == 0) != (len(problems) == 1) {
			t.Errorf("%s: %d profiles, %q", password, len(taken), problems)
		}
		if strings.Contains(strings.Join(problems, ""), password) {
			t.Errorf("%q tells the password", problems)
		}
	}
}

// A proxy may find the process by the path, and ask for a token in the query.
func TestPathAndQueryStayAsGiven(t *testing.T) {
	const path, token = "/to/http:%2F%2Fhost//debug/pprof%2F", "se%2Bcret"
	var mu sync.Mutex
	asked := map[string]string{}
	s := serverOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := strings.CutPrefix(r.URL.EscapedPath(), path+"/")
		if !ok || r.FormValue("token") != "se+cret" {
			// A problem is cut at about the end of it.
			http.Error(w, fmt.Sprintf("%-296s%s", "no such thing: "+r.RequestURI, r.FormValue("token")), http.StatusBadRequest)
			return
		}
		mu.Lock()
		asked[page] = r.URL.RawQuery
		mu.Unlock()
		switch page {
		case "profile":
			pprof.Profile(w, r)
		case "cmdline":
			pprof.Cmdline(w, r)
		default:
			pprof.Handler(page).ServeHTTP(w, r)
		}
	}), nil)
	taken := func(address string) ([]Profile, []string) {
		return profiled(t, Config{
			Kinds: []Kind{CPU, Heap, Goroutine}, Dir: t.TempDir(), Stem: "s",
			Source: Pprof(PprofConfig{URLs: []*url.URL{parseURL(t, address)}}),
		}, func() { burn(spent(stint / 8)) })
	}
	const query = "?seconds=1&token=" + token + "&debug=1"
	for _, slashes := range []string{"", "//"} {
		got, problems := taken(s.URL + path + slashes + query)
		clear(t, problems)
		mu.Lock()
		if len(got) != 3 || len(asked) != 4 {
			t.Errorf("%d profiles, asked %q", len(got), asked)
		}
		for page, own := range map[string]string{"profile": "seconds=3600&", "cmdline": "", "heap": "gc=1&", "goroutine": ""} {
			if asked[page] != own+"token="+token {
				t.Errorf("%s: %q", page, asked[page])
			}
		}
		mu.Unlock()
	}

	// A server that repeats what it was asked, one that sends it back as it came,
	// and one that is gone.
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var echoes sync.WaitGroup
	defer echoes.Wait()
	defer echo.Close()
	echoes.Go(func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			echoes.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	gone := httptest.NewServer(nil)
	gone.Close()
	for address, word := range map[string]string{
		s.URL:                            "no such thing",
		"http://" + echo.Addr().String(): "malformed",
		gone.URL:                         "connect",
	} {
		got, problems := taken(address + "/debug/pprof" + query)
		all := strings.Join(problems, "\n")
		if len(got) != 0 || !strings.Contains(all, word) || strings.Contains(all, token) || strings.Contains(all, "se+") {
			t.Errorf("%s: %d profiles, %s", address, len(got), all)
		}
	}
}

// A listener that accepts in the kernel alone is what a frozen process is.
func TestFrozenTargetCostsSeconds(t *testing.T) {
	t.Parallel() // no cpu profile is really taken here
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	at := parseURL(t, "http://"+l.Addr().String()+"/debug/pprof")
	for name, source := range map[string]Source{
		"pprof":     Pprof(PprofConfig{URLs: []*url.URL{at}}),
		"inspector": Inspector(at, nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			taken, problems := profiled(t, Config{Kinds: []Kind{CPU, Heap}, Dir: t.TempDir(), Stem: "s", Source: source}, func() {})
			if took := time.Since(begin); took > 13*time.Second {
				t.Errorf("it took %v", took)
			}
			if len(taken) != 0 || len(problems) == 0 || !strings.Contains(problems[0], "in time") {
				t.Errorf("%+v, %q", taken, problems)
			}
		})
	}
}

func TestGoneTarget(t *testing.T) {
	s := httptest.NewServer(debugPages())
	at := pagesOf(t, s)
	s.Close()
	taken, problems := profiled(t, Config{
		Kinds: []Kind{CPU, Allocs}, Dir: t.TempDir(), Stem: "s",
		Source: Pprof(PprofConfig{URLs: []*url.URL{at}}),
	}, func() {})
	if len(taken) != 0 || len(problems) != 2 {
		t.Errorf("%+v, %q", taken, problems)
	}
	mentions(t, problems, "cpu", "connect")
}

// A proxy that keeps the end of the request to itself.
func TestSwallowedEnd(t *testing.T) {
	t.Parallel() // no cpu profile is really taken here
	for name, swallow := range map[string]func(client net.Conn) bool{
		"silently":      func(client net.Conn) bool { _, _ = io.Copy(io.Discard, client); return false },
		"by hanging up": func(client net.Conn) bool { _, _ = io.Copy(io.Discard, client); return true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			release := make(chan struct{})
			var conns sync.WaitGroup
			conns.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					conns.Go(func() {
						defer c.Close()
						head := make([]byte, 4096)
						n, _ := c.Read(head)
						if bytes.HasPrefix(head[:n], []byte("GET /debug/pprof/profile")) {
							if !swallow(c) {
								<-release
							}
							return
						}
						io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
					})
				}
			})
			defer conns.Wait()
			defer l.Close()
			defer close(release)
			p := New(Config{
				Kinds: []Kind{CPU}, Dir: t.TempDir(), Stem: "s",
				Source: Pprof(PprofConfig{URLs: []*url.URL{parseURL(t, "http://"+l.Addr().String()+"/debug/pprof")}}),
			})
			p.Begin(soon(t), "a")
			taken, problems := p.Close(soon(t)) // a phase that has not ended ends
			if len(taken) != 0 || len(problems) != 1 {
				t.Errorf("%+v, %q", taken, problems)
			}
			mentions(t, problems, "proxy")
		})
	}
}

func TestContextEndsTheWait(t *testing.T) {
	s := serverOf(t, debugPages(), nil)
	p := New(Config{
		Kinds: []Kind{CPU, Heap}, Dir: t.TempDir(), Stem: "s",
		Source: Pprof(PprofConfig{URLs: []*url.URL{pagesOf(t, s)}}),
	})
	p.Begin(soon(t), "a")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	taken, problems := p.Close(over)
	if len(taken) != 0 || len(problems) == 0 {
		t.Errorf("%+v, %q", taken, problems)
	}
	// The target's profile has ended with its connection: there can be another.
	taken, problems = profiled(t, Config{
		Kinds: []Kind{CPU}, Dir: t.TempDir(), Stem: "s",
		Source: Pprof(PprofConfig{URLs: []*url.URL{pagesOf(t, s)}}),
	}, func() { burn(spent(stint / 8)) })
	clear(t, problems)
	wanted(t, taken, CPU)
}
