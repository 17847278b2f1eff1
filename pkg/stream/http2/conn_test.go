package http2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// recorder notes what a Conn says, as text.
type recorder struct {
	c     *Conn
	texts []string
	on    func(text string) error // what Head and Data return; may be nil
}

func (r *recorder) note(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	r.texts = append(r.texts, text)
	if r.on != nil {
		return r.on(text)
	}
	return nil
}

func (r *recorder) Head(s *Stream, h *Head) error {
	text := fmt.Sprintf("%d: head %d", s.Tag, h.Status)
	for name, value := range h.Fields() {
		text += " " + name + "=" + value
	}
	return r.note("%s", text)
}

// Data joins what comes in a row, so that it does not matter how it was split.
func (r *recorder) Data(s *Stream, p []byte) error {
	prefix := fmt.Sprintf("%d: data ", s.Tag)
	if n := len(r.texts); n > 0 && strings.HasPrefix(r.texts[n-1], prefix) && r.on == nil {
		r.texts[n-1] += string(p)
		return nil
	}
	return r.note("%s%s", prefix, p)
}

func (r *recorder) End(s *Stream, err error) { _ = r.note("%d: end %v", s.Tag, err) }

func (r *recorder) Changed() {
	n, _ := r.c.Limit()
	_ = r.note("changed: limit %d, going %t", n, r.c.Going())
}

// script writes frames as a server does.
type script struct {
	bytes.Buffer
	*xhttp2.Framer
	enc *hpack.Encoder
	blk bytes.Buffer
}

func newScript() *script {
	s := &script{}
	s.Framer = xhttp2.NewFramer(&s.Buffer, nil)
	s.AllowIllegalWrites = true
	s.enc = hpack.NewEncoder(&s.blk)
	return s
}

func (s *script) block(fields ...string) []byte {
	s.blk.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = s.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // into memory
	}
	return bytes.Clone(s.blk.Bytes())
}

func (s *script) head(id uint32, end bool, fields ...string) {
	_ = s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: s.block(fields...), EndStream: end, EndHeaders: true})
}

// opened is a Conn with n streams, tagged from 1 on, of which nothing has been taken
// but the requests.
func opened(t testing.TB, n int, bodies ...string) (*Conn, []*Stream) {
	t.Helper()
	c := &Conn{}
	c.Start()
	enc := NewEncoder()
	all := make([]*Stream, n)
	for i := range n {
		all[i] = &Stream{Tag: uint64(i + 1)}
		enc.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}, {"accept", "text/event-stream"}} {
			if err := enc.Field(f[0], f[1], false); err != nil {
				t.Fatal(err)
			}
		}
		var body []byte
		if i < len(bodies) {
			body = []byte(bodies[i])
		}
		if err := c.Open(all[i], enc.Block(), body); err != nil {
			t.Fatal(err)
		}
	}
	return c, all
}

// TestFull: requests that nobody takes do not become more and more.
func TestFull(t *testing.T) {
	c, _ := opened(t, 1)
	for n := 0; c.Room() > 0; n++ {
		s := &Stream{}
		if err := c.Open(s, make([]byte, 1000), nil); err != nil {
			t.Fatal(err)
		}
		c.Cancel(s)
		if n > 1000 {
			t.Fatal("there is room for ever")
		}
	}
	if err := c.Open(&Stream{}, nil, nil); !c.Full() || !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "written") {
		t.Errorf("full: %t, and another stream: %v", c.Full(), err)
	}
	if n := len(c.Take(nil)); n < mostOut || n > mostOut+2000 {
		t.Errorf("%d bytes wait", n)
	}
	if c.Full() || c.Room() != unsettledLimit-1 {
		t.Errorf("room for %d once it is taken", c.Room())
	}
}

const ok200 = ":status"

