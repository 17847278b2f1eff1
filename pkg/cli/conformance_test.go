package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/stream"
)

const conformanceDir = "testdata/conformance"

// deliveries are the ways in which each response comes.
var deliveries = []delivery{
	{framing: byLength}, {framing: byClose}, {framing: byChunks},
	{framing: byChunks, bytewise: true}, {framing: byClose, bytewise: true},
}

// TestConformance has the program read what the vectors say, with every engine, whole
// and byte by byte.
func TestConformance(t *testing.T) {
	all, err := readVectors(conformanceDir)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for file, vectors := range all {
		for _, v := range vectors {
			if names[v.name] {
				t.Errorf("%s: there are two vectors called %q", file, v.name)
			}
			names[v.name] = true
			t.Run(v.name, func(t *testing.T) {
				t.Parallel()
				for _, engine := range conformanceEngines() {
					for _, d := range deliveries {
						v.try(t, engine, d)
					}
				}
			})
		}
	}
	for name := range r3labsDeviations {
		if !names[name] {
			t.Errorf("a deviation is listed for %q, which is no vector", name)
		}
	}
}

func conformanceEngines() []stream.Kind {
	engines := []stream.Kind{stream.Conn, stream.NetHTTP, stream.R3Labs}
	if runtime.GOOS == "linux" {
		engines = append(engines, stream.Epoll)
	}
	return engines
}

func (v *vector) try(t *testing.T, engine stream.Kind, d delivery) {
	t.Helper()
	want, flags := append(slices.Clone(v.want), v.end), v.flags
	if deviates, ok := r3labsDeviations[v.name]; ok && engine == stream.R3Labs {
		if slices.Equal(deviates.want, want) || deviates.why == "" {
			t.Errorf("%q is no deviation", deviates.want)
		}
		want, flags = deviates.want, append(slices.Clone(flags), deviates.flags...)
	}
	if got, stderr := v.outcome(t, engine, d, flags); !slices.Equal(got, want) {
		t.Errorf("%s, %s:\n got %q\nwant %q\n%s", engine, d, got, want, stderr)
	}
}

// outcome is what tail does, line by line: what it prints, what was wrong with its
// requests, and how it ends: "end clean", "end error", or, where the vector tells more,
// that, if it is part of the error.
func (v *vector) outcome(t *testing.T, engine stream.Kind, d delivery, flags []string) (lines []string, errorText string) {
	t.Helper()
	server, err := playVector(v, d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args := append([]string{"tail", server.url(), "-o", "jsonl", "--engine", string(engine)}, flags...)
	cmd := exec.CommandContext(ctx, "sseload", args...)
	cmd.Env = append(withoutSettings(os.Environ()), "GORACE=atexit_sleep_ms=0")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ended := cmd.Run()
	faults := server.stop()
	printed := json.NewDecoder(&stdout)
	for printed.More() {
		var line struct {
			jsonEvent
			Comment *string `json:"comment"`
		}
		if err := printed.Decode(&line); err != nil {
			t.Errorf("%s, %s: %v", engine, d, err)
			break
		}
		if line.Comment != nil {
			lines = append(lines, "comment "+strconv.Quote(*line.Comment))
			continue
		}
		lines = append(lines, described(line.jsonEvent))
	}
	lines = append(lines, faults...)
	return append(lines, v.ending(ended, stderr.String())), stderr.String()
}

func (v *vector) ending(ended error, stderr string) string {
	var exit *exec.ExitError
	switch {
	case ended == nil:
		return "end clean"
	case !errors.As(ended, &exit) || exit.ExitCode() != 1:
		return "end " + ended.Error()
	}
	wanted, ok := strings.CutPrefix(v.end, "end error")
	_, found, _ := strings.Cut(stderr, "sseload: error: ")
	if ok && strings.Contains(found, strings.TrimSpace(wanted)) {
		return v.end
	}
	return "end error " + found
}

// TestConformanceIsAccountedFor holds the vectors and the README's table of the web
// platform tests together.
func TestConformanceIsAccountedFor(t *testing.T) {
	all, err := readVectors(conformanceDir)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(conformanceDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+\\.(?:js|html?))` \\| (\\w+\\.txt)?").FindAllStringSubmatch(string(readme), -1) {
		listed[row[1]] = row[2]
	}
	played := map[string]string{}
	for file, vectors := range all {
		for _, v := range vectors {
			for _, wpt := range v.wpt {
				played[wpt] = file
				if listed[wpt] != file {
					t.Errorf("%s has %s, and the README says it has %q", file, wpt, listed[wpt])
				}
			}
		}
	}
	for wpt, file := range listed {
		if file != "" && played[wpt] != file {
			t.Errorf("the README says that %s has %s", file, wpt)
		}
	}
}
