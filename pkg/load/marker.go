package load

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"strconv"
)

// marker identifies a message wherever it turns up. Written out it is
//
//	sseload:RUN:ROOM:SENDER:SEQUENCE:NANOSECONDS:
//
// all of ASCII letters, digits and colons, so that it survives JSON, URLs and
// any envelope a server wraps around it.
type marker struct {
	room   int
	sender int
	seq    uint32 // from 1
	nanos  int64  // when the send was due, on the run's clock
}

const markerName = "sseload:"

// runName is the part of every marker that is the same in one run.
type runName struct {
	prefix []byte // "sseload:RUN:"
}

// newRunName makes up a name that no other run has.
func newRunName() runName {
	var random [5]byte
	_, _ = rand.Read(random[:]) // never fails, see its documentation
	run := base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:])
	return runName{prefix: []byte(markerName + run + ":")}
}

// maxMarkerLen is the length of the longest marker.
const maxMarkerLen = len(markerName) + 8 + 1 + 10 + 1 + 10 + 1 + 10 + 1 + 19 + 1

// append writes m onto dst and pads it to size bytes.
func (n runName) append(dst []byte, m marker, size int) []byte {
	start := len(dst)
	dst = append(dst, n.prefix...)
	dst = strconv.AppendInt(dst, int64(m.room), 10)
	dst = append(dst, ':')
	dst = strconv.AppendInt(dst, int64(m.sender), 10)
	dst = append(dst, ':')
	dst = strconv.AppendUint(dst, uint64(m.seq), 10)
	dst = append(dst, ':')
	dst = strconv.AppendInt(dst, m.nanos, 10)
	dst = append(dst, ':')
	for len(dst)-start < size {
		dst = append(dst, '.')
	}
	return dst
}

// finding is what find found.
type finding uint8

const (
	nothing finding = iota // no marker
	foreign                // a marker of another run, or a damaged one
	ours
)

// find looks for the next marker in data. rest is what follows it.
func (n runName) find(data []byte) (m marker, what finding, rest []byte) {
	i := bytes.Index(data, []byte(markerName))
	if i < 0 {
		return marker{}, nothing, nil
	}
	data = data[i:]
	rest = data[len(markerName):]
	if !bytes.HasPrefix(data, n.prefix) {
		return marker{}, foreign, rest
	}
	p := data[len(n.prefix):]
	var fields [4]int64
	for k := range fields {
		var ok bool
		if fields[k], p, ok = number(p); !ok {
			return marker{}, foreign, rest
		}
	}
	if fields[2] < 1 || fields[2] > 1<<32-1 {
		return marker{}, foreign, rest
	}
	return marker{room: int(fields[0]), sender: int(fields[1]), seq: uint32(fields[2]), nanos: fields[3]}, ours, p
}

// number reads the decimal digits before the next colon.
func number(p []byte) (v int64, rest []byte, ok bool) {
	for i, c := range p {
		switch {
		case c >= '0' && c <= '9' && i < 19:
			v = v*10 + int64(c-'0')
		case c == ':' && i > 0:
			return v, p[i+1:], v >= 0
		default:
			return 0, nil, false
		}
	}
	return 0, nil, false
}

// timestampLen is how many digits a JavaScript timestamp (milliseconds since the
// epoch) has until the year 2286.
const timestampLen = 13

// findTimestamp looks for a JavaScript timestamp in data: the first run of
// exactly thirteen digits.
func findTimestamp(data []byte) (ms int64, ok bool) {
	run := 0
	for i := 0; i <= len(data); i++ {
		if i < len(data) && data[i] >= '0' && data[i] <= '9' {
			run++
			continue
		}
		if run == timestampLen {
			ms, err := strconv.ParseInt(string(data[i-run:i]), 10, 64)
			return ms, err == nil
		}
		run = 0
	}
	return 0, false
}