func TestConn(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	for _, tt := range []struct {
		name string
		say  func(s *script)
		want []string
		err  string // of Write
	}{
		{"a response", func(s *script) {
			s.head(1, false, ok200, "200", "content-type", "text/event-stream", "x", "1")
			_ = s.WriteData(1, false, []byte("da"))
			_ = s.WriteData(1, true, []byte("ta"))
		}, []string{"1: head 200 content-type=text/event-stream x=1", "1: data data", "1: end <nil>"}, ""},
		{"three at once, in frames of each other", func(s *script) {
			s.head(5, false, ok200, "200")
			s.head(1, false, ok200, "201")
			_ = s.WriteData(5, false, []byte("five"))
			_ = s.WriteData(1, true, nil)
			s.head(3, true, ok200, "204")
		}, []string{"3: head 200", "1: head 201", "3: data five", "1: end <nil>", "2: head 204", "2: end <nil>"}, ""},
		{"a head in parts", func(s *script) {
			b := s.block(ok200, "200", "long", long)
			_ = s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:1]})
			_ = s.WriteContinuation(1, false, b[1:9])
			_ = s.WriteContinuation(1, false, nil)
			_ = s.WriteContinuation(1, false, b[9:16000])
			_ = s.WriteContinuation(1, false, b[16000:20000])
			_ = s.WriteContinuation(1, true, b[20000:])
		}, []string{"1: head 200 long=" + long}, ""},
		{"padding and priority", func(s *script) {
			_ = s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: s.block(ok200, "200"), EndHeaders: true, PadLength: 7,
				Priority: xhttp2.PriorityParam{StreamDep: 3, Weight: 9}})
			_ = s.WriteDataPadded(1, false, []byte("a"), make([]byte, 200))
			_ = s.WriteDataPadded(1, false, nil, make([]byte, 9))
			_ = s.WriteDataPadded(1, true, []byte("b"), []byte{})
		}, []string{"1: head 200", "1: data ab", "1: end <nil>"}, ""},
		{"interim heads", func(s *script) {
			s.head(1, false, ok200, "103", "link", "x")
			s.head(1, false, ok200, "100")
			s.head(1, true, ok200, "200")
		}, []string{"1: head 200", "1: end <nil>"}, ""},
		{"interim heads without end", func(s *script) {
			for range mostInterim + 1 {
				s.head(1, false, ok200, "103")
			}
			s.head(3, true, ok200, "200")
		}, []string{"1: end malformed http/2 response: more than 100 interim responses (ENHANCE_YOUR_CALM)", "2: head 200", "2: end <nil>"}, ""},
		{"trailers", func(s *script) {
			s.head(1, false, ok200, "200")
			_ = s.WriteData(1, false, []byte("a"))
			s.head(1, true, "x-checksum", "1")
		}, []string{"1: head 200", "1: data a", "1: end <nil>"}, ""},
		{"what does not concern a client", func(s *script) {
			_ = s.WritePriority(1, xhttp2.PriorityParam{})
			_ = s.WriteRawFrame(0xfa, 0xff, 77, []byte("unknown"))
			_ = s.WritePing(true, [8]byte{})
			_ = s.WriteSettingsAck()
			_ = s.WriteRSTStream(1, xhttp2.ErrCodeCancel)
			_ = s.WriteData(1, false, []byte("late"))
			s.head(1, true, ok200, "200")
			_ = s.WriteWindowUpdate(1, 1)
		}, []string{"1: end the server reset the stream (CANCEL)"}, ""},
		{"refused", func(s *script) { _ = s.WriteRSTStream(3, xhttp2.ErrCodeRefusedStream) },
			[]string{"2: end the server refused the stream (REFUSED_STREAM) and did not process the request"}, ""},
		{"it goes away", func(s *script) {
			_ = s.WriteGoAway(1, xhttp2.ErrCodeNo, []byte("deploy"))
			s.head(1, true, ok200, "200")
		}, []string{
			`2: end the server goes away (GOAWAY, NO_ERROR, "deploy") and did not process the request`,
			`3: end the server goes away (GOAWAY, NO_ERROR, "deploy") and did not process the request`,
			"changed: limit 2147483647, going true", "1: head 200", "1: end <nil>",
		}, ""},
		{"a limit, and another", func(s *script) {
			_ = s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 2}, xhttp2.Setting{ID: 99, Val: 1})
			_ = s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 5})
			_ = s.WriteSettings()
		}, []string{"changed: limit 2, going false", "changed: limit 5, going false", "changed: limit 5, going false"}, ""},
		{"short of its length", func(s *script) {
			s.head(1, false, ok200, "200", "content-length", "5")
			_ = s.WriteData(1, true, []byte("four"))
		}, []string{"1: head 200 content-length=5", "1: data four", "1: end connection closed early: the response is 1 bytes short of its content-length"}, ""},
		{"beyond its length", func(s *script) {
			s.head(1, false, ok200, "200", "content-length", "3")
			_ = s.WriteData(1, true, []byte("four"))
		}, []string{"1: head 200 content-length=3", "1: data fou", "1: end malformed http/2 response: the response is longer than its content-length (PROTOCOL_ERROR)"}, ""},
		{"a window of a stream too large", func(s *script) { _ = s.WriteWindowUpdate(1, 1<<31-1) },
			[]string{"1: end malformed http/2 response: a window of 2147549182 bytes (FLOW_CONTROL_ERROR)"}, ""},
		{"a body before its head", func(s *script) { _ = s.WriteData(1, false, []byte("a")) },
			[]string{"1: end malformed http/2 response: a body without a head (PROTOCOL_ERROR)"}, ""},
		{"too large a head", func(s *script) {
			b := s.block(ok200, "200", "a", long, "b", long)
			_ = s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:9]})
			for b = b[9:]; len(b) > 16000; b = b[16000:] {
				_ = s.WriteContinuation(1, false, b[:16000])
			}
			_ = s.WriteContinuation(1, true, b)
			s.head(3, true, ok200, "200")
		}, []string{"1: end malformed http/2 response: a head of more than 65536 bytes (CANCEL)", "2: head 200", "2: end <nil>"}, ""},
		{"no status", func(s *script) { s.head(1, true, "x", "y") },
			[]string{"1: end malformed http/2 response: a response without a status (PROTOCOL_ERROR)"}, ""},
		{"a status twice", func(s *script) { s.head(1, true, ok200, "200", ok200, "200") },
			[]string{"1: end malformed http/2 response: :status is not the first field, or is there twice (PROTOCOL_ERROR)"}, ""},
		{"a status that is none", func(s *script) { s.head(1, true, ok200, "20") },
			[]string{`1: end malformed http/2 response: a status of "20" (PROTOCOL_ERROR)`}, ""},
		{"upper case", func(s *script) { s.head(1, true, ok200, "200", "X", "y") },
			[]string{`1: end malformed http/2 response: the field name "X" (PROTOCOL_ERROR)`}, ""},
		{"a field of HTTP/1.1", func(s *script) { s.head(1, true, ok200, "200", "connection", "close") },
			[]string{"1: end malformed http/2 response: the field connection, which HTTP/2 does not have (PROTOCOL_ERROR)"}, ""},
		{"switching protocols", func(s *script) { s.head(1, false, ok200, "101") },
			[]string{"1: end malformed http/2 response: a response of status 101 alone (PROTOCOL_ERROR)"}, ""},
		{"two heads", func(s *script) { s.head(1, false, ok200, "200"); s.head(1, false, ok200, "200") },
			[]string{"1: head 200", "1: end malformed http/2 response: a second head (PROTOCOL_ERROR)"}, ""},

		{"a head without end", func(s *script) {
			_ = s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: s.block(ok200, "200")})
			for range mostBlock/frameHeadSize + 1 {
				_ = s.WriteContinuation(1, false, nil)
			}
		}, nil, "a head of more than 131072 bytes (ENHANCE_YOUR_CALM)"},
		{"a push", func(s *script) {
			_ = s.WritePushPromise(xhttp2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		}, nil, "PROTOCOL_ERROR"},
		{"another frame within a head", func(s *script) {
			_ = s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: s.block(ok200, "200")})
			_ = s.WritePing(false, [8]byte{})
		}, nil, "PING on stream 0 within the head of stream 1 (PROTOCOL_ERROR)"},
		{"a continuation of nothing", func(s *script) { _ = s.WriteContinuation(1, true, nil) }, nil, "PROTOCOL_ERROR"},
		{"a stream that nobody opened", func(s *script) { s.head(7, true, ok200, "200") }, nil, "HEADERS on stream 7, which was never opened (PROTOCOL_ERROR)"},
		{"a stream of the server's", func(s *script) { _ = s.WriteData(2, true, nil) }, nil, "PROTOCOL_ERROR"},
		{"a body on no stream", func(s *script) { _ = s.WriteData(0, true, nil) }, nil, "PROTOCOL_ERROR"},
		{"too large a frame", func(s *script) { _ = s.WriteRawFrame(0, 0, 1, make([]byte, maxFrame+1)) }, nil, "FRAME_SIZE_ERROR"},
		{"a ping of 7 bytes", func(s *script) { _ = s.WriteRawFrame(6, 0, 0, make([]byte, 7)) }, nil, "FRAME_SIZE_ERROR"},
		{"settings of 7 bytes", func(s *script) { _ = s.WriteRawFrame(4, 0, 0, make([]byte, 7)) }, nil, "FRAME_SIZE_ERROR"},
		{"settings on a stream", func(s *script) { _ = s.WriteRawFrame(4, 0, 1, nil) }, nil, "PROTOCOL_ERROR"},
		{"padding beyond the frame", func(s *script) {
			s.head(1, false, ok200, "200")
			_ = s.WriteRawFrame(0, flagPadded, 1, []byte{9, 1, 2})
		}, []string{"1: head 200"}, "PROTOCOL_ERROR"},
		{"padding beyond a head", func(s *script) { _ = s.WriteRawFrame(1, flagPadded|flagEndHeaders, 1, []byte{9, 1, 2}) }, nil, "PROTOCOL_ERROR"},
		{"padding without a length", func(s *script) { _ = s.WriteRawFrame(0, flagPadded, 1, nil) }, nil, "FRAME_SIZE_ERROR"},
		{"a head that is none", func(s *script) { _ = s.WriteRawFrame(1, flagEndHeaders, 1, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}) }, nil, "COMPRESSION_ERROR"},
		{"a head that is cut", func(s *script) {
			_ = s.WriteRawFrame(1, flagEndHeaders, 1, s.block(ok200, "200", "a", "b")[:3])
		}, nil, "COMPRESSION_ERROR"},
		{"a window of nothing", func(s *script) { _ = s.WriteWindowUpdate(0, 0) }, nil, "PROTOCOL_ERROR"},
		{"a window too large", func(s *script) { _ = s.WriteWindowUpdate(0, 1<<31-1) }, nil, "FLOW_CONTROL_ERROR"},
		{"a first window too large", func(s *script) {
			_ = s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 31})
		}, nil, "FLOW_CONTROL_ERROR"},
		{"frames too small", func(s *script) {
			_ = s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxFrameSize, Val: 100})
		}, nil, "PROTOCOL_ERROR"},
		{"a push allowed by the server", func(s *script) {
			_ = s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingEnablePush, Val: 1})
		}, nil, "PROTOCOL_ERROR"},
		{"a head without an end", func(s *script) {
			_ = s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1})
			for range 20 {
				_ = s.WriteContinuation(1, false, bytes.Repeat([]byte{0x82}, 16000))
			}
		}, nil, "ENHANCE_YOUR_CALM"},
		{"a field of a megabyte", func(s *script) {
			b := s.block(ok200, "200", "a", strings.Repeat("x", 1<<20))
			_ = s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:16000]})
		}, nil, "ENHANCE_YOUR_CALM"},
		{"more questions than it reads answers", func(s *script) {
			for range 5000 {
				_ = s.WritePing(false, [8]byte{})
			}
		}, nil, "ENHANCE_YOUR_CALM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript()
			_ = s.WriteSettings()
			tt.say(s)
			in := s.Bytes()
			for _, step := range []int{len(in), 1, 7, 4096} {
				c, _ := opened(t, 3)
				r := &recorder{c: c}
				err := writeIn(c, r, in, step)
				if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Fatalf("in steps of %d: %v, want %q", step, err, tt.err)
				}
				want := append([]string{"changed: limit 2147483647, going false"}, tt.want...)
				if got := strings.Join(r.texts, "\n"); got != strings.Join(want, "\n") {
					t.Errorf("in steps of %d:\n%.999s\nwant\n%.999s", step, got, strings.Join(want, "\n"))
				}
				if tt.err == "" {
					continue
				}
				checkGoAway(t, c, err)
			}
		})
	}
}

