package cli

import (
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/sseload/sseload/pkg/report"
)

// line is one of a block on a terminal.
type line struct {
	text  string
	style report.Style
}

// screen keeps a block of lines at the foot of what a terminal shows, below all that is
// told meanwhile. Between two of its writes nothing is set in the terminal that somebody
// would have to set back: however the program ends, its cursor shows, and what is
// written next stands below the block. The zero value shows nothing; its methods are for
// any goroutine.
type screen struct {
	mu    sync.Mutex
	to    *os.File
	block []line // what shows, as it was fitted
	// columns is how wide the terminal was when block was drawn.
	columns int
}

// What a frame begins and ends with. A terminal that knows the first shows nothing of
// the frame before all of it is there (synchronized output). No line wraps meanwhile,
// and nobody sees the cursor travel.
const (
	frameBegins = "\x1b[?2026h\x1b[?25l\x1b[?7l"
	frameEnds   = "\x1b[?7h\x1b[?25h\x1b[?2026l"
)

// show puts lines in the place of the block, as many as the terminal has rows for, the
// rest of each cut off.
func (s *screen) show(to *os.File, lines []line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = to
	columns, rows, ok := terminalSize(to)
	if !ok {
		return
	}
	erase := s.erasure(columns)
	s.block = s.block[:0]
	for _, l := range lines[:min(len(lines), max(1, rows-1))] {
		// The last column stays empty: behind it some terminals are about to wrap.
		s.block = append(s.block, line{report.Fit(l.text, columns-1), l.style})
	}
	s.columns = columns
	s.write(erase + s.picture())
}

// clear takes the block away.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.block) == 0 {
		return
	}
	columns, _, _ := terminalSize(s.to)
	s.write(s.erasure(columns) + "\x1b[J")
	s.block = nil
}

// over is how to write to w, which may be the terminal, while there may be a block: what
// is written stands above it, each time on lines of its own.
func (s *screen) over(w io.Writer) io.Writer {
	if _, ok := terminalWidth(w); !ok {
		return w
	}
	return lifted{s, w}
}

// lifted writes to a terminal above a screen's block.
type lifted struct {
	s *screen
	w io.Writer
}

func (l lifted) Write(text []byte) (int, error) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.block) == 0 {
		return l.w.Write(text)
	}
	columns, _, _ := terminalSize(s.to)
	s.write(s.erasure(columns) + "\x1b[J")
	n, err := l.w.Write(text)
	below := ""
	if !strings.HasSuffix(string(text), "\n") {
		below = "\r\n"
	}
	s.columns = columns
	s.write(below + s.picture())
	return n, err
}

// erasure goes up to where the block begins. A terminal that has become narrower since
// has broken what is too wide for it now.
func (s *screen) erasure(columns int) string {
	rows := 0
	for _, l := range s.block {
		rows++
		if w := report.Columns(l.text); columns > 0 && columns < s.columns && w > columns {
			rows += (w - 1) / columns
		}
	}
	if rows == 0 {
		return "\r"
	}
	return "\r\x1b[" + strconv.Itoa(rows) + "A"
}

// picture is the block, drawn from the cursor on, which is left below it.
func (s *screen) picture() string {
	var b strings.Builder
	for _, l := range s.block {
		b.WriteString(l.style.Paint(l.text) + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	return b.String()
}

// write writes a frame at once. A picture is no result: that it fails says that nobody
// looks.
func (s *screen) write(frame string) {
	_, _ = io.WriteString(s.to, frameBegins+frame+frameEnds)
}

// terminalSize is that of f when it is a terminal.
func terminalSize(f *os.File) (columns, rows int, ok bool) {
	if f == nil {
		return 0, 0, false
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	return columns, rows, err == nil && columns > 0 && rows > 0
}
