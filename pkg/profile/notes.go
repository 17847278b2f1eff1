package profile

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// notes are the problems, each once. It is safe for concurrent use.
type notes struct {
	log *slog.Logger

	mu   sync.Mutex
	list []string
}

func newNotes(log *slog.Logger) *notes { return &notes{log: log} }

func (n *notes) tell(format string, args ...any) {
	problem := clean(fmt.Sprintf(format, args...), maxProblem)
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Contains(n.list, problem) {
		return
	}
	n.list = append(n.list, problem)
	n.log.Debug("profile", "problem", problem)
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

const (
	maxProblem = 600
	maxName    = 300
)

// clean makes text of the target fit for a person's terminal: one line, valid,
// without what steers a terminal or turns the direction of writing, and not
// longer than so many bytes.
func clean(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	s = strings.ToValidUTF8(s, "�")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			return -1
		}
		return r
	}, s)
}
