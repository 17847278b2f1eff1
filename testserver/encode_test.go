package testserver

import (
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"time"
)

func TestAppendEvent(t *testing.T) {
	for _, tc := range []struct {
		name string
		ev   Event
		want string
	}{
		{"plain", Event{Data: []byte("hi")}, "data: hi\n\n"},
		{"all fields", Event{ID: "7", Type: "chat", Data: []byte("hi")}, "id: 7\nevent: chat\ndata: hi\n\n"},
		{"empty data", Event{}, "data: \n\n"},
		{"leading space kept", Event{Data: []byte(" x")}, "data:  x\n\n"},
		{"looks like a field", Event{Data: []byte("id: 3")}, "data: id: 3\n\n"},
		{"LF", Event{Data: []byte("a\nb")}, "data: a\ndata: b\n\n"},
		{"CRLF", Event{Data: []byte("a\r\nb")}, "data: a\ndata: b\n\n"},
		{"CR", Event{Data: []byte("a\rb")}, "data: a\ndata: b\n\n"},
		{"CR CRLF", Event{Data: []byte("a\r\r\nb")}, "data: a\ndata: \ndata: b\n\n"},
		{"LF CR", Event{Data: []byte("a\n\rb")}, "data: a\ndata: \ndata: b\n\n"},
		{"trailing LF", Event{Data: []byte("a\n")}, "data: a\ndata: \n\n"},
		{"trailing CR", Event{Data: []byte("a\r")}, "data: a\ndata: \n\n"},
		{"trailing CRLF", Event{Data: []byte("a\r\n")}, "data: a\ndata: \n\n"},
		{"only breaks", Event{Data: []byte("\n\r\n\r")}, "data: \ndata: \ndata: \ndata: \n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := AppendEvent([]byte("x"), tc.ev)
			if err != nil || string(got) != "x"+tc.want {
				t.Errorf("got %q, %v; want %q", got, err, "x"+tc.want)
			}
		})
	}
}

func TestAppendEventRefuses(t *testing.T) {
	for _, ev := range []Event{{Type: "a\nb"}, {Type: "a\rb"}, {ID: "1\n"}, {ID: "1\r"}, {ID: "1\x00"}} {
		if got, err := AppendEvent(nil, ev); !errors.Is(err, ErrField) || len(got) != 0 {
			t.Errorf("%+v: got %q, %v", ev, got, err)
		}
	}
	if _, err := AppendComment(nil, "a\nb"); !errors.Is(err, ErrField) {
		t.Errorf("comment with a line break: %v", err)
	}
}

func TestAppendRetryAndComment(t *testing.T) {
	if got := string(AppendRetry(nil, 1500*time.Millisecond)); got != "retry: 1500\n\n" {
		t.Errorf("retry: %q", got)
	}
	if got, err := AppendComment(nil, "x"); err != nil || string(got) != ": x\n\n" {
		t.Errorf("comment: %q, %v", got, err)
	}
}

func TestFrameIsOneChunk(t *testing.T) {
	for _, n := range []int{1, 9, 10, 15, 16, 255, 4096, 1 << 20} {
		text := bytes.Repeat([]byte("x"), n)
		f, _ := closeFrame(append(startFrame(nil), text...))
		if !bytes.Equal(f.event, text) {
			t.Fatalf("%d bytes: event differs", n)
		}
		body, err := io.ReadAll(httputil.NewChunkedReader(io.MultiReader(bytes.NewReader(f.wire), strings.NewReader(lastChunk))))
		if err != nil || !bytes.Equal(body, text) {
			t.Fatalf("%d bytes: read back %d, %v", n, len(body), err)
		}
		c := f.clone()
		f.event[0] = 'y'
		if !bytes.Equal(c.event, text) || !bytes.HasPrefix(f.wire[len(f.wire)-2-n:], []byte("y")) {
			t.Fatalf("%d bytes: a clone shares memory, or event is not part of wire", n)
		}
	}
}

// FuzzAppendEvent reads back any data, line breaks normalised to LF.
func FuzzAppendEvent(f *testing.F) {
	f.Add([]byte("a\rb\r\nc\n"))
	f.Add([]byte("\r\r\n\n\r"))
	f.Add([]byte(": x\nid: 1\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := AppendEvent(nil, Event{Data: data})
		if err != nil {
			t.Fatal(err)
		}
		body, ok := strings.CutSuffix(string(text), "\n\n")
		if !ok || strings.Contains(body, "\r") || strings.Contains(body, "\n\n") {
			t.Fatalf("%q: %q is not one event", data, text)
		}
		lines := strings.Split(body, "\n")
		for i, line := range lines {
			if lines[i], ok = strings.CutPrefix(line, "data: "); !ok {
				t.Fatalf("%q: line %q", data, line)
			}
		}
		want := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\r", "\n")
		if back := strings.Join(lines, "\n"); back != want {
			t.Fatalf("%q: read back %q", data, back)
		}
	})
}
