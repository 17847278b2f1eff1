package target

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// JWT makes a JSON Web Token (RFC 7519) for each request: claims in the client's name,
// signed with HMAC SHA-256 (RFC 7518 section 3.2) in the compact form of RFC 7515
// section 7.1. It is safe for concurrent use.
type JWT struct {
	secret   []byte
	claims   Template // a JSON object without its last brace
	empty    bool     // it has no member
	hasIssue bool     // the claims have iat
	expires  func(now time.Time) int64
	now      func() time.Time
}

// tokenLife is how long after its issue a token expires unless the claims say.
const tokenLife = time.Hour

// NewJWT reads claims, a JSON object in whose strings {room} and {client} may stand;
// {{ is a literal brace there. When they lack iat, the time of issue, each token has
// its own; when they lack exp, it expires an hour after its issue (RFC 7519 sections
// 4.1.6 and 4.1.4). The error is a [*SpecError] or an [*UnknownKeyError], and has
// nothing of the claims or of secret in it.
func NewJWT(secret []byte, claims string) (*JWT, error) {
	if len(secret) == 0 {
		return nil, specErrorf("", "--jwt-secret is empty")
	}
	members, err := jsonObject(claims)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(claims)); err != nil {
		return nil, notAnObject(claims, err)
	}
	j := &JWT{secret: bytes.Clone(secret), empty: len(members) == 0, now: time.Now}
	if j.claims, err = secretTemplate(strings.TrimSuffix(compact.String(), "}"), "--jwt-claims"); err != nil {
		return nil, err
	}
	issued, hasIssue := members["iat"]
	_, hasEnd := members["exp"]
	j.hasIssue = hasIssue
	switch {
	case hasEnd:
	case hasIssue:
		var seconds float64
		if err := json.Unmarshal(issued, &seconds); err != nil {
			return nil, specErrorf("write it as seconds since 1970, or leave it out", "--jwt-claims: iat is not a number")
		}
		j.expires = func(time.Time) int64 { return int64(seconds) + int64(tokenLife/time.Second) }
	default:
		j.expires = func(now time.Time) int64 { return now.Add(tokenLife).Unix() }
	}
	return j, nil
}

// jsonObject reads the members of a JSON object.
func jsonObject(text string) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil || members == nil {
		return nil, notAnObject(text, err)
	}
	return members, nil
}

// notAnObject says where claims cease to be a JSON object, and nothing of what is
// there.
func notAnObject(claims string, err error) error {
	at := len(claims) - len(strings.TrimLeft(claims, " \t\r\n")) + 1
	if syntax := new(json.SyntaxError); errors.As(err, &syntax) {
		at = max(1, int(syntax.Offset))
	}
	return specErrorf(`write for example --jwt-claims '{"sub":"{client}","room":"{room}"}'`,
		"--jwt-claims is no JSON object: wrong at character %d of %d", at, len(claims))
}

// jwtHeader is {"alg":"HS256","typ":"JWT"}, RFC 7515 section 4.1, encoded.
const jwtHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

// Append writes a token for v, issued now, onto dst.
func (j *JWT) Append(dst []byte, v Vars) []byte {
	begin := len(dst)
	dst = append(dst, jwtHeader+"."...)
	dst = base64.RawURLEncoding.AppendEncode(dst, j.payload(v))
	mac := hmac.New(sha256.New, j.secret)
	mac.Write(dst[begin:])
	dst = append(dst, '.')
	return base64.RawURLEncoding.AppendEncode(dst, mac.Sum(nil))
}

func (j *JWT) payload(v Vars) []byte {
	p, now := j.claims.Append(nil, v), j.now()
	empty := j.empty
	add := func(name string, seconds int64) {
		if !empty {
			p = append(p, ',')
		}
		empty = false
		p = append(p, `"`+name+`":`...)
		p = strconv.AppendInt(p, seconds, 10)
	}
	if !j.hasIssue {
		add("iat", now.Unix())
	}
	if j.expires != nil {
		add("exp", j.expires(now))
	}
	return append(p, '}')
}

// Uses reports whether tokens differ by k.
func (j *JWT) Uses(k Key) bool { return j.claims.Uses(k) }
