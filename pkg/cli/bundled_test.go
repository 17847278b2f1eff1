package cli

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/scenarios"
	"github.com/sseload/sseload/testserver"
)

// launched starts the bundled server, as a load command would.
func launched(t *testing.T, b *bundled) *scenarios.Site {
	t.Helper()
	exe, err := exec.LookPath("sseload")
	if err != nil {
		t.Fatal(err)
	}
	site, err := b.launch(t.Context(), exe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Stop)
	return site
}

// With HTTP/3 the bundled server serves TLS, with a certificate that the target
// trusts, over TCP and UDP.
func TestBundledServesHTTP3(t *testing.T) {
	b := &bundled{workers: 1, http3: true, at: bundledFlags{addr: bundledAddr, tls: true}}
	site := launched(t, b)
	root := "https://" + site.Target.Subscribe.HostPort
	trust := site.Target.TLS.Clone()
	trust.NextProtos = nil
	one := &http.Transport{TLSClientConfig: trust}
	defer one.CloseIdleConnections()
	three := &http3.Transport{TLSClientConfig: trust.Clone()}
	defer three.Close()
	for version, by := range map[int]http.RoundTripper{1: one, 3: three} {
		client := http.Client{Transport: by, Timeout: 15 * time.Second}
		resp, err := client.Get(root + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(text) != "ok\n" || resp.ProtoMajor != version {
			t.Errorf("%s: %q, %v", resp.Proto, text, err)
		}
	}
}

// The end of the child is seen at once, and what it left is tidied up.
func TestBundledIsGone(t *testing.T) {
	for _, addr := range []string{bundledAddr, temporarySocket} {
		site := launched(t, &bundled{workers: 1, at: bundledFlags{addr: addr}})
		select {
		case <-site.Gone:
			t.Fatalf("%s: gone before its end", addr)
		default:
		}
		child, err := os.FindProcess(site.PID)
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Kill(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-site.Gone:
		case <-time.After(15 * time.Second):
			t.Fatalf("%s: its end is not seen", addr)
		}
		site.Stop()
		if path := site.Target.Subscribe.Unix; path != "" {
			if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the folder of %s: %v", path, err)
			}
		} else if addr == temporarySocket {
			t.Error("no socket")
		}
	}
	// Nor when it is asked to end.
	site := launched(t, &bundled{workers: 1, at: bundledFlags{addr: bundledAddr}})
	site.Stop()
	<-site.Gone
}

func TestReadyIsAsked(t *testing.T) {
	for _, at := range []bundledFlags{{addr: bundledAddr}, {addr: bundledAddr, tls: true}, {addr: temporarySocket, tls: true}} {
		cfg := testserver.Config{Addr: at.addr, SelfSigned: at.tls}
		s, err := testserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(t.Context()) }()
		told := ready{URL: s.URL(), Unix: s.Socket(), Certificate: string(s.Certificate())}
		if st, err := testserver.ReadStats(t.Context(), told.client(), told.URL); err != nil || st.Workers != 1 {
			t.Errorf("%+v: %+v, %v", at, st, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestForesee(t *testing.T) {
	for _, c := range []struct {
		at     bundledFlags
		engine stream.Kind
		want   string
	}{
		{bundledFlags{addr: bundledAddr}, stream.Auto, ""},
		{bundledFlags{addr: temporarySocket}, stream.Auto, ""},
		{bundledFlags{addr: "[::1]:0", tls: true}, stream.Auto, ""},
		{bundledFlags{addr: bundledAddr, tls: true}, stream.Epoll, "TLS"},
	} {
		b := &bundled{workers: 1, at: c.at}
		err := b.foresee(c.engine)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v with %s: %v", c.at, c.engine, err)
		}
	}
}
