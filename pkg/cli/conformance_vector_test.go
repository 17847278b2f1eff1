package cli

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// vector is one case of testdata/conformance, whose README has the format: what a
// server says, connection by connection, and what tail must make of it.
type vector struct {
	name   string
	wpt    []string // the files of the web platform tests that have the case
	flags  []string // of tail
	script []exchange
	want   []string // what tail prints, as described by described
	end    string   // the last line of want, see outcome
}

// exchange is a connection: what the request must be, and the response to it.
type exchange struct {
	wants   [][2]string // name and value of request headers
	lacks   []string
	after   time.Duration // that must have passed since the connection before ended
	status  int
	headers []string // whole lines
	bare    bool     // no content type unless there is one in headers
	framing framing  // the only one; empty: any of framings
	body    string
}

// methodOf and pathOf are the names under which vectors want what is no header.
const (
	methodOf = "METHOD"
	pathOf   = "PATH"
)

func readVectors(dir string) (map[string][]*vector, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	all := map[string][]*vector{}
	for _, file := range files {
		vectors, err := readVectorFile(file)
		if err != nil {
			return nil, err
		}
		all[filepath.Base(file)] = vectors
	}
	return all, nil
}

func readVectorFile(name string) (vectors []*vector, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		keyword, rest, _ := strings.Cut(line, " ")
		if keyword == "vector" {
			vectors = append(vectors, &vector{name: rest, script: []exchange{{status: 200}}})
			continue
		}
		if len(vectors) == 0 {
			return nil, fmt.Errorf("%s:%d: a line before the first vector", name, n)
		}
		if err := vectors[len(vectors)-1].line(keyword, rest); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	return vectors, lines.Err()
}

func (v *vector) line(keyword, rest string) error {
	switch keyword {
	case "wpt":
		v.wpt = strings.Fields(rest)
	case "flags":
		v.flags = strings.Fields(rest)
	case "connection":
		v.script = append(v.script, exchange{status: 200})
	case "event", "comment":
		fact, err := parseFact(keyword, rest)
		v.want = append(v.want, fact)
		return err
	case "end":
		v.end = "end " + rest
	default:
		return v.script[len(v.script)-1].line(keyword, rest)
	}
	return nil
}

func (x *exchange) line(keyword, rest string) (err error) {
	switch keyword {
	case "wants":
		name, quoted, _ := strings.Cut(rest, ": ")
		value, left, err := text(quoted)
		x.wants = append(x.wants, [2]string{name, value})
		return nothingLeft(left, err)
	case "path":
		x.wants = append(x.wants, [2]string{pathOf, rest})
	case "lacks":
		x.lacks = append(x.lacks, rest)
	case "after":
		x.after, err = time.ParseDuration(rest)
	case "status":
		x.status, err = strconv.Atoi(rest)
	case "header":
		x.headers = append(x.headers, rest)
	case "bare":
		x.bare = true
	case "framing":
		x.framing = framing(rest)
	case "body":
		piece, left, err := text(rest)
		x.body += piece
		return nothingLeft(left, err)
	default:
		return fmt.Errorf("unknown keyword %q", keyword)
	}
	return err
}

// text reads a quoted string, with Go's escapes, that *N may repeat, from the start
// of s.
func text(s string) (value, left string, err error) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", fmt.Errorf("%q does not begin with a quoted string: %w", s, err)
	}
	if value, err = strconv.Unquote(quoted); err != nil {
		return "", "", err
	}
	left = s[len(quoted):]
	if digits, ok := strings.CutPrefix(left, "*"); ok {
		digits, left, _ = strings.Cut(digits, " ")
		n, err := strconv.Atoi(digits)
		if err != nil {
			return "", "", err
		}
		value = strings.Repeat(value, n)
	}
	return value, strings.TrimPrefix(left, " "), nil
}

func nothingLeft(left string, err error) error {
	if err == nil && left != "" {
		err = fmt.Errorf("%q is left over", left)
	}
	return err
}

// parseFact reads what follows the keyword event or comment.
func parseFact(keyword, rest string) (string, error) {
	value, rest, err := text(rest)
	if err != nil || keyword == "comment" {
		return fmt.Sprintf("comment %q", value), nothingLeft(rest, err)
	}
	ev := jsonEvent{Type: "message", Data: value}
	for rest != "" {
		name, value, _ := strings.Cut(rest, "=")
		if name == "retry" {
			ms, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return "", err
			}
			ev.RetryMS, rest = &ms, ""
			continue
		}
		field := map[string]*string{"type": &ev.Type, "id": &ev.ID}[name]
		if field == nil {
			return "", fmt.Errorf("an event has no %q", name)
		}
		if *field, rest, err = text(value); err != nil {
			return "", err
		}
	}
	return described(ev), nil
}

// described is how vectors write ev.
func described(ev jsonEvent) string {
	s := fmt.Sprintf("event %q", ev.Data)
	if ev.Type != "message" {
		s += fmt.Sprintf(" type=%q", ev.Type)
	}
	if ev.ID != "" {
		s += fmt.Sprintf(" id=%q", ev.ID)
	}
	if ev.RetryMS != nil {
		s += fmt.Sprintf(" retry=%d", *ev.RetryMS)
	}
	return s
}
