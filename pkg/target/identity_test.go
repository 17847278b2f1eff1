package target

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCredentialsAreEachClientsOwn(t *testing.T) {
	list := []string{"first", "second", "third"}
	v := Vars{Room: 3, Client: 2}
	for _, c := range []struct {
		spec          Spec
		authorization string
		cookie        string
	}{
		{Spec{Bearer: "t-{client}-{room}"}, "Bearer t-2-3", ""},
		{Spec{Bearer: "a{{client}b"}, "Bearer a{client}b", ""},
		{Spec{User: "u{client}:p{room}"}, "Basic " + base64.StdEncoding.EncodeToString([]byte("u2:p3")), ""},
		{Spec{Token: func(client int) string { return list[client] }}, "Bearer third", ""},
		{Spec{Cookies: []string{"id={client}", "room={room}"}}, "", "id=2; room=3"},
	} {
		c.spec.URL, c.spec.SendURL = "http://a.test/{room}", "http://a.test/say/{room}"
		tg, err := New(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		elsewhere, err := url.Parse("http://b.test/x")
		if err != nil {
			t.Fatal(err)
		}
		std, err := tg.Subscribe.Request(context.Background(), v, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, sub := request(t, tg.Subscribe, v, "")
		_, send := request(t, tg.Send, v, "")
		for what, h := range map[string]interface{ Get(string) string }{"subscribe": sub.Header, "send": send.Header, "net/http": std.Header} {
			if got := h.Get("Authorization"); got != c.authorization {
				t.Errorf("%s: Authorization %q, want %q", what, got, c.authorization)
			}
			if got := h.Get("Cookie"); got != c.cookie {
				t.Errorf("%s: Cookie %q, want %q", what, got, c.cookie)
			}
		}
		gone := redirected(t, tg, elsewhere, v)
		if gone.Header.Get("Authorization") != "" || gone.Header.Get("Cookie") != "" {
			t.Errorf("another origin is shown %v", gone.Header)
		}
	}
}

func TestOneWayToAuthorize(t *testing.T) {
	jwt, err := NewJWT([]byte("s"), "{}")
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []Spec{
		{Bearer: "b", User: "u:p"},
		{Bearer: "b", JWT: jwt},
		{User: "u:p", Token: func(int) string { return "" }},
		{JWT: jwt, Token: func(int) string { return "" }},
	} {
		spec.URL = "http://h/x"
		if _, err := New(spec); err == nil || !strings.Contains(err.Error(), "exclude each other") {
			t.Errorf("%+v: error %v", spec, err)
		}
	}
}

func TestIdentitiesAddressRooms(t *testing.T) {
	jwt, err := NewJWT([]byte("s"), `{"room":"{room}"}`)
	if err != nil {
		t.Fatal(err)
	}
	same, err := NewJWT([]byte("s"), `{"sub":"everybody"}`)
	if err != nil {
		t.Fatal(err)
	}
	for want, specs := range map[bool][]Spec{
		true:  {{JWT: jwt}, {Token: func(int) string { return "" }}, {User: "{client}:p"}, {Cookies: []string{"r={room}"}, CookieJar: true}},
		false: {{JWT: same}, {User: "u:p"}, {Bearer: "t"}},
	} {
		for _, spec := range specs {
			spec.URL = "http://h/x"
			tg, err := New(spec)
			if err != nil {
				t.Fatal(err)
			}
			if got := tg.AddressesRooms(); got != want {
				t.Errorf("%+v: addresses rooms: %v", spec, got)
			}
		}
	}
}

// claims verifies a token with the standard library alone and returns its claims.
func claims(t *testing.T, token, secret string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("token %q has %d parts", token, len(parts))
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(parts[0] + "." + parts[1]))
	if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); parts[2] != want {
		t.Fatalf("signature %q, want %q", parts[2], want)
	}
	decode := func(part string) map[string]any {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal(raw, &members); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		return members
	}
	if h := decode(parts[0]); h["alg"] != "HS256" || h["typ"] != "JWT" || len(h) != 2 {
		t.Errorf("header %v", h)
	}
	return decode(parts[1])
}

