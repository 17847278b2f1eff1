// Package cli is the command line of sseload: one file a command, which turns
// flags into typed options, runs what the other packages offer and says how it
// went.
//
// It is the only package that knows cobra, the process' arguments, environment,
// streams, signals and exit code; [App] holds them, so that nothing else here
// reaches for them either.
//
// Results go to standard output, everything else to standard error. An error is
// one line, a hint may follow.
package cli
