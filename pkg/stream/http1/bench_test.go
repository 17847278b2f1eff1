package http1

import (
	"strings"
	"testing"
)

// event is a chunk as a server sends it for one event of 100 bytes.
var event = "64\r\n" + strings.Repeat("x", 98) + "\n\n\r\n"

// BenchmarkChunks measures the body path; bytes are those on the wire.
func BenchmarkChunks(b *testing.B) {
	for _, bb := range []struct {
		name string
		in   string
		step int
	}{
		{"one-a-write", event, len(event)},
		{"hundred-a-write", strings.Repeat(event, 100), len(event) * 100},
		{"split-in-two", event, len(event) / 2},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var r Response
			h := new(reader)
			if _, err := r.Write([]byte(chunks), h); err != nil {
				b.Fatal(err)
			}
			in := []byte(bb.in)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				for i := 0; i < len(in); i += bb.step {
					if _, err := r.Write(in[i:min(len(in), i+bb.step)], h); err != nil {
						b.Fatal(err)
					}
				}
			}
			if want := b.N * (len(in) / len(event)) * 100; h.bytes != want {
				b.Fatalf("%d bytes of body, want %d", h.bytes, want)
			}
		})
	}
}

// BenchmarkResponse measures a whole answer to a send.
func BenchmarkResponse(b *testing.B) {
	in := []byte(ok + "Content-Type: application/json\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n" +
		"Connection: keep-alive\r\nContent-Length: 15\r\n\r\n{\"receivers\":6}")
	var r Response
	h := new(reader)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Write(in, h); err != nil || !r.Done() {
			b.Fatal(err)
		}
		r.Reset()
	}
}
