package cli

import (
	"strings"

	"github.com/sseload/sseload/pkg/target"
)

// hidden stands for what is not told.
const hidden = "***"

// What parts the words of a line of the shell, POSIX.1-2017 Shell Command Language
// section 2.3, and what makes up its quotes. A word with any of them is quoted.
const (
	shellBlanks     = " \t\n"
	shellSeparators = shellBlanks + ";|&()<>`"
	shellQuotes     = `'"\`
)

// redactedCommand is a line of the shell without what may be secret in it: of URLs, and
// the values of variables, options, headers and fields whose names speak of a
// credential. A line that cannot be parsed is hidden whole: nobody knows what in it is a
// value.
func redactedCommand(line string) string {
	r := commandRedactor{rest: line}
	for r.rest != "" {
		if !r.step() {
			return hidden
		}
	}
	return r.out.String()
}

// commandRedactor goes through a line of the shell.
type commandRedactor struct {
	rest string
	out  strings.Builder
	next expected
}

// expected is what is known of the next word from those before it.
type expected int

const (
	anything   expected = iota
	secret              // the value of an option with such a name
	secretLine          // and all others up to the end of the line
	user                // it may be NAME:PASSWORD
)

// step takes over a separator, a comment or a word. It returns false when it cannot.
func (r *commandRedactor) step() bool {
	switch c := r.rest[0]; {
	case strings.HasPrefix(r.rest, "\\\n"):
		r.take(2)
	case c == ' ' || c == '\t':
		r.take(1)
	case strings.IndexByte("()<>`", c) >= 0 && r.next != anything:
		return false // the value may be anywhere behind it
	case strings.IndexByte(shellSeparators, c) >= 0:
		if r.next != secretLine || c == '\n' {
			r.next = anything
		}
		r.take(1)
	case c == '#':
		comment, _, _ := strings.Cut(r.rest, "\n")
		r.out.WriteString("#" + redactedCommand(comment[1:]))
		r.rest = r.rest[len(comment):]
	default:
		return r.word()
	}
	return true
}

func (r *commandRedactor) take(n int) {
	r.out.WriteString(r.rest[:n])
	r.rest = r.rest[n:]
}

// word takes over a word.
func (r *commandRedactor) word() bool {
	raw, text, ok := cutShellWord(r.rest)
	if !ok || strings.Count(text, "$(") > strings.Count(text, ")") || strings.Count(text, "${") > strings.Count(text, "}") ||
		strings.Count(text, "`")%2 != 0 {
		return false
	}
	r.rest = r.rest[len(raw):]
	shown, next := redactedWord(text, r.next, len(text) < len(raw))
	substituted := strings.HasPrefix(r.rest, "(") || strings.HasPrefix(r.rest, "`") || strings.Contains(text, "$(") || strings.Contains(text, "`")
	if shown != text && substituted {
		return false // the value goes on behind it, in quotes of its own
	}
	if r.next != secretLine {
		r.next = next
	}
	switch {
	case shown == text:
		shown = raw
	case strings.ContainsAny(shown, shellSeparators+shellQuotes):
		shown = "'" + strings.ReplaceAll(shown, "'", `'\''`) + "'"
	}
	r.out.WriteString(shown)
	return true
}

// redactedWord is a word, whose quotes are taken off, without its secrets, and what is
// known of the word behind it. One that was quoted may be a line of the shell itself.
func redactedWord(text string, as expected, quoted bool) (shown string, next expected) {
	option := strings.HasPrefix(text, "-")
	switch {
	case option && (text == "-u" || strings.HasSuffix(text, "-user")):
		next = user
	case option && !strings.HasPrefix(text, "--no-") && !strings.ContainsAny(text, "=:") && target.IsSecret(text):
		next = secret
	}
	if as == secret || as == secretLine {
		return hidden, next
	}
	if name, ok := userOption(text, as); ok {
		return name + hidden, next
	}
	shown = target.Redacted(text)
	head, value, found := cutSecret(shown)
	if found && value == "" && strings.HasSuffix(head, ":") {
		next = secretLine
	}
	if quoted {
		head = redactedCommand(head)
	}
	if !found || value == "" {
		return head, next
	}
	if value[0] == ' ' {
		head += " "
	}
	return head + hidden, next
}

// userOption recognises a word that holds NAME:PASSWORD, and what stands before that.
func userOption(text string, as expected) (before string, ok bool) {
	if !strings.Contains(text, ":") {
		return "", false
	}
	if name, _, joined := strings.Cut(text, "="); joined && strings.HasPrefix(name, "-") && strings.HasSuffix(name, "-user") {
		return name + "=", true
	}
	if strings.HasPrefix(text, "-u") {
		return "-u", true
	}
	return "", as == user
}

// cutSecret parts text behind the first name that speaks of a credential and the = or :
// of its value.
func cutSecret(text string) (head, value string, found bool) {
	for i := range len(text) {
		if text[i] != '=' && text[i] != ':' {
			continue
		}
		before := strings.TrimRight(text[:i], `"' `)
		name := before[strings.LastIndexFunc(before, notOfName)+1:]
		before = strings.TrimSuffix(before, name)
		value := text[i+1:]
		isURL := text[i] == ':' && strings.HasSuffix(before, "//")
		inPath := text[i] == '=' && strings.HasSuffix(before, "/")
		inURL := strings.Contains(before, "://") && strings.HasPrefix(value, hidden) // by target.Redacted
		if !isURL && !inPath && !inURL && (target.IsSecret(name) || target.IsSecret(strings.TrimPrefix(name, "-H"))) {
			return text[:i+1], value, true
		}
	}
	return text, "", false
}

func notOfName(r rune) bool {
	return r < 0x80 && !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.%", r))
}

// cutShellWord is the word that line begins with, as it stands there and without its
// quotes. ok is false when a quote stays open, or is one of which shells differ about
// the end.
func cutShellWord(line string) (raw, text string, ok bool) {
	var b strings.Builder
	i := 0
	for i < len(line) && strings.IndexByte(shellSeparators, line[i]) < 0 {
		switch line[i] {
		case '\'':
			quoted, _, closed := strings.Cut(line[i+1:], "'")
			if ansi := i > 0 && line[i-1] == '$' && strings.Contains(quoted, `\`); !closed || ansi {
				return "", "", false
			}
			b.WriteString(quoted)
			i += len(quoted) + 2
		case '"':
			n, closed := unquoteDouble(&b, line[i+1:])
			if !closed {
				return "", "", false
			}
			i += n + 2
		case '\\':
			if i+1 == len(line) {
				return "", "", false
			}
			if line[i+1] != '\n' {
				b.WriteByte(line[i+1])
			}
			i += 2
		default:
			b.WriteByte(line[i])
			i++
		}
	}
	return line[:i], b.String(), true
}

// unquoteDouble writes what stands in double quotes at the beginning of line, up to
// where they are closed, n bytes on.
func unquoteDouble(b *strings.Builder, line string) (n int, closed bool) {
	for n < len(line) {
		switch {
		case line[n] == '"':
			return n, true
		case line[n] == '\\' && n+1 < len(line) && strings.IndexByte("$`\"\\\n", line[n+1]) >= 0:
			if n++; line[n] != '\n' {
				b.WriteByte(line[n])
			}
		default:
			b.WriteByte(line[n])
		}
		n++
	}
	return n, false
}
