//go:build race

package http1

// raceEnabled: under the race detector a sync.Pool drops items at random, so
// that counting allocations says nothing.
const raceEnabled = true
