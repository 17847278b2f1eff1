package testserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// madeCertificate is a certificate with its key, both PEM. It travels to the workers
// of a cluster.
type madeCertificate struct{ Cert, Key []byte }

// certificateLife is how long a certificate made for the occasion is valid.
const certificateLife = 7 * 24 * time.Hour

// makeCertificate makes a certificate for this machine under the name localhost,
// the addresses of its loopback, and the host that addr says to listen on. It is no
// authority: who trusts it trusts this server alone.
func makeCertificate(addr string) (*madeCertificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of a certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("serial number of a certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "sseload reference server"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	template.DNSNames, template.IPAddresses = certificateNames(addr)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &madeCertificate{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

// certificateNames are those under which a server that listens on addr is reached.
func certificateNames(addr string) (names []string, ips []net.IP) {
	names, ips = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if _, isUnix := SocketPath(addr); isUnix {
		return names, ips
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "localhost" {
		return names, ips
	}
	ip := net.ParseIP(host)
	switch {
	case host == "" || ip != nil && ip.IsUnspecified():
		// It is reached by every address of the machine.
		own, err := net.InterfaceAddrs()
		if err != nil {
			return names, ips // those of the loopback remain
		}
		for _, a := range own {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() {
				ips = append(ips, n.IP)
			}
		}
	case ip == nil:
		names = append(names, host)
	case !ips[0].Equal(ip) && !ips[1].Equal(ip):
		ips = append(ips, ip)
	}
	return names, ips
}

// readCertificates makes or reads what the configuration says of TLS. made is a
// certificate that there is already, or nil.
func (s *Server) readCertificates(made *madeCertificate) error {
	var err error
	switch {
	case s.cfg.SelfSigned:
		if made == nil {
			if made, err = makeCertificate(s.cfg.Addr); err != nil {
				return err
			}
		}
		cert, err := tls.X509KeyPair(made.Cert, made.Key)
		if err != nil {
			return fmt.Errorf("made certificate: %w", err)
		}
		s.made, s.cert = made, &cert
	case s.cfg.CertFile != "":
		cert, err := tls.LoadX509KeyPair(s.cfg.CertFile, s.cfg.KeyFile)
		if err != nil {
			return fmt.Errorf("certificate %s with key %s: %w", s.cfg.CertFile, s.cfg.KeyFile, err)
		}
		s.cert = &cert
	}
	if s.cfg.ClientCAFile == "" {
		return nil
	}
	text, err := os.ReadFile(s.cfg.ClientCAFile)
	if err != nil {
		return fmt.Errorf("authorities of clients: %w", err)
	}
	s.clientCAs = x509.NewCertPool()
	if !s.clientCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("authorities of clients: %s holds no PEM certificate", s.cfg.ClientCAFile)
	}
	return nil
}

// Certificate is the PEM text of the certificate that was made for Config.SelfSigned,
// for clients to trust; nil without one.
func (s *Server) Certificate() []byte {
	if s.made == nil {
		return nil
	}
	return s.made.Cert
}

// tlsConfig is how TLS is served, when it is.
func (s *Server) tlsConfig() *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{*s.cert}, MinVersion: tls.VersionTLS12}
	if s.clientCAs != nil {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, s.clientCAs
	}
	return c
}
