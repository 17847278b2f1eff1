package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sseload/sseload/pkg/report"
)

// vt is what a terminal shows of the bytes that were written to it: as much of one as
// the program uses. It fails on what it does not know.
type vt struct {
	columns  int
	rows     [][]rune // from the first line that was written; nothing scrolls away
	row      int
	column   int
	hidden   bool // the cursor
	nowrap   bool
	frames   int // synchronized updates that are complete
	inFrame  bool
	wrapped  []string // lines that went on in the next row
	colored  bool     // since some colour began
	colors   int      // how often one began
	left     []byte   // the beginning of something
	unknown  []string
	overdone bool // the cursor was sent above the first line
}

var controlSequence = regexp.MustCompile(`^\x1b\[(\??)([0-9;]*)([A-Za-z])`)

func (v *vt) Write(text []byte) (int, error) {
	data := append(v.left, text...)
	for len(data) > 0 {
		n := v.take(data)
		if n == 0 {
			break
		}
		data = data[n:]
	}
	v.left = append([]byte(nil), data...)
	return len(text), nil
}

// take takes the next thing and returns how long it is, 0 when more must come first.
func (v *vt) take(data []byte) int {
	switch data[0] {
	case '\r':
		v.column = 0
		return 1
	case '\n':
		v.row++
		v.line()
		return 1
	case 0x1b:
		m := controlSequence.FindSubmatch(data)
		if m == nil {
			if len(data) > 20 {
				v.unknown = append(v.unknown, fmt.Sprintf("%q", data[:20]))
				return 1
			}
			return 0
		}
		v.control(string(m[1]), string(m[2]), string(m[3]))
		return len(m[0])
	}
	if !utf8.FullRune(data) {
		return 0
	}
	r, n := utf8.DecodeRune(data)
	v.put(r)
	return n
}

func (v *vt) line() {
	for len(v.rows) <= v.row {
		v.rows = append(v.rows, nil)
	}
}

func (v *vt) put(r rune) {
	if w := report.Columns(string(r)); w != 1 {
		v.unknown = append(v.unknown, fmt.Sprintf("%q, of %d columns", r, w))
	}
	v.line()
	if v.column == v.columns {
		v.wrapped = append(v.wrapped, string(v.rows[v.row]))
		if v.nowrap {
			v.column--
		} else {
			v.row, v.column = v.row+1, 0
			v.line()
		}
	}
	for len(v.rows[v.row]) <= v.column {
		v.rows[v.row] = append(v.rows[v.row], ' ')
	}
	v.rows[v.row][v.column] = r
	v.column++
}

func (v *vt) control(private, argument, command string) {
	n, _ := strconv.Atoi(argument)
	v.line()
	switch private + command {
	case "A":
		v.row -= max(1, n)
		if v.row < 0 {
			v.row, v.overdone = 0, true
		}
	case "K":
		v.rows[v.row] = v.rows[v.row][:min(v.column, len(v.rows[v.row]))]
	case "J":
		v.rows[v.row] = v.rows[v.row][:min(v.column, len(v.rows[v.row]))]
		v.rows = v.rows[:v.row+1]
	case "m":
		if v.colored = n != 0; v.colored {
			v.colors++
		}
	case "?h", "?l":
		v.mode(n, command == "h")
	default:
		v.unknown = append(v.unknown, private+argument+command)
	}
}

func (v *vt) mode(n int, set bool) {
	switch n {
	case 25:
		v.hidden = !set
	case 7:
		v.nowrap = !set
	case 2026:
		if v.inFrame = set; !set {
			v.frames++
		}
	default:
		v.unknown = append(v.unknown, fmt.Sprint("mode ", n))
	}
}

// text is what shows, without the empty lines at the end.
func (v *vt) text() string {
	var b strings.Builder
	for _, row := range v.rows {
		b.WriteString(strings.TrimRight(string(row), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// fault is what is wrong with how it was written, or left, if anything.
func (v *vt) fault() error {
	switch {
	case len(v.unknown) > 0:
		return fmt.Errorf("it wrote what is not known: %q", v.unknown)
	case len(v.wrapped) > 0:
		return fmt.Errorf("lines went beyond %d columns: %q", v.columns, v.wrapped)
	case v.overdone:
		return fmt.Errorf("the cursor was sent beyond the first line")
	case v.inFrame, v.hidden, v.nowrap, v.colored, len(v.left) > 0:
		return fmt.Errorf("it was left in the middle of something: frame %t, cursor hidden %t, no wrapping %t, colour %t, %q",
			v.inFrame, v.hidden, v.nowrap, v.colored, v.left)
	}
	return nil
}
