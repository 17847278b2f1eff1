package profile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/pprof/profile"
)

func TestKinds(t *testing.T) {
	for _, name := range KindNames() {
		if k, err := ParseKind(name); err != nil || string(k) != name || k.shape().value == "" {
			t.Errorf("%s: %q, %v", name, k, err)
		}
	}
	if _, err := ParseKind("CPU "); err == nil || !strings.Contains(err.Error(), `"CPU "`) || !strings.Contains(err.Error(), "cpu, heap, allocs, goroutine, threadcreate, mutex, block") {
		t.Errorf("%v", err)
	}
}

// inlined has a location of two functions, recursion through it, and an address
// without a name.
func inlined() *profile.Profile {
	function := func(id uint64, name string) *profile.Function { return &profile.Function{ID: id, Name: name} }
	inner, outer, evil := function(1, "inner"), function(2, "outer"), function(3, "e;v\x1b[31mi\nl\u202e")
	m := &profile.Mapping{ID: 1, File: "/lib/libx.so"}
	both := &profile.Location{ID: 1, Line: []profile.Line{{Function: inner}, {Function: outer}}}
	top := &profile.Location{ID: 2, Line: []profile.Line{{Function: evil}}}
	bare := &profile.Location{ID: 3, Address: 0xabc, Mapping: m}
	return &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{},
		Mapping:    []*profile.Mapping{m},
		Function:   []*profile.Function{inner, outer, evil},
		Location:   []*profile.Location{both, top, bare},
		Sample: []*profile.Sample{
			{Location: []*profile.Location{both, both, top}, Value: []int64{1, 100}},
			{Location: []*profile.Location{bare, both, top}, Value: []int64{2, 50}},
			{Location: nil, Value: []int64{1, 7}},
			{Location: []*profile.Location{top}, Value: []int64{9, -1000}},
		},
	}
}

func TestTableOfInlinedAndRecursive(t *testing.T) {
	p := inlined()
	got, err := tabulate(p, CPU.shape())
	want := []Function{{"inner", 100, 150}, {"0xabc (libx.so)", 50, 50}, {"e;v[31mi l", 0, 150}, {"outer", 0, 150}}
	if err != nil || got.total != 157 || got.samples != 4 || !slices.Equal(got.top, want) {
		t.Errorf("%+v, %v", got, err)
	}
	var out bytes.Buffer
	if _, err := fold(&out, p, CPU.shape(), maxAnswer); err != nil {
		t.Fatal(err)
	}
	if out.String() != "[unknown] 7\ne:v[31mi l;outer;inner;0xabc (libx.so) 50\ne:v[31mi l;outer;inner;outer;inner 100\n" {
		t.Errorf("%s", out.String())
	}
	if _, err := tabulate(p, Heap.shape()); err == nil || !strings.Contains(err.Error(), "inuse_space") {
		t.Errorf("%v", err)
	}
	p.Sample[0].Value[1], p.Sample[1].Value[1] = math.MaxInt64, math.MaxInt64
	if got, _ := tabulate(p, CPU.shape()); got.total != math.MaxInt64 || got.top[0].Flat != math.MaxInt64 {
		t.Errorf("%+v", got)
	}
}

