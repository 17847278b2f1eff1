//go:build !linux

package observe

// runQueue knows nothing here: the system does not say how long threads wait.
type runQueue struct{}

func (q *runQueue) read() opt { return opt{} }
