package cli

import (
	"errors"
	"io/fs"
	"testing"
)

func TestErrorsOfOneFileNameIt(t *testing.T) {
	cause, full := errors.New("cause"), &fs.PathError{Op: "write", Path: "out", Err: errors.New("full")}
	for _, test := range []struct {
		files []string
		err   error
		want  string
	}{
		{[]string{"a"}, cause, "a: cause"}, {[]string{"a", "b"}, cause, "cause"}, {[]string{"a"}, full, "write out: full"},
	} {
		if got := fromOne(test.files, test.err); got.Error() != test.want || !errors.Is(got, test.err) {
			t.Errorf("of %q: %v, want %s", test.files, got, test.want)
		}
	}
	if err := fromOne([]string{"a"}, nil); err != nil {
		t.Error(err)
	}
}
