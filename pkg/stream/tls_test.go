package stream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/target"
)

// certificate makes one for the given host, signed by itself, and the pool that
// trusts it.
func certificate(t testing.TB, host string) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sseload test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if ip := net.ParseIP(host); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AddCert(leaf)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12,
	}, trust
}

func TestTLS(t *testing.T) {
	good, trust := certificate(t, "127.0.0.1")
	elsewhere, trustElsewhere := certificate(t, "other.test")
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	mutual := good.Clone()
	mutual.ClientAuth, mutual.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
	for _, c := range []struct {
		name     string
		server   *tls.Config
		trust    *x509.CertPool
		insecure bool
		opens    bool
	}{
		{"a trusted certificate", good, trust, false, true},
		{"any certificate, as asked for", elsewhere, nil, true, true},
		{"a certificate that nobody signed", good, nil, false, false},
		{"a certificate for another host", elsewhere, trustElsewhere, false, false},
		{"a version that is too old", old, trust, false, false},
		{"a server that wants to know the client", mutual, trust, false, false},
		{"no TLS at all", nil, trust, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			theseEngines(t, []Kind{Conn, NetHTTP, R3Labs}, func(t *testing.T, k Kind) {
				s := serveTLS(t, c.server, func(p *peer) {
					for r := p.request(); r != nil; r = p.request() {
						if r.Method == "POST" {
							p.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
							continue
						}
						p.say(chunked("data: a\n\ndata: "+r.Proto+"\n\n", ""))
						p.gone()
						return
					}
					if c.server == nil {
						p.say("HTTP/1.1 400 Bad Request\r\n\r\n")
					}
				})
				url := "https://" + s.ln.Addr().String()
				p := start(t, k, Config{Target: at(t, target.Spec{
					URL: url + "/events", SendURL: url + "/send", RootCAs: c.trust, Insecure: c.insecure,
				})})
				for range 2 {
					p.subscribe(0, "")
					if !c.opens {
						p.expect("closed: tls")
						p.send(1)
						p.expect("sent: tls")
						continue
					}
					checkTiming(t, p.expect("opened").timing)
					if at := p.expect(`message "a"`).at; at.Kernel != 0 || at.Read == 0 {
						t.Errorf("stamps %+v: the kernel's is not to be had through TLS", at)
					}
					p.expect(`message "HTTP/1.1"`)
					p.expect("closed: ended")
					p.send(1)
					p.expect("sent")
				}
				p.quiet()
			})
		})
	}
}

// TestTLSHandshakesAreFull: clients are strangers to each other, and so is each to
// what it was before.
func TestTLSHandshakesAreFull(t *testing.T) {
	cfg, trust := certificate(t, "127.0.0.1")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := cfg.Clone()
		cfg.MaxVersion = version
		t.Run(tls.VersionName(version), func(t *testing.T) {
			theseEngines(t, []Kind{Conn, NetHTTP, R3Labs}, func(t *testing.T, k Kind) {
				const clients, rounds = 5, 3
				resumed := make(chan bool, 2*clients*rounds)
				s := serveTLS(t, cfg, func(c *peer) {
					r := c.request()
					if r == nil {
						t.Error("a connection without a request")
						return
					}
					if secure, ok := c.Conn.(*tls.Conn); ok {
						resumed <- secure.ConnectionState().DidResume
					}
					if r.Method == "POST" {
						c.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
					} else {
						c.say(stream("data: a\n\n"))
					}
				})
				p := start(t, k, Config{Clients: clients, Target: at(t, target.Spec{
					URL: s.url("/events"), SendURL: s.url("/send"), RootCAs: trust,
				})})
				for range rounds {
					for id := range clients {
						p.subscribe(id, "")
						p.expect("opened")
						p.expect(`message "a"`)
						p.expect("closed: ended")
						p.send(Tag(id))
						p.expect("sent")
					}
				}
				for range 2 * clients * rounds {
					if await(t, resumed) {
						t.Fatal("a session was resumed")
					}
				}
			})
		})
	}
}

// TestTLSTimeout has the handshake never end.
func TestTLSTimeout(t *testing.T) {
	theseEngines(t, []Kind{Conn, NetHTTP, R3Labs}, func(t *testing.T, k Kind) {
		s := serve(t, func(p *peer) { p.gone() })
		p := start(t, k, Config{
			Target:  at(t, target.Spec{URL: "https://" + s.ln.Addr().String() + "/"}),
			Timeout: 150 * time.Millisecond,
		})
		p.subscribe(0, "")
		p.expect("closed: timed out")
		p.quiet()
	})
}

// TestRedirectToTLS leads from plain HTTP to HTTPS by another certificate name.
func TestRedirectToTLS(t *testing.T) {
	cfg, trust := certificate(t, "localhost")
	theseEngines(t, []Kind{Conn, NetHTTP, R3Labs}, func(t *testing.T, k Kind) {
		secure := serveTLS(t, cfg, answer(stream("data: secure\n\n")))
		_, port, err := net.SplitHostPort(secure.ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s := serve(t, answer("HTTP/1.1 301 Moved\r\nLocation: https://localhost:"+port+"/\r\n\r\n"))
		p := start(t, k, Config{Target: at(t, target.Spec{URL: s.url("/"), RootCAs: trust})})
		p.subscribe(0, "")
		p.expect("opened")
		p.expect(`message "secure"`)
		p.expect("closed: ended")
	})
}

func TestRedirectToTLSNeedsConn(t *testing.T) {
	if !epollAvailable {
		t.Skip("engine epoll needs Linux")
	}
	checkLeaks(t)
	s := serve(t, answer("HTTP/1.1 301 Moved\r\nLocation: https://localhost/\r\n\r\n"))
	p := start(t, Epoll, Config{Target: at(t, target.Spec{URL: s.url("/")})})
	p.subscribe(0, "")
	if f := p.expect("closed: protocol"); !strings.Contains(f.failure.Error(), "--engine conn") {
		t.Errorf("%q does not say which engine can", f.failure)
	}
}
