package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

func TestGridRender(t *testing.T) {
	g := grid{
		columns: []column{{head: "p99.9 of it"}, {head: "Number", right: true}},
		rows:    [][]string{{"a", "1"}, {"µ × –", "23"}, {"a|b", "400000000"}, {"", "日本"}},
	}
	got, err := g.render(plain)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"| p99.9 of it |    Number |",
		"|:------------|----------:|",
		"| a           |         1 |",
		"| µ × –       |        23 |",
		`| a\|b        | 400000000 |`,
		"|             |      日本 |",
		"",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCell(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"plain", "plain"},
		{"a|b", `a\|b`},
		{`a\|b`, `a\\\|b`},
		{`a\\|b`, `a\\\\\|b`},
		{`C:\dir`, `C:\dir`},
		{"a\nb\x1b[1mc\td\u202e\xff", "a b [1mc d  "},
	} {
		if got := cell(test.in, plain); got != test.want {
			t.Errorf("cell(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		in    string
		limit int
		want  string
	}{
		{"one two three", 0, "one two three"},
		{"one two three", 13, "one two three"},
		{"one two three", 12, "one two\n  three"},
		{"one two three", 7, "one two\n  three"},
		{"one two three four", 9, "one two\n  three\n  four"},
		{"see http://a.very.long.example now", 10, "see\n  http://a.very.long.example\n  now"},
		{"日本 日本 日本", 9, "日本 日本\n  日本"},
		{"", 5, ""},
	} {
		if got := wrap(test.in, test.limit); got != test.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", test.in, test.limit, got, test.want)
		}
	}
}

func TestLiftKeepsWhatDiffersAndEveryFigure(t *testing.T) {
	g := grid{
		columns: []column{{head: "Type", words: true}, {head: "Machine", words: true}, {head: "Clients", right: true}},
		rows:    [][]string{{"Normal", "a", "1000"}, {"Normal", "b", "1000"}},
	}
	kept, caption := g.lift()
	if caption != "Type Normal" || len(kept.columns) != 2 || kept.columns[0].head != "Machine" || kept.columns[1].head != "Clients" ||
		strings.Join(kept.rows[1], " ") != "b 1000" {
		t.Errorf("caption %q, kept %+v", caption, kept)
	}
	if len(g.columns) != 3 || len(g.rows[0]) != 3 {
		t.Error("the full table changed")
	}
}

func TestCodeSpanAndShellWords(t *testing.T) {
	for in, want := range map[string]string{"a": "`a`", "a`b": "``a`b``", "`a": "`` `a ``", "  ": "(no text)", "": "(no text)"} {
		if got := codeSpan(in); got != want {
			t.Errorf("codeSpan(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := ShellWords([]string{"sseload", "-c", "1,2", "", "a b", "it's", "$HOME", "http://h/?a=1&b={room}"}),
		`sseload -c 1,2 '' 'a b' 'it'\''s' '$HOME' 'http://h/?a=1&b={room}'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestShortened(t *testing.T) {
	for name, want := range map[string]string{
		"b1":                    "b1",
		strings.Repeat("é", 40): strings.Repeat("é", 40),
		"frontend-" + strings.Repeat("x", 50) + "-7.example.test": "frontend-xxxxxxxxxx…xxxxx-7.example.test",
	} {
		if got := shortened(name); got != want || len([]rune(got)) > longestBackend {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

// No two runs are called the same, wherever they come from.
func TestRepetitionsHaveNames(t *testing.T) {
	var f result.File
	for _, again := range []*int{new(1), new(2), nil, nil, new(1), new(2)} {
		f.Runs = append(f.Runs, result.Run{Scenario: "connect", Params: result.Params{Clients: 600}, Repetition: again})
	}
	if got, want := namesOf(&f), "600 #1, 600 #2, 600 #3, 600 #4, 600 #5, 600 #6"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Runs of several steps are told apart by the steps' names, but only where nothing else
// does.
func TestStepsHaveNames(t *testing.T) {
	var f result.File
	for _, r := range []struct {
		step    *string
		clients int
	}{{new("old"), 600}, {new("new"), 600}, {new("old"), 700}, {new("new"), 800}, {nil, 600}, {nil, 700}} {
		f.Runs = append(f.Runs, result.Run{Scenario: "connect", Params: result.Params{Clients: r.clients}, Step: r.step})
	}
	if got, want := namesOf(&f), "old: 600, new: 600, old: 700, 800, 600, 700"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var steps []string
	summary := tables(&f)[0].summary()
	for _, cells := range summary.rows {
		steps = append(steps, cells[0])
	}
	if got, want := strings.Join(steps, ", "), "old, new, old, new, –, –"; summary.columns[0].head != "Step" || got != want {
		t.Errorf("%s: %s, want %s", summary.columns[0].head, got, want)
	}
	f.Runs = f.Runs[2:4]
	if head := tables(&f)[0].summary().columns[0].head; head != "Type" {
		t.Errorf("%s is the first column, though the clients tell the runs apart", head)
	}
}

// Commands on one machine share its line, whenever they were run.
func TestOrigins(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	one, other := result.Host{Name: "one", OS: "linux", Arch: "amd64", Cores: 2}, result.Host{Name: "other", OS: "linux", Arch: "amd64", Cores: 1}
	tool := result.Tool{Version: "v1", Commit: "c", Go: "go1"}
	f := result.File{Sources: []result.Source{
		{Tool: tool, Command: []string{"sseload", "b"}, Host: one, StartedAt: at.Add(time.Minute)},
		{Tool: tool, Command: []string{"sseload", "a"}, Host: one, StartedAt: at},
		{Tool: tool, Command: []string{"sseload", "c"}, Host: other, StartedAt: at},
		{Tool: tool, Command: []string{"sseload", "d"}, Host: one, StartedAt: at},
	}}
	var d document
	d.origins(&f)
	want := []string{
		"```sh\nsseload b\nsseload a\n```", "one · linux/amd64 · 2 cores · sseload v1 (commit c, go1) · 2026-11-24 10:00:00 to 2026-11-24 10:01:00 UTC",
		"```sh\nsseload c\n```", "other · linux/amd64 · 1 core · sseload v1 (commit c, go1) · 2026-11-24 10:00:00 UTC",
		"```sh\nsseload d\n```", "one · linux/amd64 · 2 cores · sseload v1 (commit c, go1) · 2026-11-24 10:00:00 UTC",
	}
	if !slices.Equal(d.blocks, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(d.blocks, "\n"), strings.Join(want, "\n"))
	}
}

func namesOf(f *result.File) string {
	var names []string
	for _, r := range tables(f)[0].rows {
		names = append(names, r.name)
	}
	return strings.Join(names, ", ")
}