func writeIn(c *Conn, h Handler, in []byte, step int) error {
	for len(in) > 0 {
		n := min(step, len(in))
		if err := c.Write(in[:n], h); err != nil {
			return err
		}
		in = in[n:]
	}
	return nil
}

// checkGoAway finds the end of the connection in what is to be written.
func checkGoAway(t *testing.T, c *Conn, err error) {
	t.Helper()
	var e *ConnError
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *ConnError", err)
	}
	out := c.Take(nil)
	if len(out) < 17 || out[len(out)-14] != byte(frameGoAway) || Code(binary.BigEndian.Uint32(out[len(out)-4:])) != e.Code {
		t.Errorf("% x at the end is no GOAWAY of %s", out[max(0, len(out)-17):], e.Code)
	}
	if again := c.Write([]byte("more"), &recorder{c: c}); !errors.Is(again, err) {
		t.Errorf("afterwards Write gives %v", again)
	}
}

// TestStrangers: what is no HTTP/2 is called by its name.
func TestStrangers(t *testing.T) {
	for in, want := range map[string]string{
		"HTTP/1.1 400 Bad Request\r\n\r\n": "the server speaks HTTP/1.1, not HTTP/2",
		"HTTP/":                            "the server speaks HTTP/1.1, not HTTP/2",
		"\x15\x03\x01\x00\x02\x02\x46":     "the server speaks TLS, not plain HTTP/2",
		"SSH-2.0-OpenSSH\r\n":              `it begins with "SSH-2.0-O"`,
	} {
		for _, step := range []int{len(in), 1} {
			c, _ := opened(t, 1)
			err := writeIn(c, &recorder{c: c}, []byte(in), step)
			if !errors.Is(err, ErrNotHTTP2) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q in steps of %d: %v, want %q", in, step, err, want)
			}
		}
	}
	c, _ := opened(t, 1)
	if err := c.Write([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x00"), &recorder{c: c}); err == nil || !strings.Contains(err.Error(), "first frame is PING") {
		t.Errorf("a ping before the settings: %v", err)
	}
	c, _ = opened(t, 1)
	if err := c.Write([]byte("SSH-"), &recorder{c: c}); err != nil || !errors.Is(c.Ended(), ErrNotHTTP2) {
		t.Errorf("after half a word: %v, %v", err, c.Ended())
	}
	c, _ = opened(t, 1)
	if err := c.Ended(); err != ErrClosedEarly {
		t.Errorf("after nothing: %v", err)
	}
}

