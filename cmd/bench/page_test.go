package main

import (
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// testBook is a small whole: one budget kept, one missed, one trial wrong and one
// overloaded.
func testBook() *book {
	b := &book{}
	for i, opened := range []int64{110e6, 130e6, 120e6, 120e6, 120e6, 120e6} {
		round := i + 1
		b.Trials = append(b.Trials,
			tried(round, "open", floorName, 100e6), tried(round, "open", judged, opened),
			tried(round, "full", floorName, 2e9), tried(round, "full", judged, 4e9))
		b.Decodings = append(b.Decodings, decoding{BytesPerSecond: 2e9 + 0.2e9*float64(i%2), ScanBytesPerSecond: 5e9 + 0.5e9*float64(i%2)})
	}
	b.Trials[3].Overloaded = ptr("all cores were busy")
	b.Trials[23].fault("copies lost: 3")
	b.session = session{
		StartedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), ElapsedNS: int64(90 * time.Second),
		Command: []string{"bench", "-rounds", "6"}, Rounds: 6, Shapes: testShapes(),
		Tool: &result.Tool{Version: "devel", Commit: "0123abc", Go: "go1.26"},
		Host: &result.Host{OS: "linux", Arch: "amd64", Cores: 2, Kernel: ptr("6.1"), MemoryBytes: ptr(int64(8 << 30))},
	}
	b.conclude()
	return b
}

func TestBudgetTable(t *testing.T) {
	const want = `| what | budget | measured | smallest to largest | verdict |
| :--- | ---: | ---: | ---: | ---: |
| time of opening | ≤ 1.3 × the floor | **1.20 ×** | 1.10 × – 1.30 × | kept |
| CPU per million copies, sending | ≤ 1.5 × the floor | **2.00 ×** | 2.00 × – 2.00 ×, of 5 of 6 rounds | **missed** |
| decoding 100-byte events, one core | ≥ 1 GB/s | **2.10 GB/s** | 2.00 GB/s – 2.20 GB/s | kept |
| allocations of the decoder | 0 | **0** | 0 – 0 | kept |
`
	if got := testBook().budgets(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPeerTable(t *testing.T) {
	const want = `| load | measure | floor | epoll |
| :--- | :--- | ---: | ---: |
| opening | time | 100 ms | 120 ms; **1.20 ×** (1.10 – 1.30) |
| opening | CPU a client | 10000.0 µs | 12000.0 µs; **1.20 ×** (1.10 – 1.30) |
| sending | CPU per million copies | 2.00 s | 4.00 s; **2.00 ×** (2.00 – 2.00) |
| sending | time | 2000 ms | 4000 ms; **2.00 ×** (2.00 – 2.00) |
`
	if got := testBook().peers(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRemarks(t *testing.T) {
	const want = `- **wrong, not used**: full, epoll, round 6: copies lost: 3
- overloaded, used: full, epoll, in 1 of 6 rounds; in the last of them all cores were busy
`
	if got := testBook().remarks(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPage(t *testing.T) {
	b := testBook()
	page := b.page()
	for _, part := range []string{
		"<!-- budgets: begin -->\n" + b.budgets() + "<!-- budgets: end -->\n",
		b.peers(), b.remarks(), b.scanned(),
		"# What sseload costs\n",
		"**FAIL: 3 of 4 budgets kept.** 2026-11-23 12:00:00 UTC · 6 rounds in 1m30s · linux/amd64 · kernel 6.1 · 2 cores · 8.0 GiB · sseload devel, commit 0123abc, go1.26\n",
		"here with `-rounds 6`",
		"the decoder's share of that speed: 40 % (40 – 40 %)",
		"bin/floor rooms -addr 127.0.0.1:PORT -c 10 -room-size 6 -messages 4\n",
	} {
		if part == "" || !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if strings.Contains(page, "%!") {
		t.Errorf("a verb went wrong in\n%s", page)
	}
}

// TestPageOfThePartMeasured: nothing is said of what was not.
func TestPageOfThePartMeasured(t *testing.T) {
	b := testBook()
	b.Shapes, b.Trials, b.Tool, b.Host, b.Comparisons = nil, nil, nil, nil, nil
	b.Verdicts = judge(nil, nil, b.Decodings)
	page := b.page()
	for _, part := range []string{"machine and commit unknown", "No trial went wrong"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if strings.Contains(page, "## Beside other clients") {
		t.Error("there is a section on the peers, which did not run")
	}
}

// TestPageOfTooFewRounds: its first line says that nothing is judged, and so does
// every budget.
func TestPageOfTooFewRounds(t *testing.T) {
	b := testBook()
	b.Rounds, b.Trials, b.Decodings = 4, b.Trials[:16], b.Decodings[:4]
	b.conclude()
	page := b.page()
	if !strings.HasPrefix(page, "# What sseload costs (not judged: 4 rounds, and it takes 5)\n") || strings.Count(page, "| not judged |") != len(b.Verdicts) || !strings.Contains(page, "**Not judged.** ") {
		t.Errorf("the page is\n%s", page)
	}
	if !b.fine() {
		t.Error("it fails, and no trial was wrong")
	}
	b.Trials[0].fault("it was")
	b.conclude()
	if page := b.page(); b.fine() || !strings.Contains(page, "**FAIL: a trial went wrong.** ") {
		t.Errorf("with a wrong trial the page is\n%s", page)
	}
}
