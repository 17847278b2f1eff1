package target

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestResolveQUIC finds servers that take no TCP, behind a name with an address that
// is not served.
func TestResolveQUIC(t *testing.T) {
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_, port, err := net.SplitHostPort(udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		tg, err := New(Spec{URL: "https://" + host + ":" + port + "/events", HTTP: HTTP3})
		if err != nil {
			t.Fatal(err)
		}
		if err := tg.Resolve(t.Context(), 20*time.Second); err != nil {
			t.Fatal(err)
		}
		if got := tg.Subscribe.Addr.String(); got != udp.LocalAddr().String() {
			t.Errorf("%s is %s, want %s", host, got, udp.LocalAddr())
		}
	}
	tg, err := New(Spec{URL: "https://127.0.0.1:" + port + "/events", HTTP: HTTP3})
	if err != nil {
		t.Fatal(err)
	}
	if err := udp.Close(); err != nil {
		t.Fatal(err)
	}
	err = tg.Resolve(t.Context(), 20*time.Second)
	if err == nil || runtime.GOOS != "windows" && !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "127.0.0.1:"+port) {
		t.Errorf("%v, want a refusal of port %s", err, port)
	}
}

func TestResolveQUICByTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	tg, err := New(Spec{URL: "https://" + ln.Addr().String(), HTTP: HTTP3})
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Resolve(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if tg.Subscribe.Addr.String() != ln.Addr().String() || tg.Send.Addr != tg.Subscribe.Addr {
		t.Errorf("%s and %s, want %s", tg.Subscribe.Addr, tg.Send.Addr, ln.Addr())
	}
}
