package sse_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/sseload/sseload/pkg/sse"
)

// decode writes parts to a fresh Decoder. Each part is written from a buffer that
// is then overwritten, so that a Decoder that retains it is caught.
func decode(t testing.TB, limit int, valid bool, parts ...string) outcome {
	t.Helper()
	var d sse.Decoder
	d.SetLimit(limit)
	r := recorder{valid: valid}
	var scratch []byte
	var failed error
	for _, part := range parts {
		scratch = append(scratch[:0], part...)
		err := d.Write(scratch, &r)
		if string(scratch) != part {
			t.Fatalf("Write changed %q to %q", part, scratch)
		}
		for i := range scratch {
			scratch[i] = '\n'
		}
		if err != nil && !errors.Is(err, sse.ErrEventTooLarge) {
			t.Fatalf("Write(%q): %v", part, err)
		}
		if failed != nil && err == nil {
			t.Fatalf("Write(%q) succeeded after %v", part, failed)
		}
		failed = err
	}
	return outcome{calls: r.calls, lastID: r.text(d.LastEventID()), tooLarge: failed != nil}
}

// splits yields ways to cut stream: whole, byte by byte, and at every place into
// two, with and without an empty write between.
func splits(stream string) [][]string {
	var bytewise []string
	for i := range len(stream) {
		bytewise = append(bytewise, stream[i:i+1])
	}
	ways := [][]string{{stream}, bytewise}
	for i := 0; i <= len(stream); i++ {
		ways = append(ways, []string{stream[:i], stream[i:]}, []string{stream[:i], "", stream[i:]})
	}
	return ways
}

func (o outcome) equal(p outcome) bool {
	return slices.Equal(o.calls, p.calls) && o.lastID == p.lastID && o.tooLarge == p.tooLarge
}

func message(data string) call { return eventCall("message", data, "") }

