package sse

import "unicode/utf8"

// ToValid returns b as the "UTF-8 decode" of the Encoding standard shows it: each
// maximal part of an ill-formed sequence becomes one U+FFFD REPLACEMENT CHARACTER,
// as in browsers. It differs from [bytes.ToValidUTF8], which replaces a run of
// such parts by one, and from ranging over a string, which replaces every byte.
//
// A b that is valid UTF-8 is returned as it is, without allocation; otherwise the
// result is a new slice. A byte order mark is kept: only the one that starts a
// stream is not text, and the [Decoder] has dropped that.
func ToValid(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	out := make([]byte, 0, len(b)+2*utf8.UTFMax)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = illFormed(b)
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return out
}

// illFormed returns the length of the maximal ill-formed part at the start of b:
// the longest prefix that could begin a well-formed sequence, at least one byte
// (Encoding standard, section 8.1.1, "UTF-8 decoder").
func illFormed(b []byte) int {
	low, high, more := byte(0x80), byte(0xBF), 0
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		more = 1
	case c >= 0xE0 && c <= 0xEF:
		more = 2
		switch c {
		case 0xE0: // less would be overlong
			low = 0xA0
		case 0xED: // more would be a surrogate
			high = 0x9F
		}
	case c >= 0xF0 && c <= 0xF4:
		more = 3
		switch c {
		case 0xF0: // less would be overlong
			low = 0x90
		case 0xF4: // more would be above U+10FFFF
			high = 0x8F
		}
	}
	n := 1
	for n <= more && n < len(b) && b[n] >= low && b[n] <= high {
		low, high = 0x80, 0xBF
		n++
	}
	return n
}
