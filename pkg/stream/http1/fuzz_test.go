package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzResponse holds two things: the bytes of a connection give the same head,
// body, end and kind of error however they are split; and where net/http
// accepts them too, it reads the same message.
func FuzzResponse(f *testing.F) {
	for i, tt := range acceptTests {
		if len(tt.in) < 4096 {
			f.Add([]byte(tt.in+tt.rest), uint16(i))
		}
	}
	for i, tt := range rejectTests {
		if len(tt.in) < 4096 {
			f.Add([]byte(tt.in), uint16(i*7))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		whole := feed(t, in)
		same(t, "byte by byte", whole, feed(t, bytewise(in)...))
		at := int(cut) % (len(in) + 1)
		same(t, fmt.Sprintf("split at %d", at), whole, feed(t, in[:at], in[at:]))
		size := 2 + int(cut)%13
		same(t, fmt.Sprintf("pieces of %d", size), whole, feed(t, slices.Collect(slices.Chunk(in, size))...))

		if whole.Err != nil {
			return
		}
		want, ok := viaNetHTTP(in)
		if !ok {
			return
		}
		compare(t, whole, want)
	})
}

// peer is what net/http made of the same bytes.
type peer struct {
	*http.Response
	body  string
	taken int
}

// viaNetHTTP reads the final response, if net/http accepts it to its end.
func viaNetHTTP(in []byte) (peer, bool) {
	src := bytes.NewReader(in)
	r := bufio.NewReader(src)
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return peer{}, false
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			return peer{}, false
		}
		// ReadResponse takes an interim response for a message of its own.
		if res.StatusCode >= 100 && res.StatusCode < 200 {
			continue
		}
		return peer{res, string(body), len(in) - src.Len() - r.Buffered()}, true
	}
}

// compare holds got against want wherever the two mean to follow the same
// rules. They deliberately differ in this:
//   - Transfer-Encoding in HTTP/1.0 is ignored by net/http; here the chunks it
//     announces are decoded, and the connection is not used again.
//   - Content-Length beside Transfer-Encoding ends the connection here only.
//   - For 204 and 304 a broken framing field ends the connection here, which
//     net/http rejects, or for a coding under HTTP/1.0 ignores.
//   - Whitespace left at the end of a value by an empty folded line is trimmed
//     here (RFC 9112, section 5).
//   - net/http removes or rewrites some fields in its Header.
func compare(t *testing.T, got heard, want peer) {
	t.Helper()
	coded, sized := false, false
	fields := http.Header{}
	for _, f := range got.Fields {
		name, value, _ := strings.Cut(f, ": ")
		coded = coded || strings.EqualFold(name, "Transfer-Encoding")
		sized = sized || strings.EqualFold(name, "Content-Length")
		fields.Add(name, value)
	}
	if coded && !want.ProtoAtLeast(1, 1) {
		return
	}
	if got.Status != want.StatusCode {
		t.Fatalf("status %d, net/http has %d", got.Status, want.StatusCode)
	}
	if got.Body != want.body {
		t.Fatalf("body %q, net/http has %q", got.Body, want.body)
	}
	if got.N != want.taken {
		t.Fatalf("took %d bytes, net/http %d", got.N, want.taken)
	}
	if got.ContentLength != want.ContentLength {
		t.Fatalf("length %d, net/http has %d", got.ContentLength, want.ContentLength)
	}
	if chunked := slices.Equal(want.TransferEncoding, []string{"chunked"}); got.Chunked != chunked {
		// For 204 and 304 net/http reports the field, here there is no body
		// that could be chunked.
		if got.Chunked || got.Status != 204 && got.Status != 304 {
			t.Fatalf("chunked %t, net/http has %t", got.Chunked, chunked)
		}
	}
	if got.KeepAlive == want.Close && !(coded && sized) {
		t.Fatalf("keep-alive %t, net/http closes: %t", got.KeepAlive, want.Close)
	}
	for _, values := range want.Header {
		for i, v := range values {
			values[i] = strings.Trim(v, " \t")
		}
	}
	for _, one := range []struct{ name, value string }{
		{"Content-Type", got.ContentType}, {"Location", got.Location}, {"Content-Encoding", got.ContentEncoding},
	} {
		if v := want.Header.Get(one.name); v != one.value {
			t.Fatalf("%s %q, net/http has %q", one.name, one.value, v)
		}
	}
	for _, name := range []string{
		"Transfer-Encoding", "Content-Length", "Trailer", "Connection", // acted upon and removed
		"Cache-Control", // made up from Pragma
	} {
		fields.Del(name)
		want.Header.Del(name)
	}
	if g, w := fmt.Sprintf("%q", fields), fmt.Sprintf("%q", want.Header); g != w {
		t.Fatalf("fields\n     here %s\n net/http %s", g, w)
	}
}