var vectors = []struct {
	name   string
	stream string
	calls  []call
	lastID string
}{
	{"empty stream", "", nil, ""},
	{"nothing but blank lines", "\n\r\n\r\r\n\n", nil, ""},

	// Line terminators.
	{"LF", "data: a\n\ndata: b\n\n", []call{message("a"), message("b")}, ""},
	{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", []call{message("a"), message("b")}, ""},
	{"CR", "data: a\r\rdata: b\r\r", []call{message("a"), message("b")}, ""},
	{"CR CR dispatches at once", "data: a\r\r", []call{message("a")}, ""},
	{"LF CR dispatches at once", "data: a\n\r", []call{message("a")}, ""},
	{"CRLF CR dispatches at once", "data: a\r\n\r", []call{message("a")}, ""},
	{"CRLF alone does not dispatch", "data: a\r\n", nil, ""},
	{"CR LF LF", "data: a\r\n\ndata: b\n\n", []call{message("a"), message("b")}, ""},
	{"LF CR LF", "data: a\n\r\ndata: b\n\n", []call{message("a"), message("b")}, ""},
	{"CR CR LF is two terminators", "data: a\r\r\ndata: b\r\r\n", []call{message("a"), message("b")}, ""},
	{"CRLF within an event", "data: a\r\ndata: b\r\n\r\n", []call{message("a\nb")}, ""},
	{"mixed terminators", "data: a\rdata: b\ndata: c\r\n\rdata: d\r\r", []call{message("a\nb\nc"), message("d")}, ""},
	{"CR within what looks like a line", "data: a\rb\n\n", []call{message("a")}, ""},
	{"other Unicode line breaks are text", "data: a\u2028b\u0085c\vd\fe\n\n", []call{message("a\u2028b\u0085c\vd\fe")}, ""},

	// Byte order mark.
	{"BOM", byteOrderMark + "data: a\n\n", []call{message("a")}, ""},
	{"BOM before a blank line", byteOrderMark + "\ndata: a\n\n", []call{message("a")}, ""},
	{"BOM before a comment", byteOrderMark + ":a\n", []call{commentCall("a")}, ""},
	{"two BOMs: the second is text", byteOrderMark + byteOrderMark + "data: a\ndata: b\n\n", []call{message("b")}, ""},
	{"BOM after the first line is text", "\n" + byteOrderMark + "data: a\ndata: b\n\n", []call{message("b")}, ""},
	{"BOM in a value is text", "data: " + byteOrderMark + "a\n\n", []call{message(byteOrderMark + "a")}, ""},
	{"BOM alone", byteOrderMark, nil, ""},
	{"one byte of a BOM is text", "\xEFdata: a\ndata: b\n\n", []call{message("b")}, ""},
	{"two bytes of a BOM are text", "\xEF\xBBdata: a\ndata: b\n\n", []call{message("b")}, ""},
	{"two bytes of a BOM, then a line end", "\xEF\xBB\ndata: b\n\n", []call{message("b")}, ""},
	{"a BOM begun twice is text", "\xEF\xEF\xBB\xBFdata: a\ndata: b\n\n", []call{message("b")}, ""},

	// Comments.
	{"comment", ": hi\n", []call{commentCall(" hi")}, ""},
	{"empty comment", ":\n", []call{commentCall("")}, ""},
	{"comment without a space", ":hi\r\n", []call{commentCall("hi")}, ""},
	{"comment of colons", "::: \r", []call{commentCall(":: ")}, ""},
	{"comment like a field", ":data: a\n\n", []call{commentCall("data: a")}, ""},
	{"comment does not dispatch", "data: a\n: hi\n", []call{commentCall(" hi")}, ""},
	{"comments within an event", ":1\ndata: a\n:2\ndata: b\n:3\n\n", []call{commentCall("1"), commentCall("2"), commentCall("3"), message("a\nb")}, ""},
	{"comment with NUL", ":a\x00b\n", []call{commentCall("a\x00b")}, ""},
	{"unfinished comment", ": hi", nil, ""},

	// Fields and their values.
	{"no space", "data:a\n\n", []call{message("a")}, ""},
	{"one space dropped, one kept", "data:  a\n\n", []call{message(" a")}, ""},
	{"tab kept", "data:\ta\n\n", []call{message("\ta")}, ""},
	{"trailing space kept", "data: a \n\n", []call{message("a ")}, ""},
	{"value of one space", "data: \n\n", []call{message("")}, ""},
	{"value of two spaces", "data:  \n\n", []call{message(" ")}, ""},
	{"value with colons", "data: a:b: c\n\n", []call{message("a:b: c")}, ""},
	{"value with NUL", "data: a\x00b\n\n", []call{message("a\x00b")}, ""},
	{"leading space in the name", " data: a\n\n", nil, ""},
	{"space before the colon", "data : a\n\n", nil, ""},
	{"upper case name", "Data: a\nDATA: b\nEvent: c\nID: d\n\n", nil, ""},
	{"names that begin alike", "dat: a\ndatas: b\nevents: c\nids: d\nretrys: 5\n\n", nil, ""},
	{"NUL in the name", "data\x00: a\n\x00data: b\n\n", nil, ""},
	{"unknown fields ignored", "foo: a\nbar\ndata: b\nbaz:\n\n", []call{message("b")}, ""},
	{"colon-less data", "data\n\n", []call{message("")}, ""},
	{"colon-less data twice", "data\ndata\n\n", []call{message("\n")}, ""},
	{"colon-less event", "event: a\nevent\ndata: b\n\n", []call{message("b")}, ""},
	{"colon-less id", "id: 1\ndata: a\n\nid\ndata: b\n\n", []call{eventCall("message", "a", "1"), message("b")}, ""},
	{"colon-less unknown text", "data a\n\n", nil, ""},

	// Data.
	{"two lines", "data: a\ndata: b\n\n", []call{message("a\nb")}, ""},
	{"three lines, the middle empty", "data: a\ndata:\ndata: c\n\n", []call{message("a\n\nc")}, ""},
	{"only one LF removed", "data: a\ndata:\ndata:\n\n", []call{message("a\n\n")}, ""},
	{"empty data dispatches", "data:\n\n", []call{message("")}, ""},
	{"empty data, CRLF", "data:\r\n\r\n", []call{message("")}, ""},
	{"two empty data lines", "data:\ndata:\n\n", []call{message("\n")}, ""},
	{"no data, no event", "event: a\n\n", nil, ""},
	{"data does not leak into the next event", "data: a\ndata: b\n\ndata: c\n\n\n", []call{message("a\nb"), message("c")}, ""},
	{"data between other fields", "data: a\nevent: t\ndata: b\nid: 1\n\n", []call{eventCall("t", "a\nb", "1")}, "1"},

	// Event type.
	{"event type", "event: add\ndata: a\n\n", []call{eventCall("add", "a", "")}, ""},
	{"event type after data", "data: a\nevent: add\n\n", []call{eventCall("add", "a", "")}, ""},
	{"last event type wins", "event: a\nevent: b\ndata: c\n\n", []call{eventCall("b", "c", "")}, ""},
	{"empty event type is message", "event: a\nevent:\ndata: c\n\n", []call{message("c")}, ""},
	{"event type reset after dispatch", "event: add\ndata: a\n\ndata: b\n\n", []call{eventCall("add", "a", ""), message("b")}, ""},
	{"event type reset without dispatch", "event: ping\n\ndata: b\n\n", []call{message("b")}, ""},
	{"event type with spaces and NUL", "event:  a \x00\ndata: b\n\n", []call{eventCall(" a \x00", "b", "")}, ""},

	// Last event ID.
	{"id", "id: 1\ndata: a\n\n", []call{eventCall("message", "a", "1")}, "1"},
	{"id after data", "data: a\nid: 1\n\n", []call{eventCall("message", "a", "1")}, "1"},
	{"last id wins", "id: 1\nid: 22\ndata: a\n\n", []call{eventCall("message", "a", "22")}, "22"},
	{"id persists", "id: 1\ndata: a\n\ndata: b\n\n", []call{eventCall("message", "a", "1"), eventCall("message", "b", "1")}, "1"},
	{"empty id resets", "id: 1\ndata: a\n\nid:\ndata: b\n\ndata: c\n\n", []call{eventCall("message", "a", "1"), message("b"), message("c")}, ""},
	{"empty id after another in one event", "id: 1\nid: \ndata: a\n\n", []call{message("a")}, ""},
	{"id without data is set, not dispatched", "id: 7\n\ndata: a\n\n", []call{eventCall("message", "a", "7")}, "7"},
	{"empty id without data resets", "id: 7\n\nid\n\n", nil, ""},
	{"id of an incomplete event is not set", "id: 1\ndata: a\n\nid: 2\ndata: b\n", []call{eventCall("message", "a", "1")}, "1"},
	{"id with NUL ignored", "id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n", []call{eventCall("message", "a", "1"), eventCall("message", "b", "1")}, "1"},
	{"id with NUL keeps an earlier one of the event", "id: 1\nid: \x00\ndata: a\n\n", []call{eventCall("message", "a", "1")}, "1"},
	{"id with inner spaces", "id:  a b \ndata: c\n\n", []call{eventCall("message", "c", " a b ")}, " a b "},
	{"id, event and data", "id: 1\nevent: t\ndata: a\n\nevent: u\ndata: b\nid: 2\n\n", []call{eventCall("t", "a", "1"), eventCall("u", "b", "2")}, "2"},

	// Reconnection time.
	{"retry", "retry: 3000\n", []call{retryCall(3 * time.Second)}, ""},
	{"retry without a space", "retry:0\n", []call{retryCall(0)}, ""},
	{"retry with leading zeros", "retry: 0010\n", []call{retryCall(10 * time.Millisecond)}, ""},
	{"retry before its event", "data: a\nretry: 5\n\n", []call{retryCall(5 * time.Millisecond), message("a")}, ""},
	{"retry twice", "retry: 1\nretry: 2\n", []call{retryCall(time.Millisecond), retryCall(2 * time.Millisecond)}, ""},
	{"retry does not dispatch", "retry: 1\n\n", []call{retryCall(time.Millisecond)}, ""},
	{"retry that is not digits", "retry: 1s\nretry: -1\nretry: +1\nretry: 1.5\nretry: 0x1\nretry: 1e3\nretry:  1\nretry: 1 \nretry: \u0663\n", nil, ""},
	{"retry without digits", "retry:\nretry\nretry: \n", nil, ""},
	{"retry at the edge", "retry: 9223372036854\n", []call{retryCall(9223372036854 * time.Millisecond)}, ""},
	{"retry over the edge", "retry: 9223372036855\n", []call{retryCall(math.MaxInt64)}, ""},
	{"retry far over the edge", "retry: 99999999999999999999999999999999\n", []call{retryCall(math.MaxInt64)}, ""},
	{"retry far over the edge, not digits", "retry: 99999999999999999999999999999999x\n", nil, ""},

	// The end of the stream.
	{"unfinished line", "data: a", nil, ""},
	{"unfinished event", "data: a\n\ndata: b\n", []call{message("a")}, ""},
	{"unfinished retry", "retry: 5", nil, ""},

	// As real servers write.
	{"nchan", ": hi\n\nid: 1700000000:0\ndata: x\n\nevent: ping\n\n", []call{commentCall(" hi"), eventCall("message", "x", "1700000000:0")}, "1700000000:0"},
	{"mercure", ":\nevent: t\nretry: 10\nid: urn:uuid:5\ndata: x\n\n", []call{commentCall(""), retryCall(10 * time.Millisecond), eventCall("t", "x", "urn:uuid:5")}, "urn:uuid:5"},
	{"better-sse", "retry:2000\n\nevent:message\nid:1\ndata:\"x\"\n\n", []call{retryCall(2 * time.Second), eventCall("message", `"x"`, "1")}, "1"},
	{"pushpin", "event: keep-alive\ndata: \n\n", []call{eventCall("keep-alive", "", "")}, ""},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			want := outcome{calls: v.calls, lastID: v.lastID}
			if got := interpret(stripBOM(v.stream), 0); !got.equal(want) {
				t.Errorf("the oracle says%v\nwant%v", got, want)
			}
			for _, parts := range splits(v.stream) {
				if got := decode(t, 0, false, parts...); !got.equal(want) {
					t.Fatalf("%q gives%v\nwant%v", parts, got, want)
				}
			}
		})
	}
}

