package cli

import (
	"strings"
	"sync"
)

// lastWords keeps the end of what a child process says, for when it dies. It is
// an io.Writer, safe for concurrent use.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

// mostLastWords bounds what is kept, in bytes.
const mostLastWords = 16 << 10

// Write implements io.Writer. It never fails.
func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	if over := len(w.text) - mostLastWords; over > 0 {
		w.text = append(w.text[:0], w.text[over:]...)
	}
	return len(p), nil
}

// first is the first line that was kept, without this program's own prefix.
func (w *lastWords) first() string {
	line, _, _ := strings.Cut(strings.TrimSpace(w.String()), "\n")
	return strings.TrimPrefix(line, "sseload: error: ")
}

// last is the last line that was said.
func (w *lastWords) last() string {
	text := strings.TrimSpace(w.String())
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// mostEnd bounds [lastWords.end], in bytes.
const mostEnd = 1 << 10

// end is the last lines that were said, as one.
func (w *lastWords) end() string {
	text := strings.TrimSpace(w.String())
	if over := len(text) - mostEnd; over > 0 {
		text = text[over:]
		if _, whole, ok := strings.Cut(text, "\n"); ok {
			text = whole
		}
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "; ")
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}
