package cli

import (
	"errors"
	"sync"
	"time"
)

// patience is how long scripts wait for what must happen. It bounds a test that
// fails; none that succeeds takes as long.
const patience = 30 * time.Second

var errPatience = errors.New("it did not happen within " + patience.String())

// watched is a value whose changes can be waited for.
type watched[T any] struct {
	mu      sync.Mutex
	value   T
	changed chan struct{} // closed at the next change; nil while nobody waits
}

// update changes the value and wakes who waits.
func (w *watched[T]) update(f func(*T)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.value)
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// read hands the value to f.
func (w *watched[T]) read(f func(*T)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.value)
}

// await returns when f, called at first and after each change, has returned
// true, or with an error when patience is at its end.
func (w *watched[T]) await(f func(*T) bool) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		w.mu.Lock()
		ok := f(&w.value)
		if w.changed == nil {
			w.changed = make(chan struct{})
		}
		changed := w.changed
		w.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return errPatience
		}
	}
}
