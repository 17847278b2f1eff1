package stream

import (
	"net/netip"
	"net/url"
)

// redirects is where a subscription was sent.
type redirects struct {
	to    *url.URL
	addrs []netip.AddrPort // of its host, those not tried in vain; only epoll looks them up itself
	hops  int
}

// maxRedirects is as many as the Fetch standard follows, section 4.4.
const maxRedirects = 20

func tooManyRedirects() *Failure { return failuref(Protocol, "more than %d redirects", maxRedirects) }

// follow moves r on to location, which may be relative (RFC 9110 section 10.2.2).
// Only the schemes given can be followed.
func (r *redirects) follow(location string, schemes ...string) *Failure {
	r.hops++
	if r.hops > maxRedirects {
		return tooManyRedirects()
	}
	to, err := r.to.Parse(location)
	if err != nil {
		return failuref(Protocol, "redirect to %q, which is no URL", clip([]byte(location)))
	}
	for _, s := range schemes {
		if to.Scheme == s && to.Host != "" {
			r.to = to
			return nil
		}
	}
	return failuref(Protocol, "redirect to %s, which this engine cannot follow; name that URL, or use --engine conn", to)
}
