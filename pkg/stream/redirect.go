package stream

import (
	"net/netip"

	"github.com/sseload/sseload/pkg/target"
)

// redirects is where a subscription was sent.
type redirects struct {
	target.Redirect
	host  string           // what is connected to, by name; only epoll looks that up itself
	addrs []netip.AddrPort // of it, those not tried in vain
	hops  int
}

// maxRedirects is as many as the Fetch standard follows, section 4.4.
const maxRedirects = 20

func tooManyRedirects() *Failure { return failuref(Protocol, "more than %d redirects", maxRedirects) }

// noURL does not say what it is instead, which may be a secret.
func noURL() *Failure { return failuref(Protocol, "redirect to what is no URL") }

// newRedirects is for a subscription that e's request for v was for.
func newRedirects(e *target.Endpoint, v target.Vars) (*redirects, *Failure) {
	u, err := e.URL(v)
	if err != nil {
		return nil, classify(err)
	}
	return &redirects{Redirect: target.Redirect{To: u}}, nil
}

// follow moves r on to where e's request was redirected, which may be relative
// (RFC 9110 section 10.2.2). Only the schemes given can be followed.
func (r *redirects) follow(e *target.Endpoint, by *redirect, schemes ...string) *Failure {
	r.hops++
	if r.hops > maxRedirects {
		return tooManyRedirects()
	}
	to, err := r.To.Parse(by.location)
	if err != nil {
		return noURL()
	}
	for _, s := range schemes {
		if to.Scheme == s && to.Host != "" {
			r.Move(e, to)
			r.GET = r.GET || e.BecomesGET(by.status)
			return nil
		}
	}
	return failuref(Protocol, "redirect to %s, which this engine cannot follow; name that URL, or use --engine conn", target.Redacted(to.String()))
}

// way is how a subscription at e is connected, given where it was redirected, which
// may be nil.
func (r *redirects) way(e *target.Endpoint) (target.Way, error) {
	if r == nil {
		return e.Way(e.Scheme, e.HostPort)
	}
	return e.Way(r.To.Scheme, target.HostPort(r.To))
}

// through is f, which ended such a subscription, with a proxy's part in it.
func (r *redirects) through(e *target.Endpoint, f *Failure) *Failure {
	w, err := r.way(e)
	if err != nil {
		return f
	}
	return throughProxy(f, w)
}
