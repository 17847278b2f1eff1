package report

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/result"
)

func TestJudgedGolden(t *testing.T) {
	for format, golden := range map[string]string{"junit": "pipeline.junit.xml", "github": "pipeline.github.md"} {
		got := render(t, format, pipeline(), Options{})
		matchGolden(t, filepath.Join("testdata", golden), got)
	}
}

func TestHeadlines(t *testing.T) {
	held := pipeline()
	held.Runs = held.Runs[:1]
	one := pipeline()
	one.Runs = one.Runs[:1]
	one.Runs[0].Thresholds = one.Runs[0].Thresholds[:1]
	lossy := pipeline()
	lossy.Runs = lossy.Runs[1:]
	lossy.Runs[0].Thresholds = lossy.Runs[0].Thresholds[2:4]
	stopped := roomsOne()
	stopped.Runs[0].Interrupted = true
	starved := behind()
	starved.Runs[1].Interrupted = false
	for name, test := range map[string]struct {
		file *result.File
		want string
	}{
		"failed":     {pipeline(), "### ❌ sseload rooms: 3 of 12 thresholds failed\n\n2 runs of the bundled server"},
		"held":       {held, "### ✅ sseload rooms: all 6 thresholds held\n\n1 run of the bundled server"},
		"one":        {one, "### ✅ sseload rooms: the threshold held\n"},
		"remarks":    {lossy, "### ⚠️ sseload rooms: both thresholds held, with remarks\n"},
		"stopped":    {stopped, "### ❌ sseload rooms: ended before its time\n"},
		"overloaded": {starved, "### ⚠️ sseload rooms: the generator fell behind\n"},
		"lost":       {faulty(), "### ⚠️ sseload rooms: done, with remarks and no thresholds\n"},
		"fine":       {roomsMatrix(), "### ✅ sseload rooms: done, no thresholds\n\n12 runs of the bundled server"},
		"both":       {merged(), "### ❌ sseload connect, rooms: ended before its time\n"},
		"nothing":    {file("connect"), "### ⚠️ sseload: no runs\n\n0 runs of nothing"},
		"elsewhere":  {trouble(), "### ❌ sseload rooms: ended before its time\n\n1 run of `http://10.0.0.7/events/{room}`"},
	} {
		if got := render(t, "github", test.file, Options{}); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: begins with %q, want %q", name, got[:min(len(got), 120)], test.want)
		}
	}
}

// What failed stands above what held.
func TestFailedThresholdsComeFirst(t *testing.T) {
	out := render(t, "github", pipeline(), Options{})
	if n := strings.Count(out, "| ❌ failed | "); n != 3 {
		t.Errorf("%d failed thresholds are shown, not 3", n)
	}
	if strings.LastIndex(out, "❌ failed") > strings.Index(out, "✅ held") {
		t.Error("a threshold that failed stands below one that held")
	}
	if strings.Index(out, "❌ failed") > strings.Index(out, "#### How long") {
		t.Error("the thresholds stand below the tables")
	}
}

// A summary that GitHub would not show is worse than one without details.
func TestSummaryKeepsItsLimit(t *testing.T) {
	f := merged()
	whole := render(t, "github", f, Options{})
	if strings.Contains(whole, "Left out") {
		t.Fatal("something is left out of a small summary")
	}
	folds, pictures := "<details>", "```mermaid"
	if !strings.Contains(whole, folds) || !strings.Contains(whole, pictures) {
		t.Fatal("there is nothing to leave out")
	}
	noDetails := strings.Index(whole, "#### ") // what is needed is more than that
	for limit := len(whole); limit > noDetails; limit -= 97 {
		out := render(t, "github", f, Options{Limit: limit})
		if len(out) > limit {
			t.Fatalf("%d bytes, at most %d were asked for", len(out), limit)
		}
		short := len(out) < len(whole)
		if short != strings.Contains(out, "*Left out, as a summary holds no more than 1 MiB: ") {
			t.Fatalf("limit %d: does not say so:\n%s", limit, out)
		}
		if short && strings.Contains(out, folds) {
			t.Fatalf("limit %d: details are there, something else is not", limit)
		}
		if !strings.Contains(out, "### ❌ sseload connect, rooms") {
			t.Fatalf("limit %d: the headline is gone", limit)
		}
	}
	var b strings.Builder
	err := github{}.Render(&b, f, Options{Limit: 1})
	if b.Len() > 0 || err == nil || err.Error() != "the summary is full: bytes left: 1" {
		t.Errorf("no room is left, and it writes %q, %v", b.String(), err)
	}
}

// Each chart has the parts that Mermaid wants, and its series are of one length.
func TestCharts(t *testing.T) {
	block := regexp.MustCompile("(?s)\n\n```mermaid\n(.*?)```\n")
	series := regexp.MustCompile(`(?m)^  (?:line|bar) \[([0-9., ]+)\]$`)
	gap := pipeline()
	gap.Runs = gap.Runs[:1]
	gap.Runs[0].Samples[4].LatencyP50NS, gap.Runs[0].Samples[4].LatencyP99NS = nil, nil
	long := pipeline()
	long.Runs = long.Runs[:1]
	long.Runs[0].Samples = secondly(100, 2*ms)
	single := pipeline()
	single.Runs = single.Runs[:1]
	crowd := roomsMatrix()
	crowd.Runs = append(crowd.Runs, crowd.Runs[0])
	for name, test := range map[string]struct {
		file   *result.File
		lines  int
		points int
		says   string
	}{
		"by run":        {roomsMatrix(), 2, 12, "Delivery latency of each run: p99 in orange, p50, which is never above it, in blue."},
		"too many runs": {crowd, 0, 0, ""},
		"over time":     {single, 2, 8, "Delivery latency over time, in seconds since the first dial, of the copies of each second: "},
		"a long time":   {long, 2, 50, "Each point is the highest of 2."},
		"with a gap":    {gap, 1, 5, "Delivery latency by quantile."},
		"one run":       {roomsOne(), 1, 5, "Delivery latency by quantile."},
		"connect":       {connectSeries(), 2, 5, "Open latency of each run: "},
		"nothing":       {file("connect"), 0, 0, ""},
	} {
		out := render(t, "github", test.file, Options{})
		found := block.FindAllStringSubmatch(out, -1)
		if test.lines == 0 {
			if len(found) > 0 {
				t.Errorf("%s: drawn", name)
			}
			continue
		}
		if len(found) != 1 || !strings.Contains(out, test.says) {
			t.Fatalf("%s: %d charts, says %q: %t", name, len(found), test.says, strings.Contains(out, test.says))
		}
		all := series.FindAllStringSubmatch(found[0][1], -1)
		if len(all) != test.lines {
			t.Errorf("%s: %d series, not %d:\n%s", name, len(all), test.lines, found[0][1])
		}
		for _, s := range all {
			if n := len(strings.Split(s[1], ", ")); n != test.points {
				t.Errorf("%s: %d points, not %d", name, n, test.points)
			}
		}
	}
}
