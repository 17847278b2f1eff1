package target

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTemplate(t *testing.T) {
	vars := Vars{Room: 7, Client: 42, Iteration: 3, Payload: []byte("hello")}
	for text, want := range map[string]string{
		"":                            "",
		"plain":                       "plain",
		"/rooms/{room}":               "/rooms/7",
		"{client}{room}{iteration}":   "4273",
		"a{payload}b":                 "ahellob",
		`{"text":"{payload}"}`:        `{"text":"hello"}`,
		`{"a":{"b":"{room}"}}`:        `{"a":{"b":"7"}}`,
		"{{room}":                     "{room}",
		"{{{room}":                    "{7",
		"{":                           "{",
		"{}":                          "{}",
		"{Room}":                      "{Room}",
		"{room":                       "{room",
		"}{room}{":                    "}7{",
		`{"n":1,"list":[{},{"x":2}]}`: `{"n":1,"list":[{},{"x":2}]}`,
	} {
		tmpl, err := ParseTemplate(text, SendKeys)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := string(tmpl.Append(nil, vars)); got != want {
			t.Errorf("%q expands to %q, want %q", text, got, want)
		}
	}
}

func TestUnknownKey(t *testing.T) {
	_, err := ParseTemplate("/x/{payload}/{rom}", SubscribeKeys)
	var unknown *UnknownKeyError
	if !errors.As(err, &unknown) || unknown.Key != "payload" {
		t.Fatalf("error %v, want that {payload} is unknown here", err)
	}
	if hint := unknown.Hint(); !strings.Contains(hint, "{room}, {client}") {
		t.Errorf("the hint %q does not name the keys", hint)
	}
}

// request is what Append writes, read back by net/http.
func request(t *testing.T, e *Endpoint, v Vars, lastEventID string) (string, *http.Request) {
	t.Helper()
	raw, _ := e.Append(nil, nil, v, []byte(lastEventID))
	return string(raw), parse(t, string(raw))
}

func parse(t *testing.T, raw string) *http.Request {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatalf("not a request: %v\n%s", err, raw)
	}
	return req
}

func TestRequests(t *testing.T) {
	body := `{"room":{room},"text":"{payload}","n":{iteration}}`
	tg, err := New(Spec{
		URL:         "http://example.test:8080/events/{room}?c={client}#part",
		Headers:     []string{"X-Room: r{room}", "accept: text/event-stream;q=1", "Host: virtual.test"},
		SendURL:     "http://example.test:8080/publish/{room}",
		SendMethod:  "PUT",
		SendHeaders: []string{"X-Key: k"},
		SendBody:    &body,
		Bearer:      "t0ken",
		Cookies:     []string{"a=1", "b=2"},
		Origin:      "http://page.test",
		UserAgent:   "sseload/test",
	})
	if err != nil {
		t.Fatal(err)
	}
	v := Vars{Room: 3, Client: 20, Iteration: 9, Payload: []byte("hi")}

	raw, sub := request(t, tg.Subscribe, v, "id 7")
	if sub.Method != "GET" || sub.RequestURI != "/events/3?c=20" || sub.Host != "virtual.test" {
		t.Errorf("subscribe: %s %s at %s", sub.Method, sub.RequestURI, sub.Host)
	}
	for name, want := range map[string]string{
		"X-Room": "r3", "Accept": "text/event-stream;q=1", "Cache-Control": "no-cache", "Authorization": "Bearer t0ken",
		"Cookie": "a=1; b=2", "Origin": "http://page.test", "User-Agent": "sseload/test", "Last-Event-Id": "id 7",
	} {
		if got := sub.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("subscribe: %s is %q, want %q", name, got, want)
		}
	}
	if strings.Contains(raw, "Content-Length") {
		t.Error("a GET has a content length")
	}
	if raw, _ := request(t, tg.Subscribe, v, ""); strings.Contains(raw, "Last-Event-ID") {
		t.Error("an empty ID was sent")
	}

	_, send := request(t, tg.Send, v, "")
	sent, err := io.ReadAll(send.Body)
	if err != nil {
		t.Fatal(err)
	}
	if send.Method != "PUT" || send.RequestURI != "/publish/3" || string(sent) != `{"room":3,"text":"hi","n":9}` {
		t.Errorf("send: %s %s with %s", send.Method, send.RequestURI, sent)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Key": "k", "Authorization": "Bearer t0ken", "Cookie": "a=1; b=2", "X-Room": "",
	} {
		if got := send.Header.Get(name); got != want {
			t.Errorf("send: %s is %q, want %q", name, got, want)
		}
	}

	// The same in the form of net/http.
	std, err := tg.Subscribe.Request(context.Background(), v, []byte("id 7"))
	if err != nil {
		t.Fatal(err)
	}
	if std.URL.String() != "http://example.test:8080/events/3?c=20" || std.Host != "virtual.test" {
		t.Errorf("net/http: %s at %s", std.URL, std.Host)
	}
	for name := range sub.Header {
		if got, want := std.Header.Get(name), sub.Header.Get(name); got != want {
			t.Errorf("net/http: %s is %q, want %q", name, got, want)
		}
	}
	if s := tg.Subscribe.String(); s != "http://virtual.test/events/{room}?c={client}" {
		t.Errorf("the endpoint calls itself %s", s)
	}
}