// A pair of vectors covers what one event leaves behind for the next.
func TestVectorPairs(t *testing.T) {
	for _, v := range vectors {
		for _, w := range vectors {
			stream := v.stream + w.stream
			want := interpret(stripBOM(stream), 0)
			mid := len(v.stream)
			for _, parts := range [][]string{{stream}, {v.stream, w.stream}, {stream[:mid/2], stream[mid/2:]}} {
				if got := decode(t, 0, false, parts...); !got.equal(want) {
					t.Fatalf("%q gives%v\nthe oracle says%v", parts, got, want)
				}
			}
		}
	}
}

// Dispatch must not wait for a byte that may never come.
func TestDispatchAtOnce(t *testing.T) {
	for _, stream := range []string{"data: a\n\n", "data: a\r\r", "data: a\r\n\r", "data: a\n\r"} {
		var d sse.Decoder
		var r recorder
		for i := range len(stream) {
			if len(r.calls) != 0 {
				t.Errorf("%q: dispatched after %d bytes", stream, i)
			}
			if err := d.Write([]byte(stream[i:i+1]), &r); err != nil {
				t.Fatal(err)
			}
		}
		if want := []call{message("a")}; !slices.Equal(r.calls, want) {
			t.Errorf("%q gives %q, want %q", stream, r.calls, want)
		}
	}
}

