package http1

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// heard is what a Handler was given, copied, and what became of the message.
type heard struct {
	Status                                 int
	ContentType, Location, ContentEncoding string
	KeepAlive, Chunked                     bool
	ContentLength                          int64
	Fields                                 []string // "name: value"
	Heads                                  int
	Body                                   string
	N                                      int // bytes taken; 0 after an error, where it may vary
	Done, HeadDone                         bool
	Err                                    error // of Write, or of End
}

// recorder is a Handler that copies.
type recorder struct {
	got   heard
	empty bool // Body was called with nothing
}

func (r *recorder) Head(h *Head) error {
	g := &r.got
	g.Heads++
	g.Status = h.Status
	g.ContentType = string(h.ContentType)
	g.Location = string(h.Location)
	g.ContentEncoding = string(h.ContentEncoding)
	g.KeepAlive, g.Chunked, g.ContentLength = h.KeepAlive, h.Chunked, h.ContentLength
	for name, value := range h.Fields() {
		g.Fields = append(g.Fields, string(name)+": "+string(value))
	}
	return nil
}

func (r *recorder) Body(p []byte) error {
	r.got.Body += string(p)
	r.empty = r.empty || len(p) == 0
	return nil
}

// feed writes the pieces to a fresh Response and then ends the connection.
// Each piece is given in memory of its own that is overwritten afterwards, so
// that a slice kept too long shows.
func feed(t *testing.T, pieces ...[]byte) heard {
	t.Helper()
	var r Response
	var rec recorder
	n := 0
	for _, piece := range pieces {
		own := bytes.Clone(piece)
		m, err := r.Write(own, &rec)
		if !bytes.Equal(own, piece) {
			t.Fatalf("Write changed its input %q to %q", piece, own)
		}
		for i := range own {
			own[i] = '#'
		}
		if m < 0 || m > len(piece) {
			t.Fatalf("Write took %d of %d bytes", m, len(piece))
		}
		n += m
		if err != nil {
			if _, again := r.Write([]byte("x"), &rec); again != err {
				t.Fatalf("Write after error %v gave %v", err, again)
			}
			rec.got.Err = err
			break
		}
		if m < len(piece) {
			if !r.Done() {
				t.Fatalf("Write took %d of %d bytes of a message that is not complete", m, len(piece))
			}
			break
		}
	}
	if rec.empty {
		t.Fatal("Body was called with no bytes")
	}
	end := r.End()
	if rec.got.Err == nil {
		rec.got.Err = end
	} else if end != rec.got.Err {
		t.Fatalf("End after error %v gave %v", rec.got.Err, end)
	}
	if r.held != nil {
		t.Fatal("a head's buffer is still held after the end")
	}
	rec.got.Done, rec.got.HeadDone = r.Done(), r.HeadDone()
	if rec.got.Done != (rec.got.Err == nil) {
		t.Fatalf("Done is %t beside error %v", rec.got.Done, rec.got.Err)
	}
	if rec.got.Err == nil {
		rec.got.N = n
	}
	return rec.got
}

// bytewise cuts b into single bytes.
func bytewise(b []byte) [][]byte {
	return slices.Collect(slices.Chunk(b, 1))
}

// sentinel reduces an error to the one it wraps: what is quoted beside it may
// depend on how much had arrived.
func sentinel(err error) error {
	for _, s := range []error{ErrMalformed, ErrHeadTooLarge, ErrClosedEarly} {
		if errors.Is(err, s) {
			return s
		}
	}
	return err
}

// same fails the test when two ways to split the same bytes differ.
func same(t *testing.T, how string, whole, split heard) {
	t.Helper()
	whole.Err, split.Err = sentinel(whole.Err), sentinel(split.Err)
	if !reflect.DeepEqual(whole, split) {
		t.Fatalf("%s:\n got %+v\nwant %+v, as when fed whole", how, split, whole)
	}
}

const (
	ok     = "HTTP/1.1 200 OK\r\n"
	chunks = ok + "Transfer-Encoding: chunked\r\n\r\n"
)

type responseTest struct {
	name string
	in   string
	rest string // follows the message, and is not to be taken
	want heard  // N, Done, HeadDone and Heads are filled in by accept
}

