package cli

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/net/http/httpproxy"

	"github.com/sseload/sseload/pkg/target"
)

// reachFlags say by which request, by which way and with which certificate to
// subscribe. They are part of requestFlags.
type reachFlags struct {
	method     string
	body       optional
	cert       string
	key        string
	unixSocket string
	resolve    resolutions
}

func (f *reachFlags) add(flags *pflag.FlagSet) {
	flags.StringVarP(&f.method, "method", "X", "", "`METHOD` of the subscribe request (default GET, with --body POST)")
	flags.Var(&f.body, "body", "body of the subscribe request, or @FILE that holds it; may hold {room} and {client}")
	flags.StringVar(&f.cert, "cert", "", "PEM `FILE` with the certificate to show to a server that asks for one, and perhaps its key")
	flags.StringVar(&f.key, "key", "", "PEM `FILE` with the private key of --cert")
	flags.StringVar(&f.unixSocket, "unix-socket", "", "`PATH` of a Unix socket to connect to, whatever the host of the URL")
	flags.Var(&f.resolve, "resolve", "connect to this address for that host and port instead of looking the host up; repeatable")
}

// spec adds what the flags say to s.
func (f *reachFlags) spec(s *target.Spec) error {
	s.Method, s.Unix, s.Resolve = f.method, f.unixSocket, f.resolve
	if err := f.readBody(s); err != nil {
		return err
	}
	return f.readCertificate(s)
}

func (f *reachFlags) readBody(s *target.Spec) error {
	if !f.body.given {
		return nil
	}
	text := f.body.value
	if path, ok := strings.CutPrefix(text, "@"); ok {
		data, err := readInput(path)
		if err != nil {
			return fmt.Errorf("--body: %w", err)
		}
		text = string(data)
	}
	s.Body = &text
	return nil
}

func (f *reachFlags) readCertificate(s *target.Spec) error {
	key := f.key
	switch {
	case f.cert == "" && key == "":
		return nil
	case f.cert == "":
		return usagef("add --cert FILE", "--key is about the certificate of --cert, which is not given")
	case key == "":
		key = f.cert
	}
	certPEM, err := readInput(f.cert)
	if err != nil {
		return &hinted{fmt.Errorf("--cert: %w", err), "name a file with a certificate in PEM"}
	}
	keyPEM, err := readInput(key)
	if err != nil {
		return &hinted{fmt.Errorf("--key: %w", err), "name a file with a private key in PEM"}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	switch {
	case err == nil:
		s.Certificates = []tls.Certificate{pair}
		return nil
	case f.key == "" && !strings.Contains(string(keyPEM), "PRIVATE KEY-----"):
		return usagef("add --key FILE", "--cert: %s holds no private key, and --key is not given", f.cert)
	case f.key == "":
		return fmt.Errorf("--cert: %s: %w", f.cert, bareTLS(err))
	}
	return fmt.Errorf("--cert and --key: %s and %s: %w", f.cert, f.key, bareTLS(err))
}

// bareTLS is err without the name of the package that found it.
func bareTLS(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "tls: ")) }

// checkBundled refuses what makes no sense without a URL.
func (f *reachFlags) checkBundled() error {
	switch {
	case f.unixSocket != "":
		return usagef("name the URL to subscribe to as well", "--unix-socket needs a URL to subscribe to")
	case len(f.resolve) > 0:
		return usagef("name the URL to subscribe to as well", "--resolve needs a URL to subscribe to")
	}
	return nil
}

// optional is text that may be given, and be empty.
type optional struct {
	value string
	given bool
}

func (o *optional) String() string { return o.value }

func (o *optional) Type() string { return "TEXT" }

func (o *optional) Set(s string) error {
	*o = optional{s, true}
	return nil
}

// resolutions are addresses by "host:port".
type resolutions map[string]netip.Addr

func (r *resolutions) String() string {
	all := make([]string, 0, len(*r))
	for hostPort, addr := range *r {
		all = append(all, hostPort+":"+addr.String())
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

func (r *resolutions) Type() string { return "HOST:PORT:ADDR" }

func (r *resolutions) Set(s string) error {
	const hint = "write it as HOST:PORT:ADDR, such as example.test:443:192.0.2.7 or example.test:443:[2001:db8::7]"
	host, rest, _ := strings.Cut(s, ":")
	digits, text, ok := strings.Cut(rest, ":")
	if !ok || host == "" {
		return &hinted{fmt.Errorf("%q is not a host, a port and an address", s), hint}
	}
	if port, err := strconv.ParseUint(digits, 10, 16); err != nil || port == 0 {
		return &hinted{fmt.Errorf("%q is no port", digits), hint}
	}
	inner := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		inner = text[1 : len(text)-1]
	}
	addr, err := netip.ParseAddr(inner)
	if err != nil {
		return &hinted{fmt.Errorf("%q is no IP address", text), hint}
	}
	if *r == nil {
		*r = resolutions{}
	}
	hostPort := net.JoinHostPort(host, digits)
	if other, ok := (*r)[hostPort]; ok && other != addr {
		return &hinted{fmt.Errorf("%s has two addresses, %s and %s", hostPort, other, addr), "give one of them"}
	}
	(*r)[hostPort] = addr
	return nil
}

// proxies reads from the environment through which proxy a URL is reached.
func (a *App) proxies() (func(*url.URL) (*url.URL, error), error) {
	get := func(name string) string {
		for _, n := range []string{strings.ToLower(name), name} {
			if v, ok := a.Env(n); ok && v != "" {
				return v
			}
		}
		return ""
	}
	cfg := httpproxy.Config{HTTPProxy: get("HTTP_PROXY"), HTTPSProxy: get("HTTPS_PROXY"), NoProxy: get("NO_PROXY")}
	for name, value := range map[string]string{"HTTP_PROXY": cfg.HTTPProxy, "HTTPS_PROXY": cfg.HTTPSProxy} {
		// One that cannot be read would count as none.
		if _, err := url.Parse(value); err != nil {
			if _, err := url.Parse("http://" + value); err != nil {
				return nil, usagef("write it as http://HOST:PORT", "%s=%s: not a URL", name, withoutUser(value))
			}
		}
	}
	return cfg.ProxyFunc(), nil
}

// warn tells what stands between the user and t, so that nobody measures that
// unknowingly.
func (a *App) warn(t *target.Target, insecure bool) {
	if insecure {
		a.note("warning: the server's certificate is not verified (--insecure)")
	}
	for _, p := range t.Proxies() {
		a.note("warning: the server is reached through the proxy %s, which is measured too; NO_PROXY names hosts to go to without it", p)
	}
}
