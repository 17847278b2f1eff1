// Package scenarios says what a population of EventSource clients does and in
// which order, and turns what came of it into a record.
//
// A [Scenario] runs against a [Site], which a [Server] provides anew for each
// run: the bundled reference server in a process of its own, or a server that is
// there already. [Series] runs several, one table row each.
//
// A new scenario is one file here: a struct with what it is asked for, and a Run
// method that takes a [session] through its phases.
package scenarios