func TestJWT(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	const issued, end = 1_700_000_000.0, 1_700_003_600.0
	for text, want := range map[string]map[string]any{
		`{}`:        {"iat": issued, "exp": end},
		" { \n } ":  {"iat": issued, "exp": end},
		`{"sub":1}`: {"sub": 1.0, "iat": issued, "exp": end},
		`{"sub":"user-{client}","in":{"rooms":["{room}"]}}`: {"sub": "user-7", "in": map[string]any{"rooms": []any{"2"}}, "iat": issued, "exp": end},
		`{"text":"{{client}"}`:                              {"text": "{client}", "iat": issued, "exp": end},
		`{"iat":5}`:                                         {"iat": 5.0, "exp": 3605.0},
		`{"exp":9}`:                                         {"iat": issued, "exp": 9.0},
		`{"iat":"x","exp":"y"}`:                             {"iat": "x", "exp": "y"},
		`{"a":"b}"}`:                                        {"a": "b}", "iat": issued, "exp": end},
	} {
		j, err := NewJWT([]byte("secret"), text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		j.now = func() time.Time { return now }
		token := string(j.Append([]byte("Bearer "), Vars{Client: 7, Room: 2}))
		got := claims(t, strings.TrimPrefix(token, "Bearer "), "secret")
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: claims %v, want %v", text, got, want)
		}
	}
}

func TestEachRequestHasAFreshToken(t *testing.T) {
	j, err := NewJWT([]byte("s"), `{"sub":"{client}"}`)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1000, 0)
	j.now = func() time.Time { return at }
	tg, err := New(Spec{URL: "http://h/x", JWT: j})
	if err != nil {
		t.Fatal(err)
	}
	token := func() string {
		_, r := request(t, tg.Subscribe, Vars{}, "")
		return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	first := claims(t, token(), "s")
	at = at.Add(time.Hour)
	if second := claims(t, token(), "s"); first["exp"] != 4600.0 || second["iat"] != 4600.0 || second["exp"] != 8200.0 {
		t.Errorf("first %v, an hour later %v", first, second)
	}
}

func TestMistakesInIdentities(t *testing.T) {
	for text, want := range map[string]string{
		``:                 "character 1 of 0",
		`  [1]`:            "character 3 of 5",
		`null`:             "character 1 of 4",
		`{"T0KEN":1,}`:     "character 12 of 12",
		`{"T0KEN"`:         "character 8 of 8",
		`{"a":T0KEN}`:      "character 6 of 11",
		`{"a":1} T0KEN`:    "character 9 of 13",
		`{"iat":"T0KEN"}`:  "iat",
		`{"a":"{tokenx}"}`: "--jwt-claims holds an unknown key",
	} {
		_, err := NewJWT([]byte("s"), text)
		var spec *SpecError
		var key *UnknownKeyError
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &spec) && !errors.As(err, &key) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		} else if strings.Contains(err.Error(), "T0KEN") || strings.Contains(err.Error(), "tokenx") {
			t.Errorf("%s: the error %q holds what is secret", text, err)
		}
	}
	if _, err := NewJWT(nil, "{}"); err == nil {
		t.Error("an empty secret is one")
	}
	for _, spec := range []Spec{
		{Bearer: "tokenx{tokenx}"}, {User: "tokenx:{tokenx}"}, {User: "tokenx"}, {Cookies: []string{"a={tokenx}"}},
		{Cookies: []string{"tokenx"}}, {Headers: []string{"X-Api-Key: {tokenx}"}}, {Cookies: []string{"tokenx=\n"}},
	} {
		spec.URL = "http://h/x"
		if _, err := New(spec); err == nil || strings.Contains(err.Error(), "tokenx") {
			t.Errorf("%+v: error %v, want one without the secret", spec, err)
		}
	}
}

// sets are the fields of a response that sets cookies.
func sets(cookies ...string) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		if !yield([]byte("Content-Type"), []byte("text/event-stream")) {
			return
		}
		for _, c := range cookies {
			if !yield([]byte("set-COOKIE"), []byte(c)) {
				return
			}
		}
	}
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// redirected is the subscribe request for v as it goes on to u.
func redirected(t *testing.T, tg *Target, u *url.URL, v Vars) *http.Request {
	t.Helper()
	raw, _ := tg.Subscribe.AppendRedirected(nil, nil, Redirect{To: u}, v, nil)
	return parse(t, string(raw))
}

