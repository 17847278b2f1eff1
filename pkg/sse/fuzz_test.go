package sse_test

import "testing"

// FuzzDecoder holds that any cut of any bytes gives what the oracle gives, with
// and without a limit on the size of events.
func FuzzDecoder(f *testing.F) {
	for i, v := range vectors {
		f.Add([]byte(v.stream), uint64(i), uint8(0))
		f.Add([]byte(v.stream), uint64(i), uint8(len(v.stream)/2))
	}
	for i, a := range pieces {
		for _, b := range pieces[i:] {
			f.Add([]byte(a+b+a+"\n\n"+b), uint64(i), uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64, limit uint8) {
		if len(stream) > 4096 {
			t.Skip("the oracle is slow, and long streams show nothing new")
		}
		check(t, string(stream), seed, int(limit))
	})
}