func TestTableHasTwentyRows(t *testing.T) {
	s := newStacks(&profile.ValueType{Type: "cpu", Unit: "nanoseconds"})
	for i := range 50 {
		if err := s.add([]frame{{name: strconv.Itoa(i)}}, int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := tabulate(s.data, CPU.shape())
	if err != nil || len(got.top) != 20 || got.top[0].Name != "49" || got.samples != 49 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFilesAreWholeOrNot(t *testing.T) {
	dir := t.TempDir()
	f := files{dir: dir}
	c := capture{kind: CPU, data: inlined()}
	old := filepath.Join(dir, "a_b-p-cpu.pb.gz")
	if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := f.write("a/b", "p", c)
	if err != nil || filepath.Join(dir, w.file) != old || w.cut {
		t.Fatalf("%+v, %v", w, err)
	}
	if p := readBack(t, old); len(p.Sample) != 4 || p.DefaultSampleType != "cpu" {
		t.Errorf("%v", p)
	}
	if w, err = f.write("a/b", "p", c); err != nil || w.file != "a_b-p-2-cpu.pb.gz" || w.flame != "a_b-p-2-cpu.folded" {
		t.Errorf("%+v, %v", w, err)
	}
	// A directory in the way: nothing is left of the attempt.
	if err := os.Mkdir(filepath.Join(dir, "x-p-cpu.pb.gz"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := f.write("x", "p", c); err == nil || !strings.Contains(err.Error(), "x-p-cpu.pb.gz") {
		t.Errorf("%v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.part"))
	if err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestUnwritableIsAProblem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, problems := profiled(t, Config{Kinds: []Kind{CPU}, Dir: file, Stem: "s", Source: given{inlined()}}, func() {})
	if len(taken) != 0 || len(problems) != 1 {
		t.Errorf("%+v, %q", taken, problems)
	}
	mentions(t, problems, "cpu", "work", file)
}

// given is a source that has a profile already.
type given struct{ data *profile.Profile }

func (given) Name() string                                      { return "given" }
func (given) kinds() []Kind                                     { return []Kind{CPU} }
func (g given) begin(context.Context, []Kind, *notes) recording { return g }
func (g given) end(context.Context) []capture                   { return []capture{{kind: CPU, data: g.data}} }
func (given) close()                                            {}

func TestFlameDataIsBounded(t *testing.T) {
	s := newStacks(&profile.ValueType{Type: "cpu", Unit: "nanoseconds"})
	s.room = 3 * (100 + 16)
	stack := slices.Repeat([]frame{{name: "function"}}, 100)
	for i := range 3 {
		stack[0].name = strconv.Itoa(i)
		if err := s.add(stack, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.add(stack, 1); err != nil { // nothing more to keep
		t.Error(err)
	}
	stack[0].name = "3"
	if err := s.add(stack, 1); !errors.Is(err, errTooLarge) {
		t.Errorf("%v", err)
	}
	var out bytes.Buffer
	cut, err := fold(&out, s.data, CPU.shape(), 2000)
	if err != nil || !cut || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%d bytes, %v, %v", out.Len(), cut, err)
	}
	if cut, err := fold(io.Discard, s.data, CPU.shape(), 3000); err != nil || cut {
		t.Errorf("%v, %v", cut, err)
	}
}

// holds checks what is true of any profile, whoever made it.
func holds(t *testing.T, p *profile.Profile, k Kind) {
	t.Helper()
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	got, err := tabulate(p, k.shape())
	if err != nil {
		t.Fatal(err)
	}
	var flat int64
	for _, f := range got.top {
		if f.Flat < 0 || f.Flat > f.Cumulative || f.Cumulative > got.total || strings.ContainsFunc(f.Name, unicode.IsControl) {
			t.Fatalf("%+v of %d", f, got.total)
		}
		flat = sum(flat, f.Flat)
	}
	if flat > got.total {
		t.Fatalf("%d of %d", flat, got.total)
	}
	var out bytes.Buffer
	cut, err := fold(&out, p, k.shape(), maxAnswer)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for line := range strings.Lines(out.String()) {
		v, err := strconv.ParseInt(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 10, 64)
		if err != nil {
			t.Fatalf("%q", line)
		}
		n = sum(n, v)
	}
	if n != got.total && !cut {
		t.Fatalf("folded %d of %d", n, got.total)
	}
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
}

func FuzzPprof(f *testing.F) {
	var seed bytes.Buffer
	if err := inlined().WriteUncompressed(&seed); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Bytes())
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := parse(raw, 1<<20)
		if err != nil {
			return
		}
		if _, err := mainValue(p, CPU.shape()); err == nil {
			holds(t, p, CPU)
		}
		if q, err := parse(raw, 1<<20); err == nil {
			if _, err := profile.Merge([]*profile.Profile{p, q}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestBombsAreRefused: a short answer may speak of more than there is memory for.
func TestBombsAreRefused(t *testing.T) {
	samples := bytes.Repeat([]byte{0x12, 0x00}, maxEntries+1)
	if n := entries(samples); n != maxEntries+1 {
		t.Errorf("%d entries", n)
	}
	if _, err := parse(samples, maxAnswer); err == nil || !strings.Contains(err.Error(), "entries are more than") {
		t.Errorf("samples without end: %v", err)
	}
	nodes := []byte(`{"nodes":[` + strings.Repeat("{},", maxEntries) + `{}],"samples":[],"timeDeltas":[]}`)
	if _, err := fromCPUProfile(nodes); err == nil || !strings.Contains(err.Error(), "objects are more than") {
		t.Errorf("nodes without end: %v", err)
	}
	if _, err := fromHeapProfile(nodes, Heap); err == nil || !strings.Contains(err.Error(), "objects are more than") {
		t.Errorf("nodes without end: %v", err)
	}
}

func TestEntries(t *testing.T) {
	for _, test := range []struct {
		message []byte
		want    int
	}{
		{nil, 0},
		{[]byte{0x08, 0x96, 0x01}, 1}, // a number
		{[]byte{0x12, 0x02, 'h', 'i', 0x12, 0x00}, 2},                      // texts
		{append([]byte{0x09}, make([]byte, 8)...), 1},                      // 64 bits
		{append([]byte{0x0d, 0, 0, 0, 0}, 0x08, 0x01), 2},                  // 32 bits, a number
		{[]byte{0x12, 0x05, 'c', 'u', 't'}, 0},                             // too short
		{[]byte{0x08}, 0},                                                  // no number
		{[]byte{0x0b, 0x08, 0x01}, 0},                                      // a group, which profiles have none of
		{append([]byte{0x08, 0x01}, bytes.Repeat([]byte{0xff}, 12)...), 1}, // no tag
	} {
		if got := entries(test.message); got != test.want {
			t.Errorf("% x: %d, want %d", test.message, got, test.want)
		}
	}
}
