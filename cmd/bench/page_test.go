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
	shapes := testShapes()
	trials := []trial{
		tried(1, "open", floorName, 100e6), tried(1, "open", judged, 110e6),
		tried(1, "full", floorName, 2e9), tried(1, "full", judged, 4e9),
		tried(2, "open", floorName, 100e6), tried(2, "open", judged, 130e6),
		tried(2, "full", floorName, 2e9), tried(2, "full", judged, 1, "3 copies lost"),
	}
	trials[3].Overloaded = ptr("all cores were busy")
	b := &book{
		StartedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), ElapsedNS: int64(90 * time.Second),
		Command: []string{"bench", "-rounds", "2"}, Rounds: 2, Shapes: shapes, Trials: trials,
		Tool:      &result.Tool{Version: "devel", Commit: "0123abc", Go: "go1.26"},
		Host:      &result.Host{OS: "linux", Arch: "amd64", Cores: 2, Kernel: ptr("6.1"), MemoryBytes: ptr(int64(8 << 30))},
		Decodings: []decoding{{BytesPerSecond: 2e9, ScanBytesPerSecond: 5e9}, {BytesPerSecond: 2.2e9, ScanBytesPerSecond: 5.5e9}},
	}
	b.Comparisons = compare(b.Shapes, b.Trials)
	b.Verdicts = judge(b.Shapes, b.Comparisons, b.Decodings, b.Quick)
	b.Passed = passed(b.Verdicts, b.Trials)
	return b
}

func TestBudgetTable(t *testing.T) {
	const want = `| what | budget | measured | smallest to largest | verdict |
| :--- | ---: | ---: | ---: | ---: |
| time of opening | ≤ 1.3 × the floor | **1.20 ×** | 1.10 × – 1.30 × | kept |
| CPU per million copies, sending | ≤ 1.5 × the floor | **2.00 ×** | 2.00 × – 2.00 ×, of 1 of 2 rounds | **missed** |
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
	const want = `- **wrong, not used**: full, epoll, round 2: 3 copies lost
- overloaded, used: full, epoll, in 1 of 2 rounds; in the last of them all cores were busy
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
		"**FAIL: 3 of 4 budgets kept** in 1m30s, 2026-11-23 12:00:00 UTC · linux/amd64 · kernel 6.1 · 2 cores · 8.0 GiB · sseload devel, commit 0123abc, go1.26\n",
		"here with `-rounds 2`",
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
	b.Verdicts = judge(nil, nil, b.Decodings, false)
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
