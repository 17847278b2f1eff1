package testserver

import "bytes"

// frontRequest is a request that the front serves. Its slices are parts of what was
// parsed.
type frontRequest struct {
	subscribe bool   // GET or POST /events, else POST /rooms/…/messages
	bodied    bool   // by POST, so that a body means nothing
	room      []byte // empty for the default room of a subscription
	event     []byte // type of the message
	resumes   bool   // has a Last-Event-ID
	length    int    // of the body in bytes
	size      int    // of the head in bytes

	hosts, lengths int // how many of these fields there were
}

// verdict is what parseFrontRequest finds.
type verdict int

const (
	incomplete verdict = iota // more is needed to tell
	foreign                   // not for the front
	ours                      // a whole head, of a request for the front
)

// maxFrontHead is the longest head the front reads, in bytes.
const maxFrontHead = 8 << 10

// parseFrontRequest reads the head of a request (RFC 9112 sections 2 to 6). It is
// stricter than net/http has to be: a request is ours only in the plain form that
// clients send, so that net/http would read the same out of it, and foreign as soon
// as one line is anything else, be that wrong or merely rare.
func parseFrontRequest(p []byte) (frontRequest, verdict) {
	var req frontRequest
	line, rest, is := cutLine(p)
	if is != ours {
		return req, is
	}
	if !req.takeLine(line) {
		return req, foreign
	}
	for {
		if line, rest, is = cutLine(rest); is != ours {
			return req, is
		}
		if len(line) == 0 {
			break
		}
		if !req.takeField(line) {
			return req, foreign
		}
	}
	// RFC 9112 section 3.2: exactly one Host.
	if req.hosts != 1 || req.subscribe && req.length > 0 && !req.bodied {
		return req, foreign
	}
	req.size = len(p) - len(rest)
	return req, ours
}

// cutLine cuts the first line off, without its CRLF. A line that begins with white
// space continues the one before it (RFC 9112 section 5.2), which net/http finds
// without waiting for its end.
func cutLine(p []byte) (line, rest []byte, is verdict) {
	end := bytes.IndexByte(p, '\n')
	switch {
	case len(p) > 0 && (p[0] == ' ' || p[0] == '\t'):
		return nil, nil, foreign
	case end < 0:
		return nil, nil, incomplete
	case end == 0 || p[end-1] != '\r':
		return nil, nil, foreign
	}
	return p[:end-1], p[end+1:], ours
}

// takeLine takes the request line.
func (r *frontRequest) takeLine(line []byte) bool {
	line, ok := bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	if !ok {
		return false
	}
	if target, ok := bytes.CutPrefix(line, []byte("POST /rooms/")); ok {
		return r.takeMessage(target)
	}
	target, ok := bytes.CutPrefix(line, []byte("GET /events"))
	if !ok {
		target, r.bodied = bytes.CutPrefix(line, []byte("POST /events"))
	}
	if ok || r.bodied {
		r.subscribe = true
		r.room, ok = cutQuery(target, "?room=")
		return ok && len(r.room) <= MaxRoomName
	}
	return false
}

// takeMessage takes what follows /rooms/ in a target.
func (r *frontRequest) takeMessage(target []byte) (ok bool) {
	end := span(target, inPath)
	r.room = target[:end]
	if end == 0 || end > MaxRoomName {
		return false
	}
	query, ok := bytes.CutPrefix(target[end:], []byte("/messages"))
	if !ok {
		return false
	}
	r.event, ok = cutQuery(query, "?event=")
	return ok
}

// cutQuery takes nothing at all, or the one parameter there may be, with a value
// in which nothing is encoded.
func cutQuery(query []byte, name string) (value []byte, ok bool) {
	if len(query) == 0 {
		return nil, true
	}
	value, ok = bytes.CutPrefix(query, []byte(name))
	return value, ok && len(value) > 0 && span(value, inQuery) == len(value)
}

// takeField takes a header field (RFC 9112 section 5).
func (r *frontRequest) takeField(line []byte) bool {
	end := span(line, inToken)
	if end == 0 || end == len(line) || line[end] != ':' {
		return false
	}
	name, value := line[:end], bytes.Trim(line[end+1:], " \t")
	if span(value, inValue) != len(value) {
		return false
	}
	// Most fields mean nothing here, which the length of a name tells at once.
	switch len(name) {
	case len("Host"):
		if fold(name, "Host") {
			r.hosts++
			return len(value) > 0 && span(value, inHost) == len(value)
		}
	case len("Expect"):
		return !fold(name, "Expect")
	case len("Trailer"): // and Upgrade
		return !fold(name, "Trailer") && !fold(name, "Upgrade")
	case len("Connection"):
		return !fold(name, "Connection") || fold(value, "keep-alive")
	case len("Last-Event-ID"):
		r.resumes = r.resumes || fold(name, "Last-Event-ID")
	case len("Content-Length"):
		if fold(name, "Content-Length") {
			return r.takeLength(value)
		}
	case len("Transfer-Encoding"):
		return !fold(name, "Transfer-Encoding")
	}
	return true
}

func fold(name []byte, want string) bool { return bytes.EqualFold(name, []byte(want)) }

// takeLength takes a Content-Length (RFC 9110 section 8.6), but two of them, and
// one of more than a message may have.
func (r *frontRequest) takeLength(digits []byte) bool {
	r.lengths++
	if r.lengths > 1 || len(digits) == 0 || len(digits) > len("1048576") {
		return false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return false
		}
		r.length = 10*r.length + int(d-'0')
	}
	return r.length <= MaxBody
}

// Classes of bytes.
const (
	inToken byte = 1 << iota // RFC 9110 section 5.6.2
	inValue                  // of a field, RFC 9110 section 5.5
	inPath                   // of a path segment, encoded or not: RFC 3986 section 3.3
	inQuery                  // unreserved, RFC 3986 section 2.3
	inHost                   // of a host and port in their usual forms
)

//nolint:gochecknoglobals // a constant table
var classes = classTable()

func classTable() (table [256]byte) {
	mark := func(class byte, set string) {
		for i := range len(set) {
			table[set[i]] |= class
		}
	}
	for c := range table {
		if c >= ' ' && c != 0x7f || c == '\t' {
			table[c] |= inValue
		}
	}
	mark(inToken|inPath|inQuery|inHost, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
	mark(inToken|inPath|inQuery, "-._~")
	mark(inToken, "!#$%&'*+^`|")
	mark(inPath, "!$&'()*+,;=:@")
	mark(inHost, "-._:[]")
	return table
}

// span is the number of bytes that p begins with and that are of a class.
func span(p []byte, class byte) int {
	for i, c := range p {
		if classes[c]&class == 0 {
			return i
		}
	}
	return len(p)
}
