package cli

import "sync"

// leaving is what is to be done before the process ends at once. Its methods are for
// any goroutine; the zero value does nothing.
type leaving struct {
	mu   sync.Mutex
	todo map[int]func()
	last int
}

// first has do called before the process ends at once, unless forget is called before.
// do must not wait for what the program is at.
func (l *leaving) first(do func()) (forget func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.todo == nil {
		l.todo = map[int]func(){}
	}
	l.last++
	n := l.last
	l.todo[n] = do
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.todo, n)
	}
}

// now does what is to be done. Nothing is taken off or added meanwhile.
func (l *leaving) now() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, do := range l.todo {
		do()
	}
}
