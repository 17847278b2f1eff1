package plan

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxSize is how many bytes a plan may have.
const MaxSize = 1 << 20

// What a parser of YAML could be kept busy with, or exhausted by: brackets in
// brackets, and lists and maps that begin on one line.
const (
	mostBrackets = 32
	mostOnALine  = 8
)

// MaxKeys is how many keys a map of a plan may have, more than there are settings.
const MaxKeys = 200

type kind int

const (
	scalar kind = iota
	null
	list
	mapping
)

// String is what messages call it.
func (k kind) String() string {
	return [...]string{"a value", "nothing", "a list", "a map"}[k]
}

// node is a piece of YAML.
type node struct {
	kind   kind
	at     Place
	text   string  // of a scalar, as it was written, without quotes
	items  []*node // of a list
	fields []field // of a mapping, in the order of the text
}

type field struct {
	key   string
	at    Place // of the key
	value *node
}

// document reads the one document that text has.
func document(file string, text []byte) (*node, error) {
	begin := Place{file, 1, 1}
	if len(text) > MaxSize {
		return nil, begin.wrong("split it into several plans", "the plan is larger than %d KiB", MaxSize>>10)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors put it there
	if at, ok := invalid(text); ok {
		at.File = file
		return nil, at.wrong("save it as UTF-8", "not text in UTF-8")
	}
	tokens := lexer.Tokenize(string(text))
	if err := plain(file, tokens); err != nil {
		return nil, err
	}
	root, err := tree(file, tokens)
	if mistake := (*Error)(nil); err != nil && !errors.As(err, &mistake) {
		return nil, syntax(file, text, err)
	}
	if root == nil && err == nil {
		return nil, begin.wrong("write a list of steps, such as steps: [{command: connect, clients: 1000}]", "the plan is empty")
	}
	return root, err
}

// invalid finds the first byte that is not UTF-8.
func invalid(text []byte) (Place, bool) {
	if utf8.Valid(text) {
		return Place{}, false
	}
	at := Place{Line: 1, Column: 1}
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			return at, true
		case r == '\n':
			at.Line, at.Column = at.Line+1, 1
		default:
			at.Column++
		}
		text = text[size:]
	}
	return at, true
}

// plain refuses what plans do not have, and what would keep the parser busy.
func plain(file string, tokens token.Tokens) error {
	var depth, onALine, line, contents int
	for _, t := range tokens {
		at := place(file, t)
		if t.Type != token.CommentType {
			contents++
		}
		switch t.Type {
		case token.DocumentHeaderType:
			if contents > 1 {
				return at.wrong("take the line --- out", "a plan is one document, and here a second one begins")
			}
		case token.DocumentEndType:
			return at.wrong("take the line ... out", "a plan is one document, to its end")
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return at.wrong("use a variable, a target or defaults for what several steps have in common", "plans have no anchors and aliases")
		case token.TagType:
			return at.wrong("put the value in quotes if it begins with !", "plans have no tags")
		case token.MappingKeyType:
			return at.wrong("put the value in quotes if it begins with ?", "plans have no keys of several lines")
		case token.DirectiveType:
			return at.wrong("put the value in quotes if it begins with %", "plans have no directives")
		case token.SequenceStartType, token.MappingStartType:
			depth++
			onALine = 0
		case token.SequenceEndType, token.MappingEndType, token.CollectEntryType:
			if t.Type != token.CollectEntryType {
				depth--
			}
			onALine = 0
		case token.SequenceEntryType, token.MappingValueType:
			if t.Position.Line != line {
				line, onALine = t.Position.Line, 0
			}
			onALine++
		}
		if depth > mostBrackets || onALine > mostOnALine {
			return at.wrong("a plan needs three levels or four", "too many lists and maps in one another")
		}
	}
	return nil
}

// tree is what the parser makes of tokens; nil when there is nothing. Panics would be
// faults of the parser, and are the input's all the same.
func tree(file string, tokens token.Tokens) (root *node, err error) {
	defer func() {
		if recover() != nil {
			root, err = nil, errors.New("not YAML")
		}
	}()
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, err
	}
	for _, d := range parsed.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType {
			return reader{file}.node(d.Body)
		}
	}
	return nil, nil //nolint:nilnil // nothing is there, which is no fault of the text
}

// syntax is the error of text that is no YAML.
func syntax(file string, text []byte, err error) error {
	at, reason := Place{file, 1, 1}, err
	if e := yaml.Error(nil); errors.As(err, &e) {
		at, reason = place(file, e.GetToken()), errors.New(e.GetMessage())
	}
	remedy := "check the indentation here and in the line before, and put values in quotes that hold ': ', ' #' or begin with one of @ ` % * & ! | > { ["
	lines := strings.Split(string(text), "\n")
	if at.Line > len(lines) {
		return &Error{at, reason, remedy}
	}
	line := lines[at.Line-1]
	indentation := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	if tab := strings.IndexByte(indentation, '\t'); tab >= 0 {
		at.Column = tab + 1
		return at.wrong("indent with spaces", "a tab in the indentation")
	}
	if before, _, ok := strings.Cut(line, "${"); ok && strings.ContainsAny(before, "{[") {
		remedy = `put "${…}" in quotes where it stands in brackets`
	}
	return &Error{at, reason, remedy}
}

// place is where t stands.
func place(file string, t *token.Token) Place {
	if t == nil || t.Position == nil {
		return Place{file, 1, 1}
	}
	return Place{file, max(1, t.Position.Line), max(1, t.Position.Column)}
}

// reader makes nodes of what the parser has found in a file.
type reader struct{ file string }

func (r reader) node(n ast.Node) (*node, error) {
	at := place(r.file, n.GetToken())
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			at = place(r.file, n.Values[0].Key.GetToken())
		}
		return r.mapping(at, n.Values)
	case *ast.MappingValueNode:
		return r.mapping(place(r.file, n.Key.GetToken()), []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		out := &node{kind: list, at: at}
		for i, v := range n.Values {
			item, err := r.node(v)
			if err != nil {
				return nil, err
			}
			if v.GetToken().Type == token.ImplicitNullType && i < len(n.Entries) {
				item.at = place(r.file, n.Entries[i].Start)
			}
			out.items = append(out.items, item)
		}
		return out, nil
	case *ast.NullNode:
		return &node{kind: null, at: at}, nil
	case *ast.StringNode:
		return &node{at: at, text: n.Value}, nil
	case *ast.LiteralNode:
		return &node{at: at, text: n.Value.Value}, nil
	case ast.ScalarNode:
		// Numbers as they were written: 1.10 is not 1.1.
		return &node{at: at, text: n.GetToken().Value}, nil
	}
	return nil, at.wrong("", "plans have no %s", strings.ToLower(n.Type().String()))
}

func (r reader) mapping(at Place, values []*ast.MappingValueNode) (*node, error) {
	if len(values) > MaxKeys {
		return nil, at.wrong("split the plan", "more than %d keys in one map", MaxKeys)
	}
	out := &node{kind: mapping, at: at}
	first := map[string]int{}
	for _, v := range values {
		f := field{key: v.Key.GetToken().Value, at: place(r.file, v.Key.GetToken())}
		if line, again := first[f.key]; again {
			return nil, f.at.wrong("put both into one, or take one out", "%q is there twice, first in line %d", f.key, line)
		}
		first[f.key] = f.at.Line
		value, err := r.node(v.Value)
		if err != nil {
			return nil, err
		}
		if value.kind == null && v.Value.GetToken().Type == token.ImplicitNullType {
			value.at = f.at
		}
		f.value = value
		out.fields = append(out.fields, f)
	}
	return out, nil
}
