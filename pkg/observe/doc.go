// Package observe watches what a load run costs and tells beforehand what the
// machine allows. It is a leaf: it knows processes and kernels, nothing of
// HTTP, events or records.
//
// # Watching
//
// Three things are watched side by side: the target (a [Tree]: a process with
// all its descendants, so that a cluster of workers counts as one), the
// generator (this process alone, without its children, because the bundled
// server is one of them) and the machine. A [Watcher] cuts a run into phases
// and reads all three at every border and once an interval; its [Report] says
// what each phase cost and how things went over time.
//
// CPU is always in percent of one core: 150 means that one and a half cores
// were busy. A share is the CPU time used between two readings over the time
// between those same two readings, so a late reading makes a share of a longer
// stretch, never a wrong one. Where the clock behind a reading is too coarse
// for the stretch the share is nil: Linux gives processes nanoseconds, hence a
// phase of a millisecond is enough; the machine as a whole is counted in ticks
// of 10 ms and needs 100 ms.
//
// Three figures of the generator say how far it was held up: how long its threads
// waited in run queues, which only Linux tells, what its garbage collector did,
// and its [Stalls], when nothing of it ran. The last catches what the others
// cannot: a process that is stopped neither waits for a core nor does it see the
// time go by. They are told of whole phases alone.
//
// A figure that is not known is nil, never 0.
//
// # Limits
//
// [ReadLimits] finds out what this machine allows, [Check] holds a [Plan]
// against it, and each [Finding] carries the sentence and the command that the
// user needs. Nothing here needs root, and nothing but [RaiseFiles] changes a
// setting.
//
// # Caveats
//
// The counters of the TCP stack and of sockets belong to the network namespace
// of this process: a target in a container of its own has others.
//
// On systems other than Linux the figures come from gopsutil, which may start
// ps, pgrep or lsof to get them; a reading then costs milliseconds, and what
// gopsutil does not know there stays nil.
package observe
