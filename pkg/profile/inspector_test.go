package profile

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// script works for each line of its standard input, in slices, for 400 ms of CPU
// time, and then is idle for as long as that took. Its line numbers are in the test.
const script = `const kept = [];
const spent = (since) => { const used = process.cpuUsage(since); return (used.user + used.system) / 1000; };
function handler(begin, clock) {
  const slice = process.cpuUsage();
  let x = 1;
  do for (let i = 0; i < 2000000; i++) x = x * 1.0000001 + i; while (spent(slice) < 5);
  kept.push(new Array(10000).fill(x));
  if (spent(begin) < 400) setTimeout(() => {
    handler(begin, clock);
  });
  else setTimeout(() => console.log('done'), performance.now() - clock);
}
process.stdin.on('data', () => handler(process.cpuUsage(), performance.now())).on('end', () => process.exit());
console.log(require('inspector').url());
`

// node runs the script, and gives its inspector's address.
func node(t *testing.T) (w *worker, address string) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("Node must be profiled in CI: %v", err)
		}
		t.Skip("node is not installed")
	}
	file := filepath.Join(t.TempDir(), "server.js")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	return hire(t, exec.Command("node", "--inspect=127.0.0.1:0", file))
}

func TestNode(t *testing.T) {
	t.Parallel()
	w, address := node(t)
	host := parseURL(t, address).Host
	for _, c := range []struct {
		name, address string
		kinds         []Kind
		memory        Kind
		problems      int
	}{
		{"by its address", address, []Kind{CPU, Goroutine, Mutex, Allocs}, Allocs, 1},
		{"found", "http://" + host, []Kind{Heap, CPU, Allocs}, Heap, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			p := New(Config{Kinds: c.kinds, Dir: dir, Stem: "node", Source: Inspector(parseURL(t, c.address), nil)})
			for range 2 {
				p.Begin(soon(t), "work")
				w.work(t, "")
				p.End(soon(t))
			}
			taken, problems := p.Close(soon(t))
			if len(problems) != c.problems || !strings.Contains(problems[0], "left out") {
				t.Errorf("%q", problems)
			}
			if len(taken) != 4 {
				t.Fatalf("%+v", taken)
			}
			cpu, memory := wanted(t, taken[:2], CPU), wanted(t, taken[:2], c.memory)
			f, ok := function(cpu, "handler (server.js:3)")
			switch {
			case cpu.File != "node-work-cpu.cpuprofile" || cpu.Unit != "nanoseconds" || cpu.Source != "inspector":
				t.Errorf("%+v", cpu)
			case !ok || f.Flat < cpu.Total/4 || cpu.Total < int64(stint)/4 || cpu.Samples < 10:
				t.Errorf("of %d in %d samples: %+v", cpu.Total, cpu.Samples, cpu.Top)
			case cpu.Total > int64(cpu.Elapsed)*3/4:
				t.Errorf("it is idle half of the time: %v of %v", time.Duration(cpu.Total), cpu.Elapsed)
			}
			if _, ok := function(cpu, "(anonymous) (server.js:8)"); !ok {
				t.Errorf("%+v", cpu.Top)
			}
			folded(t, filepath.Join(dir, cpu.Flame), cpu.Total, "handler (server.js:3)")
			if f, ok := function(memory, "handler (server.js:3)"); !ok || memory.Unit != "bytes" || f.Flat < 100_000 {
				t.Errorf("%+v", memory)
			}
			if memory.File != "node-work-"+string(c.memory)+".heapprofile" {
				t.Errorf("%q", memory.File)
			}
			var raw map[string]any
			data, err := os.ReadFile(filepath.Join(dir, cpu.File))
			if err != nil || json.Unmarshal(data, &raw) != nil || raw["nodes"] == nil || raw["samples"] == nil {
				t.Errorf("%s: %v, %v", cpu.File, err, raw)
			}
		})
	}
	t.Run("a wrong path", func(t *testing.T) {
		taken, problems := profiled(t, Config{Kinds: []Kind{CPU}, Dir: t.TempDir(), Source: Inspector(parseURL(t, "ws://"+host+"/secret"), nil)}, func() {})
		if len(taken) != 0 || len(problems) != 1 || strings.Contains(problems[0], "secret") {
			t.Errorf("%+v, %q", taken, problems)
		}
		mentions(t, problems, "status 400", "the path")
	})
}

// A program that answers the handshake, and then what it likes.
func TestStrangeInspectors(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(id float64) string
		word   string
	}{
		"an error":    {func(id float64) string { return encode(id, `"error":{"message":"no\u001b[2J"}`) }, "no[2J"},
		"no JSON":     {func(float64) string { return "hello" }, "answer"},
		"no profile":  {func(id float64) string { return encode(id, `"result":{}`) }, "V8"},
		"other types": {func(id float64) string { return encode(id, `"result":{"profile":{"nodes":7}}`) }, "V8"},
		"closes":      {func(float64) string { return "" }, "Profiler"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, err := websocket.Accept(w, r, nil)
				if err != nil {
					return
				}
				defer func() { _ = conn.CloseNow() }()
				ctx, cancel := context.WithTimeout(r.Context(), patience)
				defer cancel()
				for {
					_, message, err := conn.Read(ctx)
					var command struct{ ID float64 }
					if err != nil || json.Unmarshal(message, &command) != nil {
						return
					}
					text := c.answer(command.ID)
					if text == "" || conn.Write(ctx, websocket.MessageText, []byte(text)) != nil {
						return
					}
				}
			}))
			defer s.Close()
			taken, problems := profiled(t, Config{
				Kinds: []Kind{CPU}, Dir: t.TempDir(), Stem: "s",
				Source: Inspector(parseURL(t, strings.Replace(s.URL, "http", "ws", 1)+"/x"), nil),
			}, func() {})
			if len(taken) != 0 || len(problems) != 1 {
				t.Errorf("%+v, %q", taken, problems)
			}
			mentions(t, problems, "cpu", c.word)
		})
	}
}

func encode(id float64, rest string) string {
	n, _ := json.Marshal(id)
	return `{"id":` + string(n) + `,` + rest + `}`
}

// TestNodeEnds: a program that ends while it is profiled does not wait for us.
func TestNodeEnds(t *testing.T) {
	t.Parallel()
	w, address := node(t)
	_, problems := profiled(t, Config{Kinds: []Kind{CPU}, Dir: t.TempDir(), Source: Inspector(parseURL(t, address), nil)}, func() {
		if err := w.in.(io.Closer).Close(); err != nil { // then the script exits
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, w.out); err != nil { // it has ended when its output has
			t.Errorf("the program's end: %v", err)
		}
	})
	if len(problems) != 1 || !strings.Contains(problems[0], "the program has ended") {
		t.Errorf("%q", problems)
	}
}
