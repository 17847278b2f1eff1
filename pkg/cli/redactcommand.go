package cli

import (
	"strings"

	"github.com/sseload/sseload/pkg/target"
)

// redactedCommand is a line of the shell without what may be secret in it: the values of
// variables and options whose names speak of a credential, headers and users as curl has
// them, and credentials in URLs. One that does not parse is hidden whole.
func redactedCommand(line string) string {
	parts, ok := shellParts(line)
	if !ok {
		return "***"
	}
	var out strings.Builder
	hide := shown // what the word before makes of the next one
	for _, p := range parts {
		if p.space {
			out.WriteString(p.raw)
			if strings.Trim(p.raw, " \t\\") != "" {
				hide = shown // another command begins
			}
			continue
		}
		var text string
		text, hide = redactedWord(p, hide)
		out.WriteString(text)
	}
	return out.String()
}

// hiding is what is to be done with the word after an option.
type hiding int

const (
	shown    hiding = iota
	hidden          // it is a secret
	asHeader        // it is a header, which may hold one
)

// redactedWord is a word without what may be secret in it, and what that makes of the
// next one.
func redactedWord(p shellPart, hide hiding) (text string, next hiding) {
	name, value, joined := strings.Cut(p.text, "=")
	option := strings.HasPrefix(p.text, "-")
	switch {
	case hide == asHeader:
		return quotedAs(p, redactedHeader(p.text)), shown
	case hide == hidden && !option:
		return "***", shown
	case joined && !strings.ContainsAny(name, "/ \t\n") && target.IsSecret(name):
		return name + "=***", shown
	case joined && option && (name == "--user" || name == "--header"):
		return name + "=***", shown
	case strings.HasPrefix(p.text, "-u") && strings.Contains(p.text, ":"), strings.HasPrefix(p.text, "-H") && len(p.text) > 2:
		return p.text[:2] + "***", shown
	case p.text == "-u", p.text == "--user":
		return p.raw, hidden
	case p.text == "-H", p.text == "--header":
		return p.raw, asHeader
	case option && !joined:
		if target.IsSecret(p.text) {
			return p.raw, hidden
		}
		return p.raw, shown
	case strings.ContainsAny(p.text, " \t\n;|&"): // perhaps a command in a command
		return quotedAs(p, redactedCommand(p.text)), shown
	case joined && !strings.Contains(name, "://"):
		return quotedAs(p, name+"="+target.Redacted(value)), shown
	}
	return quotedAs(p, target.Redacted(p.text)), shown
}

// quotedAs is text in place of the word p, which is kept as it was written when that
// changes nothing.
func quotedAs(p shellPart, text string) string {
	switch {
	case text == p.text:
		return p.raw
	case p.raw == p.text:
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// shellPart is a word of a command line, or what stands between two.
type shellPart struct {
	raw   string // as it was written
	text  string // without quotes
	space bool   // blanks, ends of lines and operators
}

// shellParts takes a line apart as a shell does (IEEE Std 1003.1, Shell Command Language,
// sections 2.2 and 2.3), but for expansions. ok is false when a quote is not closed.
func shellParts(line string) (parts []shellPart, ok bool) {
	const between = " \t\r\n;|&()<>`"
	var raw, text strings.Builder
	end := func() {
		if raw.Len() > 0 {
			parts = append(parts, shellPart{raw: raw.String(), text: text.String()})
		}
		raw.Reset()
		text.Reset()
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case strings.IndexByte(between, c) >= 0:
			end()
			from := i
			for i+1 < len(line) && strings.IndexByte(between, line[i+1]) >= 0 {
				i++
			}
			parts = append(parts, shellPart{raw: line[from : i+1], space: true})
		case c == '\\':
			if i++; i == len(line) {
				return nil, false
			}
			raw.WriteString(line[i-1 : i+1])
			if line[i] != '\n' {
				text.WriteByte(line[i])
			}
		case c == '\'' || c == '"':
			inside, length, closed := quoted(line[i:])
			if !closed {
				return nil, false
			}
			raw.WriteString(line[i : i+length])
			text.WriteString(inside)
			i += length - 1
		default:
			raw.WriteByte(c)
			text.WriteByte(c)
		}
	}
	end()
	return parts, true
}

// quoted is what is between the quote that line begins with and the next one, and how
// long that is with both.
func quoted(line string) (inside string, length int, closed bool) {
	var text strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == line[0]:
			return text.String(), i + 1, true
		case c == '\\' && line[0] == '"' && i+1 < len(line) && strings.IndexByte("\\\"$`", line[i+1]) >= 0:
			i++
			text.WriteByte(line[i])
		default:
			text.WriteByte(c)
		}
	}
	return "", 0, false
}