func TestToValid(t *testing.T) {
	const r = "\uFFFD"
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"é€😀\x00\uFFFD", "é€😀\x00\uFFFD"},
		{"\uFEFFa", "\uFEFFa"},
		{"a\x80b", "a" + r + "b"},
		{"\x80\xBF", r + r},
		{"\xC0\x80\xC1\xBF", r + r + r + r},
		{"\xC3", r},
		{"\xC3(", r + "("},
		{"\xE2\x82", r},
		{"\xE2\x82a", r + "a"},
		{"\xE2\x82\xE2\x82\xAC", r + "€"},
		{"\xE0\x80\x80", r + r + r},
		{"\xED\xA0\x80", r + r + r},
		{"\xF0\x9F\x98", r},
		{"\xF0\x9F\x98\xF0\x9F\x98\x80", r + "😀"},
		{"\xF0\x80\x80\x80", r + r + r + r},
		{"\xF4\x90\x80\x80", r + r + r + r},
		{"\xF5\xFF\xFE", r + r + r},
		{"\xF1\x80\x80\x41\xF1\x80\x41", r + "A" + r + "A"},
	} {
		if got := string(sse.ToValid([]byte(c.in))); got != c.want {
			t.Errorf("ToValid(%q) = %q, want %q", c.in, got, c.want)
		}
		if got := utf8Decode(c.in); got != c.want {
			t.Errorf("the oracle decodes %q to %q, want %q", c.in, got, c.want)
		}
	}
	in := []byte("é")
	if out := sse.ToValid(in); &out[0] != &in[0] {
		t.Error("ToValid copied valid UTF-8")
	}
}

// Every sequence of up to four bytes around the edges of the decoder's ranges.
func TestToValidExhaustive(t *testing.T) {
	edges := []byte{0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF}
	buf := make([]byte, 0, 4)
	var walk func()
	walk = func() {
		if got, want := string(sse.ToValid(buf)), utf8Decode(string(buf)); got != want {
			t.Fatalf("ToValid(%q) = %q, the oracle says %q", buf, got, want)
		}
		if len(buf) == cap(buf) {
			return
		}
		for _, b := range edges {
			buf = append(buf, b)
			walk()
			buf = buf[:len(buf)-1]
		}
	}
	walk()
}

