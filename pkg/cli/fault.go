package cli

import (
	"strings"

	"github.com/sseload/sseload/testserver"
)

// faults is what the reference server is to do wrong, "drop,every=7". The flag is
// repeatable; several in one text have semicolons between them, as an environment
// variable needs it.
type faults []testserver.Fault

func (v *faults) String() string {
	parts := make([]string, len(*v))
	for i, f := range *v {
		parts[i] = f.String()
	}
	return strings.Join(parts, "; ")
}

func (v *faults) Type() string { return "FAULT" }

func (v *faults) Set(s string) error {
	var list faults
	for _, text := range strings.Split(s, ";") {
		f, err := testserver.ParseFault(strings.TrimSpace(text))
		if err != nil {
			return &hinted{err, "write KIND[=VALUE][,every=K][,after=N][,room=R], such as drop,every=7, delay=20ms or close,after=5"}
		}
		list = append(list, f)
	}
	*v = append(*v, list...)
	return nil
}