// TestOutput has an independent reader look at what is written.
func TestOutput(t *testing.T) {
	c, all := opened(t, 2, strings.Repeat("b", 100_000))
	out := c.Take(nil)
	if !bytes.HasPrefix(out, []byte(preface)) {
		t.Fatalf("begins with %q", out[:24])
	}
	r := &recorder{c: c}
	in := newScript()
	_ = in.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 70_000})
	_ = in.WritePing(false, [8]byte{1, 2, 3})
	_ = in.WriteWindowUpdate(0, 10_000)
	_ = in.WriteWindowUpdate(1, 20_000)
	if err := c.Write(in.Bytes(), r); err != nil {
		t.Fatal(err)
	}
	out = append(out, c.Take(nil)...)
	c.Cancel(all[1])
	c.Cancel(all[1]) // once more does nothing
	in.Reset()
	_ = in.WriteWindowUpdate(0, 50_000)
	if err := c.Write(in.Bytes(), r); err != nil {
		t.Fatal(err)
	}
	for part := c.Take(nil); len(part) > 0; part = c.Take(nil) {
		out = append(out, part...)
	}

	f := xhttp2.NewFramer(nil, bytes.NewReader(out[len(preface):]))
	f.ReadMetaHeaders = hpack.NewDecoder(0, nil) // whose table may hold nothing
	var got []string
	body := 0
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			break
		}
		text := fmt.Sprint(frame.Header().Type, " ", frame.Header().StreamID)
		switch frame := frame.(type) {
		case *xhttp2.MetaHeadersFrame:
			text += fmt.Sprint(" ", frame.PseudoValue("path"), " ", len(frame.RegularFields()), " ", frame.StreamEnded())
		case *xhttp2.DataFrame:
			body += len(frame.Data())
			if !frame.StreamEnded() {
				continue
			}
			text += fmt.Sprint(" end after ", body)
		case *xhttp2.SettingsFrame:
			text += fmt.Sprint(" ", frame.IsAck())
		case *xhttp2.PingFrame:
			text += fmt.Sprint(" ", frame.IsAck(), " ", frame.Data)
		case *xhttp2.WindowUpdateFrame:
			text += fmt.Sprint(" ", frame.Increment)
		case *xhttp2.RSTStreamFrame:
			text += fmt.Sprint(" ", frame.ErrCode)
		}
		got = append(got, text)
	}
	want := []string{
		"SETTINGS 0 false", fmt.Sprint("WINDOW_UPDATE 0 ", connWindow-defaultWindow),
		"HEADERS 1 / 1 false", "HEADERS 3 / 1 true", "SETTINGS 0 true", "PING 0 true [1 2 3 0 0 0 0 0]", "RST_STREAM 3 CANCEL",
	}
	if body != 90_000 {
		t.Errorf("%d bytes of body, want as many as the stream's window, 90000", body)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c.Streams() != 1 {
		t.Errorf("%d streams are open, want 1", c.Streams())
	}
}