func TestCookieJar(t *testing.T) {
	home := "http://a.test/events/1"
	for _, c := range []struct {
		name     string
		sent     []string // to client 1, by the answer to home
		given    []string // by the user
		to       string   // another URL than home
		client   int
		want     string
		inHeader bool // the user gave them with -H
	}{
		{name: "nothing yet", client: 1},
		{name: "one", sent: []string{"SRV=b1; path=/"}, client: 1, want: "SRV=b1"},
		{name: "of another client", sent: []string{"SRV=b1; path=/"}, client: 2},
		{name: "several", sent: []string{"a=1; path=/", "b=2; path=/"}, client: 1, want: "a=1; b=2"},
		{name: "with the user's", sent: []string{"a=1; path=/"}, given: []string{"u={client}", "v=2"}, client: 1, want: "u=1; v=2; a=1"},
		{name: "with the user's in a header", sent: []string{"a=1; path=/"}, given: []string{"u={client}"}, inHeader: true, client: 1, want: "u=1; a=1"},
		{name: "in place of the user's", sent: []string{"u=9; path=/"}, given: []string{"u=1", "v=2"}, client: 1, want: "v=2; u=9"},
		{name: "the user's alone", given: []string{"u=1"}, client: 1, want: "u=1"},
		{name: "replaced", sent: []string{"a=1; path=/", "a=2; path=/"}, client: 1, want: "a=2"},
		{name: "taken back", sent: []string{"a=1; path=/", "a=1; path=/; max-age=0"}, client: 1},
		{name: "of the folder", sent: []string{"a=1"}, client: 1, want: "a=1"},
		{name: "of another path", sent: []string{"a=1; path=/other"}, client: 1},
		{name: "not over plain HTTP", sent: []string{"a=1; path=/; secure"}, client: 1},
		{name: "of another domain", sent: []string{"a=1; path=/; domain=b.test"}, client: 1},
		{name: "without a name", sent: []string{"=", "=1", "a", "c=1; path=/"}, client: 1, want: "c=1"},
		// RFC 6265 section 5.2 takes what servers are told not to send.
		{name: "odd names", sent: []string{"a b=1; path=/", "sid[a]=2; path=/"}, client: 1, want: "a b=1; sid[a]=2"},
		{name: "odd values", sent: []string{`j={"k":1}; path=/`, `q=a"b; path=/`, "s=a b,c; path=/"}, client: 1, want: `j={"k":1}; q=a"b; s=a b,c`},
		{name: "quoted", sent: []string{`a="1"; path=/`}, client: 1, want: `a="1"`},
		{name: "another port is the same host", sent: []string{"a=1; path=/"}, given: []string{"u=1"}, to: "http://a.test:81/x", client: 1, want: "a=1"},
		{name: "another host", sent: []string{"a=1; path=/"}, given: []string{"u=1"}, to: "http://b.test/x", client: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := Spec{URL: "http://a.test/events/{client}", SendURL: "http://a.test/events/say", Cookies: c.given, CookieJar: true}
			if c.inHeader {
				spec.Cookies, spec.Headers = nil, []string{"Cookie: " + strings.Join(c.given, "; ")}
			}
			tg, err := New(spec)
			if err != nil {
				t.Fatal(err)
			}
			tg.Jar.Keep(1, mustParse(t, home), sets(c.sent...))
			v := Vars{Client: c.client}
			if c.to != "" {
				r := redirected(t, tg, mustParse(t, c.to), v)
				if got := strings.Join(r.Header["Cookie"], "|"); got != c.want {
					t.Errorf("redirected to %s with %q, want %q", c.to, got, c.want)
				}
				return
			}
			_, sub := request(t, tg.Subscribe, v, "")
			std, err := tg.Subscribe.Request(context.Background(), v, nil)
			if err != nil {
				t.Fatal(err)
			}
			for what, got := range map[string][]string{"subscribe": sub.Header["Cookie"], "net/http": std.Header["Cookie"]} {
				if got := strings.Join(got, "|"); got != c.want {
					t.Errorf("%s with %q, want %q", what, got, c.want)
				}
			}
			if c.inHeader {
				return // that header is for subscriptions
			}
			if _, send := request(t, tg.Send, v, ""); strings.Join(send.Header["Cookie"], "|") != c.want {
				t.Errorf("sent with %q, want %q", send.Header["Cookie"], c.want)
			}
			tg.Jar.Empty()
			if _, again := request(t, tg.Subscribe, Vars{Client: 1}, ""); strings.Contains(again.Header.Get("Cookie"), "a=") {
				t.Errorf("an empty jar gives %q", again.Header["Cookie"])
			}
		})
	}
}

