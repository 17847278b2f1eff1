package profile

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/google/pprof/profile"
)

// maxFrames bounds the memory of stacks that were put together here: eight bytes
// a frame. A profile of ten minutes has some ten thousand stacks.
const maxFrames = 8 << 20

// maxWalked bounds the time that goes into them, a few seconds.
const maxWalked = 64 << 20

// maxDepth is deeper than any engine lets a program go.
const maxDepth = 64 << 10

var errTooLarge = errors.New("too many stacks")

// stacks makes a profile out of stacks that came in another form. Equal stacks
// are one sample.
type stacks struct {
	data      *profile.Profile
	locations map[frame]*profile.Location
	samples   map[string]*profile.Sample
	room      int                 // for frames to keep
	walked    int                 // added
	key       []byte              // of the stack being added
	stack     []*profile.Location // the same
}

// frame is one function of a stack.
type frame struct {
	name   string // for a reader
	symbol string // as the target calls it
	file   string
	line   int64 // 0 is unknown
}

func newStacks(types ...*profile.ValueType) *stacks {
	return &stacks{
		data: &profile.Profile{
			SampleType: types,
			PeriodType: &profile.ValueType{},
		},
		locations: map[frame]*profile.Location{},
		samples:   map[string]*profile.Sample{},
		room:      maxFrames,
	}
}

// add counts a stack, the leaf first. It keeps nothing of the two slices.
func (s *stacks) add(stack []frame, values ...int64) error {
	if s.walked += len(stack) + 1; s.walked > maxWalked {
		return errTooLarge
	}
	s.key, s.stack = s.key[:0], s.stack[:0]
	for _, f := range stack {
		l := s.location(f)
		s.key = binary.LittleEndian.AppendUint32(s.key, uint32(l.ID))
		s.stack = append(s.stack, l)
	}
	sample := s.samples[string(s.key)]
	if sample == nil {
		// The sample and its key count themselves too.
		if s.room -= len(stack) + 16; s.room < 0 {
			return errTooLarge
		}
		sample = &profile.Sample{Location: slices.Clone(s.stack), Value: make([]int64, len(values))}
		s.samples[string(s.key)] = sample
		s.data.Sample = append(s.data.Sample, sample)
	}
	for i, v := range values {
		sample.Value[i] = sum(sample.Value[i], v)
	}
	return nil
}

func (s *stacks) location(f frame) *profile.Location {
	if l := s.locations[f]; l != nil {
		return l
	}
	id := uint64(len(s.locations) + 1)
	function := &profile.Function{ID: id, Name: f.name, SystemName: f.symbol, Filename: f.file, StartLine: f.line}
	l := &profile.Location{ID: id, Line: []profile.Line{{Function: function, Line: f.line}}}
	s.locations[f] = l
	s.data.Function = append(s.data.Function, function)
	s.data.Location = append(s.data.Location, l)
	return l
}