func accept(name, in, rest string, want heard) responseTest {
	want.N, want.Done, want.HeadDone, want.Heads = len(in), true, true, 1
	return responseTest{name, in, rest, want}
}

var acceptTests = []responseTest{
	accept("length", ok+"Content-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\n", heard{
		Status: 200, KeepAlive: true, ContentLength: 5, Body: "hello",
		Fields: []string{"Content-Length: 5"},
	}),
	accept("length 0", ok+"Content-Length: 0\r\n\r\n", "HTTP", heard{
		Status: 200, KeepAlive: true, Fields: []string{"Content-Length: 0"},
	}),
	accept("until the end of the connection", ok+"\r\nall of this", "", heard{
		Status: 200, ContentLength: -1, Body: "all of this",
	}),
	accept("keep-alive cannot follow an unsized body", ok+"Connection: keep-alive\r\n\r\n", "", heard{
		Status: 200, ContentLength: -1, Fields: []string{"Connection: keep-alive"},
	}),
	accept("event stream in chunks",
		ok+"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"+
			"9\r\ndata: 1\n\n\r\nA\r\ndata: 22\n\n\r\n0\r\n\r\n", "HTTP/1.1", heard{
			Status: 200, ContentType: "text/event-stream", KeepAlive: true, Chunked: true, ContentLength: -1,
			Body:   "data: 1\n\ndata: 22\n\n",
			Fields: []string{"Content-Type: text/event-stream", "Transfer-Encoding: chunked"},
		}),
	accept("bare LF everywhere",
		"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n2;x\nde\n0\nA: b\n\n", "\n", heard{
			Status: 200, KeepAlive: true, Chunked: true, ContentLength: -1, Body: "abcde",
			Fields: []string{"Transfer-Encoding: chunked"},
		}),
	accept("chunk sizes of any case and width, extensions, padding, trailers",
		chunks+"00000000000000a\r\n0123456789\r\n1a ; q=\"x;y\"\r\n"+strings.Repeat("z", 26)+
			"\r\n1C  \r\n"+strings.Repeat("y", 28)+"\r\n0000;last\r\nTrailer-One: 1\r\n:junk\r\n\r\n", "5\r\n", heard{
			Status: 200, KeepAlive: true, Chunked: true, ContentLength: -1,
			Body:   "0123456789" + strings.Repeat("z", 26) + strings.Repeat("y", 28),
			Fields: []string{"Transfer-Encoding: chunked"},
		}),
	accept("data that looks like framing", chunks+"7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", "", heard{
		Status: 200, KeepAlive: true, Chunked: true, ContentLength: -1, Body: "0\r\n\r\n\r\n",
		Fields: []string{"Transfer-Encoding: chunked"},
	}),
	accept("Transfer-Encoding wins over Content-Length, and ends the connection",
		ok+"Content-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "", heard{
			Status: 200, Chunked: true, ContentLength: -1, Body: "a",
			Fields: []string{"Content-Length: 3", "Transfer-Encoding: Chunked"},
		}),
	accept("even over a broken one",
		ok+"Content-Length: many\r\nTransfer-Encoding: , chunked,\r\n\r\n0\r\n\r\n", "", heard{
			Status: 200, Chunked: true, ContentLength: -1,
			Fields: []string{"Content-Length: many", "Transfer-Encoding: , chunked,"},
		}),
	accept("chunks from an HTTP/1.0 server", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "", heard{
		Status: 200, Chunked: true, ContentLength: -1, Body: "a",
		Fields: []string{"Connection: keep-alive", "Transfer-Encoding: chunked"},
	}),
	accept("equal lengths repeated", ok+"Content-Length: 2\r\ncontent-length: 02, 2\r\n\r\nhi", "!", heard{
		Status: 200, KeepAlive: true, ContentLength: 2, Body: "hi",
		Fields: []string{"Content-Length: 2", "content-length: 02, 2"},
	}),
	accept("HTTP/1.0 closes", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "", heard{
		Status: 200, ContentLength: 1, Body: "x", Fields: []string{"Content-Length: 1"},
	}),
	accept("HTTP/1.0 keeps alive when it says so",
		"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: x, Keep-Alive\r\n\r\nx", "y", heard{
			Status: 200, KeepAlive: true, ContentLength: 1, Body: "x",
			Fields: []string{"Content-Length: 1", "Connection: x, Keep-Alive"},
		}),
	accept("close wins over keep-alive",
		ok+"Content-Length: 1\r\nConnection: keep-alive\r\nConnection: foo,CLOSE\r\n\r\nx", "y", heard{
			Status: 200, ContentLength: 1, Body: "x",
			Fields: []string{"Content-Length: 1", "Connection: keep-alive", "Connection: foo,CLOSE"},
		}),
	accept("an option that only contains close", ok+"Content-Length: 1\r\nConnection: closed\r\n\r\nx", "y", heard{
		Status: 200, KeepAlive: true, ContentLength: 1, Body: "x",
		Fields: []string{"Content-Length: 1", "Connection: closed"},
	}),
	accept("204 has no body", "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", "HTTP/1.1", heard{
		Status: 204, KeepAlive: true, Fields: []string{"Content-Length: 7"},
	}),
	accept("304 has no body", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n", heard{
		Status: 304, KeepAlive: true, Fields: []string{"Transfer-Encoding: chunked"},
	}),
	accept("204 with a broken length", "HTTP/1.1 204\r\nContent-Length: -7\r\n\r\n", "", heard{
		Status: 204, Fields: []string{"Content-Length: -7"},
	}),
	accept("interim responses",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 9\r\n\r\n"+
			ok+"Content-Length: 1\r\n\r\n1", "2", heard{
			Status: 200, KeepAlive: true, ContentLength: 1, Body: "1", Fields: []string{"Content-Length: 1"},
		}),
	accept("no reason phrase", "HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n", "", heard{
		Status: 500, KeepAlive: true, Fields: []string{"Content-Length: 0"},
	}),
	accept("nor the space before it", "HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n", "", heard{
		Status: 500, KeepAlive: true, Fields: []string{"Content-Length: 0"},
	}),
	accept("status beyond 599", "HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n", "", heard{
		Status: 999, KeepAlive: true, Fields: []string{"Content-Length: 0"},
	}),
	accept("obs-text and tabs", "HTTP/1.1 200 d\xe9j\xe0\tvu\r\nX: \xff\x01 \t y\r\nContent-Length: 0\r\n\r\n", "", heard{
		Status: 200, KeepAlive: true, Fields: []string{"X: \xff\x01 \t y", "Content-Length: 0"},
	}),
	accept("the first of repeated fields",
		"HTTP/1.1 302 Found\r\nLOCATION: \t/a \t\r\nlocation: /b\r\nContent-type:text/html\r\n"+
			"content-Encoding: gzip\r\nContent-Length: 0\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nEmpty:\r\n\r\n", "", heard{
			Status: 302, Location: "/a", ContentType: "text/html", ContentEncoding: "gzip", KeepAlive: true,
			Fields: []string{
				"LOCATION: /a", "location: /b", "Content-type: text/html", "content-Encoding: gzip",
				"Content-Length: 0", "Set-Cookie: a=1", "set-cookie: b=2", "Empty: ",
			},
		}),
	accept("folded lines", ok+"Content-Type: text/event-stream; \t\r\n \t charset=utf-8\r\n"+
		"A: \r\n b\r\n \r\n\tc \r\nContent-Length:\n 2\n\r\nhi", "x", heard{
		Status: 200, ContentType: "text/event-stream; charset=utf-8", KeepAlive: true, ContentLength: 2, Body: "hi",
		Fields: []string{
			"Content-Type: text/event-stream; charset=utf-8", "A: b  c", "Content-Length: 2",
		},
	}),
	accept("a fold of nothing", ok+"A: b\n \nContent-Length: 0\n\t\n\n", "x", heard{
		Status: 200, KeepAlive: true, Fields: []string{"A: b", "Content-Length: 0"},
	}),
	accept("a head of the greatest size",
		ok+"X: "+strings.Repeat("x", MaxHeadBytes-len(ok+"X: \r\n\r\n"))+"\r\n\r\n", "", heard{
			Status: 200, ContentLength: -1,
			Fields: []string{"X: " + strings.Repeat("x", MaxHeadBytes-len(ok+"X: \r\n\r\n"))},
		}),
	accept("a trailer section of the greatest size",
		chunks+"0\r\n"+strings.Repeat("A: b\r\n", (MaxHeadBytes-2)/6)+"\r\n", "", heard{
			Status: 200, KeepAlive: true, Chunked: true, ContentLength: -1,
			Fields: []string{"Transfer-Encoding: chunked"},
		}),
}

