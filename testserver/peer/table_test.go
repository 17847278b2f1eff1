package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// connectRecord and deliveryRecord are as much of a record as the table reads.
const connectRecord = `{"tool":{"version":"v1","commit":"abc","go":"go1"},"host":{"os":"linux","arch":"amd64","kernel":"6.1","cpu_model":"A CPU","cores":2},
"command":["sseload","connect","http://127.0.0.1:1","-c","5000","-q","-o","json=x"],"started_at":"2026-01-02T03:04:05Z",
"runs":[{"connect":{"failed":%d,"elapsed_ns":%d},"delivery":null,"target_process":{"bytes_per_client":%d,"cpu_per_connect_ns":null},"generator":{"overloaded":false}}]}`

const deliveryRecord = `{"tool":{"version":"v1","commit":"abc","go":"go1"},"host":{"os":"linux","arch":"amd64","kernel":null,"cpu_model":null,"cores":2},
"command":["sseload","rooms","http://127.0.0.1:1","-c","4000","-n","25","-q","-o","json=x"],"started_at":"2026-01-02T03:04:05Z",
"runs":[{"connect":{"failed":0,"elapsed_ns":1},"delivery":{"lost":%d,"rate_per_second":%d,"sends":{"failed":0},"latency":{"p50_ns":2000000,"p99_ns":30000000}},
"target_process":{"cpu_per_copy_ns":%d},"generator":{"overloaded":%t}}]}`

// writeTrials writes three rounds, in which the reference server takes 100, 200 and
// 400 ms to connect all, nethttp half as much again and r3labs four times as much,
// but in the second round twice.
func writeTrials(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for round, ms := range []int{100, 400, 200} {
		folder := filepath.Join(dir, strconv.Itoa(round+1))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		write := func(name, text string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for server, percent := range map[string]int{"reference": 100, "nethttp": 150, "r3labs": []int{400, 200, 400}[round]} {
			lost := 0
			if server == "r3labs" {
				lost = round // 3 in all
			}
			write("connect-"+server+".json", fmt.Sprintf(connectRecord, lost, ms*percent*1e4, 10*percent))
			for _, load := range []string{"rooms", "rate"} {
				write(load+"-"+server+".json", fmt.Sprintf(deliveryRecord, lost, 1000000/percent, 50*percent, round == 1))
			}
		}
	}
	return dir
}

func TestTable(t *testing.T) {
	out := filepath.Join(t.TempDir(), "new", "servers")
	if err := run(t.Context(), []string{"table", "--out", out, writeTrials(t)}, strings.NewReader(""), io.Discard); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(out, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/README.md"
	if *update {
		if err := os.WriteFile(golden, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(page); got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("the page is not %s:\n%s", golden, got)
	}
	// The third round has the median of the reference server, the second that of
	// r3labs, whose trials took 400, 800 and 800 ms.
	for name, want := range map[string]string{"connect-reference.json": `"elapsed_ns":200000000}`, "connect-r3labs.json": `"elapsed_ns":800000000}`} {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, %s, want %s", name, err, text, want)
		}
	}
	entries, err := os.ReadDir(out)
	if err != nil || len(entries) != 10 {
		t.Errorf("%d files, %v", len(entries), err)
	}
}

func TestTableRefuses(t *testing.T) {
	for want, spoil := range map[string]string{
		"aborted: it died": `{"runs":[{"aborted":"it died"}]}`,
		"interrupted":      `{"runs":[{"interrupted":true}]}`,
		"0 runs":           `{}`,
		"unexpected end":   `{`,
	} {
		dir := writeTrials(t)
		bad := filepath.Join(dir, "2", "rate-nethttp.json")
		if err := os.WriteFile(bad, []byte(spoil), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := readTrials(dir)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v, want %q", spoil, err, want)
		}
		if err := os.Remove(bad); err != nil {
			t.Fatal(err)
		}
		if _, err := readTrials(dir); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("a trial is missing: %v", err)
		}
	}
}

func TestSignificant(t *testing.T) {
	for v, want := range map[float64]string{0.1234: "0.12", 9.876: "9.88", 12.34: "12.3", 123.4: "123", 98765: "98765"} {
		if got := significant(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("of three: %v", got)
	}
	if got := median([]float64{4, 1, 2, 3}); got != 2.5 {
		t.Errorf("of four: %v", got)
	}
}
