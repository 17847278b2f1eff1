package stream

import (
	"fmt"

	"github.com/sseload/sseload/pkg/stream/http1"
	"github.com/sseload/sseload/pkg/target"
)

// response is the http1.Handler of a send: only the status matters, and the
// beginning of the body when the status is bad.
type response struct {
	status    int
	keepAlive bool
	excerpt   []byte
}

// Head implements [http1.Handler].
func (r *response) Head(h *http1.Head) error {
	r.status, r.keepAlive = h.Status, h.KeepAlive
	r.excerpt = r.excerpt[:0]
	return nil
}

// Body implements [http1.Handler].
func (r *response) Body(p []byte) error {
	const most = 80
	if room := most - len(r.excerpt); r.status >= 300 && room > 0 {
		r.excerpt = append(r.excerpt, p[:min(room, len(p))]...)
	}
	return nil
}

// failure is nil when the status says that the message to e was taken.
func (r *response) failure(e *target.Endpoint) *Failure {
	if r.status >= 200 && r.status <= 299 {
		return nil
	}
	f := statusFailure(r.status)
	if len(r.excerpt) > 0 {
		f.Err = fmt.Errorf("%w: %q", f.Err, r.excerpt)
	}
	return (*redirects)(nil).through(e, f)
}