// The decoder leaves ill-formed bytes alone, and decoding them afterwards equals
// decoding the stream first.
func TestInvalidUTF8(t *testing.T) {
	stream := "event: \xFF\ndata: a\xE2\x82\ndata: \xED\xA0\x80\nid: \xC3\n\n:\xF0\x9F\n"
	want := outcome{calls: []call{eventCall("\xFF", "a\xE2\x82\n\xED\xA0\x80", "\xC3"), commentCall("\xF0\x9F")}, lastID: "\xC3"}
	decoded := outcome{calls: []call{
		eventCall("\uFFFD", "a\uFFFD\n\uFFFD\uFFFD\uFFFD", "\uFFFD"), commentCall("\uFFFD"),
	}, lastID: "\uFFFD"}
	for _, parts := range splits(stream) {
		if got := decode(t, 0, false, parts...); !got.equal(want) {
			t.Fatalf("%q gives%v\nwant%v", parts, got, want)
		}
		if got := decode(t, 0, true, parts...); !got.equal(decoded) {
			t.Fatalf("%q as valid UTF-8 gives%v\nwant%v", parts, got, decoded)
		}
	}
	if got := interpret(utf8Decode(stream), 0); !got.equal(decoded) {
		t.Errorf("the oracle says%v\nwant%v", got, decoded)
	}
}

func TestReset(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		calls               []call
		lastID              string
	}{
		{"partial line dropped", "data: a", "b\n\ndata: c\n\n", []call{message("c")}, ""},
		{"partial event dropped", "event: t\ndata: a\n", "\ndata: c\n\n", []call{message("c")}, ""},
		{"last event ID kept", "id: 1\ndata: a\n\n", "data: b\n\n", []call{eventCall("message", "a", "1"), eventCall("message", "b", "1")}, "1"},
		{"undispatched id dropped", "id: 1\ndata: a\n\nid: 2\ndata: b\n", "data: c\n\n", []call{eventCall("message", "a", "1"), eventCall("message", "c", "1")}, "1"},
		{"undispatched empty id dropped", "id: 1\ndata: a\n\nid:\n", "data: c\n\n", []call{eventCall("message", "a", "1"), eventCall("message", "c", "1")}, "1"},
		{"BOM stripped again", byteOrderMark + "data: a\n\n", byteOrderMark + "data: b\n\n", []call{message("a"), message("b")}, ""},
		{"partial BOM dropped", "\xEF\xBB", "\xBFdata: a\ndata: b\n\n", []call{message("b")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d sse.Decoder
			var r recorder
			if err := d.Write([]byte(c.before), &r); err != nil {
				t.Fatal(err)
			}
			d.Reset()
			if err := d.Write([]byte(c.after), &r); err != nil {
				t.Fatal(err)
			}
			got := outcome{calls: r.calls, lastID: string(d.LastEventID())}
			if want := (outcome{calls: c.calls, lastID: c.lastID}); !got.equal(want) {
				t.Errorf("got%v\nwant%v", got, want)
			}
		})
	}
}

func TestSetLastEventID(t *testing.T) {
	var d sse.Decoder
	var r recorder
	id := []byte("41")
	d.SetLastEventID(id)
	id[0] = 'x'
	if got := d.LastEventID(); string(got) != "41" {
		t.Fatalf("LastEventID() = %q, want a copy of what was set", got)
	}
	if err := d.Write([]byte("data: a\n\nid: 42\ndata: b\n\nid\ndata: c\n\n"), &r); err != nil {
		t.Fatal(err)
	}
	want := []call{eventCall("message", "a", "41"), eventCall("message", "b", "42"), message("c")}
	if !slices.Equal(r.calls, want) {
		t.Errorf("got %q, want %q", r.calls, want)
	}
	d.SetLastEventID([]byte("43"))
	d.SetLastEventID(nil)
	if got := d.LastEventID(); len(got) != 0 {
		t.Errorf("LastEventID() = %q after it was set to nothing", got)
	}
}

