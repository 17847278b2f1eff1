package cli

// deviation is what an engine makes of a vector in place of what is wanted.
type deviation struct {
	why string
	// flags are further ones, for an engine that would go on for seconds.
	flags []string
	want  []string
}

// r3labsDeviations are those of the client of github.com/r3labs/sse/v2, by vector.
// What is listed here and does not deviate, or otherwise, is a failure.
var r3labsDeviations = map[string]deviation{
	"a mark at the start is dropped, one later on is text": {
		why:  "a byte order mark hides the first field",
		want: []string{`event "3"`, `end clean`},
	},
	"a mark before a comment": {
		why:  "a byte order mark hides the first field",
		want: []string{`event "1"`, `end clean`},
	},
	"each connection may begin with a mark": {
		why:   "a byte order mark hides the first field",
		flags: []string{"--count", "1"},
		want:  []string{`event "1"`, `connection 2 did not come, and 1 behind it`, `end clean`},
	},
	"lines are joined, and a data field without a colon is an empty line": {
		why:  "empty data alone is not dispatched",
		want: []string{`event "msg\nmsg"`, `event "end"`, `end clean`},
	},
	"empty data is an event, and so are two empty lines": {
		why:  "empty data alone is not dispatched",
		want: []string{`event "\n"`, `event "test"`, `end clean`},
	},
	"what no empty line has closed at the end is discarded": {
		why:  "what the end cuts off is dispatched",
		want: []string{`event "test1" retry=1`, `event "test2" id="test"`, `event "test3" id="test"`, `event "test4" id="test"`, `connection 2 has Last-Event-ID "test", not none`, `connection 3 has Last-Event-ID "test", not none`, `end clean`},
	},
	"an event ends at CR LF CR, and at LF CR LF": {
		why:  "an event ends only at two line ends of the same kind in a row, or at CR LF LF",
		want: []string{`event "1\n2"`, `event "3"`, `end clean`},
	},
	"a block without data is no event, and its type is forgotten": {
		why:  "a block without data is dispatched",
		want: []string{`event "" type="a" id="1"`, `event "x" id="1"`, `end clean`},
	},
	"two streams do not share half an event": {
		why:  "what the end cuts off is dispatched",
		want: []string{`event "" retry=1`, `event "half"`, `event "whole"`, `end clean`},
	},
	"comments are told of, in their place": {
		why:  "comments are not offered",
		want: []string{`event "1"`, `event "2"`, `end clean`},
	},
	"of two types the last one holds, and an empty one takes it back": {
		why:  "an empty type does not take back the one before it",
		want: []string{`event "1" type="b"`, `event "2" type="a"`, `end clean`},
	},
	"an ID comes back over several connections": {
		why:  "a block without data is dispatched",
		want: []string{`event "hello" id="…" retry=1`, `event "1" id="…"`, `event "" id="…"`, `event "2" id="…"`, `end clean`},
	},
	"an empty ID resets it, and no header is sent": {
		why:  "an empty ID does not reset",
		want: []string{`event "1" id="1" retry=1`, `event "2" id="1"`, `event "3" id="1"`, `connection 2 has Last-Event-ID "1", not none`, `end clean`},
	},
	"an ID without a colon resets it": {
		why:  "an empty ID does not reset",
		want: []string{`event "1" id="1" retry=1`, `event "2" id="1"`, `event "3" id="1"`, `connection 2 has Last-Event-ID "1", not none`, `end clean`},
	},
	"an ID of NULs is ignored": {
		why:   "an ID with a NUL is taken",
		flags: []string{"--count", "1"},
		want:  []string{`event "hello" id="\x00\x00" retry=1`, `connection 2 did not come, and 0 behind it`, `end clean`},
	},
	"an ID that ends with a NUL is ignored": {
		why:   "an ID with a NUL is taken",
		flags: []string{"--count", "1"},
		want:  []string{`event "hello" id="x\x00" retry=1`, `connection 2 did not come, and 0 behind it`, `end clean`},
	},
	"an ID that begins with a NUL is ignored": {
		why:   "an ID with a NUL is taken",
		flags: []string{"--count", "1"},
		want:  []string{`event "hello" id="\x00x" retry=1`, `connection 2 did not come, and 0 behind it`, `end clean`},
	},
	"an ID around a NUL is ignored": {
		why:   "an ID with a NUL is taken",
		flags: []string{"--count", "1"},
		want:  []string{`event "hello" id="x\x00x" retry=1`, `connection 2 did not come, and 0 behind it`, `end clean`},
	},
	"an ID of a space and a NUL is ignored": {
		why:   "an ID with a NUL is taken",
		flags: []string{"--count", "1"},
		want:  []string{`event "hello" id=" \x00" retry=1`, `connection 2 did not come, and 0 behind it`, `end clean`},
	},
	"an ID with a NUL leaves the one before it": {
		why:   "an ID with a NUL is taken",
		flags: []string{"--count", "2"},
		want:  []string{`event "a" id="1" retry=1`, `event "b" id="3\x00"`, `connection 2 did not come, and 0 behind it`, `end clean`},
	},
	"the ID of a block without data counts, though there is no event": {
		why:  "a block without data is dispatched",
		want: []string{`event "a" id="1" retry=1`, `event "" id="2"`, `event "b" id="2"`, `end clean`},
	},
	"the ID of half a block does not count": {
		why:  "what the end cuts off is dispatched",
		want: []string{`event "a" id="1" retry=1`, `event "b" id="2"`, `connection 2 has Last-Event-ID "2", not "1"`, `end clean`},
	},
	"a clean end is followed by another connection": {
		why:  "a block without data is dispatched",
		want: []string{`event "" retry=2`, `event "data"`, `end clean`},
	},
	"a body cut short of its length is followed by another connection": {
		why:  "what the end cuts off is dispatched",
		want: []string{`event "a" id="1" retry=40`, `event "b" id="2"`, `event "c" id="2"`, `connection 2 has Last-Event-ID "2", not "1"`, `end clean`},
	},
	"a body cut between chunks is followed by another connection": {
		why:  "what the end cuts off is dispatched",
		want: []string{`event "a" id="1" retry=40`, `event "b" id="2"`, `event "c" id="2"`, `connection 2 has Last-Event-ID "2", not "1"`, `end clean`},
	},
	"without being asked to, a client tells of a stream cut short": {
		why:  "what the end cuts off is dispatched",
		want: []string{`event "a"`, `event "b"`, `end error`},
	},
	"a time with a letter is no time": {
		why:   "of several times in a block the last one is read, whatever it is",
		flags: []string{"--count", "1"},
		want:  []string{`event "x"`, `connection 2 did not come, and 0 behind it`, `end clean`},
	},
	"signs, points, spaces and other digits are no time": {
		why:  "of several times in a block the last one is read, whatever it is",
		want: []string{`event "a"`, `end clean`},
	},
	"a time counts with its line, in a block without data too": {
		why:  "a block without data is dispatched",
		want: []string{`event "" retry=100`, `event "a"`, `end clean`},
	},
	"a time in half a block counts": {
		why:  "what the end cuts off is dispatched",
		want: []string{`event "a" retry=1`, `event "b" retry=100`, `end clean`},
	},
	"a time too long for any clock is taken": {
		why:  "a time of more than 64 bits is ignored",
		want: []string{`event "a"`, `end clean`},
	},
}
