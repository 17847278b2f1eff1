package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sseload/sseload/pkg/target/proxytest"
)

// standInDoor is how a stand-in is reached; the zero value is plain TCP over IPv4.
type standInDoor struct {
	listener net.Listener // nil: a free port of 127.0.0.1
	tls      bool
	config   *tls.Config // nil: what package httptest uses
}

func newStandInDoor(ts *testscript.TestScript, name, option string) standInDoor {
	switch option {
	case "tls":
		return standInDoor{tls: true}
	case "unix":
		path := filepath.Join(ts.MkAbs("."), name+".sock")
		ln, err := net.Listen("unix", path)
		ts.Check(err)
		ts.Setenv(name+"_SOCKET", path)
		return standInDoor{listener: ln}
	case "ipv6":
		ln, err := net.Listen("tcp", "[::1]:0")
		ts.Check(err)
		return standInDoor{listener: ln}
	case "mutual":
		cert, key := makeClient(ts)
		ts.Check(os.WriteFile(ts.MkAbs(name+"-client.pem"), cert, 0o600))
		ts.Check(os.WriteFile(ts.MkAbs(name+"-client.key"), key, 0o600))
		ts.Check(os.WriteFile(ts.MkAbs(name+"-client-both.pem"), slices.Concat(cert, key), 0o600))
		known := x509.NewCertPool()
		known.AppendCertsFromPEM(cert)
		return standInDoor{tls: true, config: &tls.Config{
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known, MinVersion: tls.VersionTLS12,
		}}
	}
	ts.Fatalf("unknown option -%s of a server", option)
	return standInDoor{}
}

// makeClient makes a certificate, signed by itself, for a client, and its key.
func makeClient(ts *testscript.TestScript) (cert, key []byte) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sseload test client"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &private.PublicKey, private)
	ts.Check(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	ts.Check(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func startProxy(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 && len(args) != 2 {
		ts.Fatalf("usage: proxy NAME [USER:PASSWORD]")
	}
	cfg := proxytest.Config{}
	if len(args) == 2 {
		cfg.Credentials = args[1]
	}
	p, err := proxytest.Start(cfg)
	ts.Check(err)
	ts.Defer(p.Close)
	the(ts).proxies[args[0]] = p
	ts.Setenv(args[0], p.Addr())
}

func asked(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, args, 2, "asked NAME REGEXP")
	p, ok := the(ts).proxies[args[0]]
	if !ok {
		ts.Fatalf("no proxy %q was started", args[0])
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	if all := p.Asked(); slices.ContainsFunc(all, pattern.MatchString) == neg {
		ts.Fatalf("the proxy was asked for %q", all)
	}
}

func TestResolutions(t *testing.T) {
	var r resolutions
	for _, s := range []string{"sse.test:443:192.0.2.7", "six.test:80:[2001:db8::7]", "bare.test:80:2001:db8::8", "sse.test:443:192.0.2.7"} {
		if err := r.Set(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	for hostPort, want := range map[string]string{"sse.test:443": "192.0.2.7", "six.test:80": "2001:db8::7", "bare.test:80": "2001:db8::8"} {
		if got := r[hostPort]; got != netip.MustParseAddr(want) {
			t.Errorf("%s is at %s, want %s", hostPort, got, want)
		}
	}
	for _, s := range []string{"", "sse.test", "sse.test:443", ":443:192.0.2.7", "sse.test:x:192.0.2.7", "sse.test:0:192.0.2.7", "sse.test:443:other.test", "sse.test:443:", "sse.test:443:192.0.2.8"} {
		if err := r.Set(s); err == nil || hintOf(err) == "" {
			t.Errorf("%q: error %v, want one with a hint", s, err)
		}
	}
}

func TestProxiesFromTheEnvironment(t *testing.T) {
	env := func(vars ...string) *App {
		return &App{Env: func(name string) (string, bool) {
			for _, v := range vars {
				if n, value, _ := strings.Cut(v, "="); n == name {
					return value, true
				}
			}
			return "", false
		}}
	}
	for _, c := range []struct{ vars, url, want string }{
		{"", "http://sse.test/", ""},
		{"HTTP_PROXY=http://p:1", "http://sse.test/", "http://p:1"},
		{"http_proxy=p:1", "http://sse.test/", "http://p:1"},
		{"HTTP_PROXY=http://p:1 http_proxy=http://q:1", "http://sse.test/", "http://q:1"},
		{"HTTP_PROXY=http://p:1", "https://sse.test/", ""},
		{"HTTPS_PROXY=socks5://p:1", "https://sse.test/", "socks5://p:1"},
		{"HTTP_PROXY=http://p:1 NO_PROXY=.test", "http://sse.test/", ""},
		{"HTTP_PROXY=http://p:1", "http://localhost/", ""},
		{"HTTP_PROXY=http://p:1", "http://[::1]:80/", ""},
	} {
		proxies, err := env(strings.Fields(c.vars)...).proxies()
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		got, err := proxies(u)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		if got != nil {
			text = got.String()
		}
		if text != c.want {
			t.Errorf("with %q %s goes through %v, want %q", c.vars, c.url, got, c.want)
		}
	}
	if _, err := env("HTTPS_PROXY=http://me:S3CRET@p:%zz").proxies(); err == nil || strings.Contains(err.Error(), "S3CRET") || !strings.Contains(err.Error(), "HTTPS_PROXY") {
		t.Errorf("error %v, want one that names the variable and no secret", err)
	}
}
