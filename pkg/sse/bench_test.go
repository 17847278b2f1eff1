package sse_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/sse"
)

// workload is a stream as one iteration writes it.
type workload struct {
	name   string
	writes [][]byte
	events int
	size   int64
}

// readSize is what an engine's read brings at best.
const readSize = 64 << 10

// workloads are streams of about one read each. "100 B" is what the budget of
// 1 GB/s is about: "data: ", payload and two LFs, 100 bytes in all.
func workloads() []workload {
	sized := func(head, tail string, size int) func(int) string {
		return func(int) string {
			return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
		}
	}
	all := func(name string, event func(int) string, cut func([]byte) [][]byte) workload {
		var b bytes.Buffer
		events := 0
		for b.Len() < readSize {
			b.WriteString(event(events))
			events++
		}
		return workload{name: name, writes: cut(b.Bytes()), events: events, size: int64(b.Len())}
	}
	whole := func(p []byte) [][]byte { return [][]byte{p} }
	every := func(n int) func([]byte) [][]byte {
		return func(p []byte) (parts [][]byte) {
			for len(p) > n {
				parts, p = append(parts, p[:n]), p[n:]
			}
			return append(parts, p)
		}
	}
	plain := sized("data: ", "\n\n", 100)
	return []workload{
		all("100 B", plain, whole),
		all("1 KiB", sized("data: ", "\n\n", 1024), whole),
		all("100 B, one a write", plain, every(100)),
		all("100 B, id", func(i int) string {
			return sized(fmt.Sprintf("id: %08d\ndata: ", i), "\n\n", 100)(i)
		}, whole),
		all("100 B, event", sized("event: add\ndata: ", "\n\n", 100), whole),
		all("100 B, CRLF", sized("data: ", "\r\n\r\n", 100), whole),
		all("100 B, CR", sized("data: ", "\r\r", 100), whole),
		all("100 B, 3 lines", func(i int) string {
			return sized("data: "+strings.Repeat("x", 24)+"\ndata: "+strings.Repeat("x", 24)+"\ndata: ", "\n\n", 100)(i)
		}, whole),
		all("100 B, heartbeats", func(i int) string { return ": heartbeat\n\n" + plain(i) }, whole),
		all("100 B, cut at 7", plain, every(7)),
		all("100 B, cut at 1460", plain, every(1460)),
		all("1 KiB, cut at 1460", sized("data: ", "\n\n", 1024), every(1460)),
		all("32 KiB, cut at 1460", sized("data: ", "\n\n", 32<<10), every(1460)),
	}
}

func BenchmarkDecoder(b *testing.B) {
	for _, w := range workloads() {
		b.Run(w.name, func(b *testing.B) {
			var d sse.Decoder
			var c counter
			b.SetBytes(w.size)
			b.ReportAllocs()
			for b.Loop() {
				for _, p := range w.writes {
					if err := d.Write(p, &c); err != nil {
						b.Fatal(err)
					}
				}
			}
			if c.events != b.N*w.events {
				b.Fatalf("got %d events of %d", c.events, b.N*w.events)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(c.events), "ns/event")
		})
	}
}

func BenchmarkToValid(b *testing.B) {
	for _, v := range []struct{ name, text string }{
		{"ASCII", strings.Repeat("x", 1024)},
		{"ill-formed", strings.Repeat("x", 1023) + "\xFF"},
	} {
		b.Run(v.name, func(b *testing.B) {
			p := []byte(v.text)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				sse.ToValid(p)
			}
		})
	}
}