// TestWindows: what is received is given back when half a window is used.
func TestWindows(t *testing.T) {
	c, _ := opened(t, 1)
	c.Take(nil)
	s := newScript()
	_ = s.WriteSettings()
	s.head(1, false, ok200, "200")
	r := &recorder{c: c, on: func(string) error { return nil }}
	if err := c.Write(s.Bytes(), r); err != nil {
		t.Fatal(err)
	}
	c.Take(nil)
	s.Reset()
	_ = s.WriteDataPadded(1, false, make([]byte, 16000), make([]byte, 255))
	given := map[uint32]uint32{}
	const frames = 5000
	for range frames {
		r.texts = nil
		if err := c.Write(s.Bytes(), r); err != nil {
			t.Fatal(err)
		}
		f := xhttp2.NewFramer(nil, bytes.NewReader(c.Take(nil)))
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				break
			}
			u, ok := frame.(*xhttp2.WindowUpdateFrame)
			if !ok {
				t.Fatalf("%v", frame)
			}
			given[u.StreamID] += u.Increment
		}
	}
	const used = frames * (16000 + 255 + 1)
	for id, window := range map[uint32]int{0: connWindow, 1: streamWindow} {
		if left := used - int(given[id]); left < 0 || left >= window/2 {
			t.Errorf("%d of %d bytes were given back on %d", given[id], used, id)
		}
	}
}

