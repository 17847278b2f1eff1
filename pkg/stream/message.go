package stream

import "github.com/sseload/sseload/pkg/target"

// message is a send that waits for a connection.
type message struct {
	tag Tag
	due int64 // on the Clock
}

// nextMessage takes the next message out of q that h does not call off.
func nextMessage(q *fifo[message], h Handler) (tag Tag, v target.Vars, ok bool) {
	for {
		m, any := q.pop()
		if !any {
			return 0, v, false
		}
		if v, ok = h.Message(m.tag, m.due); ok {
			return m.tag, v, true
		}
	}
}
