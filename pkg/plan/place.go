package plan

import (
	"errors"
	"fmt"
)

// Place is where something stands in a plan.
type Place struct {
	File         string // as it was named to [Parse]
	Line, Column int    // from 1; columns are characters
}

// String gives the place as compilers do: file:line:column.
func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Error is a mistake in a plan.
type Error struct {
	Place Place
	Err   error
	// Remedy says what to do about it, in a few words; empty: what Err knows.
	Remedy string
}

// Error implements error: one line, with the place in front.
func (e *Error) Error() string { return e.Place.String() + ": " + e.Err.Error() }

// Unwrap gives what is wrong, without the place.
func (e *Error) Unwrap() error { return e.Err }

// Hint says what to do about it; empty when nobody knows.
func (e *Error) Hint() string {
	var h interface{ Hint() string }
	if e.Remedy == "" && errors.As(e.Err, &h) {
		return h.Hint()
	}
	return e.Remedy
}

// wrong is the error of what stands at p.
func (p Place) wrong(remedy, format string, args ...any) error {
	return &Error{Place: p, Err: fmt.Errorf(format, args...), Remedy: remedy}
}
