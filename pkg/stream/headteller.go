package stream

import (
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/sseload/sseload/pkg/target"
)

// headTeller shows the head of each response, also of those that http.Client keeps for
// itself, to the trip that it belongs to.
type headTeller struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (h *headTeller) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := h.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if t, ok := req.Context().Value(tripKey{}).(*trip); ok && t.head != nil {
		if err := t.head(resp, req.URL); err != nil {
			_ = resp.Body.Close() // nobody will read it
			return nil, err
		}
	}
	return resp, nil
}

// head tells Config.Head of a response to a, unless a is over.
func (s *shard) head(a *attempt, v target.Vars, resp *http.Response, u *url.URL) error {
	if !s.enter(a) {
		return errStopped
	}
	defer s.leave()
	s.cfg.Head(v, ResponseHead{Status: resp.StatusCode, URL: u, Fields: fields(resp.Header)})
	return nil
}

// fields are those of h by name: package net/http does not keep their order, but
// for that of the values of one name.
func fields(h http.Header) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for _, name := range slices.Sorted(maps.Keys(h)) {
			for _, value := range h[name] {
				if !yield([]byte(name), []byte(value)) {
					return
				}
			}
		}
	}
}
