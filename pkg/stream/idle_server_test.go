package stream

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// serverEnv makes the test binary a server: "plain", "tls", "h2c" or "h2".
const serverEnv = "SSELOAD_TEST_SERVER"

// serveIdleClients opens a stream for whoever connects, until stdin ends. It
// prints its address and, with TLS, its certificate.
func serveIdleClients() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var cfg *tls.Config
	cert := "-"
	kind := os.Getenv(serverEnv)
	if kind == "tls" || kind == "h2" {
		// No test is running here; certificate fails only where rand does.
		cfg, _ = certificate(new(testing.B), "127.0.0.1")
		cert = base64.StdEncoding.EncodeToString(cfg.Certificates[0].Certificate[0])
	}
	_, _ = fmt.Fprintln(os.Stdout, ln.Addr(), cert)
	if kind == "h2c" || kind == "h2" {
		serveIdleStreams(ln, cfg)
		return
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if cfg != nil {
				c = tls.Server(c, cfg)
			}
			go func() {
				p := &peer{Conn: c, in: bufio.NewReader(c)}
				if p.request() != nil {
					p.say(chunked("data: hello\n\n"))
				}
				p.gone()
			}()
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// serveIdleStreams is the same over HTTP/2.
func serveIdleStreams(ln net.Listener, cfg *tls.Config) {
	web := &http.Server{
		Protocols: new(http.Protocols), TLSConfig: cfg, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: hello\n\n")
			_ = http.NewResponseController(w).Flush() // whoever is gone needs nothing
			<-r.Context().Done()
		}),
	}
	web.Protocols.SetUnencryptedHTTP2(true)
	web.Protocols.SetHTTP2(true)
	go func() {
		if cfg != nil {
			_ = web.ServeTLS(ln, "", "") // until the process ends
			return
		}
		_ = web.Serve(ln) // likewise
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// idleServer starts a server in a process of its own and returns its address and
// the certificate to trust.
func idleServer(t *testing.T, kind string) (addr string, trust *x509.CertPool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+kind)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr, cert, _ := strings.Cut(strings.TrimSpace(line), " ")
	if cert != "-" {
		der, err := base64.StdEncoding.DecodeString(cert)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		trust = x509.NewCertPool()
		trust.AddCert(leaf)
	}
	return addr, trust
}
