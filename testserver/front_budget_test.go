//go:build !race && unix

// The race detector allocates on its own account.

package testserver

import (
	"io"
	"sync/atomic"
	"testing"
)

// exchange returns a function that posts a message to a room of six over one
// connection and reads the answer. It does not allocate itself.
func exchange(t testing.TB, addr string) (post func()) {
	t.Helper()
	conn := connect(t, addr)
	request := []byte(message("r0", benchBody))
	answer := make([]byte, 1<<10)
	var length int
	post = func() {
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		if length == 0 {
			n, err := conn.Read(answer)
			if err != nil {
				t.Fatal(err)
			}
			length = n // all answers are as long
			return
		}
		if _, err := io.ReadFull(conn, answer[:length]); err != nil {
			t.Fatal(err)
		}
	}
	post()
	return post
}

// A message costs no allocation, from the request to the answer.
func TestAllocationsPerMessage(t *testing.T) {
	const runs = 2000
	s := start(t, Config{ClientBuffer: 64 << 20})
	var got atomic.Int64
	fill(t, s.URL(), benchSize, &got)
	post := exchange(t, s.Addr().String())
	before := s.deliveries.Load()
	// What is left of a mean below one, as when a pool was emptied, is rounded off.
	if n := testing.AllocsPerRun(runs, post); n > 0 {
		t.Errorf("%v allocations per message, want none", n)
	}
	if n := s.deliveries.Load() - before; n != benchSize*(runs+1) {
		t.Errorf("%d deliveries, want %d", n, benchSize*(runs+1))
	}
}

// BenchmarkMessage measures one message from the request to the answer, through the
// front and, to compare, through net/http. Both ends are in this process.
func BenchmarkMessage(b *testing.B) {
	for _, through := range []string{"front", "net-http"} {
		b.Run(through, func(b *testing.B) {
			s := start(b, Config{ClientBuffer: 64 << 20})
			var got atomic.Int64
			fill(b, s.URL(), benchSize, &got)
			addr := s.Addr().String()
			if through == "net-http" {
				addr = oracle(b, s)
			}
			post := exchange(b, addr)
			b.ReportAllocs()
			for b.Loop() {
				post()
			}
		})
	}
}
