package target

import (
	"bytes"
	"iter"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
)

// Jar keeps the cookies of each client apart from those of the others, as browsers of
// different people do (RFC 6265). A client without a cookie costs nothing. It is safe
// for concurrent use.
type Jar struct {
	mu      sync.RWMutex
	clients map[int]*cookiejar.Jar
}

// NewJar makes an empty Jar.
func NewJar() *Jar { return &Jar{clients: map[int]*cookiejar.Jar{}} }

// Keep takes the cookies that a response to client's request for u sets, RFC 6265
// section 5.3. fields are those of its head, names in any case; they are not kept.
func (j *Jar) Keep(client int, u *url.URL, fields iter.Seq2[[]byte, []byte]) {
	if cookies := SetCookies(fields); len(cookies) > 0 {
		j.of(client).SetCookies(u, cookies)
	}
}

// SetCookies are the cookies that the head of a response sets, with values as they
// stand there: RFC 6265 section 5.2 takes any. What has no name is left out.
func SetCookies(fields iter.Seq2[[]byte, []byte]) []*http.Cookie {
	var cookies []*http.Cookie
	for name, value := range fields {
		if !bytes.EqualFold(name, []byte("Set-Cookie")) {
			continue
		}
		if c := parseSetCookie(string(value)); c != nil {
			cookies = append(cookies, c)
		}
	}
	return cookies
}

// parseSetCookie leaves the attributes to package net/http, which is stricter than
// section 5.2 with names and values.
func parseSetCookie(line string) *http.Cookie {
	pair, attributes, _ := strings.Cut(line, ";")
	name, value, ok := strings.Cut(pair, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !ok || name == "" {
		return nil
	}
	c, err := http.ParseSetCookie("name=value;" + attributes)
	if err != nil {
		return nil
	}
	c.Name, c.Value = name, value
	return c
}

func (j *Jar) of(client int) *cookiejar.Jar {
	j.mu.Lock()
	defer j.mu.Unlock()
	own, ok := j.clients[client]
	if !ok {
		own, _ = cookiejar.New(nil) // it never fails
		j.clients[client] = own
	}
	return own
}

// cookies are those that client sends with a request for u, RFC 6265 section 5.4.
func (j *Jar) cookies(client int, u *url.URL) []*http.Cookie {
	j.mu.RLock()
	own := j.clients[client]
	j.mu.RUnlock()
	if own == nil {
		return nil
	}
	return own.Cookies(u)
}

// Empty forgets all cookies: the clients to come are other ones. A nil Jar is empty.
func (j *Jar) Empty() {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.clients)
}

// keepCookies has the clients of e keep theirs in jar, if it is not nil. The user's go
// into one header with them.
func (e *Endpoint) keepCookies(jar *Jar) {
	if jar == nil {
		return
	}
	e.jar = jar
	for i, h := range e.headers {
		if strings.EqualFold(h.name, "Cookie") {
			e.cookie = h.value
			e.headers = append(e.headers[:i:i], e.headers[i+1:]...)
			return
		}
	}
}

// appendCookie writes the Cookie header of the request for v to u, where there is a
// jar.
func (e *Endpoint) appendCookie(dst []byte, v Vars, u *url.URL) []byte {
	value := e.Cookie(v, u)
	if value == "" {
		return dst
	}
	dst = append(dst, "Cookie: "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// Cookie is the value of the Cookie header in the request for v to u, which is the
// endpoint's own URL when it is nil, and otherwise the one to which the server has
// redirected; empty: there is no such header. The user's cookies come first, but for
// those that a server has replaced, and only to the origin that they were given for.
func (e *Endpoint) Cookie(v Vars, u *url.URL) string {
	own := ""
	if u == nil || e.sameOrigin(u) {
		own = e.ownCookies(v)
	}
	if e.jar == nil {
		return own
	}
	if u == nil {
		var err error
		if u, err = e.URL(v); err != nil {
			return own
		}
	}
	kept := e.jar.cookies(v.Client, u)
	var pairs []string
	for _, pair := range splitCookies(own) {
		name, _, _ := strings.Cut(pair, "=")
		if !hasCookie(kept, name) {
			pairs = append(pairs, pair)
		}
	}
	for _, c := range kept {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// ownCookies are those that the user gave.
func (e *Endpoint) ownCookies(v Vars) string {
	if e.jar != nil {
		return string(e.cookie.Append(nil, v))
	}
	for _, h := range e.headers {
		if strings.EqualFold(h.name, "Cookie") {
			return string(h.value.Append(nil, v))
		}
	}
	return ""
}

// CookieNamed is the value of the cookie called name in the request for v to u, as
// [Endpoint.Cookie] has it.
func (e *Endpoint) CookieNamed(name string, v Vars, u *url.URL) (value string, ok bool) {
	for _, pair := range splitCookies(e.Cookie(v, u)) {
		if n, value, found := strings.Cut(pair, "="); found && n == name {
			return strings.Trim(value, `"`), true
		}
	}
	return "", false
}

// splitCookies takes the value of a Cookie header apart, RFC 6265 section 4.2.1.
func splitCookies(value string) []string {
	var pairs []string
	for pair := range strings.SplitSeq(value, ";") {
		if pair = strings.TrimSpace(pair); pair != "" {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

func hasCookie(cookies []*http.Cookie, name string) bool {
	for _, c := range cookies {
		if c.Name == name {
			return true
		}
	}
	return false
}