func TestLastEventIDIsSnug(t *testing.T) {
	var d sse.Decoder
	var r recorder
	for _, n := range []int{1, 20, 1000, 100_000, 30, 200_000, 1, 0, 45} {
		if err := d.Write([]byte("id: "+strings.Repeat("i", n)+"\n\n"), &r); err != nil {
			t.Fatal(err)
		}
		got := d.LastEventID()
		if len(got) != n || cap(got) > 2*n+128 {
			t.Errorf("an ID of %d bytes lies in %d of %d", n, len(got), cap(got))
		}
		if n == 0 && cap(got) != 0 {
			t.Errorf("an empty ID holds %d bytes", cap(got))
		}
	}
}

// The bound counts type, id and data so far and the current line.
func TestLimit(t *testing.T) {
	for _, c := range []struct {
		name   string
		limit  int
		stream string
		calls  []call
		fails  bool
	}{
		{"line at the limit", 7, "data: a\n\n", []call{message("a")}, false},
		{"line over the limit", 6, "data: a\n\n", nil, true},
		{"line at the limit, CRLF", 7, "data: a\r\n\r\n", []call{message("a")}, false},
		{"line over the limit, CRLF", 6, "data: a\r\n\r\n", nil, true},
		{"unfinished line at the limit", 7, "data: a", nil, false},
		{"unfinished line over the limit", 6, "data: a", nil, true},
		{"comment at the limit", 4, ":abc\n", []call{commentCall("abc")}, false},
		{"comment over the limit", 3, ":abc\n", nil, true},
		{"unknown field over the limit", 3, "abcd\n", nil, true},
		{"events do not add up", 7, "data: a\n\ndata: b\n\ndata: c\n\n", []call{message("a"), message("b"), message("c")}, false},
		{"comments do not add up", 4, ":abc\n:abc\n:abc\n", []call{commentCall("abc"), commentCall("abc"), commentCall("abc")}, false},
		{"earlier events are delivered", 7, "data: a\n\ndata: bb\n\n", []call{message("a")}, true},
		{"data adds up to the limit", 9, "data: a\ndata: b\n\n", []call{message("a\nb")}, false},
		{"data adds up over the limit", 8, "data: a\ndata: b\n\n", nil, true},
		{"data, LFs and type add up to the limit", 10, "event: t\ndata: a\ndata: b\n\n", []call{eventCall("t", "a\nb", "")}, false},
		{"data, LFs and type add up over the limit", 9, "event: t\ndata: a\ndata: b\n\n", nil, true},
		{"an id adds up over the limit", 7, "id: 1\ndata: a\n\n", nil, true},
		{"an id adds up to the limit", 8, "id: 1\ndata: a\n\n", []call{eventCall("message", "a", "1")}, false},
		{"an earlier event's id is free", 8, "id: 1\ndata: a\n\ndata: bc\n\n", []call{eventCall("message", "a", "1"), eventCall("message", "bc", "1")}, false},
		{"a replaced type counts once", 8, "event: t\nevent:u\n\n", nil, false},
		{"empty lines of data add up", 7, strings.Repeat("data:\n", 4) + "\n", nil, true},
		{"BOM is free", 7, byteOrderMark + "data: a\n\n", []call{message("a")}, false},
		{"half a BOM is not", 1, "\xEF\xBB\n", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := outcome{calls: c.calls, tooLarge: c.fails}
			oracle := interpret(stripBOM(c.stream), c.limit)
			want.lastID = oracle.lastID
			if !oracle.equal(want) {
				t.Errorf("the oracle says%v\nwant%v", oracle, want)
			}
			for _, parts := range splits(c.stream) {
				if got := decode(t, c.limit, false, parts...); !got.equal(want) {
					t.Fatalf("limit %d: %q gives%v\nwant%v", c.limit, parts, got, want)
				}
			}
		})
	}
}

func TestLimitFailureLastsUntilReset(t *testing.T) {
	var d sse.Decoder
	var r recorder
	d.SetLimit(10)
	d.SetLastEventID([]byte("7"))
	for _, p := range []string{"data: 123456789", "\n\n", "data: a\n\n", ""} {
		err := d.Write([]byte(p), &r)
		if !errors.Is(err, sse.ErrEventTooLarge) || !strings.Contains(err.Error(), "10 bytes") {
			t.Errorf("Write(%q) = %v, want ErrEventTooLarge that names the limit", p, err)
		}
	}
	if len(r.calls) != 0 {
		t.Errorf("a failed decoder called %q", r.calls)
	}
	d.Reset()
	if err := d.Write([]byte("data: a\n\n"), &r); err != nil {
		t.Fatal(err)
	}
	if want := []call{eventCall("message", "a", "7")}; !slices.Equal(r.calls, want) {
		t.Errorf("after Reset got %q, want %q", r.calls, want)
	}
	if err := d.Write([]byte("data: 123456789\n"), &r); !errors.Is(err, sse.ErrEventTooLarge) {
		t.Errorf("Reset dropped the limit: %v", err)
	}
	d.Reset()
	d.SetLimit(0)
	if err := d.Write([]byte("data: 123456789\n"), &r); err != nil {
		t.Errorf("SetLimit(0) is not the default: %v", err)
	}
}

