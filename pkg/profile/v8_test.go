package profile

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// Three functions: one with recursion, one idle, one that the target gave no name.
const tinyCPU = `{"nodes":[
{"id":1,"callFrame":{"functionName":"(root)","url":"","lineNumber":-1},"children":[2,5,6]},
{"id":2,"callFrame":{"functionName":"main","url":"file:///app/server.js","lineNumber":4},"children":[3]},
{"id":3,"callFrame":{"functionName":"","url":"node:internal/timers","lineNumber":0},"children":[4]},
{"id":4,"callFrame":{"functionName":"main","url":"file:///app/server.js","lineNumber":4}},
{"id":5,"callFrame":{"functionName":"(idle)","url":"","lineNumber":-1}},
{"id":6,"callFrame":{"functionName":"(garbage collector)","url":"","lineNumber":-1}}],
"startTime":1000,"endTime":2000,
"samples":[2,4,5,6,3],"timeDeltas":[100,200,300,50,-20]}`

func TestCPUProfile(t *testing.T) {
	p, err := fromCPUProfile([]byte(tinyCPU))
	if err != nil {
		t.Fatal(err)
	}
	got, err := tabulate(p, CPU.shape())
	if err != nil {
		t.Fatal(err)
	}
	// A sample lasts until the next: main 200, below itself 300, idle 50, the
	// collector's clock goes back, the last until the end, 370.
	const µs = 1000
	want := []Function{
		{"main (server.js:5)", 500 * µs, 870 * µs},
		{"(anonymous) (node:internal/timers:1)", 370 * µs, 670 * µs},
	}
	if got.total != 870*µs || got.samples != 3 || !reflect.DeepEqual(got.top, want) {
		t.Errorf("%+v", got)
	}
	var out strings.Builder
	if cut, err := fold(&out, p, CPU.shape(), maxAnswer); cut || err != nil {
		t.Fatal(cut, err)
	}
	folds := "main (server.js:5) 200000\n" +
		"main (server.js:5);(anonymous) (node:internal/timers:1) 370000\n" +
		"main (server.js:5);(anonymous) (node:internal/timers:1);main (server.js:5) 300000\n"
	if out.String() != folds {
		t.Errorf("%s", out.String())
	}
}

const tinyHeap = `{"head":{"callFrame":{"functionName":"(root)","url":"","lineNumber":-1},"selfSize":8,"id":1,"children":[
{"callFrame":{"functionName":"load;er","url":"/x/a.js","lineNumber":1},"selfSize":100,"id":2,"children":[
{"callFrame":{"functionName":"load;er","url":"/x/a.js","lineNumber":1},"selfSize":50,"id":3,"children":[]}]}]},
"samples":[{"size":50,"nodeId":2},{"size":50,"nodeId":2},{"size":50,"nodeId":3}]}`

func TestHeapProfile(t *testing.T) {
	p, err := fromHeapProfile([]byte(tinyHeap), Heap)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tabulate(p, Heap.shape())
	if err != nil || got.total != 158 || got.samples != 3 || len(got.top) != 2 ||
		got.top[0] != (Function{"load;er (a.js:2)", 150, 150}) || got.top[1] != (Function{"(root)", 8, 158}) {
		t.Errorf("%+v, %v", got, err)
	}
	var out strings.Builder
	if _, err := fold(&out, p, Heap.shape(), maxAnswer); err != nil || !strings.Contains(out.String(), "(root);load:er (a.js:2) 100\n") {
		t.Errorf("%s, %v", out.String(), err)
	}
}

func TestWhatV8DoesNotSay(t *testing.T) {
	for _, raw := range []string{
		"", "null", "[]", "{", `{"nodes":[]}`, `{"nodes":[{"id":1}],"samples":[1]}`,
		`{"nodes":[{"id":1.5}],"samples":[],"timeDeltas":[]}`,
	} {
		if _, err := fromCPUProfile([]byte(raw)); !errors.Is(err, errNoV8) {
			t.Errorf("%q: %v", raw, err)
		}
		if _, err := fromHeapProfile([]byte(raw), Heap); !errors.Is(err, errNoV8) {
			t.Errorf("%q: %v", raw, err)
		}
	}
	// Its own parent, which is no tree: as deep as it may be, and not for ever.
	loop := `{"nodes":[{"id":1,"callFrame":{"functionName":"f"},"children":[1]}],"samples":[1],"timeDeltas":[0],"startTime":0,"endTime":1e300}`
	p, err := fromCPUProfile([]byte(loop))
	if err != nil || len(p.Sample) != 1 || len(p.Sample[0].Location) != maxDepth {
		t.Errorf("%d samples, %v", len(p.Sample), err)
	}
}

func FuzzCPUProfile(f *testing.F) {
	f.Add([]byte(tinyCPU))
	f.Add([]byte(`{"nodes":[{"id":1,"children":[2]},{"id":2,"callFrame":{"functionName":"(idle)"},"children":[1]}],"samples":[2,1],"timeDeltas":[1e300,-5]}`))
	f.Add([]byte(`{"nodes":[{"id":1,"callFrame":{"functionName":"(root)"},"children":[2,1]},{"id":2,"callFrame":{"functionName":"main"}}],"samples":[2],"timeDeltas":[1]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := fromCPUProfile(raw)
		if err == nil {
			holds(t, p, CPU)
		}
	})
}

func FuzzHeapProfile(f *testing.F) {
	f.Add([]byte(tinyHeap))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := fromHeapProfile(raw, Heap)
		if err == nil {
			holds(t, p, Heap)
		}
	})
}
