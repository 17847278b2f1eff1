package load

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

func TestEntry(t *testing.T) {
	for _, c := range []struct {
		name string
		seqs []uint32
		want []verdict
		left uint32 // received
	}{
		{"in order", []uint32{1, 2, 3}, []verdict{inOrder, inOrder, inOrder}, 3},
		{"lost in the middle", []uint32{1, 3}, []verdict{inOrder, inOrder}, 2},
		{"first ones lost", []uint32{4}, []verdict{inOrder}, 1},
		{"duplicate", []uint32{1, 1, 2, 1}, []verdict{inOrder, duplicate, inOrder, duplicate}, 2},
		{"swapped", []uint32{2, 1, 3}, []verdict{inOrder, reordered, inOrder}, 3},
		{"reordered twice is duplicate", []uint32{2, 1, 1}, []verdict{inOrder, reordered, duplicate}, 2},
		{"out of the middle of a gap", []uint32{9, 5, 5, 1, 8}, []verdict{inOrder, reordered, duplicate, reordered, reordered}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e entry
			for i, seq := range c.seqs {
				if got := e.receive(seq); got != c.want[i] {
					t.Errorf("copy %d (sequence %d): verdict %d, want %d", i, seq, got, c.want[i])
				}
			}
			if got := e.count(); got != c.left {
				t.Errorf("%d received, want %d", got, c.left)
			}
		})
	}
}

// TestEntryAgreesWithASet holds the entry against the obvious way to do it.
func TestEntryAgreesWithASet(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var e entry
		seen := map[uint32]bool{}
		var highest uint32
		for range 200 {
			seq := 1 + random.Uint32N(60)
			want := inOrder
			switch {
			case seen[seq]:
				want = duplicate
			case seq < highest:
				want = reordered
			}
			seen[seq], highest = true, max(highest, seq)
			if got := e.receive(seq); got != want {
				t.Fatalf("sequence %d: verdict %d, want %d", seq, got, want)
			}
			if int(e.count()) != len(seen) {
				t.Fatalf("count %d, want %d", e.count(), len(seen))
			}
			if probe := 1 + random.Uint32N(70); e.has(probe) != seen[probe] {
				t.Fatalf("has(%d) is %v", probe, e.has(probe))
			}
		}
	}
}

func TestEntryIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > 16 {
		t.Errorf("an entry takes %d bytes", size)
	}
	var e entry
	seq := uint32(0)
	if n := testing.AllocsPerRun(100, func() { seq++; e.receive(seq) }); n != 0 {
		t.Errorf("%v allocations for a copy in order", n)
	}
}

// TestEntryOwes holds what is owed against the obvious way to count it.
func TestEntryOwes(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		var e entry
		for range random.IntN(40) {
			e.receive(1 + random.Uint32N(60))
		}
		last := max(e.highest, random.Uint32N(70))
		e.excused = random.Uint32N(70)
		want := 0
		for seq := uint32(1); seq <= last; seq++ {
			if seq > e.excused && !e.has(seq) {
				want++
			}
		}
		if got := e.owes(last); got != want {
			t.Fatalf("%d owed of %d, %d excused, want %d: %+v", got, last, e.excused, want, e.gaps)
		}
	}
}
