package report

import (
	"io"

	"github.com/sseload/sseload/pkg/result"
)

// jsonFormat is the record itself.
type jsonFormat struct{}

func (jsonFormat) Name() string { return "json" }

func (jsonFormat) Description() string { return "the record itself, everything that is known" }

func (jsonFormat) Render(w io.Writer, f *result.File, _ Options) error { return f.Write(w) }
