package cli

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// program runs the program as a user types it.
func program(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sseload", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// A server that delivers each message later has got worse, whether the two records are
// of one run or of four, or the runs are made by the comparison. Single runs on a machine
// that is busy with other tests show only what is large.
func TestCompareNamesADelay(t *testing.T) {
	dir := t.TempDir()
	name := regexp.MustCompile(`(?m)^sseload: error: limit delivery\.p99 \+10%: delivery\.p99 of rooms 60 × 4 rose from \S+ \S+ to \S+ ms, \+[\d,.]+ % \(\+[\d,.]+ to \+[\d,.]+ %\)$`)
	check := func(t *testing.T, args ...string) {
		t.Helper()
		code, stdout, stderr := program(t, append([]string{"compare", "-q", "--fail-if", "delivery.p99 +10%", "--fail-if", "delivery.lost +0"}, args...)...)
		if code != exitThreshold || !name.MatchString(stderr) {
			t.Errorf("exit code %d, %s%s", code, stderr, stdout)
		}
		if !regexp.MustCompile(`(?m)^worse: .*latency p50 \+`).MatchString(stdout) {
			t.Errorf("nothing says that p50 is worse:\n%s", stdout)
		}
	}
	for repeat, delay := range map[string]string{"1": "delay=500ms", "4": "delay=20ms"} {
		t.Run("records of "+repeat, func(t *testing.T) {
			base, slow := filepath.Join(dir, "base"+repeat), filepath.Join(dir, "slow"+repeat)
			for path, fault := range map[string][]string{base: nil, slow: {"--fault", delay}} {
				args := append([]string{"rooms", "-c", "60", "-n", "4", "--repeat", repeat, "-o", "json=" + path}, fault...)
				if code, _, stderr := program(t, args...); code != exitOK {
					t.Fatalf("exit code %d, %s", code, stderr)
				}
			}
			check(t, base, slow)
		})
	}
	t.Run("commands", func(t *testing.T) {
		kept := filepath.Join(dir, "kept")
		check(t, "rooms -c 60 -n 4", "sseload rooms -c 60 -n 4 --fault 'delay=500ms'", "--repeat", "1", "--save", kept)
		file, err := result.ReadFile(filepath.Join(kept, "new.json"))
		if err != nil || len(file.Runs) != 2 { // what is exceeded has to be so again
			t.Fatalf("%+v, %v", file, err)
		}
		for i := range file.Runs {
			if *file.Runs[i].Repetition != i+1 || file.Runs[i].Target.Faults[0].Fault != "delay=500ms" {
				t.Errorf("run %d: %+v", i, file.Runs[i].Target)
			}
		}
		if got := file.SourceOf(1).Command; !slices.Equal(got, []string{"sseload", "rooms", "-c", "60", "-n", "4", "--fault", "delay=500ms"}) {
			t.Errorf("the record was made by %q", got)
		}
	})
}

// The same server against itself passes, ten times out of ten, also while something
// else takes a core.
func TestCompareWithItself(t *testing.T) {
	server, err := start(exec.Command("sseload", "serve", "--addr", "127.0.0.1:0"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer server.release()
	listens, err := server.await("stderr", regexp.MustCompile(`listening on (\S+);`))
	if err != nil {
		t.Fatal(err)
	}
	compared := func(t *testing.T, n int) {
		t.Helper()
		for i := range n {
			code, stdout, stderr := program(t, "compare", "--fail-if", "delivery.p99 +10%", "--fail-if", "delivery.lost +0",
				"--repeat", "4", listens[1], listens[1], "--", "rooms", "-c", "60", "-n", "10")
			if code != exitOK {
				t.Errorf("comparison %d: exit code %d, %s%s", i, code, stderr, stdout)
			}
		}
	}
	t.Run("alone", func(t *testing.T) { compared(t, 5) })
	t.Run("beside a busy loop", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var burning sync.WaitGroup
		burning.Go(func() {
			for ctx.Err() == nil {
				continue
			}
		})
		defer burning.Wait()
		defer cancel()
		compared(t, 5)
	})
}

func TestSplitWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                               nil,
		"  rooms  -c 600\t-n 10 ":        {"rooms", "-c", "600", "-n", "10"},
		`-H 'Authorization: Bearer T'`:   {"-H", "Authorization: Bearer T"},
		`--send-body "{\"a\": \"b c\"}"`: {"--send-body", `{"a": "b c"}`},
		`a\ b 'c\d' "e\f" g'h'"i" ''`:    {"a b", `c\d`, `e\f`, "ghi", ""},
	} {
		if got, err := splitWords(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
	for _, line := range []string{`a 'b`, `"a`, `a\`} {
		if got, err := splitWords(line); err == nil {
			t.Errorf("%s: %q", line, got)
		}
	}
}

func TestConfidence(t *testing.T) {
	for in, want := range map[string]string{"95%": "95%", "99.9%": "99.9%", "50%": "50%", "95": "", "100%": "", "0.95": "", "49%": "", "NaN%": "", "": ""} {
		c := confidence(0.5)
		err := c.Set(in)
		if (err == nil) != (want != "") || err == nil && c.String() != want {
			t.Errorf("%q is %s, %v", in, c.String(), err)
		}
	}
}