func TestCookieNamed(t *testing.T) {
	for _, jar := range []bool{false, true} {
		tg, err := New(Spec{URL: "http://a.test/x", Cookies: []string{"SRV=b{client}", `q="x"`}, CookieJar: jar})
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"SRV": "b4", "q": "x", "none": "", "SR": ""} {
			if got, ok := tg.Subscribe.CookieNamed(name, Vars{Client: 4}, nil); got != want || ok != (want != "") {
				t.Errorf("with a jar %v: %s is %q, %v", jar, name, got, ok)
			}
		}
		if got, ok := tg.Subscribe.CookieNamed("SRV", Vars{}, mustParse(t, "http://b.test/")); ok {
			t.Errorf("another origin is sent %q", got)
		}
	}
}

func TestJarIsSafeForConcurrentUse(t *testing.T) {
	tg, err := New(Spec{URL: "http://a.test/x", CookieJar: true})
	if err != nil {
		t.Fatal(err)
	}
	home := mustParse(t, "http://a.test/x")
	var work sync.WaitGroup
	for g := range 8 {
		work.Go(func() {
			for i := range 200 {
				tg.Jar.Keep(i%4, home, sets(fmt.Sprintf("c%d=%d; path=/", g, i)))
				tg.Subscribe.Append(nil, nil, Vars{Client: i % 4}, nil)
			}
		})
	}
	work.Wait()
	if got := len(tg.Jar.cookies(0, home)); got != 8 {
		t.Errorf("client 0 has %d cookies, want 8", got)
	}
}

func TestWhatAClientWithACookieCosts(t *testing.T) {
	const clients, most = 10_000, 2 << 10
	inUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	jar, home, one := NewJar(), mustParse(t, "http://a.test/x"), sets("SRV=b1; path=/")
	before := inUse()
	for i := range clients {
		jar.Keep(i, home, sets())
	}
	if len(jar.clients) != 0 {
		t.Errorf("%d clients without a cookie have a jar", len(jar.clients))
	}
	for i := range clients {
		jar.Keep(i, home, one)
	}
	each := (int64(inUse()) - int64(before)) / clients
	t.Logf("a client with one cookie costs %d bytes", each)
	if each < 100 || each > most {
		t.Errorf("a client with one cookie costs %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(jar)
}

func TestAppendWithAnIdentityThatIsFixed(t *testing.T) {
	tg, err := New(Spec{URL: "http://127.0.0.1:1", Bearer: "t-{client}", Cookies: []string{"c={client}"}})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { dst, _ = tg.Subscribe.Append(dst[:0], nil, Vars{Client: 5}, nil) }); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
	if !bytes.Contains(dst, []byte("Authorization: Bearer t-5\r\n")) {
		t.Errorf("request %q", dst)
	}
}

// TestWhatRedirectsTakeAway: Authorization is gone with the first step to another origin
// and does not come back; the origin of a page elsewhere becomes null.
func TestWhatRedirectsTakeAway(t *testing.T) {
	tg, err := New(Spec{URL: "http://a.test/x", Bearer: "T", Origin: "http://page.test", Cookies: []string{"c=1"}})
	if err != nil {
		t.Fatal(err)
	}
	same, err := New(Spec{URL: "http://a.test/x", Origin: "http://a.test"})
	if err != nil {
		t.Fatal(err)
	}
	var r Redirect
	for _, step := range []struct{ to, authorization, cookie, origin, ownOrigin string }{
		{"http://a.test/y", "Bearer T", "c=1", "http://page.test", "http://a.test"},
		{"http://b.test/y", "", "", "null", "http://a.test"},
		{"http://a.test/z", "", "c=1", "null", "http://a.test"},
	} {
		r.Move(tg.Subscribe, mustURL(t, step.to))
		raw, _ := tg.Subscribe.AppendRedirected(nil, nil, r, Vars{}, nil)
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if h := req.Header; h.Get("Authorization") != step.authorization || h.Get("Cookie") != step.cookie || h.Get("Origin") != step.origin {
			t.Errorf("to %s: %v", step.to, h)
		}
		raw, _ = same.Subscribe.AppendRedirected(nil, nil, r, Vars{}, nil)
		if req, err = http.ReadRequest(bufio.NewReader(bytes.NewReader(raw))); err != nil || req.Header.Get("Origin") != step.ownOrigin {
			t.Errorf("to %s: %v, %v", step.to, req, err)
		}
	}
}