// TestHandlerActs: what a Handler does within a call takes effect at once.
func TestHandlerActs(t *testing.T) {
	stop := errors.New("stop")
	s := newScript()
	_ = s.WriteSettings()
	s.head(1, false, ok200, "200")
	s.head(3, false, ok200, "200")
	_ = s.WriteData(1, false, []byte("a"))
	_ = s.WriteData(3, true, []byte("b"))
	_ = s.WriteData(1, true, []byte("c"))
	for _, c := range []struct {
		name string
		on   func(*Conn, []*Stream) func(string) error
		want string
	}{
		{"cancels the stream itself", func(c *Conn, all []*Stream) func(string) error {
			return func(text string) error {
				if text == "1: data a" {
					c.Cancel(all[0])
				}
				return nil
			}
		}, "1: head 200|2: head 200|1: data a|2: data b|2: end <nil>"},
		{"cancels another", func(c *Conn, all []*Stream) func(string) error {
			return func(text string) error {
				if text == "1: data a" {
					c.Cancel(all[1])
				}
				return nil
			}
		}, "1: head 200|2: head 200|1: data a|1: data c|1: end <nil>"},
		{"fails at a head", func(*Conn, []*Stream) func(string) error {
			return func(text string) error {
				if text == "1: head 200" {
					return stop
				}
				return nil
			}
		}, "1: head 200|1: end stop|2: head 200|2: data b|2: end <nil>"},
		{"fails at data", func(*Conn, []*Stream) func(string) error {
			return func(text string) error {
				if text == "1: data a" {
					return stop
				}
				return nil
			}
		}, "1: head 200|2: head 200|1: data a|1: end stop|2: data b|2: end <nil>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, all := opened(t, 2)
			r := &recorder{c: conn, on: c.on(conn, all)}
			if err := conn.Write(s.Bytes(), r); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(r.texts[1:], "|"); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// TestClose ends what is left, but for what the Handler cancels meanwhile.
func TestClose(t *testing.T) {
	c, all := opened(t, 4)
	r := &recorder{c: c}
	r.on = func(text string) error {
		if strings.HasPrefix(text, "1:") {
			c.Cancel(all[2])
		}
		return nil
	}
	c.Close(r, errors.New("gone"))
	if got, want := strings.Join(r.texts, "|"), "1: end gone|2: end gone|4: end gone"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := c.Open(all[0], nil, nil); !errors.Is(err, ErrLimit) || c.Room() != 0 {
		t.Errorf("afterwards a stream opens: %v", err)
	}
}

// TestLimit opens no more than the server takes.
func TestLimit(t *testing.T) {
	c, all := opened(t, 2)
	if n, known := c.Limit(); n != unsettledLimit || known {
		t.Errorf("before the settings the limit is %d, known %t", n, known)
	}
	s := newScript()
	_ = s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 2})
	if err := c.Write(s.Bytes(), &recorder{c: c}); err != nil {
		t.Fatal(err)
	}
	if err := c.Open(&Stream{}, nil, nil); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "takes 2") {
		t.Errorf("a third stream: %v", err)
	}
	c.Cancel(all[0])
	if err := c.Open(&Stream{}, []byte{0x82}, nil); err != nil {
		t.Errorf("in place of another: %v", err)
	}
}

