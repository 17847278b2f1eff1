// Package profile takes profiles of the server under test, one set for each
// phase of a run. It is a leaf: it knows processes, HTTP and files, nothing of
// clients, events or records.
//
// # Model
//
// A [Profiler] is told where phases begin and end. A [Source] is where profiles
// come from: the debug pages of a Go program ([Pprof]), the inspector of Node
// ([Inspector]), or the kernel through perf ([Perf]). At the beginning of a phase
// the profiler starts what takes time; at its end it stops that, takes the
// snapshots, and writes files:
//
//	STEM-PHASE-KIND.pb.gz        for go tool pprof
//	STEM-PHASE-KIND.cpuprofile   of Node, for Chrome's DevTools
//	STEM-PHASE-KIND.heapprofile  of Node, for Chrome's DevTools
//	STEM-PHASE-KIND.folded       beside each: stacks for flame graphs
//
// A folded file has one line a stack, root;…;leaf SPACE value, in the unit of the
// profile.
//
// # Kinds
//
// Over the phase:
//
//   - cpu: where CPU time went, nanoseconds
//   - allocs: what was allocated, also if it is garbage by now, bytes
//   - mutex, block: how long goroutines waited for locks, and for anything,
//     nanoseconds
//
// At its end, as snapshots:
//
//   - heap: what is allocated and alive, after a collection, bytes
//   - goroutine, threadcreate: how many there are, by where they are or came from
//
// From Node, heap is what was allocated during the phase and is alive at its end,
// as its sampling heap profiler knows nothing of what was there before, and allocs
// is with what was collected meanwhile. That profiler does one of the two at a
// time; of both, heap is taken. From perf there is cpu alone.
//
// # Problems
//
// To profile is never what a run is for. Nothing here gives an error: what cannot
// be had is a problem, a sentence for a reader, and each is said once however many
// phases there are. A target that is frozen or gone costs at most about two
// seconds at the beginning of a phase and ten at its end.
//
// # Caveats
//
// A profile costs the target something: sampling the CPU a percent or so, a heap
// snapshot one garbage collection after the phase, allocs one on either side.
//
// The time between the end of a phase and the end of its cpu profile is that of
// one message to the target.
//
// One Go process has one cpu profile at a time. Where several share one address,
// as a cluster's workers do, their debug pages need one each.
//
// A Node cluster has an inspector for each process, and one of them is profiled.
//
// The times of a mutex or block profile are zero in a program that has not
// switched them on (runtime.SetMutexProfileFraction, runtime.SetBlockProfileRate).
//
// The kernel's cpu-clock event, which perf is asked for, is there in virtual
// machines too. Its stacks follow frame pointers: Go and Node keep them, many
// programs in C do not. A stripped program (go build -ldflags=-s, and go test) has
// no names for it, unlike for net/http/pprof. Functions compiled at run time have names only where the
// runtime tells perf about them (node --perf-basic-prof).
//
// Everything the target answers is taken for what it is, the text of a stranger:
// limited in size, and without control characters before a person sees it. The
// files .cpuprofile and .heapprofile alone hold it as it came.
package profile
