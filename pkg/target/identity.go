package target

import (
	"encoding/base64"
	"strings"
)

// credentials renders spec's credentials as headers, each in the client's name.
func credentials(spec Spec) ([]header, error) {
	auth, err := authorization(spec)
	if err != nil {
		return nil, err
	}
	cookie, err := cookieHeader(spec.Cookies)
	if err != nil {
		return nil, err
	}
	all := append(auth, cookie...)
	if spec.Origin != "" {
		if !isValue(spec.Origin) {
			return nil, notAValue("--origin")
		}
		all = append(all, header{name: "Origin", value: literal(spec.Origin)})
	}
	return all, nil
}

// authorization is the Authorization header, if spec asks for one.
func authorization(spec Spec) ([]header, error) {
	var ways []string
	for _, way := range []struct {
		flag  string
		given bool
	}{
		{"--bearer", spec.Bearer != ""}, {"--user", spec.User != ""},
		{"a token for each client", spec.Token != nil}, {"--jwt-secret", spec.JWT != nil},
	} {
		if way.given {
			ways = append(ways, way.flag)
		}
	}
	if len(ways) > 1 {
		return nil, specErrorf("", "%s exclude each other", strings.Join(ways, " and "))
	}
	switch {
	case spec.Token != nil:
		return []header{bearer(expanding(tokens(spec.Token)))}, nil
	case spec.JWT != nil:
		return []header{bearer(expanding(spec.JWT))}, nil
	case spec.User != "":
		return basicAuthorization(spec.User)
	case spec.Bearer == "":
		return nil, nil
	case !isValue(spec.Bearer):
		return nil, notAValue("--bearer")
	}
	token, err := secretTemplate(spec.Bearer, "--bearer")
	if err != nil {
		return nil, err
	}
	return []header{bearer(token)}, nil
}

func basicAuthorization(user string) ([]header, error) {
	if !strings.Contains(user, ":") {
		return nil, specErrorf("write --user NAME:PASSWORD", "--user has no colon")
	}
	pair, err := secretTemplate(user, "--user")
	if err != nil {
		return nil, err
	}
	return []header{basic(pair)}, nil
}

// cookieHeader is the Cookie header with pairs in it, if there are any (RFC 6265
// section 4.2.1).
func cookieHeader(pairs []string) ([]header, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	for _, c := range pairs {
		if name, _, ok := strings.Cut(c, "="); !ok || name == "" {
			return nil, specErrorf("write --cookie NAME=VALUE", "--cookie is not NAME=VALUE")
		}
		if !isValue(c) {
			return nil, notAValue("--cookie")
		}
	}
	value, err := secretTemplate(strings.Join(pairs, "; "), "--cookie")
	if err != nil {
		return nil, err
	}
	return []header{{name: "Cookie", value: value, private: true}}, nil
}

// IsToken reports whether s can be the name of a header or a cookie, RFC 9110 section
// 5.6.2.
func IsToken(s string) bool { return isToken(s) }

// isValue reports whether s may stand in a header, as far as it would not break the
// request: RFC 9110 section 5.5.
func isValue(s string) bool { return !strings.ContainsAny(s, "\r\n\x00") }

func notAValue(flag string) error {
	return specErrorf("write it on one line", "%s is not valid in a header", flag)
}

func bearer(token Template) header {
	return header{name: "Authorization", value: concat(literal("Bearer "), token), private: true}
}

func basic(pair Template) header {
	return header{name: "Authorization", value: concat(literal("Basic "), expanding(encoded{pair})), private: true}
}

// encoded is what a template makes, in base64, RFC 7617 section 2.
type encoded struct{ Template }

// Append implements [expander].
func (e encoded) Append(dst []byte, v Vars) []byte {
	return base64.StdEncoding.AppendEncode(dst, e.Template.Append(nil, v))
}

// tokens are the clients' own.
type tokens func(client int) string

// Append implements [expander].
func (t tokens) Append(dst []byte, v Vars) []byte { return append(dst, t(v.Client)...) }

// Uses implements [expander].
func (t tokens) Uses(k Key) bool { return k == Client }
