package target

import (
	"net/url"
	"strings"
)

// Redacted is rawURL without what may be secret: user information, and the values
// of query parameters whose names speak of one. Keys in braces stay. Text that is
// no URL comes back as it is.
func Redacted(rawURL string) string {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return rawURL
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, rest := rest[:end], rest[end:]
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = "***" + authority[at:]
	}
	path, query, ok := strings.Cut(rest, "?")
	if !ok {
		return scheme + "://" + authority + rest
	}
	params := strings.Split(query, "&")
	for i, p := range params {
		if name, value, ok := strings.Cut(p, "="); ok && value != "" && IsSecret(name) {
			params[i] = name + "=***"
		}
	}
	return scheme + "://" + authority + path + "?" + strings.Join(params, "&")
}

// IsSecret reports whether the name of a header or a parameter speaks of a
// credential.
func IsSecret(name string) bool {
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	name = strings.ToLower(name)
	switch name[strings.LastIndexAny(name, "_-.")+1:] { // as in MYSQL_PWD: within other words they mean nothing
	case "sig", "pass", "pwd":
		return true
	}
	for _, word := range []string{
		"auth", "bearer", "cookie", "token", "jwt", "secret", "password", "passwd", "passphrase", "credential", "key", "signature", "session", "ticket",
	} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
