package stream

import (
	"bytes"
	"iter"
	"strings"

	"github.com/sseload/sseload/pkg/stream/http2"
)

// encodeRequest brings a request of HTTP/1.1, as package target writes it, into the
// form of HTTP/2, RFC 9113 section 8.3.1. block is enc's, body a part of raw.
func encodeRequest(enc *http2.Encoder, scheme string, raw []byte) (block, body []byte, err error) {
	head, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	line, head, _ := bytes.Cut(head, []byte("\r\n"))
	method, line, _ := bytes.Cut(line, []byte(" "))
	path, _, _ := bytes.Cut(line, []byte(" "))

	enc.Reset()
	fields := [][2]string{
		{":method", string(method)}, {":scheme", scheme}, {":authority", ""}, {":path", string(path)},
	}
	for len(head) > 0 {
		line, head, _ = bytes.Cut(head, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		f := [2]string{strings.ToLower(string(name)), string(bytes.TrimSpace(value))}
		switch f[0] {
		case "host":
			fields[2][1] = f[1]
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
			// Are about a connection of HTTP/1.1, RFC 9113 section 8.2.2.
		default:
			fields = append(fields, f)
		}
	}
	for _, f := range fields {
		secret := f[0] == "authorization" || f[0] == "cookie"
		if err := enc.Field(f[0], f[1], secret); err != nil {
			return nil, nil, err
		}
	}
	return enc.Block(), body, nil
}

// headFields are those of h, as bytes.
func headFields(h *http2.Head) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for name, value := range h.Fields() {
			if !yield([]byte(name), []byte(value)) {
				return
			}
		}
	}
}