func TestDefaults(t *testing.T) {
	tg, err := New(Spec{URL: "http://127.0.0.1:8123"})
	if err != nil {
		t.Fatal(err)
	}
	v := Vars{Room: 5, Payload: []byte("p")}
	if _, r := request(t, tg.Subscribe, v, ""); r.RequestURI != "/events?room=5" {
		t.Errorf("a bare URL subscribes at %s", r.RequestURI)
	}
	_, r := request(t, tg.Send, v, "")
	if r.RequestURI != "/rooms/5/messages" || r.Method != "POST" || r.ContentLength != 1 || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("a bare URL sends %s %s of %d bytes as %s", r.Method, r.RequestURI, r.ContentLength, r.Header.Get("Content-Type"))
	}
	if !tg.AddressesRooms() || !tg.Plain() {
		t.Error("a bare URL addresses no rooms, or is not plain")
	}

	literal, err := New(Spec{URL: "http://127.0.0.1:8123", Literal: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, r := request(t, literal.Subscribe, v, ""); r.RequestURI != "/" || literal.Send != nil || literal.AddressesRooms() {
		t.Errorf("a literal URL subscribes at %s", r.RequestURI)
	}
}

func TestGetSendsNoBody(t *testing.T) {
	tg, err := New(Spec{URL: "http://h/{room}", SendURL: "http://h/say/{payload}", SendMethod: "get"})
	if err != nil {
		t.Fatal(err)
	}
	raw, r := request(t, tg.Send, Vars{Payload: []byte("a:b")}, "")
	if r.Method != "GET" || r.RequestURI != "/say/a:b" || strings.Contains(raw, "Content-") || !strings.HasSuffix(raw, "\r\n\r\n") {
		t.Errorf("request %q", raw)
	}
}

func TestASlashIsAPath(t *testing.T) {
	tg, err := New(Spec{URL: "http://h/"})
	if err != nil {
		t.Fatal(err)
	}
	if _, r := request(t, tg.Subscribe, Vars{}, ""); r.RequestURI != "/" || tg.Send != nil {
		t.Errorf("http://h/ subscribes at %s", r.RequestURI)
	}
}

func TestBodilessPostSaysSo(t *testing.T) {
	empty := ""
	tg, err := New(Spec{URL: "http://h/{room}", SendURL: "http://h/{room}/{payload}", SendBody: &empty})
	if err != nil {
		t.Fatal(err)
	}
	raw, r := request(t, tg.Send, Vars{Payload: []byte("a:b")}, "")
	if !strings.Contains(raw, "Content-Length: 0\r\n") || r.RequestURI != "/0/a:b" {
		t.Errorf("request %q", raw)
	}
}

func TestCredentialsStayWithTheirOrigin(t *testing.T) {
	tg, err := New(Spec{
		URL: "http://user:pass@a.test/events/{room}", SendURL: "http://b.test/{room}", Cookies: []string{"k=v"}, Headers: []string{"X-Other: o"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, sub := request(t, tg.Subscribe, Vars{}, "")
	if user, pass, _ := sub.BasicAuth(); user != "user" || pass != "pass" || sub.Header.Get("Cookie") != "k=v" {
		t.Errorf("subscribe: user %q, password %q", user, pass)
	}
	if _, send := request(t, tg.Send, Vars{}, ""); send.Header.Get("Cookie") != "" || send.Header.Get("Authorization") != "" {
		t.Error("credentials went to another host with a send")
	}
	for to, private := range map[string]bool{
		"http://a.test/other": true, "http://a.test:80/": true, "http://a.test:81/": false, "https://a.test/": false, "http://b.test/": false,
	} {
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := tg.Subscribe.AppendRedirected(nil, nil, Redirect{To: u}, Vars{}, []byte("7"))
		r := parse(t, string(raw))
		if got := r.Header.Get("Cookie") != "" && r.Header.Get("Authorization") != ""; got != private {
			t.Errorf("redirected to %s: credentials sent is %v", to, got)
		}
		if r.Header.Get("X-Other") != "o" || r.Header.Get("Last-Event-Id") != "7" || r.Host != u.Host {
			t.Errorf("redirected to %s: %v at %s", to, r.Header, r.Host)
		}
	}
}

func TestMistakes(t *testing.T) {
	empty := "no payload"
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{URL: "127.0.0.1:80/x"}, "no scheme"},
		{Spec{URL: "ftp://h/x"}, "scheme"},
		{Spec{URL: "http:///x"}, "host"},
		{Spec{URL: "http://{room}.test/"}, "host"},
		{Spec{URL: "http://h:port/"}, "host"},
		{Spec{URL: "http://h:99999/"}, "port"},
		{Spec{URL: "http://h/{nope}"}, "{nope}"},
		{Spec{URL: "http://h/{payload}"}, "{payload}"},
		{Spec{URL: "http://h/x", Headers: []string{"no colon"}}, "header"},
		{Spec{URL: "http://h/x", Headers: []string{"a b: c"}}, "header"},
		{Spec{URL: "http://h/x", Headers: []string{"A: b\r\nC: d"}}, "header"},
		{Spec{URL: "http://h/x", Headers: []string{"Content-Length: 3"}}, "itself"},
		{Spec{URL: "http://h/x", Bearer: "t", User: "u:p"}, "exclude"},
		{Spec{URL: "http://h/x", Bearer: "t\nX: y"}, "header"},
		{Spec{URL: "http://h/x", User: "nobody"}, "colon"},
		{Spec{URL: "http://h/x", Cookies: []string{"novalue"}}, "NAME=VALUE"},
		{Spec{URL: "http://h/x", SendURL: "h/y"}, "--send-url"},
		{Spec{URL: "http://h/x", SendURL: "http://h/y", SendMethod: "PO ST"}, "method"},
		{Spec{URL: "http://h/x", SendURL: "http://h/y", SendMethod: "head"}, "HEAD"},
		{Spec{URL: "http://h/x", SendURL: "http://h/y", SendMethod: "GET"}, "{payload}"},
		{Spec{URL: "http://h/x%zz"}, "valid URL"},
		{Spec{URL: "http://h/x", SendURL: "http://h/y", SendBody: &empty}, "{payload}"},
	} {
		_, err := New(c.spec)
		var spec *SpecError
		var key *UnknownKeyError
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &spec) && !errors.As(err, &key) {
			t.Errorf("%+v: error %v, want one with %q", c.spec, err, c.want)
		}
	}
}

func TestRedirectsAreEscaped(t *testing.T) {
	tg, err := New(Spec{URL: "http://h/{room}"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse("http://h/b?q=x y&ü")
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tg.Subscribe.AppendRedirected(nil, nil, Redirect{To: u}, Vars{}, nil)
	if r := parse(t, string(raw)); r.RequestURI != "/b?q=x%20y&%C3%BC" {
		t.Errorf("request target %s", r.RequestURI)
	}
}

func TestMistakesKeepSecrets(t *testing.T) {
	for _, spec := range []Spec{
		{URL: "http://h/x", Bearer: "T0KEN\nx"},
		{URL: "http://h/x", Headers: []string{"X-Key: T0KEN\nx"}},
		{URL: "http://me:T0KEN@h:99999/x"},
		{URL: "ftp://me:T0KEN@h/x"},
	} {
		if _, err := New(spec); err == nil || strings.Contains(err.Error(), "T0KEN") {
			t.Errorf("error %v, want one without the secret", err)
		}
	}
}

func TestURLsAreEscaped(t *testing.T) {
	tg, err := New(Spec{URL: "http://h/räume/{room}/a b?q=\"x\"", Literal: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, r := request(t, tg.Subscribe, Vars{Room: 1}, ""); r.RequestURI != "/r%C3%A4ume/1/a%20b?q=%22x%22" {
		t.Errorf("request target %s", r.RequestURI)
	}
}

func TestRedacted(t *testing.T) {
	for raw, want := range map[string]string{
		"http://h/events/{room}":                        "http://h/events/{room}",
		"http://user:pa@ss@h:80/x":                      "http://***@h:80/x",
		"http://h?x=a@b":                                "http://h?x=a@b",
		"http://h/x?room={room}&access_token=T0&a=1":    "http://h/x?room={room}&access_token=***&a=1",
		"https://u:p@h/x?Authorization=Bearer&api_key=": "https://***@h/x?Authorization=***&api_key=",
		"no url at all @ x?token=1":                     "no url at all @ x?token=1",
	} {
		if got := Redacted(raw); got != want {
			t.Errorf("Redacted(%q) is %q, want %q", raw, got, want)
		}
	}
}

func TestHostPort(t *testing.T) {
	for raw, want := range map[string]string{
		"http://[fe80::1%25eth0]/": "[fe80::1%eth0]:80", "http://[fe80::1%25eth0]:81/": "[fe80::1%eth0]:81",
		"http://h": "h:80", "https://h/x": "h:443", "http://h:81": "h:81", "http://[::1]/": "[::1]:80", "http://[::1]:8080/": "[::1]:8080",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := HostPort(u); got != want {
			t.Errorf("%s is dialed at %s, want %s", raw, got, want)
		}
		tg, err := New(Spec{URL: raw, Literal: true})
		if err != nil {
			t.Fatal(err)
		}
		if tg.Subscribe.HostPort != want {
			t.Errorf("an endpoint at %s is dialed at %s, want %s", raw, tg.Subscribe.HostPort, want)
		}
		if again, err := tg.Subscribe.URL(Vars{}); err != nil || HostPort(again) != want {
			t.Errorf("%s becomes %v, %v", raw, again, err)
		}
	}
}

func TestResolve(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tg, err := New(Spec{URL: "http://" + ln.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Resolve(context.Background(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := tg.Subscribe.Addr.String(); got != ln.Addr().String() || tg.Send.Addr != tg.Subscribe.Addr {
		t.Errorf("resolved to %s and %s, want %s", got, tg.Send.Addr, ln.Addr())
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tg.Resolve(context.Background(), time.Minute); !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("a closed port: %v", err)
	}
	nowhere, err := New(Spec{URL: "http://nowhere.invalid/"})
	if err != nil {
		t.Fatal(err)
	}
	var dns *net.DNSError
	if err := nowhere.Resolve(context.Background(), time.Minute); !errors.As(err, &dns) || !strings.Contains(err.Error(), `"nowhere.invalid"`) {
		t.Errorf("no such host: %v", err)
	}
}

func TestLocal(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true, "192.0.2.1": false, "2001:db8::1": false} {
		if got := Local(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Local(%s) is %v", addr, got)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	tg, err := New(Spec{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	dst, scratch := make([]byte, 0, 1024), make([]byte, 0, 1024)
	v := Vars{Room: 1, Payload: []byte("payload")}
	if n := testing.AllocsPerRun(100, func() {
		dst, scratch = tg.Send.Append(dst[:0], scratch, v, nil)
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func TestProtocol(t *testing.T) {
	for _, c := range []struct {
		url  string
		http Version
		unix string
		want string
	}{
		{"http://x", HTTP1, "", "EventSource"},
		{"https://x", HTTP1, "", "EventSource (TLS)"},
		{"http://x", HTTP2, "", "EventSource (h2c)"},
		{"https://x", HTTP2, "", "EventSource (h2)"},
		{"https://x", HTTP3, "", "EventSource (h3)"},
		{"http://x", HTTP1, "/tmp/s", "EventSource (Unix)"},
		{"https://x", HTTP1, "/tmp/s", "EventSource (Unix, TLS)"},
		{"http://x", HTTP2, "/tmp/s", "EventSource (Unix, h2c)"},
		{"https://x", HTTP2, "/tmp/s", "EventSource (Unix, h2)"},
	} {
		tg, err := New(Spec{URL: c.url, HTTP: c.http, Unix: c.unix})
		if err != nil {
			t.Fatal(err)
		}
		if got := tg.Protocol(); got != c.want {
			t.Errorf("%s over HTTP/%s by %q: %s, want %s", c.url, c.http, c.unix, got, c.want)
		}
	}
}