// A line of 100 MB fails at the default limit, and the memory that it took is of
// the limit's order.
func TestHugeLine(t *testing.T) {
	for _, start := range []string{"data: ", ": ", "id: ", "x", "data: a\ndata: "} {
		var d sse.Decoder
		var r recorder
		if err := d.Write([]byte(start), &r); err != nil {
			t.Fatal(err)
		}
		chunk := bytes.Repeat([]byte("x"), 64<<10)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		written := 0
		var err error
		for written < 100_000_000 && err == nil {
			if err = d.Write(chunk, &r); err == nil {
				written += len(chunk)
			}
		}
		runtime.ReadMemStats(&after)
		if !errors.Is(err, sse.ErrEventTooLarge) {
			t.Fatalf("%q: wrote %d bytes, error %v", start, written, err)
		}
		if written > sse.DefaultLimit || written < sse.DefaultLimit-len(chunk)-len(start) {
			t.Errorf("%q: failed after %d bytes, the limit is %d", start, written, sse.DefaultLimit)
		}
		// Growing a buffer by steps allocates a small multiple of its final size.
		if got := after.TotalAlloc - before.TotalAlloc; got > 8*sse.DefaultLimit {
			t.Errorf("%q: allocated %d bytes in all for a limit of %d", start, got, sse.DefaultLimit)
		}
		if len(r.calls) != 0 {
			t.Errorf("%q: called %.80q", start, r.calls)
		}
	}
}

// Many small lines must not add up past the limit either.
func TestEndlessEvent(t *testing.T) {
	for _, line := range []string{"data\n", "data: abc\r\n", "data:abc\r"} {
		var d sse.Decoder
		var r recorder
		chunk := []byte(strings.Repeat(line, 64<<10/len(line)))
		written := 0
		var err error
		for written < 100_000_000 && err == nil {
			err = d.Write(chunk, &r)
			written += len(chunk)
		}
		if !errors.Is(err, sse.ErrEventTooLarge) {
			t.Errorf("%q: wrote %d bytes, error %v", line, written, err)
		}
	}
}

func TestDecoderIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(sse.Decoder{}); got > 96 {
		t.Errorf("a Decoder takes %d bytes", got)
	}
}

// Idle decoders own nothing but their last event ID.
func TestIdleMemory(t *testing.T) {
	const n = 20_000
	decoders := make([]sse.Decoder, n)
	var r counter
	stream := "data: " + strings.Repeat("x", 200) + "\n\nevent: ping\n\n: hi\n"
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range decoders {
		cut := i % len(stream)
		for _, p := range []string{stream[:cut], stream[cut:]} {
			if err := decoders[i].Write([]byte(p), &r); err != nil {
				t.Fatal(err)
			}
		}
	}
	grown := int64(heap()) - int64(before)
	if r.events != n || r.comments != n {
		t.Fatalf("got %d events and %d comments, want %d", r.events, r.comments, n)
	}
	if grown > 4*n {
		t.Errorf("%d idle decoders hold %d bytes of heap", n, grown)
	}
	runtime.KeepAlive(decoders)
}