// TestDataAllocatesNothing takes a body in frames.
func TestDataAllocatesNothing(t *testing.T) {
	c, _ := opened(t, 100)
	s := newScript()
	_ = s.WriteSettings()
	for i := range uint32(100) {
		s.head(2*i+1, false, ok200, "200")
	}
	h := &counter{}
	if err := c.Write(s.Bytes(), h); err != nil {
		t.Fatal(err)
	}
	s.Reset()
	for i := range uint32(100) {
		_ = s.WriteData(2*i+1, false, []byte("data: 0123456789\n\n"))
	}
	in, out := s.Bytes(), make([]byte, 0, 1<<10)
	allocs := testing.AllocsPerRun(1000, func() {
		if err := c.Write(in, h); err != nil {
			t.Fatal(err)
		}
		out = c.Take(out)
	})
	if allocs != 0 {
		t.Errorf("%v allocations for 100 frames", allocs)
	}
	if want := 1001 * 1800; h.bytes != want {
		t.Errorf("%d bytes, want %d", h.bytes, want)
	}
}

// counter is a Handler that only counts.
type counter struct{ bytes int }

func (h *counter) Head(*Stream, *Head) error { return nil }

func (h *counter) Data(_ *Stream, p []byte) error {
	h.bytes += len(p)
	return nil
}

func (h *counter) End(*Stream, error) {}

func (h *counter) Changed() {}
