package stream

import (
	"bytes"
	"iter"
	"net/url"

	"github.com/sseload/sseload/pkg/stream/http1"
	"github.com/sseload/sseload/pkg/target"
)

// tellHead tells Head of the answer to a subscribe request over HTTP/1.1.
func (c *Config) tellHead(v target.Vars, moved *redirects, h *http1.Head) {
	c.tellFields(v, moved, h.Status, h.Fields())
}

// tellFields tells Head of the answer to the subscribe request for v, which went to
// where moved says, or to the target.
func (c *Config) tellFields(v target.Vars, moved *redirects, status int, fields iter.Seq2[[]byte, []byte]) {
	var u *url.URL
	if moved != nil {
		u = moved.To
	} else {
		var err error
		if u, err = c.Target.Subscribe.URL(v); err != nil {
			return // the request could not have been written
		}
	}
	c.Head(v, ResponseHead{Status: status, URL: u, Fields: fields})
}

// ask begins to collect what Head is to be told of the answer to the send for v. It
// costs nothing when nobody asks.
func (r *response) ask(c *Config, v target.Vars) {
	if c.Head == nil {
		return
	}
	u, err := c.Target.Send.URL(v)
	if err != nil {
		return // the request cannot be written
	}
	v.Payload = bytes.Clone(v.Payload) // it is the Handler's
	r.about = &sent{vars: v, url: u}
}

// sent is a send, and the fields of the head of its response once that is there.
type sent struct {
	vars   target.Vars
	url    *url.URL
	status int // 0: no response yet
	fields []field
}

type field struct{ name, value []byte }

// keep takes a head over.
func (s *sent) keep(status int, fields iter.Seq2[[]byte, []byte]) {
	s.status = status
	for name, value := range fields {
		s.fields = append(s.fields, field{bytes.Clone(name), bytes.Clone(value)})
	}
}

func (s *sent) all() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for _, f := range s.fields {
			if !yield(f.name, f.value) {
				return
			}
		}
	}
}

// tell tells Head of the response, if there was one and somebody asked. It is called
// in the engine's context, which reading need not be.
func (r *response) tell(c *Config) {
	if about := r.about; about != nil && about.status != 0 {
		c.Head(about.vars, ResponseHead{Status: about.status, Send: true, URL: about.url, Fields: about.all()})
	}
	r.about = nil
}