// A failed decoder may live on for long, until its connection is replaced.
func TestFailureFreesBuffers(t *testing.T) {
	const limit = 32 << 20
	var d sse.Decoder
	var c counter
	d.SetLimit(limit)
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	var err error
	for err == nil {
		err = d.Write(chunk, &c)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > limit/2 {
		t.Errorf("%d bytes of heap in use after a failure at %d", m.HeapAlloc, limit)
	}
	runtime.KeepAlive(&d)
}

// A rare large event must not make the pool large: its buffers are not used again.
func TestLargeBuffersAreNotPooled(t *testing.T) {
	const size = 8 << 20
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var d sse.Decoder
	var c counter
	d.SetLimit(2 * size)
	event := []byte("data: " + strings.Repeat("x", size) + "\n\n")
	var before, after runtime.MemStats
	for i := range 3 {
		runtime.ReadMemStats(&before)
		for _, p := range [][]byte{event[:size/2], event[size/2:]} {
			if err := d.Write(p, &c); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got < size {
			t.Errorf("event %d of %d bytes allocated %d: its buffer came from the pool", i, size, got)
		}
	}
}

// counter is a sink that allocates nothing.
type counter struct {
	events, comments, retries int
	bytes                     int
}

func (c *counter) Event(e sse.Event) {
	c.events++
	c.bytes += len(e.Type) + len(e.Data) + len(e.ID)
}

func (c *counter) Comment(text []byte) {
	c.comments++
	c.bytes += len(text)
}

func (c *counter) Retry(time.Duration) { c.retries++ }

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops buffers at random")
	}
	for _, w := range workloads() {
		t.Run(w.name, func(t *testing.T) {
			var d sse.Decoder
			var c counter
			run := func() {
				for _, p := range w.writes {
					if err := d.Write(p, &c); err != nil {
						t.Fatal(err)
					}
				}
			}
			run()
			if allocs := testing.AllocsPerRun(50, run); allocs != 0 {
				t.Errorf("%v allocations for %d events", allocs, w.events)
			}
			if want := w.events * 52; c.events != want {
				t.Errorf("got %d events, want %d", c.events, want)
			}
		})
	}
}

// The work must not depend on which terminators a stream lacks: the search for an
// LF that never comes is made once, not at every line, which would take some
// thousand times as long as the streams of the same size that it is compared to.
func TestLinearWork(t *testing.T) {
	const size, most = 512 << 10, 50
	measure := func(unit string) time.Duration {
		p := []byte(strings.Repeat(unit, size/len(unit)))
		best := time.Duration(math.MaxInt64)
		for range 3 {
			var d sse.Decoder
			var c counter
			start := time.Now()
			if err := d.Write(p, &c); err != nil {
				t.Fatalf("%q: %v", unit, err)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	base := measure("\n:\r\n")
	for _, unit := range []string{"\r", "\n", ":\r", "data\r\r", "data:\n\n", "data:a\r\rdata:a\n\n", "id:\x00\n\n", "retry: 1\n"} {
		if got := measure(unit); got > most*base {
			t.Errorf("%q: %d bytes took %v, the same in a mixed stream %v", unit, size, got, base)
		}
	}
}

// Random streams of meaningful pieces, cut at random, against the oracle.
func TestRandomStreams(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		var b strings.Builder
		for range rng.IntN(24) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		check(t, b.String(), rng.Uint64(), rng.IntN(40))
	}
}

var pieces = []string{
	"data", "data:", "data: ", "event", "event: ", "id", "id:", "id: ", "retry", "retry: ", "foo: ", ":", ": ",
	"\n", "\n", "\n\n", "\r", "\r\r", "\r\n", "\r\n\r\n", "\n\r", "data: x\n\n", "id: 1\ndata: y\n\n", "event: e\ndata: z\r\n\r\n",
	" ", "a", "bc", "12", "0", "\x00", "\xEF", "\xBB", "\xBF", byteOrderMark, "\xC3", "\xE2\x82", "€", "\xED\xA0\x80",
}

// check compares the decoder with the oracle on stream, cut in a way that seed
// chooses, without a limit and with a small one.
func check(t testing.TB, stream string, seed uint64, limit int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	var parts []string
	longest := 1 + rng.IntN(1+rng.IntN(64))
	for rest := stream; rest != ""; {
		n := min(rng.IntN(longest+1), len(rest))
		parts = append(parts, rest[:n])
		rest = rest[n:]
	}
	compare := func(what string, got, want outcome) {
		if !got.equal(want) {
			t.Fatalf("%s: %q in parts %q gives%v\nthe oracle says%v", what, stream, parts, got, want)
		}
	}
	text := stripBOM(stream)
	raw, decoded := interpret(text, 0), interpret(utf8Decode(text), 0)
	compare("whole", decode(t, 0, false, stream), raw)
	compare("split", decode(t, 0, false, parts...), raw)
	compare("as UTF-8", decode(t, 0, true, parts...), decoded)
	if limit > 0 {
		limited := interpret(text, limit)
		what := fmt.Sprintf("with limit %d", limit)
		compare(what+", whole", decode(t, limit, false, stream), limited)
		compare(what+", split", decode(t, limit, false, parts...), limited)
	}
}
