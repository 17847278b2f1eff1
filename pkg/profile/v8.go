package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// The forms of V8's profiles: Chrome DevTools Protocol, types Profiler.Profile and
// HeapProfiler.SamplingHeapProfile.

type callFrame struct {
	FunctionName string `json:"functionName"`
	URL          string `json:"url"`
	LineNumber   int64  `json:"lineNumber"` // from 0
}

type cpuProfile struct {
	Nodes []struct {
		ID        int64     `json:"id"`
		CallFrame callFrame `json:"callFrame"`
		Children  []int64   `json:"children"`
	} `json:"nodes"`
	StartTime  float64   `json:"startTime"` // microseconds
	EndTime    float64   `json:"endTime"`
	Samples    []int64   `json:"samples"`    // ids of nodes
	TimeDeltas []float64 `json:"timeDeltas"` // microseconds since the sample before
}

type heapProfile struct {
	Head    heapNode `json:"head"`
	Samples []struct {
		NodeID int64 `json:"nodeId"`
	} `json:"samples"`
}

type heapNode struct {
	CallFrame callFrame  `json:"callFrame"`
	SelfSize  float64    `json:"selfSize"`
	ID        int64      `json:"id"`
	Children  []heapNode `json:"children"`
}

const (
	rootFunction = "(root)"
	idleFunction = "(idle)"
)

// pseudo tells the functions that V8 makes up: they have no place.
func (f callFrame) pseudo(name string) bool { return f.FunctionName == name && f.URL == "" }

func (f callFrame) frame() frame {
	name := f.FunctionName
	if name == "" {
		name = "(anonymous)"
	}
	out := frame{symbol: clean(name, maxName), file: clean(f.URL, maxName)}
	if f.URL == "" {
		out.name = out.symbol
		return out
	}
	place := f.URL
	if !strings.HasPrefix(place, "node:") {
		place = path.Base(place)
	}
	out.line = min(max(f.LineNumber, 0), math.MaxInt32) + 1
	out.name = fmt.Sprintf("%s (%s:%d)", out.symbol, clean(place, maxName), out.line)
	return out
}

var errNoV8 = errors.New("it is none of V8's")

// large refuses text that would take many times its length once it is decoded.
func large(raw []byte) error {
	if n := bytes.Count(raw, []byte("{")); n > maxEntries {
		return fmt.Errorf("%w: %d objects are more than the %d it may have", errNoV8, n, maxEntries)
	}
	return nil
}

// fromCPUProfile gives each node the time from its samples until the next ones.
// What is idle is left out.
func fromCPUProfile(raw []byte) (*profile.Profile, error) {
	if err := large(raw); err != nil {
		return nil, err
	}
	var in cpuProfile
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoV8, err)
	}
	if len(in.Nodes) == 0 || len(in.Samples) != len(in.TimeDeltas) {
		return nil, fmt.Errorf("%w: %d nodes, %d samples, %d times", errNoV8, len(in.Nodes), len(in.Samples), len(in.TimeDeltas))
	}
	index := make(map[int64]int, len(in.Nodes))
	for i, n := range in.Nodes {
		index[n.ID] = i
	}
	parent := make([]int, len(in.Nodes))
	frames := make([]frame, len(in.Nodes))
	for i, n := range in.Nodes {
		parent[i], frames[i] = -1, n.CallFrame.frame()
	}
	for i, n := range in.Nodes {
		for _, id := range n.Children {
			if child, ok := index[id]; ok {
				parent[child] = i
			}
		}
	}

	hits, self := in.self(index)
	out := newStacks(&profile.ValueType{Type: "samples", Unit: count}, &profile.ValueType{Type: "cpu", Unit: nanoseconds})
	out.data.PeriodType = &profile.ValueType{Type: "cpu", Unit: nanoseconds}
	out.data.Period = cpuInterval * 1000
	out.data.DurationNanos = nanos(in.EndTime - in.StartTime)
	var stack []frame
	for i, n := range in.Nodes {
		if hits[i] == 0 || n.CallFrame.pseudo(idleFunction) {
			continue
		}
		stack = stack[:0]
		// A tree has no cycle, but this is an answer.
		for at, steps := i, 0; at >= 0 && steps < maxDepth; at, steps = parent[at], steps+1 {
			if at == i || !in.Nodes[at].CallFrame.pseudo(rootFunction) {
				stack = append(stack, frames[at])
			}
		}
		if err := out.add(stack, hits[i], self[i]); err != nil {
			return nil, err
		}
	}
	return out.data, nil
}

// self counts samples and nanoseconds by node.
func (in *cpuProfile) self(index map[int64]int) (hits, self []int64) {
	hits, self = make([]int64, len(in.Nodes)), make([]int64, len(in.Nodes))
	at := in.StartTime
	for i, id := range in.Samples {
		at += in.TimeDeltas[i]
		until := in.EndTime - at
		if i+1 < len(in.TimeDeltas) {
			until = in.TimeDeltas[i+1]
		}
		if node, ok := index[id]; ok {
			hits[node]++
			self[node] = sum(self[node], nanos(until))
		}
	}
	return hits, self
}

// nanos is 0 for what goes back, as clocks of several threads do.
func nanos(microseconds float64) int64 {
	const day = 24 * 60 * 60 * 1e6
	if !(microseconds > 0) {
		return 0
	}
	return int64(min(microseconds, day) * 1000)
}

// fromHeapProfile takes the sizes that V8 worked out from its samples.
func fromHeapProfile(raw []byte, k Kind) (*profile.Profile, error) {
	if err := large(raw); err != nil {
		return nil, err
	}
	var in heapProfile
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoV8, err)
	}
	if in.Head.CallFrame.FunctionName == "" {
		return nil, fmt.Errorf("%w: it has no head", errNoV8)
	}
	w := heapWalk{samples: map[int64]int64{}}
	for _, s := range in.Samples {
		w.samples[s.NodeID]++
	}
	w.out = newStacks(&profile.ValueType{Type: "samples", Unit: count}, &profile.ValueType{Type: k.shape().value, Unit: bytesUnit})
	w.out.data.PeriodType = &profile.ValueType{Type: "space", Unit: bytesUnit}
	w.out.data.Period = heapInterval
	if err := w.visit(&in.Head); err != nil {
		return nil, err
	}
	return w.out.data, nil
}

// heapWalk goes down a tree; encoding/json bounds how deep that is.
type heapWalk struct {
	out     *stacks
	samples map[int64]int64 // by node
	path    []frame         // from the root
	stack   []frame
}

func (w *heapWalk) visit(n *heapNode) error {
	if !n.CallFrame.pseudo(rootFunction) || n.SelfSize > 0 {
		w.path = append(w.path, n.CallFrame.frame())
		defer func() { w.path = w.path[:len(w.path)-1] }()
	}
	if n.SelfSize > 0 {
		w.stack = append(w.stack[:0], w.path...)
		slices.Reverse(w.stack)
		if err := w.out.add(w.stack, w.samples[n.ID], int64(min(n.SelfSize, 1<<50))); err != nil {
			return err
		}
	}
	for i := range n.Children {
		if err := w.visit(&n.Children[i]); err != nil {
			return err
		}
	}
	return nil
}
