//go:build unix

package testserver

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	benchRooms = 667
	benchSize  = 6
	benchBody  = "sseload:run:room:sender:sequence:1700000000000000000:"
)

// fill subscribes rooms of six and counts the bytes they get. Reading costs a
// goroutine each here, so what matters is the server's own CPU, not the rate.
// What it returns closes the clients.
func fill(b testing.TB, base string, clients int, got *atomic.Int64) (leave func()) {
	b.Helper()
	addr := strings.TrimPrefix(base, "http://")
	var conns []net.Conn
	leave = func() {
		for _, conn := range conns {
			conn.Close()
		}
		conns = nil
	}
	b.Cleanup(func() { leave() }) // after a failure, too
	for i := range clients {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, conn)
		if _, err := fmt.Fprintf(conn, "GET /events?room=r%d HTTP/1.1\r\nHost: x\r\n\r\n", i/benchSize); err != nil {
			b.Fatal(err)
		}
		in := bufio.NewReaderSize(conn, 512)
		for line := ""; line != "\r\n"; {
			if line, err = in.ReadString('\n'); err != nil {
				b.Fatal(err)
			}
		}
		go func() {
			buf := make([]byte, 512)
			for {
				n, err := conn.Read(buf)
				got.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
	}
	return leave
}

// BenchmarkRooms posts to 667 rooms of 6 on a server in a process of its own;
// one operation is one message. It reports deliveries per second and the
// server's CPU per delivery, its share of the post included.
func BenchmarkRooms(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			child := startChild(b, Config{Workers: workers})
			var got atomic.Int64
			fill(b, child.url, benchRooms*benchSize, &got)
			p, asker := newPoster(b, child.url), newPoster(b, child.url)
			before := asker.stats()
			next := 0
			for b.Loop() {
				if a := p.post(fmt.Sprint("r", next%benchRooms), benchBody); a.Receivers != benchSize {
					b.Fatalf("%+v", a)
				}
				next++
			}
			elapsed := b.Elapsed()
			after := asker.stats()
			n := float64(after.Deliveries - before.Deliveries)
			b.ReportMetric(n/elapsed.Seconds(), "deliveries/s")
			b.ReportMetric(float64(*after.CPUNS-*before.CPUNS)/1000/n, "cpu-µs/delivery")
		})
	}
}

// BenchmarkDeliver measures the hot path alone: one message to the six members
// of a room over real sockets, without the post.
func BenchmarkDeliver(b *testing.B) {
	s := start(b, Config{ClientBuffer: 64 << 20})
	var got atomic.Int64
	fill(b, s.URL(), benchSize, &got)
	room, body := []byte("r0"), []byte(benchBody)
	b.ReportAllocs()
	for b.Loop() {
		if r := s.apply(room, "", body, 0); r.receivers != benchSize {
			b.Fatalf("%+v", r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchSize), "ns/delivery")
}

// BenchmarkIdleClient reports the memory that 5,000 idle clients take on a
// server in a process of its own, and how fast they subscribe.
func BenchmarkIdleClient(b *testing.B) {
	const clients = 5000
	for b.Loop() {
		child := startChild(b, Config{Pprof: true})
		p := newPoster(b, child.url)
		liveBytes := func() (heap, stacks float64) {
			// gc=1 collects first, so that only what is held is counted.
			status, text := p.do("GET", "/debug/pprof/heap?gc=1&debug=1", "")
			if status != http.StatusOK {
				b.Fatal(status)
			}
			for line := range strings.Lines(text) {
				_, _ = fmt.Sscanf(line, "# HeapAlloc = %f", &heap) // other lines do not match
				_, _ = fmt.Sscanf(line, "# Stack = %f", &stacks)
			}
			return heap, stacks
		}
		heap0, stacks0 := liveBytes()
		cpu := *p.stats().CPUNS
		var got atomic.Int64
		begin := time.Now()
		leave := fill(b, child.url, clients, &got)
		b.ReportMetric(float64(clients)/time.Since(begin).Seconds(), "subscribes/s")
		b.ReportMetric(float64(*p.stats().CPUNS-cpu)/1000/clients, "cpu-µs/subscribe")
		heap1, stacks1 := liveBytes()
		b.ReportMetric((heap1-heap0)/clients, "heap-B/client")
		b.ReportMetric((stacks1-stacks0)/clients, "stack-B/client")
		leave()
		if err := child.stdin.Close(); err != nil {
			b.Fatal(err)
		}
		if err := child.wait(); err != nil {
			b.Fatal(err)
		}
	}
}