// splits feeds in in every way that its size allows to try, and compares with
// the whole.
func splits(t *testing.T, in []byte, whole heard) {
	t.Helper()
	same(t, "byte by byte", whole, feed(t, bytewise(in)...))
	step := 1
	if len(in) > 4096 {
		step = len(in) / 64 // each split costs the whole message again
	}
	for i := 0; i <= len(in); i += step {
		same(t, fmt.Sprintf("split at %d", i), whole, feed(t, in[:i], in[i:]))
	}
}

func TestResponseAccepts(t *testing.T) {
	for _, tt := range acceptTests {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in + tt.rest)
			got := feed(t, in)
			if !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got  %+v\nwant %+v", got, tt.want)
			}
			splits(t, in, got)
		})
	}
}

var rejectTests = []struct {
	name, in string
	is       error
	says     string // the text of the error when fed whole
	body     string // delivered before it
}{
	{"tls", "\x15\x03\x01\x00\x02\x02\x16", ErrMalformed, `malformed http response: not HTTP but TLS: "\x15\x03\x01\x00\x02\x02\x16"`, ""},
	{"ssh", "SSH-2.0-OpenSSH_9.2p1\r\n", ErrMalformed, `malformed http response: not HTTP: "SSH-2.0-OpenSSH_9.2p1\r\n"`, ""},
	{"html, excerpt bounded", "<html>" + strings.Repeat("x", 100), ErrMalformed,
		`malformed http response: not HTTP: "<html>` + strings.Repeat("x", 58) + `"...`, ""},
	{"http/2", "HTTP/2 200\r\n\r\n", ErrMalformed,
		`malformed http response: the status line is not one of HTTP/1.0 or HTTP/1.1: "HTTP/2 200\r\n\r\n"`, ""},
	{"http/1.2", "HTTP/1.2 200 OK\r\n\r\n", ErrMalformed, "not one of HTTP/1.0 or HTTP/1.1", ""},
	{"http/0.9", "HTTP/0.9 200 OK\r\n\r\n", ErrMalformed, "not one of HTTP/1.0 or HTTP/1.1", ""},
	{"lower case", "http/1.1 200 OK\r\n\r\n", ErrMalformed, "not HTTP", ""},
	{"version only", "HTTP/1.1\r\n\r\n", ErrMalformed, "not one of HTTP/1.0 or HTTP/1.1", ""},
	{"empty line first", "\r\n" + ok + "\r\n", ErrMalformed, `not HTTP: "\r\nHTTP/1.1 200 OK`, ""},
	{"short status", "HTTP/1.1 20\r\n\r\n", ErrMalformed, `status line: "HTTP/1.1 20"`, ""},
	{"long status", "HTTP/1.1 2000 OK\r\n\r\n", ErrMalformed, `status line: "HTTP/1.1 2000 OK"`, ""},
	{"status of no digits", "HTTP/1.1 2x0 OK\r\n\r\n", ErrMalformed, `status code: "HTTP/1.1 2x0 OK"`, ""},
	{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", ErrMalformed, `status line`, ""},
	{"tab after the status", "HTTP/1.1 200\tOK\r\n\r\n", ErrMalformed, `status line`, ""},
	{"upgrade", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", ErrMalformed, "unexpected upgrade, status 101", ""},
	{"no colon", ok + "Content-Length\r\n\r\n", ErrMalformed, `header line without a colon: "Content-Length"`, ""},
	{"empty name", ok + ": x\r\n\r\n", ErrMalformed, `header line with an empty name: ": x"`, ""},
	{"space before the colon", ok + "Content-Length : 0\r\n\r\n", ErrMalformed,
		`whitespace between a header name and its colon: "Content-Length : 0"`, ""},
	{"tab before the colon", ok + "A\t: 0\r\n\r\n", ErrMalformed, `whitespace between a header name and its colon`, ""},
	{"space within a name", ok + "A b: 0\r\n\r\n", ErrMalformed, `header name: "A b: 0"`, ""},
	{"no token", ok + "A\xe9: 0\r\n\r\n", ErrMalformed, `header name: "A\xe9: 0"`, ""},
	{"space before the first header", ok + " A: 0\r\n\r\n", ErrMalformed, `whitespace before the first header: " A: 0"`, ""},
	{"nul", ok + "A: \x00\r\n\r\n", ErrMalformed, `a NUL in the head: "A: \x00"`, ""},
	{"nul in the reason", "HTTP/1.1 200 \x00\r\n\r\n", ErrMalformed, `a NUL in the head`, ""},
	{"bare cr", ok + "A: b\rContent-Length: 0\r\n\r\n", ErrMalformed, `a bare CR in the head: "A: b\rContent-Length: 0"`, ""},
	{"two crs", ok + "A: b\r\r\n\r\n", ErrMalformed, `a bare CR in the head: "A: b\r"`, ""},
	{"bare cr before a fold", ok + "A: b\r \r\n c\r\n\r\n", ErrMalformed, `a bare CR in the head`, ""},
	{"lengths differ", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", ErrMalformed, `Content-Length is both 1 and 2`, ""},
	{"lengths differ in a list", ok + "Content-Length: 1, 3\r\n\r\nab", ErrMalformed, `Content-Length is both 1 and 3`, ""},
	{"length signed", ok + "Content-Length: +1\r\n\r\na", ErrMalformed, `Content-Length: "+1"`, ""},
	{"length negative", ok + "Content-Length: -1\r\n\r\na", ErrMalformed, `Content-Length: "-1"`, ""},
	{"length hexadecimal", ok + "Content-Length: 0x1\r\n\r\na", ErrMalformed, `Content-Length: "0x1"`, ""},
	{"length empty", ok + "Content-Length:\r\n\r\na", ErrMalformed, `Content-Length: ""`, ""},
	{"length beyond 63 bits", ok + "Content-Length: 9223372036854775808\r\n\r\na", ErrMalformed, `Content-Length: "9223372036854775808"`, ""},
	{"coding not chunked", ok + "Transfer-Encoding: gzip\r\n\r\n", ErrMalformed, `unsupported transfer coding: "gzip"`, ""},
	{"coding before chunked", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", ErrMalformed, `unsupported transfer coding: "gzip"`, ""},
	{"coding after chunked", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n", ErrMalformed, `unsupported transfer coding: "gzip"`, ""},
	{"chunked twice", ok + "Transfer-Encoding: chunked, chunked\r\n\r\n", ErrMalformed, `transfer coding applied twice: "chunked"`, ""},
	{"chunked with a parameter", ok + "Transfer-Encoding: chunked;a=b\r\n\r\n", ErrMalformed, `unsupported transfer coding: "chunked;a=b"`, ""},
	{"no coding", ok + "Transfer-Encoding: ,\r\n\r\n", ErrMalformed, `empty Transfer-Encoding`, ""},
	{"head too large", ok + strings.Repeat("A: b\r\n", MaxHeadBytes/6) + "\r\n", ErrHeadTooLarge,
		"http response head too large: more than 65536 bytes", ""},
	{"head without end", ok + "A:" + strings.Repeat("x", MaxHeadBytes), ErrHeadTooLarge, "more than 65536 bytes", ""},
	{"interim responses without end", strings.Repeat("HTTP/1.1 100\r\n\r\n", MaxHeadBytes/16+1), ErrHeadTooLarge, "more than 65536 bytes", ""},
	{"trailer too large", chunks + "0\r\n" + strings.Repeat("A: b\r\n", MaxHeadBytes/6+1) + "\r\n", ErrHeadTooLarge,
		"http response head too large: a trailer section of more than 65536 bytes", ""},
	{"no chunk size", chunks + "\r\n", ErrMalformed, `no chunk size where one is due: "\r\n"`, ""},
	{"no hexadecimal", chunks + "1\r\na\r\nxyz\r\n", ErrMalformed, `no chunk size where one is due: "xyz\r\n"`, "a"},
	{"signed chunk size", chunks + "-1\r\n", ErrMalformed, `no chunk size where one is due: "-1\r\n"`, ""},
	{"chunk size with junk", chunks + "1x\r\n", ErrMalformed, `a chunk size followed by: "x\r\n"`, ""},
	{"chunk size with spaces within", chunks + "1 1\r\n", ErrMalformed, `a chunk size followed by: "1\r\n"`, ""},
	{"chunk size of 17 digits", chunks + "00000000000000001\r\n", ErrMalformed, `a chunk size of more than 16 digits, going on: "1\r\n"`, ""},
	{"chunk size beyond 63 bits", chunks + "8000000000000000\r\n", ErrMalformed, `a chunk size beyond 63 bits, 0x800000000000000, going on: "0\r\n"`, ""},
	{"chunk size line with a bare cr", chunks + "1\ra\r\n", ErrMalformed, `a bare CR in a chunk size line, before: "a\r\n"`, ""},
	{"chunk extension with a bare cr", chunks + "1;a\rb\r\n", ErrMalformed, `a bare CR in a chunk size line, before: "b\r\n"`, ""},
	{"chunk extension without end", chunks + "1;" + strings.Repeat("x", maxExtensionBytes), ErrMalformed, `a chunk extension of more than 4096 bytes`, ""},
	{"padding without end", chunks + "1" + strings.Repeat(" ", maxExtensionBytes+1), ErrMalformed, `a chunk extension of more than 4096 bytes`, ""},
	{"chunk longer than its size", chunks + "3\r\nabcd\r\n", ErrMalformed, `a chunk longer than its size, going on: "d\r\n"`, "abc"},
	{"chunk with a bare cr", chunks + "3\r\nabc\rd", ErrMalformed, `a bare CR after a chunk, before: "d"`, "abc"},

	{"closed before", "", ErrClosedEarly, "connection closed early: before a response", ""},
	{"closed within the head", "HTTP/1.1 200", ErrClosedEarly, "connection closed early: within the head, after 12 bytes", ""},
	{"closed before the empty line", ok + "\r", ErrClosedEarly, "within the head, after 18 bytes", ""},
	{"closed after an interim response", "HTTP/1.1 100\r\n\r\n", ErrClosedEarly, "after an interim response, before the final one", ""},
	{"closed within a body", ok + "Content-Length: 5\r\n\r\nabc", ErrClosedEarly, "2 bytes short of the Content-Length", "abc"},
	{"closed before a chunk", chunks, ErrClosedEarly, "between chunks, before the last one", ""},
	{"closed between chunks", chunks + "1\r\na\r\n", ErrClosedEarly, "between chunks, before the last one", "a"},
	{"closed within a chunk size", chunks + "1", ErrClosedEarly, "within a chunk size line", ""},
	{"closed within a chunk extension", chunks + "1;a", ErrClosedEarly, "within a chunk size line", ""},
	{"closed after a size's cr", chunks + "1\r", ErrClosedEarly, "within a chunk size line", ""},
	{"closed within a chunk", chunks + "5\r\nabc", ErrClosedEarly, "within a chunk, 2 bytes short", "abc"},
	{"closed after a chunk's data", chunks + "3\r\nabc", ErrClosedEarly, "within a chunk, before the line end after its data", "abc"},
	{"closed after a chunk's cr", chunks + "3\r\nabc\r", ErrClosedEarly, "within a chunk, before the line end after its data", "abc"},
	{"closed within the trailer", chunks + "0\r\nA: b\r\n", ErrClosedEarly, "within the trailer section", ""},
}

func TestResponseRejects(t *testing.T) {
	for _, tt := range rejectTests {
		t.Run(tt.name, func(t *testing.T) {
			got := feed(t, []byte(tt.in))
			if !errors.Is(got.Err, tt.is) || !strings.Contains(got.Err.Error(), tt.says) {
				t.Fatalf("error %v, want one that is %q and says %q", got.Err, tt.is, tt.says)
			}
			if got.Body != tt.body {
				t.Errorf("body %q, want %q", got.Body, tt.body)
			}
			splits(t, []byte(tt.in), got)
		})
	}
}

// TestResponseTellsForeignProtocolsEarly: a server of another protocol waits
// after its greeting, so the verdict must not wait for a whole head.
func TestResponseTellsForeignProtocolsEarly(t *testing.T) {
	for _, in := range []string{"S", "\x15", "HTTP/2", "HTTP/1.1\r"} {
		var r Response
		if _, err := r.Write([]byte(in), &recorder{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: error %v", in, err)
		}
	}
	var r Response
	if n, err := r.Write([]byte("HTTP/1.1"), &recorder{}); n != 8 || err != nil {
		t.Errorf("a good start: %d, %v", n, err)
	}
}

func TestResponseHandlerErrors(t *testing.T) {
	stop := errors.New("stop")
	for _, tt := range []struct {
		name, in string
		h        failing
		n        int
	}{
		{"head", ok + "Content-Length: 2\r\n\r\nab", failing{head: stop}, len(ok + "Content-Length: 2\r\n\r\n")},
		{"head without a body", ok + "Content-Length: 0\r\n\r\n", failing{head: stop}, len(ok + "Content-Length: 0\r\n\r\n")},
		{"sized", ok + "Content-Length: 2\r\n\r\nabc", failing{body: stop}, len(ok + "Content-Length: 2\r\n\r\nab")},
		{"unsized", ok + "\r\nabc", failing{body: stop}, len(ok + "\r\nabc")},
		{"whole chunk", chunks + "1\r\na\r\n1\r\nb\r\n", failing{body: stop}, len(chunks + "1\r\na\r\n")},
		{"part of a chunk", chunks + "3\r\na", failing{body: stop}, len(chunks + "3\r\na")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Response
			n, err := r.Write([]byte(tt.in), &tt.h)
			if n != tt.n || err != stop {
				t.Errorf("Write gave %d, %v; want %d and the handler's own error", n, err, tt.n)
			}
			calls := tt.h.calls
			if n, err := r.Write([]byte("more"), &tt.h); n != 0 || err != stop || tt.h.calls != calls {
				t.Errorf("Write afterwards gave %d, %v and %d more calls", n, err, tt.h.calls-calls)
			}
			if r.Done() || !r.HeadDone() || r.End() != stop {
				t.Errorf("afterwards Done is %t, HeadDone %t, End %v", r.Done(), r.HeadDone(), r.End())
			}
		})
	}
}

type failing struct {
	head, body error
	calls      int
}

func (f *failing) Head(*Head) error  { f.calls++; return f.head }
func (f *failing) Body([]byte) error { f.calls++; return f.body }

// TestResponseReset: messages on one connection, in one read, and after an
// unfinished one.
func TestResponseReset(t *testing.T) {
	var all []byte
	var want []heard
	for _, tt := range acceptTests {
		if tt.want.ContentLength < 0 && !tt.want.Chunked {
			continue
		}
		all = append(all, tt.in...)
		want = append(want, tt.want)
	}
	var r Response
	for i := range want {
		var rec recorder
		n, err := r.Write(all, &rec)
		if err != nil || !r.Done() || !r.HeadDone() {
			t.Fatalf("message %d: %d, %v, done %t", i, n, err, r.Done())
		}
		rec.got.N, rec.got.Done, rec.got.HeadDone = n, true, true
		if !reflect.DeepEqual(rec.got, want[i]) {
			t.Fatalf("message %d:\n got %+v\nwant %+v", i, rec.got, want[i])
		}
		if m, err := r.Write(all[n:], &rec); m != 0 || err != nil {
			t.Fatalf("message %d: Write after the end gave %d, %v", i, m, err)
		}
		all = all[n:]
		r.Reset()
		if r.Done() || r.HeadDone() {
			t.Fatal("done after Reset")
		}
	}
	if len(all) > 0 {
		t.Fatalf("%d bytes left", len(all))
	}

	for _, unfinished := range []string{"HTTP/1.1 2", chunks + "5\r\nab", "nonsense"} {
		_, _ = r.Write([]byte(unfinished), &recorder{})
		r.Reset()
		if r != (Response{}) {
			t.Fatalf("after %q and Reset: %+v", unfinished, r)
		}
	}
}

// TestResponseHolds: what an idle connection costs.
func TestResponseHolds(t *testing.T) {
	if size := unsafe.Sizeof(Response{}); size > 56 {
		t.Errorf("a Response takes %d bytes", size)
	}
	var r Response
	var rec recorder
	head := []byte(chunks)
	if _, err := r.Write(head, &rec); err != nil || r.held != nil {
		t.Errorf("after a whole head: %v, holding %v", err, r.held)
	}
	r.Reset()
	if _, err := r.Write(head[:20], &rec); err != nil || r.held == nil {
		t.Fatalf("after a part of a head: %v, holding %v", err, r.held)
	}
	if _, err := r.Write(head[20:], &rec); err != nil || r.held != nil || !r.HeadDone() {
		t.Errorf("after both parts of a head: %v, holding %v, done %t", err, r.held, r.HeadDone())
	}
	if r.state != inSize {
		t.Errorf("state %d", r.state)
	}
	r.Reset()
	s := takeScratch()
	s.buf = make([]byte, MaxHeadBytes)
	s.release()
	if s.buf != nil {
		t.Errorf("a buffer of %d bytes went back to the pool", cap(s.buf))
	}
}

// reader is a Handler that uses all of a Head without copying.
type reader struct {
	cookies, retry, bytes int
}

func (r *reader) Head(h *Head) error {
	for name, value := range h.Fields() {
		if len(name) == len("Set-Cookie") {
			r.cookies += len(value)
		}
	}
	v, _ := h.Field("retry-after")
	r.retry += len(v)
	return nil
}

func (r *reader) Body(p []byte) error {
	r.bytes += len(p)
	return nil
}

func TestResponseAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("a sync.Pool drops items at random under the race detector")
	}
	head := []byte(ok + "Set-Cookie: a=1\r\nRetry-After: 3\r\nTransfer-Encoding: chunked\r\n\r\n")
	body := []byte(strings.Repeat("5e\r\n"+strings.Repeat("x", 0x5e)+"\r\n", 10))
	last := []byte("0\r\n\r\n")
	folded := []byte(ok + "A: b\r\n c\r\nContent-Length: 0\r\n\r\n")
	var r Response
	var h Handler = new(reader)
	write := func(p []byte) {
		if n, err := r.Write(p, h); n != len(p) || err != nil {
			t.Fatalf("%q: %d, %v", p, n, err)
		}
	}
	for _, tt := range []struct {
		name string
		run  func()
	}{
		{"whole", func() { write(head); write(body); write(last); r.Reset() }},
		{"head in two parts", func() { write(head[:9]); write(head[9:]); r.Reset() }},
		{"folded head", func() { write(folded); r.Reset() }},
		{"body byte by byte", func() {
			write(head)
			for i := range body {
				write(body[i : i+1])
			}
			r.Reset()
		}},
	} {
		if n := testing.AllocsPerRun(200, tt.run); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
	got := *h.(*reader)
	if got.cookies == 0 || got.retry == 0 || got.bytes == 0 {
		t.Errorf("nothing was read: %+v", got)
	}
}

func TestHeadField(t *testing.T) {
	h := &fieldHandler{}
	var r Response
	in := ok + "Retry-After: 1\r\nX-Empty:\r\nretry-after: 2\r\nContent-Length: 0\r\n\r\n"
	if _, err := r.Write([]byte(in), h); err != nil {
		t.Fatal(err)
	}
	want := "RETRY-AFTER=1,true x-empty=,true X-None=,false stopped after 2"
	if h.got != want {
		t.Errorf("got %q, want %q", h.got, want)
	}
}

type fieldHandler struct{ got string }

func (f *fieldHandler) Head(h *Head) error {
	for _, name := range []string{"RETRY-AFTER", "x-empty", "X-None"} {
		v, ok := h.Field(name)
		f.got += fmt.Sprintf("%s=%s,%t ", name, v, ok)
	}
	n := 0
	for range h.Fields() {
		if n++; n == 2 {
			break
		}
	}
	f.got += fmt.Sprintf("stopped after %d", n)
	return nil
}

func (f *fieldHandler) Body([]byte) error { return nil }
