package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// Format is a way to render a record.
type Format interface {
	// Name is what the user calls the format.
	Name() string
	// Description says in a few words, lower case, what the format is for.
	Description() string
	// Render writes all runs of f to w. It does not change f. Its errors are
	// those of w, and those of a record that cannot be rendered.
	Render(w io.Writer, f *result.File, o Options) error
}

// Options is what a format may need to know of the place it writes to.
type Options struct {
	// Width is the number of columns of the terminal written to; 0 means
	// unlimited. Only the findings and histogram formats fit themselves to it.
	Width int
	// Color is whether the place shows colours. Only the findings format has any.
	Color bool
	// Limit is how many bytes a format that can leave things out may write; 0 means its
	// own limit. Only github has one.
	Limit int
	// Failed is what the runs do not tell of, as it did not come to a run. Only junit and
	// github show it, for which a [result.File] without runs will do.
	Failed []NotDone
}

// NotDone is something that was asked for and could not be done.
type NotDone struct {
	Step   string // of a plan; empty: there is only one thing to do
	Reason string // in one line
}

// name is what to call it.
func (n *NotDone) name() string { return clean(cmp.Or(n.Step, "sseload")) }

// ShowsFailed tells whether a format shows what could not be done ([Options.Failed]).
func ShowsFailed(f Format) bool {
	switch f.(type) {
	case junit, github:
		return true
	}
	return false
}

// formats lists every format, the default first.
func formats() []Format {
	return []Format{
		findings{},
		markdown{},
		csvFormat{},
		jsonFormat{},
		against2014{},
		histogram{},
		junit{},
		samples{},
		github{},
		hgrm{},
		hlog{},
	}
}

// Lookup returns the format of that name. The error for an unknown name lists
// the known ones.
func Lookup(name string) (Format, error) {
	for _, f := range formats() {
		if f.Name() == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("unknown output format %q: known are %s", name, strings.Join(Names(), ", "))
}

// Names lists the formats, the default first.
func Names() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.Name())
	}
	return names
}

// All returns every format, in the order of [Names].
func All() []Format { return formats() }
