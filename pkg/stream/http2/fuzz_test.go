package http2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// FuzzSplit holds that it does not matter how what a server says is split: the same
// is told of it, the same error ends it, and the same is answered.
func FuzzSplit(f *testing.F) {
	s := newScript()
	s.head(1, false, ok200, "200", "content-length", "9")
	_ = s.WriteDataPadded(1, false, []byte("data"), make([]byte, 9))
	_ = s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 2}, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 3})
	_ = s.WritePing(false, [8]byte{1})
	_ = s.WriteRSTStream(3, xhttp2.ErrCodeCancel)
	_ = s.WriteGoAway(1, xhttp2.ErrCodeNo, []byte("bye"))
	_ = s.WriteWindowUpdate(1, 1000)
	s.head(1, true, "trailer", "x")
	f.Add(s.Bytes(), uint8(3))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), uint8(1))
	f.Add([]byte{0, 0, 1, 0, 8, 0, 0, 0, 1, 0xff, 0, 0, 0, 1, 4, 0, 0, 0, 1, 0x88}, uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		settings := newScript()
		_ = settings.WriteSettings()
		if !bytes.HasPrefix(in, []byte("HTTP")) {
			in = append(settings.Bytes(), in...)
		}
		hear := func(step int) string {
			c, _ := opened(t, 3, strings.Repeat("body", 20_000))
			c.Take(nil)
			r := &recorder{c: c}
			err := writeIn(c, r, in, step)
			ended := c.Ended()
			c.upload() // what the answers left no room for
			text := fmt.Sprintf("%q %v %v %d %x", r.texts, err, ended, c.Streams(), c.out)
			if len(c.out) > fullOut+2*mostAnswers {
				t.Errorf("%d bytes wait to be written", len(c.out))
			}
			return text
		}
		whole := hear(max(1, len(in)))
		if parts := hear(int(step%32) + 1); parts != whole {
			t.Errorf("in steps of %d:\n%.2000s\nwhole:\n%.2000s", step%32+1, parts, whole)
		}
	})
}

// FuzzFrames has an independent writer make frames as a server may send them, and
// holds what is told of them against what it meant.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 20, 30, 40, 50, 60, 70, 80, 90}, uint8(5))
	f.Add([]byte("0a1b2c3d4e5f6g7h8i9j"), uint8(1))
	f.Add(bytes.Repeat([]byte{7, 250, 33}, 50), uint8(200))
	f.Fuzz(func(t *testing.T, program []byte, step uint8) {
		m := &model{script: newScript(), state: map[uint32]int{1: waiting, 3: waiting, 5: waiting}}
		_ = m.WriteSettings()
		m.say("changed: limit %d, going false", noLimit)
		for i := 0; i+1 < len(program); i += 2 {
			m.do(program[i], program[i+1])
		}
		c, _ := opened(t, 3)
		c.Take(nil)
		r := &recorder{c: c}
		in := m.Bytes()
		for len(in) > 0 {
			n := min(len(in), int(step)+1)
			if err := c.Write(in[:n], r); err != nil {
				t.Fatalf("%v, after %q", err, r.texts)
			}
			in = in[n:]
			c.Take(nil)
		}
		if got, want := strings.Join(r.texts, "\n"), strings.Join(m.want, "\n"); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	})
}

// model is a server that knows what it says.
type model struct {
	*script
	state map[uint32]int
	want  []string
}

// The states of a stream.
const (
	waiting = iota
	headed
	over
)

func (m *model) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	// Data in a row are one, as to the recorder.
	if prefix, data, ok := strings.Cut(text, "data "); ok && len(m.want) > 0 && strings.HasPrefix(m.want[len(m.want)-1], prefix+"data ") {
		m.want[len(m.want)-1] += data
		return
	}
	m.want = append(m.want, text)
}

func (m *model) do(op, arg byte) {
	id := uint32(op/16%3)*2 + 1
	tag := (id + 1) / 2
	text := strings.Repeat(string(rune('a'+arg%26)), int(arg)%7+1)
	switch op % 16 {
	case 0:
		_ = m.WritePing(arg%2 == 0, [8]byte{arg})
	case 1:
		_ = m.WriteWindowUpdate(id, uint32(arg)+1)
	case 2:
		_ = m.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: uint32(arg)})
		m.say("changed: limit %d, going false", arg)
	case 3:
		_ = m.WriteRawFrame(xhttp2.FrameType(arg%100+20), xhttp2.Flags(arg), uint32(arg), []byte(text))
	case 4:
		_ = m.WritePriority(id, xhttp2.PriorityParam{StreamDep: 9, Weight: arg})
	case 5:
		_ = m.WriteRSTStream(id, xhttp2.ErrCode(arg))
		if m.state[id] != over {
			m.say("%d: end %v", tag, &ResetError{Code(arg)})
		}
		m.state[id] = over
	case 6, 7, 8:
		m.respond(id, tag, arg, op%16 == 8)
	default:
		m.data(id, tag, op%16, arg, text)
	}
}

// respond is a head, which may come in parts.
func (m *model) respond(id, tag uint32, arg byte, end bool) {
	if m.state[id] == headed {
		return
	}
	value := strings.Repeat("v", int(arg)*3)
	b := m.block(ok200, "200", "x", value, "y", fmt.Sprint(arg))
	cut := len(b) * int(arg) / 256
	_ = m.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: b[:cut], EndStream: end, PadLength: arg % 3})
	_ = m.WriteContinuation(id, true, b[cut:])
	if m.state[id] == over {
		return // nobody waits for it, but the header compression goes on
	}
	m.say("%d: head 200 x=%s y=%d", tag, value, arg)
	m.state[id] = headed
	if end {
		m.say("%d: end <nil>", tag)
		m.state[id] = over
	}
}

func (m *model) data(id, tag uint32, op, arg byte, text string) {
	if m.state[id] == waiting {
		return
	}
	was := m.state[id]
	switch op {
	case 15:
		m.head(id, true, "trailer", text)
		m.state[id] = over
	case 14:
		_ = m.WriteData(id, true, []byte(text))
		m.state[id] = over
	case 13:
		_ = m.WriteDataPadded(id, false, []byte(text), make([]byte, arg))
	default:
		_ = m.WriteData(id, false, []byte(text))
	}
	if was == over {
		return
	}
	if op != 15 {
		m.say("%d: data %s", tag, text)
	}
	if m.state[id] == over {
		m.say("%d: end <nil>", tag)
	}
}
