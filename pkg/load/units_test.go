package load

import "testing"

// TestUnits: no part may share a room, or a connection, with another.
func TestUnits(t *testing.T) {
	for _, c := range []struct{ rooms, roomSize, perConnection, n, size int }{
		{100, 6, 0, 100, 1}, // HTTP/1.1
		{100, 6, 1, 100, 1},
		{100, 6, 6, 100, 1},
		{100, 6, 3, 100, 1},
		{100, 6, 4, 50, 2},
		{100, 6, 10, 20, 5},
		{101, 6, 10, 21, 5},
		{100, 6, 100, 2, 50},
		{2, 6, 100, 1, 50},
		{7, 1, 5, 2, 5},
		{7, 5, 1, 7, 1},
	} {
		n, size := units(c.rooms, c.roomSize, c.perConnection)
		if n != c.n || size != c.size {
			t.Errorf("%d rooms of %d with %d a connection: %d parts of %d rooms, want %d of %d",
				c.rooms, c.roomSize, c.perConnection, n, size, c.n, c.size)
		}
		if end := size * c.roomSize; end%max(1, c.perConnection) != 0 {
			t.Errorf("a part of %d clients ends within a connection of %d", end, c.perConnection)
		}
	}
}
