package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/result/resulttest"
)

// record runs the program as a user types it and returns the one run of its
// record. code is the exit code to expect.
func record(t *testing.T, code int, args ...string) *result.Run {
	t.Helper()
	path := filepath.Join(t.TempDir(), "record.json")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sseload", append(args, "-o", "json="+path)...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%s: exit code %d, want %d: %s", strings.Join(args, " "), got, code, text)
	}
	return readRun(t, path)
}

// readRun reads the record at path, which must be valid and hold one run.
func readRun(t *testing.T, path string) *result.Run {
	t.Helper()
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	resulttest.Validate(t, written)
	file, err := result.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Runs) != 1 {
		t.Fatalf("%d runs", len(file.Runs))
	}
	return &file.Runs[0]
}

// TestFaultMatrix has the bundled server do each thing wrong that it can. What it
// says it did must be what the record says of the deliveries, to the last copy.
func TestFaultMatrix(t *testing.T) {
	closed := []string{"-c", "60", "-n", "4"}                              // 10 rooms, 240 copies
	open := []string{"-c", "60", "--rate", "200/s", "--duration", "500ms"} // 100 messages, 600 copies
	final := append([]string{"--no-reconnect"}, closed...)                 // the end of a stream is that of its client
	short := append([]string{"--timeout", "400ms"}, closed...)             // for copies that never come
	shortOpen := append([]string{"--timeout", "1s"}, open...)              //
	exact := func(r *result.Run, t *testing.T, what string, got, injected int64) {
		t.Helper()
		if injected == 0 || got != injected {
			t.Errorf("%s: the record says %d, the server did it %d times", what, got, injected)
		}
		d := r.Delivery
		if d.Received != d.Expected-*d.Lost+*d.Duplicate+*d.Misrouted {
			t.Errorf("received %d of %d, %d lost, %d duplicate, %d misrouted", d.Received, d.Expected, *d.Lost, *d.Duplicate, *d.Misrouted)
		}
	}
	lostOnly := func(r *result.Run, t *testing.T) {
		t.Helper()
		if d := r.Delivery; *d.Duplicate+*d.Reordered+*d.Misrouted+*d.Foreign != 0 {
			t.Errorf("beside what is lost: %+v", d)
		}
	}
	for _, c := range []struct {
		name, fault string
		args        []string
		check       func(*testing.T, *result.Run, int64)
	}{
		{"drop", "drop,every=7", short, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "lost", *r.Delivery.Lost, n)
			lostOnly(r, t)
		}},
		{"drop in one room", "drop,every=2,room=3", short, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "lost", *r.Delivery.Lost, n)
			for _, c := range r.Delivery.Clients {
				if c.Room != 3 {
					t.Errorf("room %d lost %d", c.Room, c.Lost)
				}
			}
		}},
		{"duplicate", "duplicate,every=7", closed, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "duplicate", *r.Delivery.Duplicate, n)
		}},
		{"reorder", "reorder,every=7", shortOpen, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "reordered", *r.Delivery.Reordered, n)
		}},
		{"misroute", "misroute,every=3", closed, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "misrouted", *r.Delivery.Misrouted, n)
		}},
		{"delay", "delay=1s,every=15", closed, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "copies of a second or longer", resulttest.Above(t, r.Delivery.Latency, time.Second), n)
		}},
		{"delay by distribution", "delay=uniform:100ms-200ms", closed, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "copies", r.Delivery.Latency.Count, n)
			if l := r.Delivery.Latency; *l.MinNS < int64(100*time.Millisecond) || *l.MaxNS < int64(150*time.Millisecond) {
				t.Errorf("latencies from %d to %d ns", *l.MinNS, *l.MaxNS)
			}
		}},
		{"stall", "stall,after=2,every=20", short, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "lost", *r.Delivery.Lost, n)
			lostOnly(r, t)
			if *r.Delivery.ClientsAffected != 3 || r.Connect.Dropped != 0 {
				t.Errorf("%d clients affected, %d dropped", *r.Delivery.ClientsAffected, r.Connect.Dropped)
			}
		}},
		{"close", "close,after=2,every=20", final, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "closed early", int64(r.Connect.Drops["closed early"]), n)
			exact(r, t, "lost", *r.Delivery.Lost, 2*n)
		}},
		{"half an event", "half,after=2,every=20", final, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "closed early", int64(r.Connect.Drops["closed early"]), n)
			exact(r, t, "lost", *r.Delivery.Lost, 2*n)
			if r.Traffic.Events != r.Delivery.Received {
				t.Errorf("%d events, %d copies", r.Traffic.Events, r.Delivery.Received)
			}
		}},
		{"garbage", "garbage,after=2,every=20", final, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "protocol", int64(r.Connect.Drops["protocol"]), n)
			exact(r, t, "lost", *r.Delivery.Lost, 2*n)
		}},
		{"comment flood", "comments=200,every=10", closed, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "comments", r.Traffic.Comments, n)
			if *r.Delivery.Lost != 0 || r.Delivery.OtherEvents != 0 || r.Traffic.Events != r.Delivery.Received {
				t.Errorf("account %+v with %d events", r.Delivery, r.Traffic.Events)
			}
		}},
		{"refuse", "refuse,every=7", closed, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "status 503", int64(r.Connect.Failures["status 503"]), n)
			if *r.Delivery.Lost != 0 {
				t.Errorf("%d lost", *r.Delivery.Lost)
			}
		}},
		{"held headers", "headers=1s,every=20", closed, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "heads of a second or longer", resulttest.Above(t, r.Connect.HeaderLatency, time.Second), n)
		}},
		{"headers held too long", "headers=30s,every=20", append([]string{"--timeout", "1s"}, closed...), func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "timed out", int64(r.Connect.Failures["timed out"]), n)
		}},
		{"freeze", "freeze=1s,every=60", open, func(t *testing.T, r *result.Run, n int64) {
			exact(r, t, "freezes", 1, n)
			if above := resulttest.Above(t, r.Delivery.Latency, 500*time.Millisecond); above < 40*6 || *r.Delivery.Lost != 0 {
				t.Errorf("%d copies took half a second or longer, want those of the 40 messages due meanwhile; %d lost", above, *r.Delivery.Lost)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, engine := range []string{"auto", "conn"} {
				t.Run(engine, func(t *testing.T) {
					t.Parallel()
					run := record(t, exitOK, append([]string{"rooms", "-q", "--engine", engine, "--fault", c.fault}, c.args...)...)
					if f := run.Target.Faults; len(f) != 1 || f[0].Fault != c.fault || f[0].Injected == nil {
						t.Fatalf("faults %+v", f)
					}
					c.check(t, run, *run.Target.Faults[0].Injected)
				})
			}
		})
	}
}
