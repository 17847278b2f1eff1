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

// A server that delivers each message 20 ms later has got worse, whether the two
// records are of one run or of five, or the runs are made by the comparison.
func TestCompareNamesADelay(t *testing.T) {
	dir := t.TempDir()
	base, slow := []string{"rooms", "-c", "60", "-n", "20"}, []string{"rooms", "-c", "60", "-n", "20", "--fault", "delay=20ms"}
	name := regexp.MustCompile(`(?m)^sseload: error: limit delivery\.p99 \+10%: delivery\.p99 of rooms 60 × 20 rose from \S+ \S+ to \d\S+ ms, \+[\d,.]+ % \(\+[\d,.]+ to \+[\d,.]+ %\)$`)
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
	for _, repeat := range []string{"1", "5"} {
		t.Run("records of "+repeat, func(t *testing.T) {
			one, other := filepath.Join(dir, "base"+repeat), filepath.Join(dir, "slow"+repeat)
			for path, args := range map[string][]string{one: base, other: slow} {
				if code, _, stderr := program(t, append(slices.Clone(args), "--repeat", repeat, "-o", "json="+path)...); code != 0 {
					t.Fatalf("exit code %d, %s", code, stderr)
				}
			}
			check(t, one, other)
		})
	}
	t.Run("commands", func(t *testing.T) {
		kept := filepath.Join(dir, "kept")
		check(t, "rooms -c 60 -n 20", "sseload rooms -c 60 -n 20 --fault 'delay=20ms'", "--repeat", "4", "--save", kept)
		file, err := result.ReadFile(filepath.Join(kept, "new.json"))
		if err != nil || len(file.Runs) != 8 { // what is exceeded has to be so again
			t.Fatalf("%+v, %v", file, err)
		}
		for i := range file.Runs {
			if *file.Runs[i].Repetition != i+1 || file.Runs[i].Target.Faults[0].Fault != "delay=20ms" {
				t.Errorf("run %d: %+v", i, file.Runs[i].Target)
			}
		}
		if got := file.SourceOf(3).Command; !slices.Equal(got, []string{"sseload", "rooms", "-c", "60", "-n", "20", "--fault", "delay=20ms"}) {
			t.Errorf("the record was made by %q", got)
		}
	})
}

// The same server against itself passes, ten times out of ten, also while something
// else takes a core.
func TestCompareWithItself(t *testing.T) {
	compared := func(t *testing.T, n int) {
		t.Helper()
		for i := range n {
			code, stdout, stderr := program(t, "compare", "rooms -c 60 -n 20", "rooms -c 60 -n 20", "--repeat", "5",
				"--fail-if", "delivery.p99 +10%", "--fail-if", "delivery.lost +0")
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
			for ctx.Err() == nil { //nolint:revive // it is to burn a core
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
